//! What the gateway answers.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE,
};
use hyper::{Method, Request, Response, StatusCode};

use super::asked::{Asked, part};
use super::{Served, texts};
use crate::fault::Fault;
use crate::world::stock::{Delivery, Denial, Stock};

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Fault>>>;

pub(super) async fn answer(
    served: Arc<Served>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let asked = Asked::read(request.uri().path(), &served.word)
        .filter(|_| request.uri().query().is_none())
        .and_then(|asked| Some((served.stocks.get(asked.stock)?, asked)));
    let answer = match (asked, request.method()) {
        (None, _) => last(StatusCode::NOT_FOUND),
        (Some((stock, asked)), &Method::GET) => get(&served, stock, &asked, &request).await,
        (Some((stock, asked)), &Method::HEAD) => head(&served, stock, &asked.name).await,
        (Some(_), _) => with(last(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "GET, HEAD"),
    };
    Ok(answer)
}

async fn get(
    served: &Arc<Served>,
    stock: &Arc<dyn Stock>,
    asked: &Asked,
    request: &Request<Incoming>,
) -> Response<Body> {
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let part = range.and_then(part);
    if let (None, Some(kept)) = (&part, served.texts.find(asked)) {
        return kept.map_or_else(|| bare(StatusCode::NOT_FOUND), text);
    }
    match stock.open(&asked.name, part).await {
        Ok(delivery) if texts::is_text(asked, &delivery) => match texts::whole(delivery).await {
            Ok(whole) => {
                served.texts.keep(asked, Some(&whole));
                text(whole)
            }
            Err(fault) => denied(served, Denial::Trouble(fault)),
        },
        Ok(delivery) => passed_on(Arc::clone(served), delivery),
        Err(denial) => {
            if denial == Denial::Absent {
                served.texts.keep(asked, None);
            }
            denied(served, denial)
        }
    }
}

fn text(whole: Bytes) -> Response<Body> {
    let length = whole.len();
    let body = stream::once(async { Ok(Frame::data(whole)) });
    with(Response::new(StreamBody::new(body.boxed())), CONTENT_LENGTH, length)
}

async fn head(served: &Served, stock: &Arc<dyn Stock>, name: &str) -> Response<Body> {
    match stock.size(name).await {
        Ok(size) => with(with(bare(StatusCode::OK), CONTENT_LENGTH, size), ACCEPT_RANGES, "bytes"),
        Err(denial) => denied(served, denial),
    }
}

/// A body that fails ends its connection, so that nobody takes a part for the whole.
fn passed_on(served: Arc<Served>, delivery: Delivery) -> Response<Body> {
    let Delivery { size, range, body } = delivery;
    let length = range.end - range.start;
    let body = body.map(move |part| part.inspect_err(|fault| served.blame(fault)).map(Frame::data));
    let answer = Response::new(StreamBody::new(body.boxed()));
    let answer = with(with(answer, CONTENT_LENGTH, length), ACCEPT_RANGES, "bytes");
    if length == size {
        return answer;
    }
    let told = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let mut answer = with(answer, CONTENT_RANGE, told);
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    answer
}

/// Nix takes 403 and 404 for absent, and asks again after 502 and 503
/// (`src/libstore/filetransfer.cc`).
fn denied(served: &Served, denial: Denial) -> Response<Body> {
    match denial {
        Denial::Absent => bare(StatusCode::NOT_FOUND),
        Denial::Beyond => bare(StatusCode::RANGE_NOT_SATISFIABLE),
        Denial::Refused(fault) => {
            served.blame(&fault);
            bare(StatusCode::FORBIDDEN)
        }
        Denial::Trouble(fault) => {
            served.blame(&fault);
            let busy = ["SlowDown", "503", "ServiceUnavailable"];
            let busy = busy.iter().any(|word| fault.because.contains(word));
            bare(if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY })
        }
    }
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(StreamBody::new(stream::empty().boxed()));
    *answer.status_mut() = status;
    with(answer, CONTENT_LENGTH, 0)
}

/// Whoever asks such things does not get to ask again on the same connection.
fn last(status: StatusCode) -> Response<Body> {
    with(bare(status), CONNECTION, "close")
}

fn with(
    mut answer: Response<Body>,
    name: hyper::header::HeaderName,
    value: impl ToString,
) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

//! A web server's folder: `GET`, `HEAD` and `PUT`.

use std::fs;
use std::path::PathBuf;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, IF_NONE_MATCH};
use hyper::{Method, Request, Response, StatusCode};
use s3s::Body;

pub(crate) struct Files {
    pub(crate) root: PathBuf,
    /// What an `Authorization` has to say.
    pub(crate) login: Option<&'static str>,
    /// Whether `If-None-Match` is known here.
    pub(crate) conditions: bool,
}

impl Files {
    pub(crate) async fn call(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, &'static str> {
        let said = |header| request.headers().get(header).and_then(|text| text.to_str().ok());
        if self.login.is_some() && said(AUTHORIZATION) != self.login {
            return Ok(empty(StatusCode::UNAUTHORIZED));
        }
        let path = self.root.join(request.uri().path().trim_start_matches('/'));
        if request.method() != Method::PUT {
            let head = request.method() == Method::HEAD;
            return Ok(fs::read(path).map_or_else(
                |_| empty(StatusCode::NOT_FOUND),
                |bytes| {
                    let length = bytes.len();
                    let body = if head { Body::empty() } else { Body::from(bytes) };
                    Response::builder().header(CONTENT_LENGTH, length).body(body).unwrap()
                },
            ));
        }
        let (conditional, length) = (said(IF_NONE_MATCH) == Some("*"), said(CONTENT_LENGTH));
        let length: usize = length.ok_or("no length")?.parse().map_err(|_| "no length")?;
        let body = request.into_body().collect().await.map_err(|_| "it broke off")?.to_bytes();
        assert_eq!(body.len(), length);
        if self.conditions && conditional && path.exists() {
            return Ok(empty(StatusCode::PRECONDITION_FAILED));
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
        Ok(empty(StatusCode::CREATED))
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

//! What `Probes` promises: what counts as healthy, and what is said where it is not.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use writ::manifest::service::Check;
use writ::world::Probes;

/// Hands the names of the promises that any machine can show to a macro of the
/// caller's.
macro_rules! probes_contract {
    ($each:ident) => {
        $each! {
            nothing_asked_is_well,
            an_answer_below_400_is_well,
            a_service_is_asked_by_its_name,
            a_redirect_is_an_answer_and_is_not_followed,
            an_error_says_its_status_and_first_line,
            a_closed_port_says_so,
            an_open_port_is_well,
            a_silent_service_is_given_up_on,
            an_endless_answer_is_cut,
            each_question_is_a_new_connection
        }
    };
}
pub(crate) use probes_contract;

/// The same for those that need systemd and root.
macro_rules! command_contract {
    ($each:ident) => {
        $each! {
            a_command_that_ends_well_is_well,
            a_command_that_fails_says_its_status_and_first_line,
            a_command_that_is_not_there_says_so,
            arguments_reach_a_command_literally,
            a_command_that_hangs_is_ended,
            a_command_is_confined
        }
    };
}
pub(crate) use command_contract;

const PATIENT: Duration = Duration::from_secs(10);
const BRIEF: Duration = Duration::from_millis(300);

pub(crate) async fn nothing_asked_is_well(probes: &impl Probes) {
    ask(probes, &Check::Active, PATIENT).await.unwrap();
}

pub(crate) async fn an_answer_below_400_is_well(probes: &impl Probes) {
    for status in ["200 OK", "204 No Content", "304 Not Modified", "399 Odd"] {
        let port = serve(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        ask(probes, &get(port, "/health?deep=1"), PATIENT).await.unwrap();
    }
}

/// Behind a framework's list of allowed hosts, an address is answered 400.
pub(crate) async fn a_service_is_asked_by_its_name(probes: &impl Probes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await.to_lowercase();
            let status = match request.contains("\r\nhost: app.example.org\r\n") {
                true => "200 OK",
                false => "400 Bad Request",
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    ask(probes, &get(port, "/"), PATIENT).await.unwrap_err();
    let host = Some("app.example.org".parse().unwrap());
    let named = Check::Http { port, path: "/".to_owned(), host };
    ask(probes, &named, PATIENT).await.unwrap();
}

pub(crate) async fn a_redirect_is_an_answer_and_is_not_followed(probes: &impl Probes) {
    let elsewhere = closed_port().await;
    let location = format!("http://127.0.0.1:{elsewhere}/");
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    ask(probes, &get(serve(answer).await, "/"), PATIENT).await.unwrap();
}

pub(crate) async fn an_error_says_its_status_and_first_line(probes: &impl Probes) {
    let body = "database \u{1b}[31mis down\nmore";
    let length = body.len();
    let answer =
        format!("HTTP/1.1 503 Service Unavailable\r\ncontent-length: {length}\r\n\r\n{body}");
    let port = serve(answer).await;
    let said = ask(probes, &get(port, "/health"), PATIENT).await.unwrap_err();
    assert!(said.contains(&format!("http://127.0.0.1:{port}/health")), "{said}");
    assert!(said.contains("503"), "{said}");
    assert!(said.ends_with("database [31mis down"), "{said}");
    for status in ["400 Bad", "404 Not Found", "500 Oops"] {
        let port = serve(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        ask(probes, &get(port, "/"), PATIENT).await.unwrap_err();
    }
}

pub(crate) async fn a_closed_port_says_so(probes: &impl Probes) {
    let port = closed_port().await;
    for check in [get(port, "/"), Check::Tcp { port }] {
        let said = ask(probes, &check, PATIENT).await.unwrap_err();
        assert!(said.to_lowercase().contains("connection refused"), "{said}");
        assert!(said.contains(&port.to_string()), "{said}");
    }
}

pub(crate) async fn an_open_port_is_well(probes: &impl Probes) {
    let port = serve(String::new()).await;
    ask(probes, &Check::Tcp { port }, PATIENT).await.unwrap();
}

pub(crate) async fn a_silent_service_is_given_up_on(probes: &impl Probes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = ask(probes, &get(port, "/"), BRIEF).await.unwrap_err();
    assert!(said.contains("no answer within 300ms"), "{said}");
}

pub(crate) async fn an_endless_answer_is_cut(probes: &impl Probes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let _gone = stream.write_all(b"HTTP/1.1 500 Oops\r\n\r\nendless\n").await;
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    });
    let said = ask(probes, &get(port, "/"), PATIENT).await.unwrap_err();
    assert!(said.ends_with("endless"), "{said}");
}

pub(crate) async fn each_question_is_a_new_connection(probes: &impl Probes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (accepted, ()) = tokio::join!(
        async {
            let mut kept = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                kept.push(stream);
            }
            kept.len()
        },
        async {
            for _ in 0..2 {
                ask(probes, &get(port, "/"), PATIENT).await.unwrap();
            }
        }
    );
    assert_eq!(accepted, 2);
}

pub(crate) async fn a_command_that_ends_well_is_well(probes: &impl Probes) {
    ask(probes, &shell("exit 0"), PATIENT).await.unwrap();
}

pub(crate) async fn a_command_that_fails_says_its_status_and_first_line(probes: &impl Probes) {
    let said = ask(probes, &shell("echo; echo queue is full; exit 7"), PATIENT).await.unwrap_err();
    assert!(said.ends_with("status 7: queue is full"), "{said}");
    let said = ask(probes, &shell("echo wrong >&2; exit 1"), PATIENT).await.unwrap_err();
    assert!(said.ends_with("status 1: wrong"), "{said}");
}

pub(crate) async fn a_command_that_is_not_there_says_so(probes: &impl Probes) {
    let check = Check::Command { command: "/nonexistent/check".parse().unwrap(), args: vec![] };
    let said = ask(probes, &check, PATIENT).await.unwrap_err();
    assert!(said.contains("/nonexistent/check"), "{said}");
    assert!(said.contains("No such file") || said.contains("203"), "{said}");
}

pub(crate) async fn arguments_reach_a_command_literally(probes: &impl Probes) {
    let nasty =
        ["", "a b", "$HOME ${HOME} $$ $", "%n %% %h", "\"q\" 'q' \\ \\n", ";", "--version", "grüß"];
    for text in nasty {
        let check = Check::Command {
            command: "/bin/sh".parse().unwrap(),
            args: ["-c", r#"printf '<%s>\n' "$1"; exit 1"#, "sh", text]
                .map(|arg| arg.parse().unwrap())
                .to_vec(),
        };
        let said = ask(probes, &check, PATIENT).await.unwrap_err();
        assert!(said.ends_with(&format!("status 1: <{text}>")), "{said}");
    }
}

pub(crate) async fn a_command_that_hangs_is_ended(probes: &impl Probes) {
    let hangs = shell("trap '' TERM; while :; do sleep 4321; done");
    let said = ask(probes, &hangs, BRIEF).await.unwrap_err();
    assert!(said.contains("no answer within 300ms"), "{said}");
    let deadline = Instant::now() + PATIENT;
    while runs("sleep\u{0}4321\u{0}") {
        assert!(Instant::now() < deadline, "it still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn a_command_is_confined(probes: &impl Probes) {
    for forbidden in
        ["test $(id -u) = 0", "touch /etc/x", "touch /var/x", "ls /root/", "mount -t tmpfs x /mnt"]
    {
        ask(probes, &shell(forbidden), PATIENT).await.expect_err(forbidden);
    }
}

async fn ask(probes: &impl Probes, check: &Check, timeout: Duration) -> Result<(), String> {
    probes.ask(&"asked".parse().unwrap(), check, timeout).await
}

fn get(port: u16, path: &str) -> Check {
    Check::Http { port, path: path.to_owned(), host: None }
}

fn shell(script: &str) -> Check {
    let args = vec!["-c".parse().unwrap(), script.parse().unwrap()];
    Check::Command { command: "/bin/sh".parse().unwrap(), args }
}

/// Gives every connection the same answer.
async fn serve(answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// A port that was free a moment ago.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether any process was started with these arguments.
fn runs(arguments: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap();
    let line = |path: std::path::PathBuf| std::fs::read(path.join("cmdline")).unwrap_or_default();
    processes.filter_map(Result::ok).any(|entry| line(entry.path()) == arguments.as_bytes())
}

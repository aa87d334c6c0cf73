//! The server against clients that speak raw HTTP.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// Says what it was asked.
struct Echo;

#[async_trait]
impl Site for Echo {
    async fn answer(&self, request: Request) -> Response {
        let Request {
            method,
            path,
            query,
            host,
            content,
            ..
        } = request;
        let content = String::from_utf8_lossy(&content).into_owned();
        Response::text(
            StatusCode::OK,
            format!("{method:?} {path} {query} {host:?} {content}"),
        )
    }
}

/// Starts a server, sends `request`, and returns all that comes back.
async fn ask(settings: &Settings, request: &str) -> String {
    let bound = Bound::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = bound.address();
    let site: Arc<dyn Site> = Arc::new(Echo);
    let server = Server::start(vec![bound], None, &site, settings).unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _reset = client.read_to_end(&mut answer).await;
    server.stop(Duration::ZERO).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_request_is_read_whole_and_its_answer_tells_browsers_to_be_careful() {
    let settings = Settings::default();
    let answer = ask(
        &settings,
        "POST /a%20b?c=d HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 3\r\n\r\nxyz",
    );
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nPost /a%20b c=d Some(\"relay.example\") xyz"),
        "{answer}"
    );
    for field in [
        "content-security-policy: default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "connection: close",
    ] {
        assert!(
            answer.contains(&format!("\r\n{field}\r\n")),
            "{field}\n{answer}"
        );
    }
    assert!(
        !answer.to_ascii_lowercase().contains("\r\nserver:"),
        "{answer}"
    );
}

#[tokio::test]
async fn head_is_answered_without_content_and_other_methods_are_refused() {
    let settings = Settings::default();
    let head = ask(&settings, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let delete = ask(&settings, "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(delete.starts_with("HTTP/1.1 405 "), "{delete}");
    assert!(
        delete.contains("\r\nallow: GET, HEAD, POST\r\n"),
        "{delete}"
    );
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let settings = Settings::default();
    let large = settings.largest_content + 1;
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {large}\r\n\r\n");
    let answer = ask(&settings, &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Where it sends all the same, it may hear of the close alone.
    let refuses = |answer: &str, status: &str| answer.is_empty() || answer.contains(status);
    let chunk = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{large:x}\r\n{}\r\n0\r\n\r\n",
        "a".repeat(large)
    );
    let answer = ask(&settings, &chunk).await;
    assert!(refuses(&answer, " 413 "), "{answer}");
    let long = "a".repeat(32 << 10);
    let header = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n");
    let answer = ask(&settings, &header).await;
    assert!(refuses(&answer, " 431 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_end_its_header_or_content_is_left() {
    let settings = Settings {
        header: Duration::from_millis(50),
        connection: Duration::from_millis(500),
        ..Settings::default()
    };
    let silent = ask(&settings, "").await;
    assert!(silent.is_empty() || silent.contains(" 408 "), "{silent}");
    let half = ask(&settings, "GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
    assert!(half.is_empty() || half.contains(" 408 "), "{half}");
    let content = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
    assert_eq!(ask(&settings, content).await, "");
}

#[tokio::test]
async fn what_is_not_http_gets_no_page() {
    let answer = ask(&Settings::default(), "EHLO a\r\n\r\n").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
}

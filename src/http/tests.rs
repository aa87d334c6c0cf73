//! Against small servers on loopback that say what they are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use url::Url;
use zeroize::Zeroizing;

use super::*;
use crate::dns::StaticResolver;
use crate::tls::client::fingerprint_of;

/// Answers every request of every connection with the same octets.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    fingerprint: [u8; 32],
    _tasks: JoinSet<()>,
}

impl Server {
    async fn plain(answer: &str) -> Self {
        Self::start(answer, None, [0; 32]).await
    }

    async fn secured(answer: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let der = CertificateDer::from(certificate.der().to_vec());
        let hex = fingerprint_of(&der);
        let octet =
            |at: usize| u8::from_str_radix(hex.get(2 * at..2 * at + 2).unwrap(), 16).unwrap();
        let fingerprint = std::array::from_fn(octet);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![der], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(answer, Some(acceptor), fingerprint).await
    }

    async fn start(answer: &str, tls: Option<TlsAcceptor>, fingerprint: [u8; 32]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (Arc::clone(&connections), answer.to_owned());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, answer) = (tls.clone(), answer.clone());
                sessions.spawn(greet(stream, tls, answer));
            }
        });
        Self {
            address,
            connections,
            fingerprint,
            _tasks: tasks,
        }
    }

    fn url(&self, rest: &str) -> Url {
        format!("http://127.0.0.1:{}{rest}", self.address.port())
            .parse()
            .unwrap()
    }

    fn secure_url(&self, rest: &str) -> Url {
        format!("https://localhost:{}{rest}", self.address.port())
            .parse()
            .unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, answer: String) {
    let Some(tls) = tls else {
        return serve(stream, &answer).await;
    };
    if let Ok(stream) = tls.accept(stream).await {
        serve(stream, &answer).await;
    }
}

/// Reads requests without content and answers each; an empty answer is silence.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let (mut input, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(length) = stream.read(&mut piece).await {
        if length == 0 {
            return;
        }
        input.extend_from_slice(&piece[..length]);
        if input.ends_with(b"\r\n\r\n") {
            input.clear();
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

const LIMIT: Duration = Duration::from_secs(20);

fn client(settings: &Settings) -> Client {
    let localhost = [std::net::Ipv4Addr::LOCALHOST.into()];
    let resolver = StaticResolver::default()
        .with_host("localhost", &localhost)
        .with_host("remote.example", &localhost);
    Client::new(settings, Arc::new(Direct::new(Arc::new(resolver), None))).unwrap()
}

fn usual() -> Client {
    client(&pinned([0; 32]))
}

fn pinned(fingerprint: [u8; 32]) -> Settings {
    Settings {
        trust: Trust::Fingerprint(fingerprint),
        ..Settings::default()
    }
}

#[tokio::test]
async fn an_answer_is_given_whole_and_its_connection_used_again() {
    let server = Server::plain(FINE).await;
    let client = usual();
    for _ in 0..5 {
        let answer = client.send(Request::get(server.url("/")), LIMIT).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn several_requests_at_once_have_connections_of_their_own() {
    let server = Server::plain(FINE).await;
    let client = usual();
    let mut requests = JoinSet::new();
    for _ in 0..4 {
        let (client, url) = (client.clone(), server.url("/"));
        requests.spawn(async move { client.send(Request::get(url), LIMIT).await });
    }
    for answer in requests.join_all().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::plain(FINE).await;
    let location = elsewhere.url("/stolen");
    let server = Server::plain(&format!(
        "HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let answer = usual().send(Request::get(server.url("/")), LIMIT).await;
    assert_eq!(answer.unwrap().status, 307);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_however_it_comes() {
    let settings = Settings {
        largest_answer: 10,
        ..pinned([0; 32])
    };
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    for answer in [counted, chunked] {
        let server = Server::plain(answer).await;
        let refused = client(&settings)
            .send(Request::get(server.url("/")), LIMIT)
            .await;
        let error = refused.unwrap_err();
        assert!(
            matches!(error, HttpError::TooLarge { limit: 10, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn silence_ends_in_time_and_names_no_query() {
    let server = Server::plain("").await;
    let request = Request::get(server.url("/path?code=hunter2"));
    let shown = format!("{request:?}");
    let limit = Duration::from_millis(100);
    let error = usual().send(request, limit).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }), "{error}");
    assert!(error.may_have_arrived());
    assert!(!shown.contains("hunter2") && !error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let server = Server::plain("HTTP/1.1 nonsense\r\n\r\n").await;
    let error = usual().send(Request::get(server.url("/")), LIMIT).await;
    let error = error.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error}");
    assert!(error.may_have_arrived());
}

#[tokio::test]
async fn nothing_goes_to_another_machine_without_tls() {
    let server = Server::plain(FINE).await;
    let url: Url = format!("http://remote.example:{}/", server.address.port())
        .parse()
        .unwrap();
    let error = usual()
        .send(Request::get(url.clone()), LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::Address { .. }), "{error}");
    assert_eq!(server.connections(), 0);
    let settings = Settings {
        plain_http: PlainHttp::Anywhere,
        ..pinned([0; 32])
    };
    let answer = client(&settings).send(Request::get(url), LIMIT).await;
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn other_addresses_are_refused() {
    for text in ["ftp://localhost/", "http://user:pw@127.0.0.1/", "data:x"] {
        let request = Request::get(text.parse().unwrap());
        let error = usual().send(request, LIMIT).await.unwrap_err();
        assert!(
            matches!(error, HttpError::Address { .. }),
            "{text}: {error}"
        );
        assert!(!error.to_string().contains("pw"));
    }
}

#[tokio::test]
async fn a_certificate_is_judged() {
    let server = Server::secured(FINE).await;
    let client = client(&pinned(server.fingerprint));
    let answer = client
        .send(Request::get(server.secure_url("/")), LIMIT)
        .await;
    assert_eq!(answer.unwrap().status, 200);
    let refused = usual()
        .send(Request::get(server.secure_url("/")), LIMIT)
        .await;
    let error = refused.unwrap_err();
    assert!(matches!(error, HttpError::Certificate { .. }), "{error}");
    assert!(error.is_lasting() && !error.may_have_arrived());
    assert!(error.to_string().contains("fingerprint"), "{error}");
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_told() {
    let server = Server::plain(FINE).await;
    let url = server.url("/");
    drop(server);
    let error = usual().send(Request::get(url), LIMIT).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error}");
    assert!(!error.may_have_arrived());
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let server = Server::plain("").await;
    let request = Request::post(server.secure_url("/"), "text/plain", Zeroizing::default());
    let limit = Duration::from_secs(1);
    let settings = Settings {
        connect: Duration::from_millis(200),
        ..pinned([0; 32])
    };
    let error = client(&settings).send(request, limit).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error}");
}

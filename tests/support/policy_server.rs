//! A web server on loopback that shows the policies of domains (RFC 8461 §3.2).

#![allow(dead_code, clippy::unwrap_used, reason = "test code")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use posthouse::http::{Dial, DialError};
use rcgen::CertificateParams;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::fake_upstream::Identity;

/// A running server. It is known as `mta-sts.a.example`.
pub(crate) struct PolicyServer {
    /// Whoever trusts this, as PEM, trusts the server.
    pub(crate) authority: String,
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    answer: Mutex<String>,
    requests: Mutex<Vec<String>>,
}

impl PolicyServer {
    /// Starts a server that shows a policy.
    pub(crate) async fn start(policy: &str) -> Self {
        Self::start_as("mta-sts.a.example", policy).await
    }

    /// Starts a server with a certificate for another name.
    pub(crate) async fn start_as(name: &str, policy: &str) -> Self {
        let identity = Identity::own(&CertificateParams::new(vec![name.to_owned()]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answer: Mutex::new(answer(policy)),
            requests: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, identity.acceptor(), Arc::clone(&state)));
        Self {
            authority: identity.authority,
            address,
            state,
            _tasks: tasks,
        }
    }

    /// Shows another policy from now on.
    pub(crate) fn show(&self, policy: &str) {
        self.answer(&answer(policy));
    }

    /// Answers this from now on, octet for octet.
    pub(crate) fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.state.answer.lock().unwrap());
    }

    /// Returns the first lines of all requests so far, each with its host.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Returns what leads all connections to it, whatever host and port they are for.
    pub(crate) fn dialer(&self) -> Arc<dyn Dial> {
        Arc::new(To(self.address))
    }
}

fn answer(policy: &str) -> String {
    let length = policy.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{policy}"
    )
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let (mut request, mut octets) = (Vec::new(), [0; 1024]);
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut octets).await {
                Ok(length @ 1..) => request.extend(octets.iter().take(length)),
                Ok(0) | Err(_) => break,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let host = request.lines().find_map(|line| line.strip_prefix("host: "));
        let line = request.lines().next().unwrap_or_default();
        let shown = format!("{line} at {}", host.unwrap_or_default());
        state.requests.lock().unwrap().push(shown);
        let answer = state.answer.lock().unwrap().clone();
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

struct To(SocketAddr);

#[async_trait]
impl Dial for To {
    async fn dial(&self, _: &str, _: u16, _: Duration) -> Result<TcpStream, DialError> {
        let connected = TcpStream::connect(self.0).await;
        connected.map_err(|error| DialError::Unreachable(error.to_string().into()))
    }
}

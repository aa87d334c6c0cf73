//! A program on loopback that is told of alerts: it keeps what is posted and answers as it is told to.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::oneshot;

/// What requests must be signed with.
pub(crate) const SECRET: &str = "hook s3cret";

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// Whether the signature is right, as the receiver of any such webhook checks it.
    pub(crate) is_signed: bool,
    /// The content.
    pub(crate) content: Value,
    /// The status it was answered with.
    pub(crate) status: u16,
}

/// A running server.
pub(crate) struct HookServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    posted: Mutex<Vec<Posted>>,
    status: Mutex<u16>,
}

impl HookServer {
    /// Starts a server on 127.0.0.1, at a port of the system's choice, that answers with this status.
    pub(crate) fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            posted: Mutex::default(),
            status: Mutex::new(status),
        });
        let (end, ended) = oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || serve(listener, &serving, ended));
        Self {
            address,
            state,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// Returns its table in a configuration.
    pub(crate) fn table(&self) -> String {
        let address = self.address;
        format!("{{ url = \"http://{address}/hook\", secret = {{ inline = \"{SECRET}\" }} }}")
    }

    /// Answers with another status from now on.
    pub(crate) fn answer(&self, status: u16) {
        *self.state.status.lock().unwrap() = status;
    }

    /// Returns what has come so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.state.posted.lock().unwrap().clone()
    }
}

impl Drop for HookServer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed.
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, state: &Arc<State>, mut ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let stream = tokio::select! {
                _ = &mut ended => return,
                accepted = listener.accept() => accepted.unwrap().0,
            };
            let state = Arc::clone(state);
            connections.spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                let http = hyper::server::conn::http1::Builder::new();
                // A client that goes away is nothing to tell.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let signature = head.headers.get("x-posthouse-signature");
    let signature = signature.and_then(|value| value.to_str().ok());
    let status = *state.status.lock().unwrap();
    state.posted.lock().unwrap().push(Posted {
        is_signed: signature.is_some_and(|signature| is_right(signature, &body)),
        content: serde_json::from_slice(&body).unwrap_or_default(),
        status,
    });
    let response = Response::builder().status(status);
    Ok(response.body(Full::default()).unwrap())
}

/// Checks `t=SECONDS,v1=HEX` against the content.
fn is_right(signature: &str, body: &[u8]) -> bool {
    let Some((time, hex)) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
    else {
        return false;
    };
    let octets: Option<Vec<u8>> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [time.as_bytes(), b".", body].concat();
    octets.is_some_and(|octets| hmac::verify(&key, &signed, &octets).is_ok())
}

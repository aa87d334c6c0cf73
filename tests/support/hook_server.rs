//! A program on loopback that is told of alerts: it keeps what is posted and answers as it is told to.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::Value;

use super::http_server::{Answer, HttpServer};

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
    http: HttpServer,
    state: Arc<State>,
}

struct State {
    posted: Mutex<Vec<Posted>>,
    status: Mutex<u16>,
}

impl HookServer {
    /// Starts a server on 127.0.0.1, at a port of the system's choice, that answers with this status.
    pub(crate) fn start(status: u16) -> Self {
        let state = |_| State {
            posted: Mutex::default(),
            status: Mutex::new(status),
        };
        let (http, state) = HttpServer::start(state, answer);
        Self { http, state }
    }

    /// Returns its table in a configuration.
    pub(crate) fn table(&self) -> String {
        let address = self.http.address;
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

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
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

//! An identity provider on loopback: signs tokens, publishes its keys, answers about opaque tokens.
//!
//! [`IdentityProvider::start`] binds a port of its own and serves until it is dropped: the metadata at
//! `/.well-known/openid-configuration`, the keys at `/keys`, questions at `/introspect` (RFC 7662). It is its own issuer.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A running provider.
pub(crate) struct IdentityProvider {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    /// The key that signs, with its number.
    key: (EcdsaKeyPair, usize),
    /// Opaque tokens that are good, with what is said of them.
    opaque: BTreeMap<String, Value>,
    requests: Vec<String>,
    is_out: bool,
    has_ended: bool,
}

impl IdentityProvider {
    /// Starts one on 127.0.0.1, at a port of the system's choice.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            key: (key(), 1),
            opaque: BTreeMap::new(),
            requests: Vec::new(),
            is_out: false,
            has_ended: false,
        }));
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.lock().unwrap().has_ended {
                    return;
                }
                // A client that goes away is its own affair.
                let _served = stream.and_then(|stream| serve(&stream, &serving, address));
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    /// Returns its address, which is what its tokens say in `iss`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Signs a token with its claims, and `iss` where they do not say it.
    pub(crate) fn sign(&self, mut claims: Value) -> String {
        if claims.get("iss").is_none() {
            claims["iss"] = self.url().into();
        }
        let state = self.state.lock().unwrap();
        let (key, number) = &state.key;
        let header = json!({ "alg": "ES256", "kid": format!("key-{number}"), "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Replaces the key.
    pub(crate) fn rotate(&self) {
        let key_pair = &mut self.state.lock().unwrap().key;
        *key_pair = (key(), key_pair.1 + 1);
    }

    /// Says of an opaque token that it is good.
    pub(crate) fn know(&self, token: &str, said: Value) {
        let opaque = &mut self.state.lock().unwrap().opaque;
        opaque.insert(token.to_owned(), said);
    }

    /// Answers everything with 503, or no longer.
    pub(crate) fn set_out(&self, is_out: bool) {
        self.state.lock().unwrap().is_out = is_out;
    }

    /// Counts the requests so far for a path.
    pub(crate) fn requests(&self, path: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|seen| *seen == path).count()
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.state.lock().unwrap().has_ended = true;
        // Wakes it up.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

/// Answers one request.
fn serve(stream: &TcpStream, state: &Mutex<State>, address: SocketAddr) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        let Some((name, value)) = field.trim().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, answer) = state.lock().unwrap().answer(&path, &body, address);
    let text = answer.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

impl State {
    fn answer(&mut self, path: &str, body: &[u8], address: SocketAddr) -> (u16, Value) {
        self.requests.push(path.to_owned());
        if self.is_out {
            return (503, json!({}));
        }
        let url = format!("http://{address}");
        match path {
            "/.well-known/openid-configuration" => (
                200,
                json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }),
            ),
            "/keys" => (200, json!({ "keys": [self.public()] })),
            "/introspect" => {
                let mut form = url::form_urlencoded::parse(body);
                let token = form.find(|(name, _)| name == "token");
                let token = token.map(|(_, value)| value.into_owned());
                let said = self.opaque.get(&token.unwrap_or_default());
                (200, said.cloned().unwrap_or(json!({ "active": false })))
            }
            _ => (404, json!({})),
        }
    }

    fn public(&self) -> Value {
        let (key, number) = &self.key;
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": format!("key-{number}"),
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }
}

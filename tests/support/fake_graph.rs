//! A Graph and a token endpoint to send to, as strict as the real ones.
//!
//! [`FakeGraph::start`] binds a port of its own on loopback and serves until it is dropped. Mail goes to whom the header
//! names, as an independent parser reads it; whatever Graph would refuse is refused, and counted. Answers can be scripted.
//!
//! ```ignore
//! let graph = FakeGraph::start().await;
//! graph.answer("429 ApplicationThrottled", &[("Retry-After", "17")]);
//! // relay to graph.url() ...
//! let sent = graph.wait_for(1).await;
//! assert_eq!(sent[0].recipients, ["a@x.example"]);
//! ```

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mail_parser::{Address, MessageParser};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The application that may ask for tokens.
pub(crate) const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const CLIENT: &str = "66666666-7777-8888-9999-000000000000";
pub(crate) const SECRET: &str = "a secret of the application";

/// The mailbox that exists from the start, and one that the application may not use.
pub(crate) const MAILBOX: &str = "s@example.com";
pub(crate) const OUT_OF_SCOPE: &str = "ceo@example.com";

/// The scope of a token for Graph, and of one for SMTP.
pub(crate) const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
pub(crate) const SMTP_SCOPE: &str = "https://outlook.office365.com/.default";

/// The largest request, in octets.
const LARGEST: usize = 4_000_000;

/// Requests at once to one mailbox.
const AT_ONCE: usize = 4;

/// Recipients of one message.
const RECIPIENTS: usize = 500;

/// A message that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Whose mailbox sent it.
    pub(crate) mailbox: String,
    /// Who gets a copy, in lower case, sorted.
    pub(crate) recipients: Vec<String>,
    /// The message as they get it: without `Bcc:`.
    pub(crate) octets: Vec<u8>,
}

impl Sent {
    /// Returns the message as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }

    /// Returns the subject.
    pub(crate) fn subject(&self) -> String {
        let message = MessageParser::new().parse(&self.octets).unwrap();
        message.subject().unwrap_or_default().to_owned()
    }
}

/// An answer other than the usual one.
#[derive(Clone, Debug)]
struct Scripted {
    status: u16,
    code: String,
    headers: Vec<(String, String)>,
    /// Whether the message is sent all the same.
    is_sent: bool,
}

#[derive(Default)]
struct State {
    /// Tokens that are good, with their scopes.
    tokens: BTreeMap<String, String>,
    /// Tokens given out so far.
    issued: usize,
    /// Refusals of the token endpoint that come next, as their whole content.
    refusals: VecDeque<(u16, String)>,
    mailboxes: BTreeSet<String>,
    script: VecDeque<Scripted>,
    sent: Vec<Sent>,
    /// What was answered to requests for `sendMail`, in short: `202`, `403 ErrorAccessDenied`.
    answers: Vec<String>,
    /// The paths that were asked for.
    paths: Vec<String>,
    busy: HashMap<String, usize>,
    most: usize,
    delay: Duration,
}

/// A Graph and a token endpoint on loopback.
pub(crate) struct FakeGraph {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Counts changes.
    changes: watch::Sender<u64>,
    /// Whether requests wait.
    held: watch::Sender<bool>,
}

impl FakeGraph {
    /// Starts one that knows [`MAILBOX`] and accepts what Graph would accept.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            held: watch::Sender::new(false),
        });
        shared.state().mailboxes.insert(MAILBOX.to_owned());
        let mut tasks = JoinSet::new();
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let shared = Arc::clone(&serving);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let shared = Arc::clone(&shared);
                        async move { shared.serve(request).await }
                    });
                    // A client that goes away is no fault of the server.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    /// Returns its address, of Graph and of the authority that gives tokens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address of the token endpoint.
    pub(crate) fn token_url(&self) -> String {
        format!("{}/{TENANT}/oauth2/v2.0/token", self.url())
    }

    /// Knows another mailbox.
    pub(crate) fn add_mailbox(&self, mailbox: &str) {
        self.shared.state().mailboxes.insert(mailbox.to_owned());
    }

    /// Gives the next request for `sendMail` this answer, a status and an error code. With `202 `, `200 ` and the like
    /// nothing is sent.
    pub(crate) fn answer(&self, status_and_code: &str, headers: &[(&str, &str)]) {
        self.script(status_and_code, headers, false);
    }

    /// Sends the next message, and gives this answer all the same.
    pub(crate) fn send_and_answer(&self, status_and_code: &str) {
        self.script(status_and_code, &[], true);
    }

    fn script(&self, status_and_code: &str, headers: &[(&str, &str)], is_sent: bool) {
        let (status, code) = status_and_code
            .split_once(' ')
            .unwrap_or((status_and_code, ""));
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.shared.state().script.push_back(Scripted {
            status: status.parse().unwrap(),
            code: code.to_owned(),
            headers: headers.collect(),
            is_sent,
        });
    }

    /// Refuses the next request for a token, as Entra does: `7000222`.
    pub(crate) fn refuse_token(&self, number: u32) {
        let error = match number {
            700_016 => "unauthorized_client",
            _ => "invalid_client",
        };
        let content = format!(
            r#"{{"error":"{error}","error_description":"AADSTS{number}: refused. Trace ID: x","error_codes":[{number}]}}"#
        );
        self.shared.state().refusals.push_back((401, content));
    }

    /// Takes no token that it has given out so far.
    pub(crate) fn expire_tokens(&self) {
        self.shared.state().tokens.clear();
    }

    /// Lets every request wait this long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Lets requests wait until [`FakeGraph::release`].
    pub(crate) fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Answers what waits.
    pub(crate) fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Waits until it has sent so many messages.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Sent> {
        self.wait(|state| state.sent.len() >= count).await;
        self.sent()
    }

    /// Waits until it has sent so many messages, for so long at most; returns those that it has sent.
    pub(crate) async fn wait_for_all(&self, count: usize, limit: Duration) -> Vec<Sent> {
        let mut changes = self.shared.changes.subscribe();
        let waiting = changes.wait_for(|_| self.shared.state().sent.len() >= count);
        let _ = tokio::time::timeout(limit, waiting).await;
        self.sent()
    }

    /// Waits until so many requests are being served at once.
    pub(crate) async fn wait_for_busy(&self, count: usize) {
        self.wait(|state| state.busy.values().sum::<usize>() >= count)
            .await;
    }

    /// Waits until so many requests for `sendMail` have been answered.
    pub(crate) async fn wait_for_answers(&self, count: usize) -> Vec<String> {
        self.wait(|state| state.answers.len() >= count).await;
        self.answers()
    }

    async fn wait(&self, is_done: impl Fn(&State) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        let waiting = changes.wait_for(|_| is_done(&self.shared.state()));
        let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        assert!(waited.is_ok(), "{:?}", self.answers());
    }

    /// Returns what was sent.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.shared.state().sent.clone()
    }

    /// Returns what was answered to requests for `sendMail`.
    pub(crate) fn answers(&self) -> Vec<String> {
        self.shared.state().answers.clone()
    }

    /// Returns the paths that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.shared.state().paths.clone()
    }

    /// Returns how many tokens it has given out.
    pub(crate) fn issued(&self) -> usize {
        self.shared.state().issued
    }

    /// Returns the scopes of the tokens that it has given out and takes, sorted.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = self.shared.state().tokens.values().cloned().collect();
        scopes.sort();
        scopes
    }

    /// Returns how many requests one mailbox had at once, at most.
    pub(crate) fn most(&self) -> usize {
        self.shared.state().most
    }
}

/// A refusal: status, code, words.
type Refusal = (u16, &'static str, &'static str);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        self.state().paths.push(path.clone());
        let Ok(body) = body.collect().await else {
            return Ok(json(400, "BadRequest", "the request ended early"));
        };
        let body = body.to_bytes();
        if path.ends_with("/oauth2/v2.0/token") {
            return Ok(self.token(&parts, &path, &body));
        }
        let Some(mailbox) = mailbox(&parts, &path) else {
            return Ok(json(404, "", "nothing is here"));
        };
        let is_one_too_many = self.enter(&mailbox);
        let delay = self.state().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut held = self.held.subscribe();
        let _ = held.wait_for(|held| !held).await;
        let answer = if is_one_too_many {
            let mut answer = json(
                429,
                "ApplicationThrottled",
                "over its MailboxConcurrency limit",
            );
            answer
                .headers_mut()
                .insert("Retry-After", "1".parse().unwrap());
            self.state()
                .answers
                .push("429 ApplicationThrottled".to_owned());
            answer
        } else {
            self.send_mail(&parts, &mailbox, &body)
        };
        self.leave(&mailbox);
        self.changed();
        Ok(answer)
    }

    fn enter(&self, mailbox: &str) -> bool {
        let mut state = self.state();
        let busy = state.busy.entry(mailbox.to_owned()).or_default();
        *busy += 1;
        let count = *busy;
        state.most = state.most.max(count);
        drop(state);
        self.changed();
        count > AT_ONCE
    }

    fn leave(&self, mailbox: &str) {
        if let Some(busy) = self.state().busy.get_mut(mailbox) {
            *busy -= 1;
        }
    }

    fn send_mail(
        &self,
        parts: &hyper::http::request::Parts,
        mailbox: &str,
        body: &Bytes,
    ) -> Response<Full<Bytes>> {
        let scripted = self.state().script.pop_front();
        if let Some(scripted) = &scripted
            && !scripted.is_sent
        {
            return self.scripted(scripted);
        }
        let answer = match self.judge(parts, mailbox, body) {
            Ok(sent) => {
                let mut state = self.state();
                state.sent.push(sent);
                state.answers.push("202".to_owned());
                Response::builder()
                    .status(202)
                    .body(Full::default())
                    .unwrap()
            }
            Err((status, code, words)) => {
                self.state().answers.push(format!("{status} {code}"));
                json(status, code, words)
            }
        };
        scripted.map_or(answer, |scripted| self.scripted(&scripted))
    }

    fn scripted(&self, scripted: &Scripted) -> Response<Full<Bytes>> {
        let text = format!("{} {}", scripted.status, scripted.code);
        self.state().answers.push(text.trim().to_owned());
        let mut answer = json(scripted.status, &scripted.code, "scripted");
        for (name, value) in &scripted.headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        answer
    }

    /// Does what Graph does with a message.
    fn judge(
        &self,
        parts: &hyper::http::request::Parts,
        mailbox: &str,
        body: &Bytes,
    ) -> Result<Sent, Refusal> {
        const BASE64: Refusal = (
            400,
            "ErrorMimeContentInvalidBase64String",
            "Invalid base64 string for MIME content.",
        );
        const RECIPIENT: Refusal = (
            400,
            "ErrorInvalidRecipients",
            "At least one recipient isn't valid.",
        );
        let field = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let token = field("authorization").and_then(|text| text.strip_prefix("Bearer "));
        let scope = token.and_then(|token| self.state().tokens.get(token).cloned());
        if scope.as_deref() != Some(GRAPH_SCOPE) {
            return Err((
                401,
                "InvalidAuthenticationToken",
                "Access token is empty, expired or for others.",
            ));
        }
        if body.len() > LARGEST {
            return Err((413, "", "Request Entity Too Large"));
        }
        if field("content-type") != Some("text/plain") {
            return Err((415, "UnsupportedMediaType", "neither JSON nor MIME"));
        }
        let mailboxes = self.state().mailboxes.clone();
        if mailbox == OUT_OF_SCOPE {
            return Err((
                403,
                "ErrorAccessDenied",
                "Access is denied. Check credentials and try again.",
            ));
        }
        if !mailboxes.contains(mailbox) {
            return Err((404, "ErrorInvalidUser", "The requested user is invalid."));
        }
        let octets = STANDARD.decode(body).map_err(|_| BASE64)?;
        let has_bare = octets
            .split(|octet| *octet == b'\n')
            .rev()
            .skip(1)
            .any(|line| !line.ends_with(b"\r"));
        let message = MessageParser::new()
            .parse(&octets)
            .filter(|_| !has_bare)
            .ok_or(BASE64)?;
        let from = message
            .from()
            .and_then(Address::first)
            .and_then(|from| from.address());
        if !from.is_some_and(|from| from.eq_ignore_ascii_case(mailbox)) {
            return Err((
                403,
                "ErrorSendAsDenied",
                "The user account does not have the right to send mail.",
            ));
        }
        let fields = [message.to(), message.cc(), message.bcc()];
        let addresses = fields.into_iter().flatten().flat_map(Address::iter);
        let recipients: Option<BTreeSet<String>> = addresses
            .map(|address| address.address().map(str::to_lowercase))
            .collect();
        let recipients = recipients.ok_or(RECIPIENT)?;
        let is_good = |address: &String| {
            address
                .split_once('@')
                .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
        };
        if recipients.is_empty() || recipients.len() > RECIPIENTS || !recipients.iter().all(is_good)
        {
            return Err(RECIPIENT);
        }
        Ok(Sent {
            mailbox: mailbox.to_owned(),
            recipients: recipients.into_iter().collect(),
            octets: without_bcc(&octets),
        })
    }

    /// Does what Entra does.
    fn token(
        &self,
        parts: &hyper::http::request::Parts,
        path: &str,
        body: &Bytes,
    ) -> Response<Full<Bytes>> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let value = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refused = |number: u32| {
            let content =
                format!(r#"{{"error":"invalid_client","error_description":"AADSTS{number}: no"}}"#);
            raw(400, content)
        };
        if let Some((status, content)) = self.state().refusals.pop_front() {
            self.changed();
            return raw(status, content);
        }
        if parts.method != Method::POST || path != format!("/{TENANT}/oauth2/v2.0/token") {
            return refused(90_002);
        }
        if value("client_id") != CLIENT {
            return refused(700_016);
        }
        if value("client_secret") != SECRET {
            return refused(7_000_215);
        }
        if value("grant_type") != "client_credentials" || !value("scope").ends_with("/.default") {
            return refused(1_002_012);
        }
        let mut state = self.state();
        state.issued += 1;
        let token = format!("token-{}-{}", state.issued, "x".repeat(1500));
        state
            .tokens
            .insert(token.clone(), value("scope").to_owned());
        drop(state);
        self.changed();
        raw(
            200,
            format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}"}}"#),
        )
    }
}

/// Returns the mailbox of a request for `sendMail`: one segment of the path, decoded once.
fn mailbox(parts: &hyper::http::request::Parts, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    match segments[..] {
        ["", "v1.0", "users", mailbox, "sendMail"]
            if parts.method == Method::POST && parts.uri.query().is_none() =>
        {
            decoded(mailbox)
        }
        _ => None,
    }
}

fn decoded(segment: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            octets.push(first);
            rest = after;
        }
    }
    String::from_utf8(octets).ok()
}

/// Takes the field `Bcc:` out of a header.
fn without_bcc(octets: &[u8]) -> Vec<u8> {
    let text = octets.to_vec();
    let end = text
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(text.len(), |at| at + 2);
    let (header, body) = text.split_at(end);
    let mut kept = Vec::new();
    let mut is_bcc = false;
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            is_bcc = line.to_ascii_lowercase().starts_with(b"bcc:");
        }
        if !is_bcc {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(body);
    kept
}

fn json(status: u16, code: &str, words: &str) -> Response<Full<Bytes>> {
    if code.is_empty() {
        return raw(status, String::new());
    }
    raw(
        status,
        format!(
            r#"{{"error":{{"code":"{code}","message":"{words}","innerError":{{"request-id":"x"}}}}}}"#
        ),
    )
}

fn raw(status: u16, content: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("Content-Type", "application/json")
        .body(Full::new(content.into()))
        .unwrap()
}

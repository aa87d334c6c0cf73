//! A token endpoint on loopback that refuses what the real ones refuse.
//!
//! [`TokenServer::start`] binds a port of its own and serves until it is dropped. Whom it knows is a [`Registration`]. It
//! speaks as Microsoft's does below `/TENANT/oauth2/v2.0/` (errors have AADSTS numbers), and as any other at `/token`,
//! `/device` and `/introspect` (RFC 6749, RFC 7523, RFC 8628, RFC 7662). Every request is kept; secrets among them.
//!
//! Its tokens are `token-1-xxx…`, `token-2-xxx…`: they tell which request they came from.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use posthouse::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::http_server::{Answer, HttpServer};

/// Whom the server knows, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// Microsoft's tenant.
    pub(crate) tenant: String,
    /// The program.
    pub(crate) client_id: String,
    /// Its secret; a program without one is a public client.
    pub(crate) secret: Option<String>,
    /// Whether the secret has expired.
    pub(crate) is_expired: bool,
    /// Its certificate, DER.
    pub(crate) certificate: Option<Vec<u8>>,
    /// A Google service account: address, certificate (DER) with its public key, the mailboxes it may act for.
    pub(crate) service_account: Option<(String, Vec<u8>, Vec<String>)>,
    /// Refresh tokens that are good.
    pub(crate) refresh_tokens: BTreeSet<String>,
    /// Whether a refresh token is replaced at each use and its predecessor refused.
    pub(crate) rotates: bool,
    /// Whom the program's own tokens are for.
    pub(crate) mailbox: String,
    /// How long access tokens live, in seconds.
    pub(crate) lifetime: u64,
    /// How long access tokens are, in characters.
    pub(crate) length: usize,
    /// What the person at the other device does.
    pub(crate) person: Person,
    /// Instead of everything: a status, and seconds for `Retry-After`.
    pub(crate) outage: Option<(u16, Option<u64>)>,
}

/// What the person at the other device does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Person {
    /// Agrees after so many questions.
    Agrees(usize),
    Dawdles,
    Refuses,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) form: BTreeMap<String, String>,
    /// The status it was answered with.
    pub(crate) status: u16,
}

/// A running server.
pub(crate) struct TokenServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    /// Serves until it is dropped.
    _http: HttpServer,
}

struct State {
    address: SocketAddr,
    registration: Mutex<Registration>,
    seen: Mutex<Vec<Seen>>,
    /// Access tokens that are good, with whom they are for.
    issued: Mutex<BTreeMap<String, String>>,
    assertions: Mutex<BTreeSet<String>>,
    questions: Mutex<usize>,
}

/// The secret of a [`Registration`] by default.
pub(crate) const SECRET: &str = "s3cret+&=";

/// The program of a [`Registration`] by default.
pub(crate) const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";

/// The tenant of a [`Registration`] by default.
pub(crate) const TENANT: &str = "example.onmicrosoft.com";

impl Default for Registration {
    fn default() -> Self {
        Self {
            tenant: TENANT.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            secret: Some(SECRET.to_owned()),
            is_expired: false,
            certificate: None,
            service_account: None,
            refresh_tokens: BTreeSet::new(),
            rotates: false,
            mailbox: "user".to_owned(),
            lifetime: 3599,
            length: 1800,
            person: Person::Agrees(0),
            outage: None,
        }
    }
}

impl TokenServer {
    /// Starts a server on 127.0.0.1, at a port of the system's choice.
    pub(crate) fn start(registration: Registration) -> Self {
        let state = |address| State {
            address,
            registration: Mutex::new(registration),
            seen: Mutex::default(),
            issued: Mutex::default(),
            assertions: Mutex::default(),
            questions: Mutex::default(),
        };
        let (http, state) = HttpServer::start(state, answer);
        Self {
            address: http.address,
            state,
            _http: http,
        }
    }

    /// Returns the address of everything: `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns Microsoft's token endpoint.
    pub(crate) fn microsoft_url(&self) -> String {
        format!("{}/{TENANT}/oauth2/v2.0/token", self.url())
    }

    /// Returns the token endpoint of any other server.
    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.url())
    }

    /// Changes whom it knows, and what it does.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Registration)) {
        change(&mut self.state.registration());
    }

    /// Returns the refresh tokens that are good.
    pub(crate) fn refresh_tokens(&self) -> BTreeSet<String> {
        self.state.registration().refresh_tokens.clone()
    }

    /// Returns the requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Returns how many requests for a token there have been.
    pub(crate) fn token_requests(&self) -> usize {
        let seen = self.seen();
        seen.iter()
            .filter(|seen| seen.path.ends_with("/token"))
            .count()
    }

    /// Takes back all access tokens.
    pub(crate) fn revoke(&self) {
        self.state.issued.lock().unwrap().clear();
    }

    /// Makes an access token good for a mailbox, as if it had been issued.
    pub(crate) fn issue(&self, token: &str, mailbox: &str) {
        let mut issued = self.state.issued.lock().unwrap();
        issued.insert(token.to_owned(), mailbox.to_owned());
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let path = head.uri.path().to_owned();
    let form = form(&body.unwrap_or_default());
    let header = |name: &str| {
        let value = head.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let outage = state.registration().outage;
    let reply = match (outage, &form) {
        (Some((status, pause)), _) => Reply {
            pause,
            ..Reply::new(status, &json!({ "error": "temporarily_unavailable" }))
        },
        _ if head.method != hyper::Method::POST => Reply::new(405, &json!({})),
        _ if header("content-type") != "application/x-www-form-urlencoded" => {
            Reply::new(415, &json!({}))
        }
        (None, None) => refusal(400, "invalid_request", 900_144, "a parameter stands twice"),
        (None, Some(form)) => state.reply(&path, form, &header("authorization")),
    };
    let status = reply.status;
    state.seen.lock().unwrap().push(Seen {
        path,
        form: form.unwrap_or_default(),
        status,
    });
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    if let Some(pause) = reply.pause {
        response = response.header("retry-after", pause);
    }
    Ok(response.body(Full::new(Bytes::from(reply.body))).unwrap())
}

/// Reads a form; `None` where a parameter stands twice (RFC 6749 §3.2).
fn form(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut form = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body).into_owned() {
        if form.insert(name, value).is_some() {
            return None;
        }
    }
    Some(form)
}

struct Reply {
    status: u16,
    body: String,
    pause: Option<u64>,
}

impl Reply {
    fn new(status: u16, body: &Value) -> Self {
        Self {
            status,
            body: body.to_string(),
            pause: None,
        }
    }
}

/// Refuses as Microsoft does; others' clients pass over what they do not know.
fn refusal(status: u16, error: &str, code: u32, text: &str) -> Reply {
    Reply::new(
        status,
        &json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {text}\r\nTrace ID: 0\r\nTimestamp: 0"),
            "error_codes": [code],
        }),
    )
}

type Form = BTreeMap<String, String>;

impl State {
    fn registration(&self) -> MutexGuard<'_, Registration> {
        self.registration.lock().unwrap()
    }

    fn reply(&self, path: &str, form: &Form, authorization: &str) -> Reply {
        let registration = self.registration().clone();
        let microsoft = format!("/{}/oauth2/v2.0/", registration.tenant);
        match path {
            "/introspect" => self.introspect(form),
            "/device" => Self::device(&registration, form),
            "/token" => self.token(&registration, form, (path, authorization)),
            _ => match path.strip_prefix(&microsoft) {
                Some("token") => self.token(&registration, form, (path, "")),
                Some("devicecode") => Self::device(&registration, form),
                Some(_) => Reply::new(404, &json!({})),
                None => refusal(400, "invalid_request", 90_002, "tenant not found"),
            },
        }
    }

    fn token(
        &self,
        known: &Registration,
        form: &Form,
        (path, authorization): (&str, &str),
    ) -> Reply {
        let Some(grant) = form.get("grant_type") else {
            return refusal(400, "invalid_request", 900_144, "'grant_type' is missing");
        };
        if grant == "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            return self.service_account(known, form);
        }
        if let Err(reply) = self.authenticate(known, form, (path, authorization)) {
            return reply;
        }
        match grant.as_str() {
            "client_credentials" => {
                let scope = form.get("scope").map(String::as_str).unwrap_or_default();
                let is_right = path == "/token" || scope.ends_with("/.default");
                if known.secret.is_none() && known.certificate.is_none() {
                    return refusal(401, "invalid_client", 7_000_216, "a public client may not");
                }
                if !is_right {
                    return refusal(400, "invalid_scope", 1_002_012, "the scope is not valid");
                }
                self.grant(&known.mailbox, None)
            }
            "refresh_token" => self.refresh(known, form),
            "urn:ietf:params:oauth:grant-type:device_code" => self.question(known, form),
            _ => refusal(
                400,
                "unsupported_grant_type",
                70_003,
                "the grant is not known",
            ),
        }
    }

    /// Checks who asks.
    fn authenticate(
        &self,
        known: &Registration,
        form: &Form,
        (path, authorization): (&str, &str),
    ) -> Result<(), Reply> {
        let basic = basic(authorization);
        if basic.is_some() && form.contains_key("client_secret") {
            return Err(refusal(
                400,
                "invalid_request",
                0,
                "two ways to prove who asks",
            ));
        }
        let id = basic.as_ref().map(|(id, _)| id).or(form.get("client_id"));
        if id != Some(&known.client_id) {
            return Err(refusal(
                400,
                "unauthorized_client",
                700_016,
                "the application was not found",
            ));
        }
        if form.contains_key("client_assertion") {
            return self.client_assertion(known, form, path);
        }
        let secret = basic.map(|(_, secret)| secret);
        let secret = secret.or_else(|| form.get("client_secret").cloned());
        match (&known.secret, secret) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(refusal(
                401,
                "invalid_client",
                700_025,
                "the client is public",
            )),
            (Some(_), None) => Err(refusal(
                401,
                "invalid_client",
                7_000_218,
                "the body must contain 'client_assertion' or 'client_secret'",
            )),
            (Some(_), Some(_)) if known.is_expired => Err(refusal(
                401,
                "invalid_client",
                7_000_222,
                "The provided client secret keys are expired.",
            )),
            (Some(right), Some(given)) if *right == given => Ok(()),
            (Some(_), Some(_)) => Err(refusal(
                401,
                "invalid_client",
                7_000_215,
                "Invalid client secret provided.",
            )),
        }
    }

    /// Checks a program's signed assertion.
    fn client_assertion(&self, known: &Registration, form: &Form, path: &str) -> Result<(), Reply> {
        let refused = |text: &str| refusal(401, "invalid_client", 700_027, text);
        let kind = form.get("client_assertion_type").map(String::as_str);
        if kind != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
            return Err(refused("the type of the assertion is wrong"));
        }
        let certificate = known.certificate.as_ref();
        let certificate = certificate.ok_or_else(|| refused("no certificate is registered"))?;
        let assertion = form.get("client_assertion").unwrap();
        let jwt = Jwt::read(assertion, certificate, &RSA_PSS_2048_8192_SHA256);
        let jwt = jwt.ok_or_else(|| refused("the signature is wrong"))?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate));
        if jwt.header["alg"] != "PS256" || jwt.header["x5t#S256"] != thumbprint.as_str() {
            return Err(refused("the certificate is not known"));
        }
        let audience = format!("http://{}{path}", self.address);
        let id = known.client_id.as_str();
        if jwt.claims["aud"] != audience.as_str()
            || jwt.claims["iss"] != id
            || jwt.claims["sub"] != id
        {
            return Err(refused("audience, issuer or subject are wrong"));
        }
        if !jwt.is_timely() {
            return Err(refusal(401, "invalid_client", 700_024, "not in its time"));
        }
        let jti = jwt.claims["jti"].as_str().unwrap_or_default().to_owned();
        if jti.is_empty() || !self.assertions.lock().unwrap().insert(jti) {
            return Err(refused("the assertion was seen before"));
        }
        Ok(())
    }

    fn service_account(&self, known: &Registration, form: &Form) -> Reply {
        let invalid = |text: &str| {
            Reply::new(
                400,
                &json!({ "error": "invalid_grant", "error_description": text }),
            )
        };
        let Some((email, certificate, mailboxes)) = &known.service_account else {
            return invalid("Invalid grant: account not found");
        };
        let assertion = form
            .get("assertion")
            .map(String::as_str)
            .unwrap_or_default();
        let jwt = Jwt::read(assertion, certificate, &RSA_PKCS1_2048_8192_SHA256);
        let Some(jwt) = jwt else {
            return invalid("Invalid JWT Signature.");
        };
        let audience = format!("http://{}/token", self.address);
        if jwt.header["alg"] != "RS256"
            || jwt.claims["aud"] != audience.as_str()
            || !jwt.is_timely()
        {
            return invalid("Invalid JWT: it must be a short-lived token");
        }
        if jwt.claims["iss"] != email.as_str() {
            return invalid("Invalid grant: account not found");
        }
        let mailbox = jwt.claims["sub"].as_str().unwrap_or_default();
        let is_known = mailboxes.iter().any(|known| known == mailbox);
        if !is_known || jwt.claims["scope"] != "https://mail.google.com/" {
            let error = json!({
                "error": "unauthorized_client",
                "error_description": "Client is unauthorized to retrieve access tokens using this method, or client \
                                      not authorized for any of the scopes requested.",
            });
            return Reply::new(401, &error);
        }
        self.grant(mailbox, None)
    }

    fn refresh(&self, known: &Registration, form: &Form) -> Reply {
        let given = form.get("refresh_token").cloned().unwrap_or_default();
        if !known.refresh_tokens.contains(&given) {
            return refusal(
                400,
                "invalid_grant",
                700_082,
                "The refresh token has expired due to inactivity.",
            );
        }
        if !known.rotates {
            return self.grant("person", None);
        }
        let next = format!("{given}+");
        let mut registration = self.registration();
        registration.refresh_tokens.remove(&given);
        registration.refresh_tokens.insert(next.clone());
        drop(registration);
        self.grant("person", Some(next))
    }

    fn device(known: &Registration, form: &Form) -> Reply {
        if form.get("client_id") != Some(&known.client_id) {
            return refusal(
                400,
                "unauthorized_client",
                700_016,
                "the application was not found",
            );
        }
        Reply::new(
            200,
            &json!({
                "device_code": "the-device-code",
                "user_code": "ABCD-EFGH",
                "verification_uri": "https://login.example/device",
                "expires_in": 900,
                "interval": 1,
            }),
        )
    }

    fn question(&self, known: &Registration, form: &Form) -> Reply {
        let pending = |error: &str| Reply::new(400, &json!({ "error": error }));
        if form.get("device_code").map(String::as_str) != Some("the-device-code") {
            return pending("bad_verification_code");
        }
        let mut questions = self.questions.lock().unwrap();
        *questions += 1;
        match known.person {
            Person::Refuses => pending("authorization_declined"),
            Person::Dawdles => pending("authorization_pending"),
            Person::Agrees(after) if *questions <= after => pending("authorization_pending"),
            Person::Agrees(_) => {
                let token = format!("refresh-of-login-{questions}");
                self.registration().refresh_tokens.insert(token.clone());
                self.grant("person", Some(token))
            }
        }
    }

    /// Issues an access token.
    fn grant(&self, mailbox: &str, refresh: Option<String>) -> Reply {
        let known = self.registration().clone();
        let number = self
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.status == 200)
            .count()
            + 1;
        let start = format!("token-{number}-");
        let token = format!(
            "{start}{}",
            "x".repeat(known.length.saturating_sub(start.len()))
        );
        self.issued
            .lock()
            .unwrap()
            .insert(token.clone(), mailbox.to_owned());
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": known.lifetime,
            "access_token": token,
        });
        if let Some(refresh) = refresh {
            body["refresh_token"] = refresh.into();
        }
        Reply::new(200, &body)
    }

    /// RFC 7662 §2.
    fn introspect(&self, form: &Form) -> Reply {
        let token = form.get("token").cloned().unwrap_or_default();
        let issued = self.issued.lock().unwrap();
        Reply::new(
            200,
            &match issued.get(&token) {
                Some(mailbox) => json!({ "active": true, "username": mailbox, "scope": "mail" }),
                None => json!({ "active": false }),
            },
        )
    }
}

/// Reads the name and the secret of a program from the header field.
fn basic(authorization: &str) -> Option<(String, String)> {
    let text = STANDARD
        .decode(authorization.strip_prefix("Basic ")?)
        .ok()?;
    let text = String::from_utf8(text).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |text: &str| {
        let parsed = url::form_urlencoded::parse(text.as_bytes()).next();
        parsed
            .map(|(name, _)| name.into_owned())
            .unwrap_or_default()
    };
    Some((plain(id), plain(secret)))
}

/// A signed assertion whose signature is right.
struct Jwt {
    header: Value,
    claims: Value,
}

impl Jwt {
    fn read(
        text: &str,
        certificate: &[u8],
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let public = parsed.public_key().subject_public_key.data.as_ref();
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(algorithm, public);
        key.verify(signed.as_bytes(), &signature).ok()?;
        let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
        Some(Self {
            header: part(header)?,
            claims: part(claims)?,
        })
    }

    /// Returns whether it is valid now, and for an hour at most.
    fn is_timely(&self) -> bool {
        let now = SystemClock.now().unix_seconds();
        let time = |claim: &str| self.claims[claim].as_u64();
        let Some((issued, end)) = time("iat").zip(time("exp")) else {
            return false;
        };
        issued <= now + 60 && end > now && end.saturating_sub(issued) <= 3600
    }
}

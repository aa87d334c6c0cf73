//! The protocol's requests over our HTTP client.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::USER_AGENT;
use hyper::{Method, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error as ProtocolError, HttpClient};
use url::Url;

use crate::clock::Clock;
use crate::http::{Answer, Client, Request};

/// For one request.
const LIMIT: Duration = Duration::from_mins(1);

/// What an authority asks for with `Retry-After` (RFC 8555 §6.6) when it refuses; the protocol library does not tell.
pub(super) type Patience = Arc<Mutex<Option<Duration>>>;

/// Sends the requests of the protocol library.
pub(super) struct Transport {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) patience: Patience,
}

/// An answer that no authority gives.
#[derive(Debug, thiserror::Error)]
enum TransportError {
    #[error("{host} answered {status} to {path}: is this the directory of an ACME authority?")]
    NoDirectory {
        host: Box<str>,
        path: Box<str>,
        status: u16,
    },
    #[error("{host} answered {status}, not as an ACME authority does")]
    Status { host: Box<str>, status: u16 },
    #[error("the authority named an address that is none")]
    Address(#[source] url::ParseError),
}

type Answering = Pin<Box<dyn Future<Output = Result<BytesResponse, ProtocolError>> + Send>>;

impl HttpClient for Transport {
    fn request(&self, asked: hyper::Request<BodyWrapper<Bytes>>) -> Answering {
        let client = self.client.clone();
        let (clock, patience) = (Arc::clone(&self.clock), Arc::clone(&self.patience));
        Box::pin(async move {
            let (head, body) = asked.into_parts();
            let url = Url::parse(&head.uri.to_string());
            let url = url.map_err(|error| other(TransportError::Address(error)))?;
            let is_directory = head.method == Method::GET;
            let mut request = Request::get(url.clone());
            request.method = head.method;
            request.headers = head.headers;
            // Ours is added: authorities want to know whose program it is (RFC 8555 §6.1).
            request.headers.remove(USER_AGENT);
            request.body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let answer = client.send(request, LIMIT).await;
            let answer = answer.map_err(|error| ProtocolError::Other(Box::new(error)))?;
            if let Some(asked) = answer.retry_after(clock.now())
                && !answer.is_success()
            {
                *patience.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
            }
            if let Some(error) = strange(&url, &answer, is_directory) {
                return Err(other(error));
            }
            Ok(response(answer))
        })
    }
}

/// Returns what is wrong with an answer that the protocol library would only call no JSON.
fn strange(url: &Url, answer: &Answer, is_directory: bool) -> Option<TransportError> {
    let host = url.host_str().unwrap_or_default().into();
    let status = answer.status;
    if is_directory && !answer.is_success() {
        let path = url.path().into();
        return Some(TransportError::NoDirectory { host, path, status });
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let is_understood = answer.is_success() || kind.contains("json");
    (!is_understood).then_some(TransportError::Status { host, status })
}

fn response(answer: Answer) -> BytesResponse {
    let mut response = hyper::Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = answer.headers;
    BytesResponse::from(response)
}

fn other(error: TransportError) -> ProtocolError {
    ProtocolError::Other(Box::new(error))
}

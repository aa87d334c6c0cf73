//! One connection: handshake, one request, one answer.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Method, Request, Response, Settings, Site, StatusCode};

/// The largest header of a request, in octets.
const LARGEST_HEADER: usize = 16 << 10;

/// The most fields in the header of a request.
const MOST_FIELDS: usize = 64;

const TOO_LARGE: &str = "too large\n";

/// What every answer says to browsers: nothing is loaded, framed, guessed, kept or told to others.
const FOR_BROWSERS: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<Arc<ServerConfig>>,
    site: Arc<dyn Site>,
    settings: Arc<Settings>,
) {
    let limit = settings.connection;
    let served = tokio::time::timeout(limit, async move {
        match tls {
            None => exchange(stream, peer, site, &settings).await,
            Some(config) => match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => exchange(stream, peer, site, &settings).await,
                Err(error) => tracing::debug!(%peer, %error, "web handshake failed"),
            },
        }
    });
    if served.await.is_err() {
        tracing::debug!(%peer, "web connection took too long");
    }
}

async fn exchange<S>(stream: S, peer: IpAddr, site: Arc<dyn Site>, settings: &Settings)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let largest = settings.largest_content;
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(request, peer, &*site, largest).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header)
        .max_buf_size(LARGEST_HEADER)
        .max_headers(MOST_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%peer, %error, "web request failed");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: IpAddr,
    site: &dyn Site,
    largest: usize,
) -> hyper::Response<Full<Bytes>> {
    let response = match read(request, peer, largest).await {
        Ok(request) => site.answer(request).await,
        Err(refused) => refused,
    };
    finish(response)
}

async fn read(
    request: hyper::Request<Incoming>,
    peer: IpAddr,
    largest: usize,
) -> Result<Request, Response> {
    let (head, content) = request.into_parts();
    let method = match head.method {
        hyper::Method::GET | hyper::Method::HEAD => Method::Get,
        hyper::Method::POST => Method::Post,
        _ => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(Response::text(status, "method not allowed\n"));
        }
    };
    if content.size_hint().lower() > largest as u64 {
        return Err(Response::text(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE));
    }
    let content = Limited::new(content, largest).collect().await;
    let content = content.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Response::text(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE)
        } else {
            Response::text(StatusCode::BAD_REQUEST, "bad request\n")
        }
    })?;
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    Ok(Request {
        method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        host: host.map(str::to_owned),
        content: content.to_bytes(),
        peer,
    })
}

fn finish(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut finished = hyper::Response::new(Full::new(response.content));
    *finished.status_mut() = response.status;
    let fields: &mut HeaderMap = finished.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(response.content_type),
    );
    for (name, value) in FOR_BROWSERS {
        fields.insert(name, value);
    }
    if let Some(wait) = response.retry_after {
        fields.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    if response.status == StatusCode::METHOD_NOT_ALLOWED {
        fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    }
    finished
}

//! What is asked.

use std::fmt;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::error::HttpError;

/// A request. `Debug` shows method, host and path: the rest may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to; `https:`, or `http:` where [`PlainHttp`](super::PlainHttp) allows it.
    pub url: Url,
    /// Header fields besides `Host` and `Content-Length`, which are added.
    pub headers: HeaderMap,
    /// The content; empty for none.
    pub body: Bytes,
}

impl Request {
    /// Makes a GET request.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Makes a POST request with content. The content is overwritten when its last clone is dropped.
    pub fn post(url: Url, content_type: &'static str, body: Zeroizing<Vec<u8>>) -> Self {
        let request = Self {
            method: Method::POST,
            body: Bytes::from_owner(body),
            ..Self::get(url)
        };
        request.with(
            hyper::header::CONTENT_TYPE,
            HeaderValue::from_static(content_type),
        )
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a bearer token (RFC 6750 §2.1). A token that is no header value is left out, and refused by the server.
    #[must_use]
    pub fn with_bearer(self, token: &str) -> Self {
        let text = Zeroizing::new(format!("Bearer {token}"));
        match HeaderValue::from_str(&text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.with(hyper::header::AUTHORIZATION, value)
            }
            Err(_) => self,
        }
    }

    /// Returns the host, for texts.
    pub(super) fn host(&self) -> Box<str> {
        self.url.host_str().unwrap_or_default().into()
    }

    /// Returns whether the host is this machine, by its name or address.
    pub(super) fn is_to_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Returns the address without fragment, as the client library takes it.
    ///
    /// # Errors
    /// [`HttpError::Address`].
    pub(super) fn uri(&self) -> Result<Uri, HttpError> {
        let mut url = self.url.clone();
        url.set_fragment(None);
        let refused = |reason| HttpError::Address {
            host: self.host(),
            reason,
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("a user name or password does not belong there"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refused("it names no host"));
        }
        let uri = url.as_str().parse();
        uri.map_err(|_| refused("it is no address of the web"))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host(), self.url.path())
    }
}

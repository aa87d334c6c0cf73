//! Parameters as a form (`application/x-www-form-urlencoded`), in memory that is overwritten.

use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::http::Request;

/// A form under construction.
pub(super) struct Form(Zeroizing<Vec<u8>>);

/// The content type of forms.
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

impl Form {
    /// Begins a form with its first parameter.
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self::empty().with(name, value)
    }

    /// Begins a form without parameters.
    pub(super) fn empty() -> Self {
        // Growing would leave copies of secrets behind.
        Self(Zeroizing::new(Vec::with_capacity(ROOM)))
    }

    /// Adds a parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(b'&');
        }
        self.append(name);
        self.0.push(b'=');
        self.append(value);
        self
    }

    /// Adds a parameter where it has a value.
    pub(super) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Makes the request that posts it.
    pub(super) fn post(self, url: &Url) -> Request {
        let request = Request::post(url.clone(), CONTENT_TYPE, self.0);
        let json = crate::http::header::HeaderValue::from_static("application/json");
        request.with(crate::http::header::ACCEPT, json)
    }

    fn append(&mut self, text: &str) {
        for piece in byte_serialize(text.as_bytes()) {
            self.0.extend_from_slice(piece.as_bytes());
        }
    }
}

/// More than requests have: refresh tokens and assertions are some thousand octets.
const ROOM: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_special_is_escaped() {
        let form = Form::new("scope", "a b").with("client_secret", "+&=%~é");
        let form = form.with_some("nothing", None);
        let text = String::from_utf8(form.0.to_vec()).unwrap();
        assert_eq!(text, "scope=a+b&client_secret=%2B%26%3D%25%7E%C3%A9");
    }
}

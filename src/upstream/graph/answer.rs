//! What Graph answered. Pure.

use serde::Deserialize;

use crate::telemetry::printable;

/// A status, and the error that the content tells of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Heard {
    /// The HTTP status, such as 202.
    pub(super) status: u16,
    /// `error.code`, such as `ErrorAccessDenied`; empty where there is none. Printable.
    pub(super) code: Box<str>,
    /// `error.message`; empty where there is none. Printable.
    pub(super) message: Box<str>,
}

impl Heard {
    /// Reads an answer. Content that is no error of Graph counts as none.
    pub(super) fn read(status: u16, content: &[u8]) -> Self {
        let error = serde_json::from_slice(content).map(|content: Content| content.error);
        let error = error.unwrap_or_default();
        Self {
            status,
            code: printable(&error.code),
            message: printable(&error.message),
        }
    }

    /// Returns what was answered in one line: `Graph: 403 ErrorAccessDenied: Access is denied.`
    pub(super) fn text(&self) -> String {
        let mut text = format!("Graph: {}", self.status);
        if !self.code.is_empty() {
            text.push(' ');
            text.push_str(&self.code);
        }
        if !self.message.is_empty() {
            text.push_str(": ");
            text.push_str(&self.message);
        }
        text
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    error: Error,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    code: String,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read() {
        let content = br#"{"error":{"code":"ErrorAccessDenied","message":"Access is\r\ndenied.","innerError":{"date":"x"}}}"#;
        let heard = Heard::read(403, content);
        assert_eq!(&*heard.code, "ErrorAccessDenied");
        assert_eq!(
            heard.text(),
            "Graph: 403 ErrorAccessDenied: Access is??denied."
        );
    }

    #[test]
    fn other_content_is_no_error() {
        let strange: [&[u8]; 6] = [
            b"",
            b"{}",
            b"<html>",
            b"[1]",
            br#"{"error":"x"}"#,
            &[0xff; 9],
        ];
        for content in strange {
            let heard = Heard::read(502, content);
            assert_eq!(heard.text(), "Graph: 502", "{content:?}");
        }
    }
}

//! Why a token endpoint refuses, and whether time helps. Pure. What a person can do about it is said by
//! `upstream::repair`, for all that parks an upstream.

use std::time::Duration;

use serde::Deserialize;

use super::error::TokenError;
use crate::http::Answer;
use crate::telemetry::printable;

/// An answer that grants nothing (RFC 6749 §5.2).
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    status: u16,
    /// Such as `invalid_client`; empty where the answer is none of an OAuth server.
    pub(super) error: Box<str>,
    description: Box<str>,
    /// Microsoft's number, such as 7000222.
    code: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: String,
    error_description: String,
    error_codes: Vec<u32>,
}

impl Refusal {
    pub(super) fn read(answer: &Answer) -> Self {
        let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
        // Microsoft adds numbers of its traces in lines of their own.
        let description = body.error_description.lines().next().unwrap_or_default();
        let description = description.split(" Trace ID:").next().unwrap_or_default();
        let named = description.strip_prefix("AADSTS");
        let named = named.and_then(|rest| rest.split(':').next()?.parse().ok());
        Self {
            status: answer.status,
            error: printable(&body.error),
            description: printable(description.trim()),
            code: named.or_else(|| body.error_codes.first().copied()),
        }
    }

    /// Says whether time or a person helps, in words.
    pub(super) fn judge(&self, pause: Option<Duration>) -> TokenError {
        let text = self.words();
        if self.is_temporary() {
            return TokenError::Temporary { text, pause };
        }
        TokenError::Unusable(text)
    }

    fn is_temporary(&self) -> bool {
        if matches!(
            &*self.error,
            "temporarily_unavailable" | "server_error" | "slow_down"
        ) {
            return true;
        }
        // Microsoft's own "try again": transient errors and throttling.
        if matches!(self.code, Some(90_033 | 90_006 | 50_196 | 90_055)) {
            return true;
        }
        matches!(self.status, 200..=299 | 408 | 425 | 429 | 500..) && self.error.is_empty()
            || matches!(self.status, 429 | 500..)
    }

    fn words(&self) -> Box<str> {
        if self.error.is_empty() {
            let words = match self.status {
                200..=299 => "its answer holds no token",
                300..=399 => "it redirects, which is not followed; is its address right?",
                404 | 405 | 410 => "is its address right?",
                429 => "it asks for fewer requests",
                500.. => "it has a fault of its own",
                _ => "its answer is none of an OAuth server",
            };
            return format!("the token endpoint answered {}: {words}", self.status).into();
        }
        let (error, code) = (&self.error, self.code.filter(|code| *code != 0));
        let is_named = self.description.starts_with("AADSTS");
        match (code, &*self.description) {
            (Some(code), _) if !is_named => format!(
                "the token endpoint answered {error}: AADSTS{code}: {}",
                self.description
            )
            .into(),
            (_, "") => format!("the token endpoint answered {error}").into(),
            (_, description) => {
                format!("the token endpoint answered {error}: {description}").into()
            }
        }
    }
}

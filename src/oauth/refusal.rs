//! Why a token endpoint refuses, and what to do about it. Pure; one table.

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
        let advice = self.code.and_then(advice).or_else(|| general(&self.error));
        if self.error.is_empty() {
            let advice = match self.status {
                200..=299 => "its answer holds no token",
                300..=399 => "it redirects, which is not followed; is its address right?",
                404 | 405 | 410 => "is its address right?",
                429 => "it asks for fewer requests",
                500.. => "it has a fault of its own",
                _ => "its answer is none of an OAuth server",
            };
            return format!("the token endpoint answered {}: {advice}", self.status).into();
        }
        let Self {
            error, description, ..
        } = self;
        let said = if description.is_empty() {
            error.clone()
        } else {
            format!("{error}: {description}").into()
        };
        match advice {
            Some(advice) => format!("the token endpoint answered {said} - {advice}").into(),
            None => format!("the token endpoint answered {said}").into(),
        }
    }
}

/// Says what to do about an error of Microsoft's (`AADSTS` and a number).
pub const fn advice(code: u32) -> Option<&'static str> {
    Some(match code {
        7_000_222 => {
            "the client secret has expired: make a new one in Entra (App registrations, Certificates & secrets), write it \
             to `client_secret`, and reload"
        }
        7_000_215 => {
            "the client secret is wrong: Entra shows a secret's ID and its value, and the value is wanted"
        }
        700_016 => {
            "the tenant does not know the application: compare `client_id` and `tenant_id` with Entra"
        }
        90_002 | 900_023 => "there is no such tenant: compare `tenant_id` with Entra",
        700_027 => {
            "the certificate is not registered for the application: upload it in Entra (App registrations, Certificates & \
             secrets)"
        }
        700_024 => "the time of this machine is wrong: set its clock",
        7_000_112 => "the application is disabled in Entra",
        7_000_229 => {
            "the application has no service principal in the tenant: an administrator must consent to it"
        }
        7_000_218 => {
            "the application is not a public client: allow public client flows in Entra (Authentication), or write \
             `client_secret`"
        }
        65_001 => {
            "the permission was not given: an administrator must consent to it in Entra (API permissions)"
        }
        70_011 | 500_011 => "the scope is not one of the tenant: compare `cloud` and `scope`",
        70_008 | 700_082 | 50_173 | 50_078 | 70_043 => {
            "the person's permission is over: run `posthouse upstream login`"
        }
        50_076 | 50_079 | 50_158 => {
            "the person must log in again with a second factor: run `posthouse upstream login`"
        }
        50_034 | 50_053 | 50_057 => "the person's login does not exist, or is locked or disabled",
        53_003 => "a conditional access policy of the tenant forbids it: exempt the application",
        _ => return None,
    })
}

/// Says what to do about an error of the standard (RFC 6749 §5.2).
fn general(error: &str) -> Option<&'static str> {
    Some(match error {
        "invalid_client" => "`client_id` or what proves it is wrong",
        "invalid_grant" => "the permission has expired or was taken back",
        "unauthorized_client" => {
            "the program may not ask this way: allow it where it is registered (for a Google service account: \
             domain-wide delegation of the scope)"
        }
        "invalid_scope" => "compare `scope` with what the program may ask for",
        "unsupported_grant_type" => "the server does not know this way to ask",
        "access_denied" => "the permission was not given",
        _ => return None,
    })
}

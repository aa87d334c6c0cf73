//! What a token endpoint's answer means (RFC 6749 §5). Pure.

use std::time::Duration;

use serde::Deserialize;

use super::error::TokenError;
use super::refusal::Refusal;
use super::token::AccessToken;
use crate::http::Answer;
use crate::secret::Secret;

/// What was granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Granted {
    /// The access token.
    pub token: AccessToken,
    /// How long it is valid.
    pub lifetime: Duration,
    /// The refresh token that replaces the one that was sent, where there is one.
    pub refresh: Option<Secret>,
}

/// A successful answer (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Success {
    access_token: Option<Secret>,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    refresh_token: Option<Secret>,
}

/// A number; some servers write it as text.
#[derive(Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub(super) struct Seconds(pub(super) u64);

impl TryFrom<serde_json::Value> for Seconds {
    type Error = &'static str;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        let number = value.as_u64();
        let number = number.or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        number.map(Self).ok_or("not a number of seconds")
    }
}

/// How long a token counts as valid whose lifetime is not told.
const UNTOLD: Duration = Duration::from_mins(10);

/// Reads the answer to a request for a token. `pause` is what the server said with `Retry-After`.
///
/// # Errors
/// [`TokenError`].
pub fn access_token(answer: &Answer, pause: Option<Duration>) -> Result<Granted, TokenError> {
    if !answer.is_success() {
        return Err(Refusal::read(answer).judge(pause));
    }
    let success: Success = serde_json::from_slice(&answer.body)
        .map_err(|_| TokenError::temporary("the token endpoint's answer is not understood"))?;
    let Some(token) = success.access_token.filter(is_sound) else {
        // Some servers say errors with 200.
        return Err(Refusal::read(answer).judge(pause));
    };
    let kind = success.token_type.as_deref().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Unusable(
            "the token endpoint gives tokens of another kind than bearer".into(),
        ));
    }
    let lifetime = success.expires_in.map(|Seconds(seconds)| seconds);
    Ok(Granted {
        token: AccessToken::new(token),
        lifetime: lifetime.map_or(UNTOLD, Duration::from_secs),
        refresh: success
            .refresh_token
            .filter(|token| !token.expose().is_empty()),
    })
}

/// RFC 6750 §2.1. What is not printable could end the line it is sent in.
fn is_sound(token: &Secret) -> bool {
    let text = token.expose();
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http::HeaderMap;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn read(status: u16, body: &str) -> Result<Granted, TokenError> {
        access_token(&answer(status, body), None)
    }

    fn unusable(status: u16, body: &str) -> String {
        match read(status, body) {
            Err(TokenError::Unusable(text)) => text.into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_taken_with_its_lifetime() {
        let granted = read(
            200,
            r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ0"}"#,
        );
        let granted = granted.unwrap();
        assert_eq!(granted.token.expose(), "eyJ0");
        assert_eq!(granted.lifetime, Duration::from_secs(3599));
        assert_eq!(granted.refresh, None);
        let text = r#"{"access_token":"a","expires_in":"60","refresh_token":"r"}"#;
        let granted = read(200, text).unwrap();
        assert_eq!(granted.lifetime, Duration::from_mins(1));
        assert_eq!(granted.refresh.unwrap().expose(), "r");
    }

    #[test]
    fn a_token_that_could_end_a_line_is_none() {
        for token in ["", "a b", "a\\r\\nQUIT", "a\\u0001"] {
            let text = format!(r#"{{"access_token":"{token}"}}"#);
            assert!(read(200, &text).is_err(), "{token}");
        }
    }

    #[test]
    fn an_expired_secret_is_told_by_its_number() {
        let text = unusable(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app 'x' are expired.\r\nTrace ID: 1","error_codes":[7000222],"trace_id":"1"}"#,
        );
        assert!(text.contains("AADSTS7000222"), "{text}");
        assert!(text.contains("client secret keys"), "{text}");
        assert!(!text.contains("Trace ID"), "{text}");
    }

    #[test]
    fn what_the_standard_names_is_unusable() {
        for error in [
            "invalid_client",
            "invalid_grant",
            "unauthorized_client",
            "invalid_scope",
        ] {
            let text = unusable(400, &format!(r#"{{"error":"{error}"}}"#));
            assert!(text.contains(error), "{text}");
        }
        assert!(unusable(200, r#"{"error":"bad_verification_code"}"#).contains("bad_verification"));
    }

    #[test]
    fn what_passes_is_temporary() {
        let rows = [
            (503, "<html>"),
            (500, r#"{"error":"server_error"}"#),
            (400, r#"{"error":"temporarily_unavailable"}"#),
            (429, ""),
            (200, "<html>"),
        ];
        for (status, body) in rows {
            assert!(
                matches!(read(status, body), Err(TokenError::Temporary { .. })),
                "{status} {body}"
            );
        }
        let pause = Some(Duration::from_secs(7));
        let limited = access_token(&answer(429, ""), pause).unwrap_err();
        assert!(matches!(
            limited,
            TokenError::Temporary { pause: Some(_), .. }
        ));
    }

    #[test]
    fn a_wrong_address_is_unusable() {
        assert!(unusable(404, "<html>").contains("404"));
        assert!(unusable(302, "").contains("302"));
    }

    #[test]
    fn foreign_words_are_one_printable_line() {
        let text = unusable(
            400,
            r#"{"error":"invalid_grant","error_description":"a\u001b[31m\nb"}"#,
        );
        assert!(
            text.bytes().all(|octet| matches!(octet, b' '..=b'~')),
            "{text}"
        );
    }
}

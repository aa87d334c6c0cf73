//! What the mechanisms for OAuth tokens say: XOAUTH2 and OAUTHBEARER (RFC 7628). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::oauth::AccessToken;
use crate::telemetry::printable;

/// How OAUTHBEARER answers a challenge that tells an error: `^A` in base64 (RFC 7628 §3.2.3).
pub(super) const DUMMY: &str = "AQ==";

/// Returns the response of XOAUTH2, which Google describes and Microsoft took over.
pub(super) fn xoauth2(username: &str, token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("user={username}\x01auth=Bearer {token}\x01\x01"))
}

/// Returns the response of OAUTHBEARER (RFC 7628 §3.1).
pub(super) fn oauthbearer(
    username: &str,
    token: &AccessToken,
    (host, port): (&str, u16),
) -> Zeroizing<String> {
    // RFC 5801 §4: a name is set off by commas.
    let name = username.replace('=', "=3D").replace(',', "=2C");
    let token = token.expose();
    Zeroizing::new(format!(
        "n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"
    ))
}

/// Returns in words what the upstream says is wrong with the token (RFC 7628 §3.2.2): `status invalid_token, scope …`.
/// `None` where the challenge is something else.
pub(super) fn reason(challenge: &str) -> Option<Box<str>> {
    let decoded = STANDARD.decode(challenge.trim()).ok()?;
    let object: Map<String, Value> = serde_json::from_slice(&decoded).ok()?;
    let said = object.iter().filter_map(|(key, value)| match value {
        Value::String(text) if !text.is_empty() => Some(format!("{key} {text}")),
        Value::Number(number) => Some(format!("{key} {number}")),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) | Value::String(_) => {
            None
        }
    });
    let said: Vec<_> = said.collect();
    (!said.is_empty()).then(|| printable(&said.join(", ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_responses_are_those_of_the_documents() {
        let token = AccessToken::new(Secret::new(
            "vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==".to_owned(),
        ));
        // RFC 7628 §4.1, with the port of submission.
        assert_eq!(
            *oauthbearer("user@example.com", &token, ("server.example.com", 587)),
            "n,a=user@example.com,\x01host=server.example.com\x01port=587\x01\
             auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\x01\x01"
        );
        assert_eq!(
            *xoauth2(
                "someuser@example.com",
                "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
            ),
            "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
        );
    }

    #[test]
    fn a_name_with_comma_or_equals_sign_is_escaped() {
        let token = AccessToken::new(Secret::new("t".to_owned()));
        let response = oauthbearer("a,b=c@x", &token, ("h", 1));
        assert!(
            response.starts_with("n,a=a=2Cb=3Dc@x,\x01"),
            "{}",
            *response
        );
    }

    #[test]
    fn the_reason_is_told_in_words() {
        // Google's, from its documentation.
        let challenge = "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIG1hYyIsInNjb3BlIjoiaHR0cHM6Ly9tYWlsLmdvb2dsZS5jb20vIn0K";
        assert_eq!(
            reason(challenge).unwrap().as_ref(),
            "schemes bearer mac, scope https://mail.google.com/, status 401"
        );
        for nothing in ["", "????", "e30=", "W10="] {
            assert_eq!(reason(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(challenge: String, octets: Vec<u8>) {
            let _ = reason(&challenge);
            let _ = reason(&STANDARD.encode(octets));
        }
    }
}

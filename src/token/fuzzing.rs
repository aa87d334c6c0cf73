//! Tokens from anybody, for the fuzz target `token`: none counts that the issuer has not signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use url::Url;

use super::claims;
use super::judge::judge;
use super::jwt::{Claims, Jwt};
use super::keys::KeySet;
use super::refusal::Refusal;
use super::settings::{AccountRule, Check, Demands, KeySource, Settings};
use crate::clock::Timestamp;
use crate::http::Trust;

/// The token of RFC 7515 Appendix A.3, the only one that the issuer of these tests has signed.
pub const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// When it is judged, in seconds: some minutes before its end.
const NOW: u64 = 1_300_819_000;

/// Reads octets as a token, as the parts of one, as keys, and as claims that an issuer has answered with.
///
/// # Panics
/// A token counts that nobody has signed.
pub fn read_token(octets: &[u8]) {
    let keys = keys();
    if let Ok(token) = str::from_utf8(octets) {
        assert_unsigned(token, &keys);
    }
    let mut parts = octets.splitn(3, |octet| *octet == 0);
    let mut part = || URL_SAFE_NO_PAD.encode(parts.next().unwrap_or_default());
    let made = [part(), part(), part()].join(".");
    assert_unsigned(&made, &keys);
    if let Some(keys) = KeySet::parse(octets) {
        drop(judged(SIGNED, &keys));
    }
    if let Ok(claims) = serde_json::from_slice::<Claims>(octets) {
        assert_bounded(&claims);
    }
}

fn assert_unsigned(token: &str, keys: &KeySet) {
    let (signed, _) = SIGNED.rsplit_once('.').unwrap_or_default();
    let is_signed = token
        .rsplit_once('.')
        .is_some_and(|(text, _)| text == signed);
    assert!(
        judged(token, keys).is_err() || is_signed,
        "it counts, and nobody has signed it"
    );
}

/// Claims that count have not ended, are meant for us, and name the account.
fn assert_bounded(claims: &Claims) {
    let settings = Settings {
        demands: Demands {
            audience: vec!["posthouse".to_owned()],
            claim: "email".to_owned(),
            ..Demands::default()
        },
        ..settings()
    };
    if let Ok(bearer) = claims::judge(claims, &settings, now()) {
        let end = bearer.until.map(|until| until.after(claims::LEEWAY));
        assert!(end.is_none_or(|end| end > now()), "it is over");
        assert!(claims.get("aud").is_some(), "it is for somebody else");
        let named = claims.get("email").and_then(|email| email.as_str());
        assert_eq!(named, Some(bearer.account.as_str()));
    }
}

fn judged(token: &str, keys: &KeySet) -> Result<(), Refusal> {
    judge(&Jwt::read(token)?, ("joe", keys), &settings(), now()).map(drop)
}

fn now() -> Timestamp {
    Timestamp::from_unix_millis(NOW * 1000)
}

fn keys() -> KeySet {
    let key = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                      "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let keys = json!({ "keys": [key] }).to_string();
    KeySet::parse(keys.as_bytes()).unwrap_or_default()
}

#[cfg_attr(test, expect(clippy::expect_used, reason = "it is a constant"))]
fn settings() -> Settings {
    Settings {
        name: "corp".to_owned(),
        check: Check::Jwt {
            issuer: "joe".to_owned(),
            keys: KeySource::Fixed(Url::parse("https://login.example/keys").expect("a URL")),
        },
        demands: Demands {
            claim: "iss".to_owned(),
            ..Demands::default()
        },
        accounts: AccountRule::Whole(Vec::new()),
        tenant: None,
        trust: Trust::SystemRoots,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7515_counts_and_nothing_like_it() {
        assert_eq!(judged(SIGNED, &keys()), Ok(()));
        read_token(SIGNED.as_bytes());
        for part in 0..3 {
            let mut parts: Vec<_> = SIGNED.split('.').collect();
            parts[part] = "e30";
            assert!(judged(&parts.join("."), &keys()).is_err(), "{part}");
        }
    }

    #[test]
    fn whatever_comes_is_read() {
        for octets in [
            &b""[..],
            b"..",
            b"{\"alg\":\"none\"}\0{\"iss\":\"joe\"}\0",
            b"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}",
            b"{\"aud\":\"posthouse\",\"email\":\"alice\",\"exp\":1e300}",
            b"{\"aud\":[\"posthouse\"],\"email\":\"alice\",\"exp\":1300819380}",
        ] {
            read_token(octets);
        }
    }
}

//! The parts of a JWT in its compact form (RFC 7515 §7.1), read before its signature is checked. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// What a token claims.
pub(super) type Claims = Map<String, Value>;

/// A signature algorithm that counts: by a private key, never by a secret that the one who checks has too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Es384,
    Ps256,
    Rs256,
}

/// A token that can be read; nothing in it may be believed yet.
#[derive(Debug)]
pub(super) struct Jwt<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// What it claims. Believed only once the signature is right.
    pub(super) claims: Claims,
    /// The text that is signed.
    pub(super) signed: &'a str,
    /// The signature, base64url.
    pub(super) signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 §4.1.11); none is.
    crit: Option<IgnoredAny>,
}

impl Algorithm {
    /// Finds an algorithm by its name (RFC 7518 §3.1, RFC 8037 §3.1), which has a letter case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "EdDSA" => Some(Self::EdDsa),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "PS256" => Some(Self::Ps256),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }
}

impl<'a> Jwt<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], or [`Refusal::Algorithm`] where it is signed in a way that does not count.
    pub(super) fn read(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let header: Header = decoded(header)?;
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            algorithm: Algorithm::parse(&header.alg).ok_or(Refusal::Algorithm)?,
            key_id: header.kid,
            claims: decoded(claims)?,
            signed,
            signature,
        })
    }

    /// Returns who a token says has issued it; `None` where it is no JWT, or does not say.
    pub(super) fn issuer_of(token: &str) -> Option<String> {
        let (signed, _) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Claims = decoded(claims).ok()?;
        claims.get("iss")?.as_str().map(str::to_owned)
    }
}

/// Returns whether a type is one of access tokens (RFC 9068 §2.1), or none in particular: a logout token or a proof of
/// possession is signed by the same key.
fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    matches!(kind, "jwt" | "at+jwt")
}

fn decoded<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Refusal> {
    let octets = URL_SAFE_NO_PAD.decode(part);
    let octets = octets.map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&octets).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(&json!({ "iss": "x" })))
    }

    fn refusal(header: &Value) -> Option<Refusal> {
        Jwt::read(&token(header)).err()
    }

    #[test]
    fn a_token_has_three_parts() {
        let text = token(&json!({ "alg": "RS256", "kid": "k", "typ": "JWT" }));
        let jwt = Jwt::read(&text).unwrap();
        assert_eq!(jwt.algorithm, Algorithm::Rs256);
        assert_eq!(jwt.key_id.as_deref(), Some("k"));
        assert_eq!(jwt.claims["iss"], "x");
        assert_eq!(format!("{}.{}", jwt.signed, jwt.signature), text);
        assert_eq!(Jwt::issuer_of(&text).as_deref(), Some("x"));
        for text in ["", ".", "..", "a.b", "e30.e30", "e30.e30.e30.e30", "opaque"] {
            assert!(Jwt::read(text).is_err(), "{text}");
            assert_eq!(Jwt::issuer_of(text), None, "{text}");
        }
    }

    #[test]
    fn no_algorithm_and_shared_secrets_do_not_count() {
        for name in [
            "none", "None", "NONE", "", "HS256", "HS384", "HS512", "RS512", "rs256", "RS1",
        ] {
            let refusal = refusal(&json!({ "alg": name }));
            assert_eq!(refusal, Some(Refusal::Algorithm), "{name}");
        }
    }

    #[test]
    fn an_extension_that_must_be_understood_is_not() {
        let header = json!({ "alg": "RS256", "crit": ["b64"], "b64": false });
        assert_eq!(refusal(&header), Some(Refusal::Malformed));
    }

    #[test]
    fn other_tokens_of_the_same_issuer_are_no_access_tokens() {
        for kind in ["JWT", "at+jwt", "application/at+jwt", "AT+JWT"] {
            assert_eq!(
                refusal(&json!({ "alg": "ES256", "typ": kind })),
                None,
                "{kind}"
            );
        }
        for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE"] {
            let refusal = refusal(&json!({ "alg": "ES256", "typ": kind }));
            assert_eq!(refusal, Some(Refusal::Malformed), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, parts: [Vec<u8>; 3]) {
            let _ = Jwt::read(&text);
            let parts = parts.map(|part| URL_SAFE_NO_PAD.encode(part));
            let _ = Jwt::read(&parts.join("."));
        }
    }
}

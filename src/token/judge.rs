//! Whether a JWT counts. Pure.

use super::claims::{self, Bearer};
use super::jwt::Jwt;
use super::keys::KeySet;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::clock::Timestamp;

/// Judges a token of the issuer `issuer`, whose keys are `keys`.
///
/// # Errors
/// [`Refusal`]. The signature comes first but for the issuer: nothing else that it claims is in a refusal of a token that
/// nobody signed.
pub(super) fn judge(
    jwt: &Jwt<'_>,
    (issuer, keys): (&str, &KeySet),
    settings: &Settings,
    now: Timestamp,
) -> Result<Bearer, Refusal> {
    let said = jwt.claims.get("iss").and_then(|value| value.as_str());
    if said != Some(issuer) {
        return Err(Refusal::Issuer(Refusal::words(said.unwrap_or_default())));
    }
    keys.check(jwt)?;
    let bearer = claims::judge(&jwt.claims, settings, now)?;
    // A token without an end would count for ever.
    match bearer.until {
        Some(_) => Ok(bearer),
        None => Err(Refusal::Expired),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::sync::LazyLock;

    use super::*;
    use crate::http::Trust;
    use crate::token::settings::{AccountRule, Check, Demands, KeySource};
    use crate::token::signing::Signer;

    const NOW: u64 = 1_800_000_000;
    const ISSUER: &str =
        "https://login.microsoftonline.com/6babcaad-604b-40ac-a9d7-9fd97c0b779f/v2.0";

    static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::rs256);

    fn settings() -> Settings {
        let url = url::Url::parse("https://login.example/keys").unwrap();
        Settings {
            name: "corp".to_owned(),
            check: Check::Jwt {
                issuer: ISSUER.to_owned(),
                keys: KeySource::Fixed(url),
            },
            demands: Demands {
                audience: vec!["posthouse".to_owned()],
                claim: "preferred_username".to_owned(),
                ..Demands::default()
            },
            accounts: AccountRule::Whole(Vec::new()),
            tenant: None,
            trust: Trust::SystemRoots,
        }
    }

    fn claims() -> Value {
        json!({ "iss": ISSUER, "aud": "posthouse", "exp": NOW + 300, "preferred_username": "alice" })
    }

    fn judged(token: &str) -> Result<Bearer, Refusal> {
        let keys = json!({ "keys": [SIGNER.public("one")] }).to_string();
        let keys = KeySet::parse(keys.as_bytes()).unwrap();
        let now = Timestamp::from_unix_millis(NOW * 1000);
        judge(&Jwt::read(token)?, (ISSUER, &keys), &settings(), now)
    }

    fn signed(change: impl FnOnce(&mut Value)) -> Result<Bearer, Refusal> {
        let mut claims = claims();
        change(&mut claims);
        judged(&SIGNER.sign("one", &claims))
    }

    #[test]
    fn a_token_of_the_issuer_counts() {
        assert_eq!(signed(|_| {}).unwrap().account.as_str(), "alice");
    }

    #[test]
    fn another_issuer_does_not() {
        for other in [
            json!("https://login.microsoftonline.com/other/v2.0"),
            json!(format!("{ISSUER}/")),
            json!(ISSUER.to_uppercase()),
            json!([ISSUER]),
            json!(null),
        ] {
            let refusal = signed(|claims| claims["iss"] = other.clone());
            assert!(matches!(refusal, Err(Refusal::Issuer(_))), "{other}");
        }
    }

    #[test]
    fn a_token_must_have_an_end() {
        let refusal = signed(|claims| {
            claims.as_object_mut().unwrap().remove("exp");
        });
        assert_eq!(refusal, Err(Refusal::Expired));
    }

    #[test]
    fn a_token_that_nobody_signed_does_not_count() {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        for name in ["none", "nOnE"] {
            let unsigned = format!("{}.{}.", part(&json!({ "alg": name })), part(&claims()));
            assert_eq!(judged(&unsigned), Err(Refusal::Algorithm));
        }
        let stripped = SIGNER.sign("one", &claims());
        let (signed, _) = stripped.rsplit_once('.').unwrap();
        assert_eq!(judged(&format!("{signed}.")), Err(Refusal::Signature));
    }

    #[test]
    fn the_public_key_is_no_secret_to_sign_with() {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "HS256", "kid": "one" });
        let signed = format!("{}.{}", part(&header), part(&claims()));
        let public = SIGNER.public("one");
        let modulus = URL_SAFE_NO_PAD
            .decode(public["n"].as_str().unwrap())
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &modulus);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        assert_eq!(
            judged(&format!("{signed}.{signature}")),
            Err(Refusal::Algorithm)
        );
    }

    #[test]
    fn a_key_that_the_token_brings_along_is_not_looked_at() {
        let own = Signer::rs256();
        let public = own.public("one");
        for header in [
            json!({ "alg": "RS256", "kid": "one", "jwk": public }),
            json!({ "alg": "RS256", "jwk": public }),
            json!({ "alg": "RS256", "kid": "one", "jku": "https://evil.example/keys" }),
        ] {
            let forged = own.sign_with(&header, &claims());
            assert_eq!(judged(&forged), Err(Refusal::Signature));
        }
    }

    #[test]
    fn another_algorithm_of_the_same_key_is_another_signature() {
        let header = json!({ "alg": "PS256", "kid": "one" });
        assert_eq!(
            judged(&SIGNER.sign_with(&header, &claims())),
            Err(Refusal::Signature)
        );
        let header = json!({ "alg": "ES256", "kid": "one" });
        assert_eq!(
            judged(&SIGNER.sign_with(&header, &claims())),
            Err(Refusal::Key)
        );
    }

    proptest! {
        #[test]
        fn a_changed_token_never_counts(place: prop::sample::Index, octet in "[A-Za-z0-9_-]") {
            let token = SIGNER.sign("one", &claims());
            let at = place.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &octet);
            prop_assume!(changed != token);
            prop_assert!(judged(&changed).is_err());
        }
    }
}

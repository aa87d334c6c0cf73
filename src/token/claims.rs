//! What a token claims, held against what is demanded (RFC 7519 §4.1, RFC 9068 §4). Pure.

use std::time::Duration;

use serde_json::Value;

use super::jwt::Claims;
use super::refusal::Refusal;
use super::settings::{AccountRule, Settings};
use crate::clock::Timestamp;
use crate::identity::AccountName;

/// How far the clocks of issuer and server may differ.
pub(super) const LEEWAY: Duration = Duration::from_mins(1);

/// Whom a token speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Bearer {
    /// The claim that names the account, as the issuer wrote it.
    pub(super) subject: Box<str>,
    /// The name of the account, which need not exist.
    pub(super) account: AccountName,
    /// When the token ends, with the leeway; `None` where it does not say.
    pub(super) until: Option<Timestamp>,
}

/// Judges what a token claims, but for its issuer.
///
/// # Errors
/// [`Refusal`].
pub(super) fn judge(
    claims: &Claims,
    settings: &Settings,
    now: Timestamp,
) -> Result<Bearer, Refusal> {
    let until = end(claims, now)?;
    let demands = &settings.demands;
    audience(claims, &demands.audience)?;
    client(claims, &demands.clients)?;
    let held = scopes(claims);
    if let Some(scope) = demands
        .scopes
        .iter()
        .find(|scope| !held.contains(&scope.as_str()))
    {
        return Err(Refusal::Scope(scope.clone()));
    }
    let missing = || Refusal::Account(demands.claim.clone());
    let subject = claims.get(&demands.claim).and_then(Value::as_str);
    let subject = subject.ok_or_else(missing)?;
    if demands.claim == "email" && is_false(claims.get("email_verified")) {
        return Err(Refusal::Unverified);
    }
    let name = account(subject, &settings.accounts)?;
    Ok(Bearer {
        subject: subject.into(),
        account: AccountName::parse(name).map_err(|_| missing())?,
        until,
    })
}

/// Returns when a token ends, where it has begun and not ended.
fn end(claims: &Claims, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    if date(claims, "nbf")?.is_some_and(|begin| begin > now.after(LEEWAY)) {
        return Err(Refusal::NotYet);
    }
    let end = date(claims, "exp")?.map(|end| end.after(LEEWAY));
    if end.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    Ok(end)
}

/// Reads a number of seconds since 1970, whole or not (RFC 7519 §2).
fn date(claims: &Claims, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let value = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let seconds = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(seconds)) => {
            Duration::try_from_secs_f64(seconds).map_err(|_| Refusal::Malformed)?
        }
        (None, None) => return Err(Refusal::Malformed),
    };
    Ok(Some(Timestamp::default().after(seconds)))
}

fn audience(claims: &Claims, accepted: &[String]) -> Result<(), Refusal> {
    let said = words(claims.get("aud"));
    let is_meant = said
        .iter()
        .any(|one| accepted.iter().any(|ours| ours == one));
    if accepted.is_empty() || is_meant {
        return Ok(());
    }
    Err(Refusal::Audience(Refusal::words(&said.join(" "))))
}

/// `azp` is of `OpenID` Connect and Entra's v2 tokens, `appid` of its v1 tokens, `client_id` of RFC 9068 and RFC 7662.
fn client(claims: &Claims, accepted: &[String]) -> Result<(), Refusal> {
    let names = ["azp", "appid", "client_id"];
    let said = names.iter().find_map(|name| claims.get(*name)?.as_str());
    let said = said.unwrap_or_default();
    if accepted.is_empty() || accepted.iter().any(|ours| ours == said) {
        return Ok(());
    }
    Err(Refusal::Client(Refusal::words(said)))
}

/// Returns scopes and roles wherever issuers write them: `scope` (RFC 8693 §4.2) and `scp` (Entra), words with spaces or a
/// list; `roles` (Entra, RFC 9068 §2.2.3.1) and `realm_access.roles` (Keycloak).
fn scopes(claims: &Claims) -> Vec<&str> {
    let realm = claims
        .get("realm_access")
        .and_then(|realm| realm.get("roles"));
    let places = [
        claims.get("scope"),
        claims.get("scp"),
        claims.get("roles"),
        realm,
    ];
    let texts = places.into_iter().flat_map(words);
    texts.flat_map(str::split_ascii_whitespace).collect()
}

/// A text, or a list of texts.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}

fn is_false(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => !value,
        Some(Value::String(text)) => !text.eq_ignore_ascii_case("true"),
        Some(Value::Array(_) | Value::Null | Value::Number(_) | Value::Object(_)) => true,
        None => false,
    }
}

/// Returns the name of the account that a claim names.
fn account<'a>(subject: &'a str, rule: &AccountRule) -> Result<&'a str, Refusal> {
    let (domains, is_whole) = match rule {
        AccountRule::LocalPart(domains) => (domains, false),
        AccountRule::Whole(domains) => (domains, true),
    };
    if domains.is_empty() && is_whole {
        return Ok(subject);
    }
    let refusal = || Refusal::Domain(Refusal::words(subject));
    let (local_part, domain) = subject.split_once('@').ok_or_else(refusal)?;
    // Of `alice@other.example@example.com` two readers take two different domains; this one takes none that is listed.
    let is_listed = domains
        .iter()
        .any(|listed| listed.eq_ignore_ascii_case(domain));
    match (is_listed, is_whole) {
        (true, true) => Ok(subject),
        (true, false) => Ok(local_part),
        (false, _) => Err(refusal()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::http::Trust;
    use crate::token::settings::{Check, Demands, KeySource};

    const NOW: u64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_unix_millis(NOW * 1000)
    }

    fn settings() -> Settings {
        let url = url::Url::parse("https://login.example/keys").unwrap();
        Settings {
            name: "corp".to_owned(),
            check: Check::Jwt {
                issuer: "https://login.example".to_owned(),
                keys: KeySource::Fixed(url),
            },
            demands: Demands {
                audience: vec!["posthouse".to_owned()],
                claim: "email".to_owned(),
                ..Demands::default()
            },
            accounts: AccountRule::Whole(Vec::new()),
            tenant: None,
            trust: Trust::SystemRoots,
        }
    }

    fn claims() -> Value {
        json!({ "aud": "posthouse", "exp": NOW + 300, "email": "alice@example.com" })
    }

    fn judged(claims: &Value, settings: &Settings) -> Result<Bearer, Refusal> {
        judge(claims.as_object().unwrap(), settings, now())
    }

    /// Judges the usual claims with one that is changed.
    fn with(name: &str, value: Value) -> Result<Bearer, Refusal> {
        let mut claims = claims();
        claims[name] = value;
        judged(&claims, &settings())
    }

    #[test]
    fn a_token_speaks_for_the_account_of_its_claim() {
        let bearer = judged(&claims(), &settings()).unwrap();
        assert_eq!(bearer.account.as_str(), "alice@example.com");
        let end = Timestamp::from_unix_millis((NOW + 300) * 1000).after(LEEWAY);
        assert_eq!(bearer.until, Some(end));
    }

    #[test]
    fn a_token_counts_from_its_beginning_to_its_end_and_a_minute_more() {
        assert_eq!(with("exp", json!(NOW)).map(|_| ()), Ok(()));
        assert_eq!(with("exp", json!(NOW - 59)).map(|_| ()), Ok(()));
        assert_eq!(with("exp", json!(NOW - 60)), Err(Refusal::Expired));
        assert_eq!(with("exp", json!(0)), Err(Refusal::Expired));
        assert_eq!(with("nbf", json!(NOW + 60)).map(|_| ()), Ok(()));
        assert_eq!(with("nbf", json!(NOW + 61)), Err(Refusal::NotYet));
        let halves = json!(1_800_000_000.5);
        assert_eq!(with("exp", halves).map(|_| ()), Ok(()));
        for odd in [
            json!("1800000300"),
            json!([]),
            json!(-1),
            json!(1e300),
            json!(true),
        ] {
            assert_eq!(with("exp", odd.clone()), Err(Refusal::Malformed), "{odd}");
        }
    }

    #[test]
    fn one_of_several_audiences_suffices() {
        assert!(with("aud", json!(["other", "posthouse"])).is_ok());
        for odd in [
            json!("other"),
            json!("Posthouse"),
            json!(["other"]),
            json!([]),
            json!(7),
        ] {
            assert!(matches!(with("aud", odd), Err(Refusal::Audience(_))));
        }
        let mut nothing = claims();
        nothing.as_object_mut().unwrap().remove("aud");
        assert!(matches!(
            judged(&nothing, &settings()),
            Err(Refusal::Audience(_))
        ));
    }

    #[test]
    fn a_program_must_be_listed_where_there_is_a_list() {
        let mut strict = settings();
        strict.demands.clients = vec!["mailer".to_owned()];
        for name in ["azp", "appid", "client_id"] {
            let mut claims = claims();
            claims[name] = json!("mailer");
            assert!(judged(&claims, &strict).is_ok(), "{name}");
            claims[name] = json!("stranger");
            assert_eq!(
                judged(&claims, &strict),
                Err(Refusal::Client("stranger".into()))
            );
        }
        assert!(judged(&claims(), &strict).is_err(), "it does not say");
        let mut two = claims();
        two["azp"] = json!("stranger");
        two["client_id"] = json!("mailer");
        assert!(
            judged(&two, &strict).is_err(),
            "the authorized party counts"
        );
    }

    #[test]
    fn every_scope_that_is_demanded_must_be_there() {
        let mut strict = settings();
        strict.demands.scopes = vec!["smtp".to_owned(), "mail".to_owned()];
        let rows = [
            json!({ "scope": "openid smtp mail" }),
            json!({ "scp": "mail smtp" }),
            json!({ "scp": ["mail", "smtp"] }),
            json!({ "roles": ["smtp"], "scope": "mail" }),
            json!({ "realm_access": { "roles": ["smtp", "mail"] } }),
        ];
        for row in rows {
            let mut claims = claims();
            claims
                .as_object_mut()
                .unwrap()
                .extend(row.as_object().unwrap().clone());
            assert!(judged(&claims, &strict).is_ok(), "{row}");
        }
        let rows = [
            ("smtp", "mail"),
            ("smtpmail", "smtp"),
            ("smtp Mail", "mail"),
            ("", "smtp"),
        ];
        for (scope, missing) in rows {
            let mut claims = claims();
            claims["scope"] = json!(scope);
            let refusal = Err(Refusal::Scope(missing.to_owned()));
            assert_eq!(judged(&claims, &strict), refusal, "{scope}");
        }
    }

    #[test]
    fn an_address_that_the_issuer_has_not_verified_does_not_count() {
        assert!(with("email_verified", json!(true)).is_ok());
        assert!(with("email_verified", json!("true")).is_ok());
        for odd in [json!(false), json!("false"), json!(0), json!(null)] {
            assert_eq!(with("email_verified", odd), Err(Refusal::Unverified));
        }
    }

    #[test]
    fn a_claim_that_is_no_name_names_nobody() {
        for odd in [
            json!(""),
            json!(7),
            json!(["a"]),
            json!("a b"),
            json!("a\r\nb"),
            json!(null),
        ] {
            assert_eq!(
                with("email", odd),
                Err(Refusal::Account("email".to_owned()))
            );
        }
    }

    #[test]
    fn accounts_are_named_by_whole_claims_or_by_local_parts_of_listed_domains() {
        let named = |rule: AccountRule, subject: &str| {
            let settings = Settings {
                accounts: rule,
                ..settings()
            };
            let mut claims = claims();
            claims["email"] = json!(subject);
            judged(&claims, &settings).map(|bearer| bearer.account.to_string())
        };
        let listed = || vec!["example.com".to_owned()];
        let whole = |subject| named(AccountRule::Whole(listed()), subject);
        assert_eq!(whole("a@Example.COM"), Ok("a@Example.COM".to_owned()));
        assert_eq!(
            whole("a@evil.example"),
            Err(Refusal::Domain("a@evil.example".into()))
        );
        assert!(whole("a").is_err());
        let local = |subject| named(AccountRule::LocalPart(listed()), subject);
        assert_eq!(local("alice@example.com"), Ok("alice".to_owned()));
        assert!(
            local("alice@evil.example").is_err(),
            "not of a listed domain"
        );
        assert!(local("alice@evil.example@x").is_err());
        // Neither the account `alice@other.example` nor `alice` is that of somebody who calls himself so.
        assert!(local("alice@other.example@example.com").is_err());
        assert!(whole("alice@other.example@example.com").is_err());
        assert!(local("alice").is_err());
        assert!(local("@example.com").is_err());
        assert!(named(AccountRule::LocalPart(Vec::new()), "alice@example.com").is_err());
    }

    proptest! {
        #[test]
        fn what_has_ended_never_counts(end in 0..NOW - 60, text in "[a-z]{1,9}") {
            let mut claims = claims();
            claims["exp"] = json!(end);
            claims[text] = json!(end);
            prop_assert!(judged(&claims, &settings()).is_err());
        }
    }
}

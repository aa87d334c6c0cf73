//! The verifier against an identity provider on loopback.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::provider::IdentityProvider;
use super::{AccountRule, Check, Demands, KeySource, Refusal, Settings, Verdict, Verifier};
use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
use crate::dial::Dialer;
use crate::dns::{Resolver, SystemResolver};
use crate::http::{Dial, Trust};
use crate::oauth::Authentication;
use crate::secret::Secret;

const HOUR: u64 = 3600;

struct Stage {
    provider: IdentityProvider,
    verifier: Verifier,
    clock: Arc<ManualClock>,
    dialer: Arc<dyn Dial>,
}

impl Stage {
    fn new(check: impl FnOnce(&IdentityProvider) -> Check) -> Self {
        let provider = IdentityProvider::start();
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let resolver: Arc<dyn Resolver> = Arc::new(SystemResolver::new().unwrap());
        let dialer: Arc<dyn Dial> = Arc::new(Dialer::new(resolver, None));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let settings = settings(check(&provider));
        let verifier = Verifier::none(shared);
        let verifier = verifier.renewed(vec![settings], &dialer).unwrap();
        Self {
            provider,
            verifier,
            clock,
            dialer,
        }
    }

    /// One whose tokens are signed, for two days.
    fn signed() -> Self {
        Self::new(|provider| {
            let url = format!("{}/.well-known/openid-configuration", provider.url());
            Check::Jwt {
                issuer: provider.url(),
                keys: KeySource::Discovered(Url::parse(&url).unwrap()),
            }
        })
    }

    /// One that is asked, and whose answers count for a minute.
    fn asked() -> Self {
        Self::new(|provider| Check::Introspection {
            url: Url::parse(&format!("{}/introspect", provider.url())).unwrap(),
            client_id: "posthouse".to_owned(),
            authentication: Authentication::Basic(Secret::new("s".to_owned())),
            remember: Duration::from_mins(1),
        })
    }

    fn now(&self) -> u64 {
        self.clock.now().unix_seconds()
    }

    fn token(&self) -> String {
        let end = self.now() + 48 * HOUR;
        self.provider
            .sign(json!({ "aud": "posthouse", "exp": end, "name": "alice" }))
    }

    async fn verify(&self, token: &str) -> Verdict {
        self.verifier.verify(&Secret::new(token.to_owned())).await
    }

    async fn is_accepted(&self, token: &str) -> bool {
        matches!(self.verify(token).await, Verdict::Accepted(_))
    }
}

fn settings(check: Check) -> Settings {
    Settings {
        name: "corp".to_owned(),
        check,
        demands: Demands {
            audience: vec!["posthouse".to_owned()],
            claim: "name".to_owned(),
            ..Demands::default()
        },
        accounts: AccountRule::Whole(Vec::new()),
        tenant: None,
        trust: Trust::SystemRoots,
    }
}

fn is_unavailable(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unavailable(_))
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_logins() {
    let stage = Stage::signed();
    let token = stage.token();
    let (one, two) = tokio::join!(stage.is_accepted(&token), stage.is_accepted(&token));
    assert!(one && two && stage.is_accepted(&token).await);
    assert_eq!(stage.provider.requests("/keys"), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_but_not_again_and_again() {
    let stage = Stage::signed();
    let old = stage.token();
    assert!(stage.is_accepted(&old).await);
    stage.clock.advance(Duration::from_secs(31));
    stage.provider.rotate();
    assert!(stage.is_accepted(&stage.token()).await);
    assert_eq!(stage.provider.requests("/keys"), 2);
    for _ in 0..5 {
        assert_eq!(stage.verify(&old).await, Verdict::Refused(Refusal::Key));
    }
    assert_eq!(
        stage.provider.requests("/keys"),
        2,
        "not for every stranger"
    );
}

#[tokio::test]
async fn keys_outlive_an_outage_for_a_day_and_no_longer() {
    let stage = Stage::signed();
    let token = stage.token();
    assert!(stage.is_accepted(&token).await);
    stage.provider.set_out(true);
    stage.clock.advance(Duration::from_hours(2));
    assert!(stage.is_accepted(&token).await);
    let asked = stage.provider.requests("/.well-known/openid-configuration");
    assert_eq!(asked, 2, "it has tried");
    assert!(stage.is_accepted(&token).await);
    assert_eq!(
        stage.provider.requests("/.well-known/openid-configuration"),
        asked
    );
    stage.clock.advance(Duration::from_hours(23));
    assert!(is_unavailable(&stage.verify(&token).await));
    stage.provider.set_out(false);
    stage.clock.advance(Duration::from_secs(11));
    assert!(stage.is_accepted(&token).await);
}

#[tokio::test]
async fn without_keys_nothing_is_wrong_and_nothing_is_right() {
    let stage = Stage::signed();
    stage.provider.set_out(true);
    assert!(is_unavailable(&stage.verify(&stage.token()).await));
    assert!(is_unavailable(&stage.verify(&stage.token()).await));
    let asked = stage.provider.requests("/.well-known/openid-configuration");
    assert_eq!(asked, 1, "a failure is not repeated at once");
}

#[tokio::test]
async fn a_token_of_nobody_who_is_known_is_refused_without_a_question() {
    let stage = Stage::signed();
    let stranger = IdentityProvider::start();
    let claims = json!({ "aud": "posthouse", "exp": stage.now() + HOUR, "name": "alice" });
    for token in [stranger.sign(claims), "opaque".to_owned()] {
        let verdict = stage.verify(&token).await;
        assert!(matches!(verdict, Verdict::Refused(Refusal::Issuer(_))));
    }
    assert_eq!(stage.provider.requests("/keys"), 0);
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_and_the_answer_remembered_for_a_short_time() {
    let stage = Stage::asked();
    let said = |more: Value| {
        let mut said = json!({ "active": true, "aud": "posthouse", "name": "alice" });
        said.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        said
    };
    stage
        .provider
        .know("good", said(json!({ "exp": stage.now() + 30 })));
    stage
        .provider
        .know("other", said(json!({ "aud": "another" })));
    for _ in 0..3 {
        assert!(stage.is_accepted("good").await);
        assert_eq!(
            stage.verify("unknown").await,
            Verdict::Refused(Refusal::Inactive)
        );
    }
    assert_eq!(stage.provider.requests("/introspect"), 2);
    let verdict = stage.verify("other").await;
    assert!(matches!(verdict, Verdict::Refused(Refusal::Audience(_))));
    stage.provider.set_out(true);
    assert!(stage.is_accepted("good").await, "it is remembered");
    assert!(is_unavailable(&stage.verify("new").await));
    stage.clock.advance(Duration::from_secs(91));
    assert!(!stage.is_accepted("good").await, "it has ended");
}

#[tokio::test]
async fn what_is_remembered_of_a_token_ends_with_the_token() {
    let stage = Stage::asked();
    // With the minute that clocks may differ, half a minute is left; the answer would count for a minute.
    let said =
        json!({ "active": true, "aud": "posthouse", "name": "alice", "exp": stage.now() - 30 });
    stage.provider.know("short", said);
    assert!(stage.is_accepted("short").await);
    stage.clock.advance(Duration::from_secs(29));
    assert!(stage.is_accepted("short").await);
    stage.clock.advance(Duration::from_secs(2));
    assert_eq!(
        stage.verify("short").await,
        Verdict::Refused(Refusal::Expired)
    );
    assert_eq!(stage.provider.requests("/introspect"), 1);
}

#[tokio::test]
async fn metadata_of_another_issuer_bring_no_keys() {
    let stage = Stage::new(|provider| {
        let url = format!("{}/.well-known/openid-configuration", provider.url());
        Check::Jwt {
            issuer: "https://login.example".to_owned(),
            keys: KeySource::Discovered(Url::parse(&url).unwrap()),
        }
    });
    let claims = json!({
        "iss": "https://login.example", "aud": "posthouse", "exp": stage.now() + HOUR, "name": "alice"
    });
    assert!(is_unavailable(
        &stage.verify(&stage.provider.sign(claims)).await
    ));
    assert_eq!(stage.provider.requests("/keys"), 0);
}

#[tokio::test]
async fn a_grant_ends_with_what_was_demanded_for_it() {
    let mut stage = Stage::signed();
    let Verdict::Accepted(grant) = stage.verify(&stage.token()).await else {
        panic!("not accepted");
    };
    let was = Settings::clone(&grant.issuer);
    let narrower = Demands {
        clients: vec!["mailer".to_owned()],
        ..was.demands.clone()
    };
    let changed = Settings {
        demands: narrower,
        ..was.clone()
    };
    for (settings, is_known) in [(was.clone(), true), (changed, false), (was, true)] {
        stage.verifier = stage
            .verifier
            .renewed(vec![settings], &stage.dialer)
            .unwrap();
        assert_eq!(stage.verifier.knows(&grant), is_known);
    }
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_an_issuer_that_has_not_changed() {
    let mut stage = Stage::signed();
    let token = stage.token();
    let Verdict::Accepted(grant) = stage.verify(&token).await else {
        panic!("not accepted");
    };
    assert_eq!(
        grant.until,
        Timestamp::from_unix_millis((stage.now() + 48 * HOUR + 60) * 1000)
    );
    stage.provider.set_out(true);
    let url = format!("{}/.well-known/openid-configuration", stage.provider.url());
    let same = settings(Check::Jwt {
        issuer: stage.provider.url(),
        keys: KeySource::Discovered(Url::parse(&url).unwrap()),
    });
    stage.verifier = stage.verifier.renewed(vec![same], &stage.dialer).unwrap();
    assert!(stage.is_accepted(&token).await);
    assert!(stage.verifier.knows(&grant));
    stage.verifier = stage.verifier.renewed(Vec::new(), &stage.dialer).unwrap();
    assert!(!stage.verifier.knows(&grant), "it is no issuer any more");
}

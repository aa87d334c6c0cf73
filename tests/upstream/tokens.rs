//! `oauth::Tokens` against a strict token endpoint on loopback, in virtual time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::{Clock as _, ManualClock, SystemClock};
use posthouse::dns::SystemResolver;
use posthouse::http::{Client, Direct, Settings as HttpSettings, Trust};
use posthouse::oauth::{
    Audience, Authentication, CertificateKey, ClientCredentials, Grant, RefreshToken,
    ServiceAccount, Settings, Store, Stored, TokenError, TokenSource as _, Tokens,
};
use posthouse::secret::Secret;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use tokio::task::JoinSet;

use crate::token_server::{CLIENT_ID, Registration, SECRET, TokenServer};

struct Rig {
    server: TokenServer,
    clock: Arc<ManualClock>,
}

impl Rig {
    fn new(registration: Registration) -> Self {
        Self {
            server: TokenServer::start(registration),
            clock: Arc::new(ManualClock::new(SystemClock.now())),
        }
    }

    fn tokens(&self, url: &str, grant: Grant) -> Arc<Tokens> {
        let resolver = Arc::new(SystemResolver::new().unwrap());
        let dialer = Arc::new(Direct::new(resolver, None));
        let client = Client::new(&HttpSettings::default(), dialer).unwrap();
        let settings = Settings {
            token_url: url.parse().unwrap(),
            grant,
            trust: Trust::SystemRoots,
        };
        Arc::new(Tokens::new(settings, client, Arc::clone(&self.clock) as _))
    }

    fn by_secret(&self) -> Arc<Tokens> {
        let grant = credentials(Authentication::Post(secret(SECRET)));
        self.tokens(&self.server.microsoft_url(), grant)
    }

    fn by_refresh_token(&self, configured: Option<&str>, file: &Path) -> Arc<Tokens> {
        let grant = RefreshToken {
            client_id: CLIENT_ID.to_owned(),
            authentication: Authentication::Post(secret(SECRET)),
            scope: None,
            configured: configured.map(secret),
            file: file.to_owned(),
            login: None,
        };
        self.tokens(&self.server.token_url(), Grant::RefreshToken(grant))
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn credentials(authentication: Authentication) -> Grant {
    Grant::ClientCredentials(ClientCredentials {
        client_id: CLIENT_ID.to_owned(),
        authentication,
        audience: Audience {
            scope: Some("https://outlook.office365.com/.default".to_owned()),
            audience: None,
        },
    })
}

fn with_refresh_tokens(tokens: &[&str], rotates: bool) -> Registration {
    Registration {
        refresh_tokens: tokens.iter().map(|&token| token.to_owned()).collect(),
        rotates,
        ..Registration::default()
    }
}

async fn text(tokens: &Tokens) -> String {
    tokens.token().await.unwrap().expose().to_owned()
}

async fn unusable(tokens: &Tokens) -> String {
    match tokens.token().await {
        Err(TokenError::Unusable(text)) => text.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end() {
    let rig = Rig::new(Registration::default());
    let tokens = rig.by_secret();
    let first = text(&tokens).await;
    rig.advance(2600);
    assert_eq!(text(&tokens).await, first);
    assert_eq!(rig.server.token_requests(), 1);
    // At 10 minutes before its end it is certainly replaced, while it would still be good.
    rig.advance(400);
    assert_ne!(text(&tokens).await, first);
    assert_eq!(rig.server.token_requests(), 2);
}

#[tokio::test]
async fn while_a_token_is_good_a_broken_endpoint_does_not_matter() {
    let rig = Rig::new(Registration::default());
    let tokens = rig.by_secret();
    let first = text(&tokens).await;
    rig.server.change(|known| known.outage = Some((503, None)));
    rig.advance(3100);
    for _ in 0..10 {
        assert_eq!(text(&tokens).await, first);
    }
    assert_eq!(rig.server.token_requests(), 2, "the failure is remembered");
    rig.advance(440);
    assert!(
        tokens.token().await.is_err(),
        "in its last minute it is not used"
    );
}

#[tokio::test]
async fn however_many_ask_one_request_is_made() {
    let rig = Rig::new(Registration::default());
    let tokens = rig.by_secret();
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let tokens = Arc::clone(&tokens);
        asking.spawn(async move { text(&tokens).await });
    }
    let given: BTreeSet<_> = asking.join_all().await.into_iter().collect();
    assert_eq!(given.len(), 1);
    assert_eq!(rig.server.token_requests(), 1);
}

#[tokio::test]
async fn a_failure_is_remembered_by_all_who_wait_and_for_some_seconds() {
    let rig = Rig::new(Registration {
        outage: Some((500, None)),
        ..Registration::default()
    });
    let tokens = rig.by_secret();
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let tokens = Arc::clone(&tokens);
        asking.spawn(async move { tokens.token().await.is_err() });
    }
    assert!(asking.join_all().await.into_iter().all(|failed| failed));
    assert_eq!(rig.server.token_requests(), 1);
    rig.server.change(|known| known.outage = None);
    assert!(tokens.token().await.is_err());
    rig.advance(6);
    text(&tokens).await;
    assert_eq!(rig.server.token_requests(), 2);
}

#[tokio::test]
async fn a_pause_that_the_endpoint_asks_for_is_kept() {
    let rig = Rig::new(Registration {
        outage: Some((429, Some(120))),
        ..Registration::default()
    });
    let tokens = rig.by_secret();
    let pause = Some(Duration::from_mins(2));
    let limited = tokens.token().await.unwrap_err();
    assert!(matches!(limited, TokenError::Temporary { pause: told, .. } if told == pause));
    rig.advance(119);
    assert!(tokens.token().await.is_err());
    assert_eq!(rig.server.token_requests(), 1);
    rig.server.change(|known| known.outage = None);
    rig.advance(2);
    text(&tokens).await;
}

#[tokio::test]
async fn a_refused_token_is_replaced_but_not_a_young_one() {
    let rig = Rig::new(Registration::default());
    let tokens = rig.by_secret();
    let first = tokens.token().await.unwrap();
    tokens.reject(&first);
    assert_eq!(tokens.token().await.unwrap(), first, "it is new");
    rig.advance(60);
    tokens.reject(&first);
    let second = tokens.token().await.unwrap();
    assert_ne!(second, first);
    rig.advance(60);
    tokens.reject(&first);
    assert_eq!(
        tokens.token().await.unwrap(),
        second,
        "it is not about this one"
    );
    assert_eq!(rig.server.token_requests(), 2);
}

#[tokio::test]
async fn wrong_and_expired_secrets_are_told_apart() {
    let rig = Rig::new(Registration::default());
    let grant = credentials(Authentication::Post(secret("wrong")));
    let tokens = rig.tokens(&rig.server.microsoft_url(), grant);
    let told = unusable(&tokens).await;
    assert!(told.contains("AADSTS7000215"), "{told}");
    rig.server.change(|known| known.is_expired = true);
    let told = unusable(&rig.by_secret()).await;
    assert!(told.contains("AADSTS7000222"), "{told}");
    rig.server
        .change(|known| known.client_id = "other".to_owned());
    let told = unusable(&rig.by_secret()).await;
    assert!(told.contains("AADSTS700016"), "{told}");
}

#[tokio::test]
async fn a_certificate_proves_the_program() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = (certificate.pem(), key.serialize_pem());
    let pair = CertificateKey::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
    let rig = Rig::new(Registration {
        certificate: Some(certificate.der().to_vec()),
        lifetime: 20,
        ..Registration::default()
    });
    let grant = credentials(Authentication::Certificate(pair));
    let tokens = rig.tokens(&rig.server.microsoft_url(), grant);
    text(&tokens).await;
    rig.advance(20);
    // The server refuses an assertion that it has seen before.
    text(&tokens).await;
    assert_eq!(rig.server.token_requests(), 2);
    let other = CertificateParams::new(["other.example".to_owned()]).unwrap();
    let other = other.self_signed(&key).unwrap();
    rig.server
        .change(|known| known.certificate = Some(other.der().to_vec()));
    rig.advance(20);
    let told = unusable(&tokens).await;
    assert!(told.contains("AADSTS700027"), "{told}");
}

#[tokio::test]
async fn a_service_account_acts_for_mailboxes_of_its_domain() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(["google".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let email = "relay@project.iam.gserviceaccount.com";
    let rig = Rig::new(Registration {
        service_account: Some((
            email.to_owned(),
            certificate.der().to_vec(),
            vec!["shop@example.com".to_owned()],
        )),
        ..Registration::default()
    });
    let file = serde_json::json!({
        "type": "service_account",
        "client_email": email,
        "private_key_id": "k1",
        "private_key": key.serialize_pem(),
        "token_uri": rig.server.token_url(),
    });
    let account = ServiceAccount::from_json(&file.to_string()).unwrap();
    let acting_for = |mailbox: &str| Grant::ServiceAccount {
        account: account.clone(),
        mailbox: mailbox.to_owned(),
        scope: "https://mail.google.com/".to_owned(),
    };
    text(&rig.tokens(&rig.server.token_url(), acting_for("shop@example.com"))).await;
    let other = rig.tokens(&rig.server.token_url(), acting_for("boss@example.com"));
    let told = unusable(&other).await;
    assert!(told.contains("unauthorized_client"), "{told}");
}

#[tokio::test]
async fn a_secret_in_the_header_does_as_well() {
    let rig = Rig::new(Registration::default());
    let grant = credentials(Authentication::Basic(secret(SECRET)));
    text(&rig.tokens(&rig.server.token_url(), grant)).await;
    let seen = rig.server.seen();
    assert!(!seen[0].form.contains_key("client_secret"));
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_stored_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens/office.json");
    let rig = Rig::new(with_refresh_tokens(&["seed"], true));
    let tokens = rig.by_refresh_token(Some("seed"), &file);
    text(&tokens).await;
    rig.advance(3599);
    text(&tokens).await;
    let good: Vec<_> = rig.server.refresh_tokens().into_iter().collect();
    assert_eq!(good, ["seed++"]);
    let stored = Store::new(&file).load().unwrap().unwrap();
    assert_eq!(stored.token, secret("seed++"));
    text(&rig.by_refresh_token(Some("seed"), &file)).await;
    // What is configured anew counts again.
    rig.server
        .change(|known| known.refresh_tokens.extend(["another".to_owned()]));
    text(&rig.by_refresh_token(Some("another"), &file)).await;
    assert!(rig.server.refresh_tokens().contains("another+"));
}

#[tokio::test]
async fn a_permission_that_nobody_waits_for_any_more_is_stored_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens/office.json");
    let rig = Rig::new(with_refresh_tokens(&["seed"], true));
    let tokens = rig.by_refresh_token(Some("seed"), &file);
    let asking = Arc::clone(&tokens);
    let mut attempt = JoinSet::new();
    attempt.spawn(async move { asking.token().await.is_ok() });
    while rig.server.token_requests() == 0 {
        tokio::task::yield_now().await;
    }
    attempt.shutdown().await;
    // The next one waits for the request in progress instead of making another.
    text(&tokens).await;
    assert_eq!(rig.server.token_requests(), 1);
    let stored = Store::new(&file).load().unwrap().unwrap();
    assert_eq!(stored.token, secret("seed+"));
}

#[tokio::test]
async fn a_new_login_is_taken_at_once_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens/office.json");
    let rig = Rig::new(with_refresh_tokens(&["new"], false));
    let tokens = rig.by_refresh_token(None, &file);
    let told = unusable(&tokens).await;
    assert!(told.contains("posthouse upstream login"), "{told}");
    let store = Store::new(&file);
    store
        .save(&Stored::by_login(secret("old"), CLIENT_ID))
        .unwrap();
    let told = unusable(&tokens).await;
    assert!(told.contains("AADSTS700082"), "{told}");
    store
        .save(&Stored::by_login(secret("new"), CLIENT_ID))
        .unwrap();
    text(&tokens).await;
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_stored_is_used_all_the_same() {
    // No folder can be made there, whoever asks.
    let nowhere = Path::new("/proc/self/nowhere/office.json");
    let rig = Rig::new(with_refresh_tokens(&["seed"], true));
    let tokens = rig.by_refresh_token(Some("seed"), nowhere);
    for expected in ["seed+", "seed++", "seed+++"] {
        text(&tokens).await;
        let good: Vec<_> = rig.server.refresh_tokens().into_iter().collect();
        assert_eq!(good, [expected]);
        rig.advance(3599);
    }
}

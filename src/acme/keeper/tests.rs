use std::path::Path;
use std::sync::atomic::AtomicUsize;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpStream;
use url::Url;

use super::*;
use crate::acme::store::keep_certificate;
use crate::acme::{Challenge, KeyKind};
use crate::clock::ManualClock;
use crate::dial::DialError;
use crate::http::Trust;
use crate::secret::Secret;

/// 2026-11-25.
const NOW: Timestamp = Timestamp::from_unix_millis(1_795_600_000_000);

/// An authority that is down.
#[derive(Default)]
struct Down {
    asked: AtomicUsize,
}

#[async_trait]
impl Dial for Down {
    async fn dial(&self, _: &str, _: u16, _: Duration) -> Result<TcpStream, DialError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Err(DialError::Unreachable("down".into()))
    }
}

/// Puts certificates in force after so many failures.
struct Installer {
    failures: AtomicUsize,
    tries: AtomicUsize,
    done: CancellationToken,
}

impl Installer {
    fn after(failures: usize) -> Self {
        Self {
            failures: AtomicUsize::new(failures),
            tries: AtomicUsize::new(0),
            done: CancellationToken::new(),
        }
    }
}

#[async_trait]
impl Install for Installer {
    async fn install(&self) -> Result<(), NotInstalled> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        let left = self.failures.load(Ordering::Relaxed);
        if let Some(fewer) = left.checked_sub(1) {
            self.failures.store(fewer, Ordering::Relaxed);
            return Err(NotInstalled);
        }
        self.done.cancel();
        Ok(())
    }

    fn failed(&self, _: &Holding) {}
}

fn settings(folder: &Path) -> Settings {
    Settings {
        directory: Url::parse("https://ca.example/directory").unwrap(),
        trust: Trust::Fingerprint([0; 32]),
        contact: Vec::new(),
        binding: None,
        challenge: Challenge::Http01 {
            addresses: Vec::new(),
        },
        renew_before: Duration::from_hours(30 * 24),
        key: KeyKind::EcdsaP256,
        folder: folder.to_owned(),
        certificates: vec![vec!["relay.example.com".to_owned()]],
    }
}

#[tokio::test]
async fn a_process_that_is_started_again_and_again_does_not_ask_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, down) = (Arc::new(ManualClock::new(NOW)), Arc::new(Down::default()));
    let mut due = Vec::new();
    for _ in 0..5 {
        let dialer: Arc<dyn Dial> = Arc::<Down>::clone(&down);
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let keeper = Keeper::new(Some(settings(folder.path())), dialer, clock);
        due.push(keeper.look(&Installer::after(0)).await);
        let holdings = keeper.holdings();
        assert_eq!(holdings[0].failures, 1);
        assert!(holdings[0].last_error.as_ref().unwrap().contains("down"));
    }
    assert_eq!(down.asked.load(Ordering::Relaxed), 1);
    assert_eq!(due, [NOW.after(Duration::from_mins(1)); 5]);
    clock.advance(Duration::from_mins(1));
    let dialer: Arc<dyn Dial> = Arc::<Down>::clone(&down);
    let keeper = Keeper::new(Some(settings(folder.path())), dialer, clock);
    assert_eq!(
        keeper.look(&Installer::after(0)).await,
        NOW.after(Duration::from_mins(6))
    );
    assert_eq!(down.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn a_certificate_can_be_wanted_before_anybody_has_looked_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let keeper = Keeper::new(
        Some(settings(folder.path())),
        Arc::new(Down::default()),
        clock,
    );
    keeper.renew(None).unwrap();
    let file = certificate_file(
        &settings(folder.path()).folder,
        &settings(folder.path()).certificates[0],
    );
    assert!(lock(&keeper.wanted).contains(&file));
    assert!(keeper.renew(Some("elsewhere.example")).is_err());
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the time is virtual")]
async fn what_could_not_be_put_in_force_is_put_in_force_later() {
    let clock = Arc::new(ManualClock::new(NOW));
    let keeper = Keeper::new(None, Arc::new(Down::default()), clock);
    let installer = Installer::after(3);
    keeper.put_in_force(&installer).await;
    let begin = tokio::time::Instant::now();
    keeper.run(&installer, installer.done.clone()).await;
    assert_eq!(installer.tries.load(Ordering::Relaxed), 4);
    assert!(
        begin.elapsed() >= 2 * INSTALL_AGAIN,
        "{:?}",
        begin.elapsed()
    );
    // Once it has been, there is nothing to be done.
    assert!(!keeper.is_owed.load(Ordering::Relaxed));
}

/// Keeps a certificate that is valid up to this year, and returns when the next one is got after it was.
fn next_after(year: i32) -> Timestamp {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let names = &settings.certificates[0];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    let chain = params.self_signed(&key).unwrap().pem();
    let file = certificate_file(&settings.folder, names);
    let key = Secret::new(key.serialize_pem());
    keep_certificate(&file, &settings.directory, &key, &chain).unwrap();
    let mut state = State::read(&settings, names);
    state.conclude(&settings, &Ok(()), None, NOW);
    state.plan(&settings, NOW);
    state.due
}

#[test]
fn a_certificate_that_is_to_be_renewed_at_once_is_not_ordered_for_ever() {
    assert_eq!(next_after(2025), NOW.after(Duration::from_hours(6)));
    assert!(next_after(2040) > NOW.after(Duration::from_hours(4000 * 24)));
}

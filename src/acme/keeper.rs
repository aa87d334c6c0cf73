//! The task that looks after all certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use instant_acme::Account;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::account;
use super::answers::Answers;
use super::error::AcmeError;
use super::order::Job;
use super::plan;
use super::settings::Settings;
use super::store::{Held, Record, certificate_file, record_file};
use super::transport::{Patience, Transport};
use crate::clock::{Clock, Timestamp};
use crate::http::{self, Client, Dial};
use crate::telemetry::{chain, printable};
use crate::tls::client::PeerCertificate;

/// For everything that one certificate needs; the operator's program has its own limit besides.
const LIMIT: Duration = Duration::from_mins(15);

/// How often an order is gone on with where the authority calls a nonce bad (RFC 8555 §6.5).
const STEPS_AGAIN: u32 = 8;

/// How long is slept at most: the clock may be set, and a suspended machine wake up.
const LONGEST_SLEEP: Duration = Duration::from_mins(30);

/// How long is waited before certificates are put in force again that could not be.
const INSTALL_AGAIN: Duration = Duration::from_mins(5);

/// Puts a new certificate in force.
#[async_trait]
pub trait Install: Send + Sync {
    /// Reads all certificates again and shows them from the next handshake on.
    ///
    /// # Errors
    /// [`NotInstalled`]: the old ones are shown; it is tried again.
    async fn install(&self) -> Result<(), NotInstalled>;

    /// Is told when a certificate could not be got or renewed for the `failures`th time in a row.
    fn failed(&self, holding: &Holding);
}

/// New certificates are not in force. Whoever says so has told people why.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("new certificates are not in force")]
pub struct NotInstalled;

/// A certificate that is looked after.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Its names.
    pub names: Vec<String>,
    /// The file it is kept in.
    pub file: PathBuf,
    /// What is there; `None` where there is none yet.
    pub own: Option<PeerCertificate>,
    /// When it is tried to get or renew it.
    pub next: Timestamp,
    /// How often in a row that has failed.
    pub failures: u32,
    /// Why it has failed last.
    pub last_error: Option<String>,
}

/// No certificate is for this name.
#[derive(Debug, thiserror::Error)]
#[error("no certificate that is got by ACME is for `{0}`")]
pub struct UnknownName(pub String);

/// Looks after certificates. Knows none until it is told.
pub struct Keeper {
    clock: Arc<dyn Clock>,
    dialer: Arc<dyn Dial>,
    answers: Answers,
    settings: Mutex<Option<Arc<Settings>>>,
    holdings: Mutex<BTreeMap<PathBuf, Holding>>,
    /// The files of certificates that somebody wants at once.
    wanted: Mutex<BTreeSet<PathBuf>>,
    changed: Notify,
    /// Whether what is on the disk has to be put in force.
    is_owed: AtomicBool,
}

impl Keeper {
    /// Makes one. Does nothing until it runs.
    pub fn new(settings: Option<Settings>, dialer: Arc<dyn Dial>, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            dialer,
            answers: Answers::default(),
            settings: Mutex::new(settings.map(Arc::new)),
            holdings: Mutex::default(),
            wanted: Mutex::default(),
            changed: Notify::new(),
            is_owed: AtomicBool::new(false),
        }
    }

    /// Returns what is shown to the authority.
    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Looks after other certificates from now on. An attempt that runs ends first.
    pub fn replace(&self, settings: Option<Settings>) {
        *lock(&self.settings) = settings.map(Arc::new);
        self.changed.notify_one();
    }

    /// Returns the certificates that are looked after.
    pub fn holdings(&self) -> Vec<Holding> {
        lock(&self.holdings).values().cloned().collect()
    }

    /// Lets the certificates with this name, or all, be renewed at once, as far as the bound on orders allows it.
    ///
    /// # Errors
    /// [`UnknownName`]; without a name where there is no certificate at all.
    pub fn renew(&self, name: Option<&str>) -> Result<(), UnknownName> {
        let is_meant = |names: &[String]| {
            name.is_none_or(|name| names.iter().any(|own| own.eq_ignore_ascii_case(name)))
        };
        // Those of the settings: what it holds is known only once it has looked.
        let settings = lock(&self.settings).clone();
        let meant: Vec<_> = settings
            .iter()
            .flat_map(|settings| {
                let meant = settings.certificates.iter().filter(|names| is_meant(names));
                meant.map(|names| certificate_file(&settings.folder, names))
            })
            .collect();
        if meant.is_empty() {
            return Err(UnknownName(name.unwrap_or("any name").to_owned()));
        }
        lock(&self.wanted).extend(meant);
        self.changed.notify_one();
        Ok(())
    }

    /// Gets and renews certificates until it is told to stop. An attempt that runs then is left, and gone on with after
    /// the next start.
    pub async fn run(&self, install: &dyn Install, stop: CancellationToken) {
        let looking = async {
            loop {
                if self.is_owed.load(Ordering::Relaxed) {
                    self.put_in_force(install).await;
                }
                let next = self.look(install).await;
                let now = self.clock.now();
                let longest = if self.is_owed.load(Ordering::Relaxed) {
                    INSTALL_AGAIN
                } else {
                    LONGEST_SLEEP
                };
                let sleep = next.since(now).min(longest);
                // What is due keeps no processor busy, whatever the files say.
                let sleep = sleep.max(Duration::from_millis(200));
                let _woken = timeout(sleep, self.changed.notified()).await;
            }
        };
        tokio::select! {
            () = looking => {}
            () = stop.cancelled() => {}
        }
    }

    /// Looks at all certificates, and gets those that are due; returns when the next one is.
    async fn look(&self, install: &dyn Install) -> Timestamp {
        let settings = lock(&self.settings).clone();
        let Some(settings) = settings else {
            lock(&self.holdings).clear();
            return Timestamp::MAX;
        };
        let files = settings.certificates.iter();
        let files: BTreeSet<_> = files
            .map(|names| certificate_file(&settings.folder, names))
            .collect();
        lock(&self.holdings).retain(|file, _| files.contains(file));
        let mut next = Timestamp::MAX;
        // All are shown before the first is waited for.
        let mut states = Vec::new();
        for names in &settings.certificates {
            states.push(self.state(&settings, names));
        }
        for mut state in states {
            if state.due <= self.clock.now() {
                self.attempt(&settings, &mut state, install).await;
            }
            next = next.min(state.due);
        }
        next
    }

    async fn put_in_force(&self, install: &dyn Install) {
        let installed = install.install().await;
        self.is_owed.store(installed.is_err(), Ordering::Relaxed);
    }

    /// Reads what is known of a certificate, and tells it on.
    fn state<'a>(&self, settings: &Settings, names: &'a [String]) -> State<'a> {
        let mut state = State::read(settings, names);
        state.is_wanted = lock(&self.wanted).contains(&state.file);
        state.plan(settings, self.clock.now());
        self.publish(&state);
        state
    }

    fn publish(&self, state: &State<'_>) {
        lock(&self.holdings).insert(state.file.clone(), state.holding());
    }

    async fn attempt(&self, settings: &Settings, state: &mut State<'_>, install: &dyn Install) {
        let now = self.clock.now();
        let patience = Patience::default();
        lock(&self.wanted).remove(&state.file);
        let names = state.names.join(", ");
        tracing::info!(names, directory = %settings.directory, "getting a certificate");
        state.record.orders = plan::recent(&state.record.orders, now).collect();
        state.record.tried = Some(now);
        let obtained = timeout(LIMIT, self.obtain(settings, state, &patience)).await;
        let obtained = obtained.unwrap_or(Err(AcmeError::Timeout { limit: LIMIT }));
        let now = self.clock.now();
        let asked = *lock(&patience);
        state.conclude(settings, &obtained, asked, now);
        if let Err(error) = state.record.write(&state.record_file, &settings.directory) {
            tracing::error!(error = chain(&error), "state of an order cannot be written");
        }
        state.plan(settings, now);
        self.publish(state);
        let holding = state.holding();
        if obtained.is_ok() {
            let ends = holding.own.as_ref().map(|own| own.not_after.to_second());
            tracing::info!(names, ends, "certificate got");
            self.put_in_force(install).await;
        } else {
            let error = holding.last_error.as_deref();
            let (failures, next) = (holding.failures, holding.next.to_second());
            tracing::error!(
                names,
                error,
                failures,
                next,
                "no certificate; it is tried again"
            );
            install.failed(&holding);
        }
    }

    async fn obtain(
        &self,
        settings: &Settings,
        state: &mut State<'_>,
        patience: &Patience,
    ) -> Result<(), AcmeError> {
        let client = http::Settings {
            trust: settings.trust.clone(),
            ..http::Settings::default()
        };
        let client = Client::new(&client, Arc::clone(&self.dialer))?;
        let account = self.account(settings, &client, patience).await?;
        let job = Job {
            settings,
            names: state.names,
            answers: &self.answers,
            file: &state.file,
            record_file: &state.record_file,
        };
        let now = self.clock.now();
        let obtained = patiently(&job, &account, &mut state.record, now).await;
        let is_forgotten = |error: &AcmeError| error.is_problem("accountDoesNotExist");
        if !obtained.as_ref().is_err_and(is_forgotten) {
            return obtained;
        }
        // An authority for trials forgets; the key is told to it again.
        tracing::warn!(directory = %settings.directory, "the authority does not know the account any more");
        account::forget(settings)?;
        let account = self.account(settings, &client, patience).await?;
        patiently(&job, &account, &mut state.record, now).await
    }

    async fn account(
        &self,
        settings: &Settings,
        client: &Client,
        patience: &Patience,
    ) -> Result<Account, AcmeError> {
        let transport = || {
            Account::builder_with_http(Box::new(Transport {
                client: client.clone(),
                clock: Arc::clone(&self.clock),
                patience: Arc::clone(patience),
            }))
        };
        for _ in 1..STEPS_AGAIN {
            let account = account::open(settings, transport).await;
            if !account
                .as_ref()
                .is_err_and(|error| error.is_problem("badNonce"))
            {
                return account;
            }
        }
        account::open(settings, transport).await
    }
}

/// Reads what is kept of the certificates of a server that does not run. Blocks on the disk.
pub fn holdings(settings: &Settings, now: Timestamp) -> Vec<Holding> {
    let certificates = settings.certificates.iter();
    let holding = |names: &Vec<String>| {
        let mut state = State::read(settings, names);
        state.plan(settings, now);
        state.holding()
    };
    certificates.map(holding).collect()
}

/// Goes on where the authority has only wanted a step to be done again, more often than the protocol library does.
async fn patiently(
    job: &Job<'_>,
    account: &Account,
    record: &mut Record,
    now: Timestamp,
) -> Result<(), AcmeError> {
    for _ in 1..STEPS_AGAIN {
        let obtained = job.obtain(account, record, now).await;
        if !obtained
            .as_ref()
            .is_err_and(|error| error.is_problem("badNonce"))
        {
            return obtained;
        }
    }
    job.obtain(account, record, now).await
}

/// A certificate, and what is known of it.
struct State<'a> {
    names: &'a [String],
    file: PathBuf,
    record_file: PathBuf,
    held: Option<Held>,
    record: Record,
    is_wanted: bool,
    due: Timestamp,
}

impl<'a> State<'a> {
    fn read(settings: &Settings, names: &'a [String]) -> Self {
        let file = certificate_file(&settings.folder, names);
        let record_file = record_file(&settings.folder, names);
        let held = Held::read(&file, &settings.directory).unwrap_or_else(|error| {
            tracing::error!(error = chain(&error), "certificate cannot be read");
            None
        });
        let record = Record::read(&record_file, &settings.directory).unwrap_or_else(|error| {
            let error = chain(&error);
            tracing::error!(error, "state of an order cannot be read; it begins anew");
            Record::default()
        });
        Self {
            names,
            file,
            record_file,
            held,
            record,
            is_wanted: false,
            due: Timestamp::MAX,
        }
    }

    /// Takes in what came of an attempt. `asked` is for how long the authority wants to be left alone.
    fn conclude(
        &mut self,
        settings: &Settings,
        obtained: &Result<(), AcmeError>,
        asked: Option<Duration>,
        now: Timestamp,
    ) {
        self.is_wanted = false;
        let Err(error) = obtained else {
            self.held = Held::read(&self.file, &settings.directory).ok().flatten();
            self.record.failures = 0;
            self.record.last_error = None;
            // One that is to be renewed at once, as by a clock that is wrong, must not be ordered for ever.
            let is_of_use = self
                .held
                .as_ref()
                .is_some_and(|held| plan::renewal(held.validity(), settings.renew_before) > now);
            let pause = plan::pause(u32::MAX, None);
            self.record.not_before = (!is_of_use).then(|| now.after(pause));
            return;
        };
        self.record.failures = self.record.failures.saturating_add(1);
        let pause = plan::pause(self.record.failures, asked);
        self.record.not_before = Some(now.after(pause));
        self.record.last_error = Some(printable(&chain(error)).into());
    }

    /// Decides when something is tried.
    fn plan(&mut self, settings: &Settings, now: Timestamp) {
        let of_directory = self.held.as_ref().filter(|held| held.is_of_directory);
        let due = match of_directory {
            Some(held) if !self.is_wanted => plan::renewal(held.validity(), settings.renew_before),
            Some(_) | None => now,
        };
        let Record {
            tried, not_before, ..
        } = self.record;
        let paused = plan::paused_until(tried, not_before, now).filter(|_| !self.is_wanted);
        let due = due.max(paused.unwrap_or_default());
        self.due = if self.record.order.is_some() {
            due
        } else {
            let at = due.max(now);
            let allowed = plan::order_allowed(&self.record.orders, at);
            due.max(if allowed == at { due } else { allowed })
        };
    }

    fn holding(&self) -> Holding {
        Holding {
            names: self.names.to_vec(),
            file: self.file.clone(),
            own: self.held.as_ref().map(|held| held.own.clone()),
            next: self.due,
            failures: self.record.failures,
            last_error: self.record.last_error.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

//! Finds the policies of domains, keeps them, and keeps them fresh.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::cache::{Cache, Entry};
use super::policy::{Mode, Policy, PolicyError, announced_id};
use super::store;
use crate::clock::Clock;
use crate::dns::Resolver;
use crate::http::{self, Client, Dial, HttpError, Request};
use crate::telemetry;
use crate::tls::client::ClientTlsError;

/// Where policies come from.
#[derive(Clone)]
pub struct Source {
    /// Who knows the TXT records.
    pub resolver: Arc<dyn Resolver>,
    /// Who opens connections to the servers of policies.
    pub dialer: Arc<dyn Dial>,
    /// How their certificates are judged.
    pub trust: http::Trust,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Source {
    /// Makes one that connects directly, and trusts whom the operating system trusts.
    pub fn direct(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dialer: Arc::new(http::Direct::new(Arc::clone(&resolver), None)),
            resolver,
            trust: http::Trust::SystemRoots,
            clock,
        }
    }
}

/// The policies of domains. Shared by all upstreams, so that each is fetched once.
pub struct Policies {
    source: Source,
    /// Made when it is needed: most configurations need none.
    client: OnceLock<Client>,
    path: Option<PathBuf>,
    /// One writes the file at a time.
    writing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cache: Cache,
    /// The domains that were asked for since the start.
    used: HashSet<Box<str>>,
    /// What could not be fetched, and when that was tried.
    failed: HashMap<Box<str>, (Box<str>, Instant)>,
    /// One fetches for a domain while others wait.
    turns: HashMap<Box<str>, Arc<tokio::sync::Mutex<()>>>,
}

/// Why a policy was not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the server of the policy answers {0}")]
    Status(u16),
    #[error("the answer is no plain text")]
    Type,
    #[error("the policy is not understood")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Tls(#[from] ClientTlsError),
    #[error("the domain makes no address of the web")]
    Address,
}

/// How long the server of a policy has (RFC 8461 §3.3 suggests a minute).
const LIMIT: Duration = Duration::from_mins(1);

/// The largest policy, in octets (RFC 8461 §3.3 suggests 64 kB).
const LARGEST: usize = 64 << 10;

/// How long a policy that could not be fetched is not asked for again.
const PAUSE: Duration = Duration::from_mins(5);

/// How often is looked for policies that should be fetched anew.
const ROUND: Duration = Duration::from_mins(15);

impl Policies {
    /// Makes an empty memory of policies that asks as [`Source::direct`] does, for one look at an upstream.
    pub fn direct(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self::new(Source::direct(resolver, clock)))
    }

    /// Makes an empty memory of policies.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            client: OnceLock::new(),
            path: None,
            writing: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Makes one that keeps what it knows in a file, and begins with what is there. Blocks on the disk.
    ///
    /// A file that cannot be used is told of in the log and written anew.
    pub fn kept_in(source: Source, path: PathBuf) -> Self {
        let cache = store::load(&path).unwrap_or_else(|error| {
            let (path, error) = (path.display(), telemetry::chain(&error));
            tracing::warn!(%path, error, "policies of domains are lost (MTA-STS)");
            Cache::default()
        });
        Self {
            path: Some(path),
            state: Mutex::new(State {
                cache,
                ..State::default()
            }),
            ..Self::new(source)
        }
    }

    /// Returns the policy of a domain, if it has one. Asks DNS each time, which remembers the answer, and HTTPS where
    /// the policy is not known or has changed: that may take a minute.
    ///
    /// What cannot be asked for changes nothing: a policy that is known counts until its time is over, one that is not
    /// is as good as none (RFC 8461 §3.3).
    pub async fn find(&self, domain: &str) -> Option<Arc<Policy>> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        self.state().used.insert(domain.as_str().into());
        let known = self.known(&domain);
        let announced = self.announced(&domain).await;
        let entry = match (known, announced) {
            (Some(entry), Some(id)) if entry.id == id => Some(entry),
            (known, Some(id)) => self.fetch(&domain, &id).await.or(known),
            (known, None) => known,
        };
        let policy = entry?.policy;
        match policy.mode {
            Mode::Enforce | Mode::Testing => Some(policy),
            Mode::None => None,
        }
    }

    /// Fetches policies anew before their time is over, until it is stopped.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        let pause = || tokio::time::sleep(ROUND);
        while stop.run_until_cancelled(pause()).await.is_some() {
            if stop.run_until_cancelled(self.refresh()).await.is_none() {
                return;
            }
        }
    }

    /// Fetches anew what is due, of the domains that are used.
    pub async fn refresh(&self) {
        let now = self.source.clock.now();
        let due = {
            let state = self.state();
            let mut due = state.cache.due(now);
            due.retain(|(domain, _)| state.used.contains(domain));
            due
        };
        for (domain, id) in due {
            let id = self.announced(&domain).await.unwrap_or(id);
            self.fetch(&domain, &id).await;
        }
    }

    fn known(&self, domain: &str) -> Option<Entry> {
        let now = self.source.clock.now();
        self.state().cache.find(domain, now).cloned()
    }

    async fn announced(&self, domain: &str) -> Option<Box<str>> {
        let name = format!("_mta-sts.{domain}");
        let found = self.source.resolver.texts(&name).await.ok()?;
        announced_id(&found).map(Into::into)
    }

    /// Fetches a policy, unless another has just done so, or has just failed.
    async fn fetch(&self, domain: &str, id: &str) -> Option<Entry> {
        let turn = Arc::clone(self.state().turns.entry(domain.into()).or_default());
        let _turn = turn.lock().await;
        let (now, instant) = (self.source.clock.now(), self.source.clock.instant());
        {
            let state = self.state();
            let known = state.cache.find(domain, now);
            if let Some(entry) = known.filter(|entry| *entry.id == *id && !entry.is_due(now)) {
                return Some(entry.clone());
            }
            let failed = state.failed.get(domain);
            let is_early = |(tried, at): &(Box<str>, Instant)| {
                **tried == *id && instant.saturating_duration_since(*at) < PAUSE
            };
            if failed.is_some_and(is_early) {
                return None;
            }
        }
        match self.ask(domain).await {
            Ok(policy) => {
                let entry = Entry {
                    policy: Arc::new(policy),
                    id: id.into(),
                    fetched: now,
                };
                tracing::info!(
                    domain,
                    mode = entry.policy.mode.word(),
                    "policy of a domain fetched (MTA-STS)"
                );
                self.put(domain, &entry).await;
                Some(entry)
            }
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::warn!(domain, error, "policy of a domain not fetched (MTA-STS)");
                self.state()
                    .failed
                    .insert(domain.into(), (id.into(), instant));
                None
            }
        }
    }

    async fn ask(&self, domain: &str) -> Result<Policy, FetchError> {
        let address = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt");
        let url = Url::parse(&address).map_err(|_| FetchError::Address)?;
        let answer = self.client()?.send(Request::get(url), LIMIT).await?;
        // RFC 8461 §3.3: nothing but 200, and no redirect is followed.
        if answer.status != 200 {
            return Err(FetchError::Status(answer.status));
        }
        let kind = answer.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("text/plain") {
            return Err(FetchError::Type);
        }
        Ok(Policy::parse(&answer.body)?)
    }

    fn client(&self) -> Result<&Client, ClientTlsError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = http::Settings {
            trust: self.source.trust.clone(),
            idle_connections: 0,
            largest_answer: LARGEST,
            ..http::Settings::default()
        };
        let made = Client::new(&settings, Arc::clone(&self.source.dialer))?;
        Ok(self.client.get_or_init(|| made))
    }

    /// Remembers a policy, on the disk too.
    async fn put(&self, domain: &str, entry: &Entry) {
        {
            let mut state = self.state();
            state.cache.put(domain, entry.clone());
            state.failed.remove(domain);
        }
        let Some(path) = self.path.clone() else {
            return;
        };
        let _writing = self.writing.lock().await;
        let cache = self.state().cache.clone();
        let written = tokio::task::spawn_blocking(move || store::write(&cache, &path)).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            let error = telemetry::chain(&error);
            tracing::warn!(error, "policies of domains not written (MTA-STS)");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The answer to a login.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::account::{Accounts, Challenge};
use super::cache::{Cache, Digest};
use super::decoys::Decoys;
use super::evidence::Evidence;
use super::password::PasswordHash;
use super::pool::{Pool, Refused, Turn};
use super::scram::ScramVerifier;
use super::throttle::{Block, Failure, Leave, Moment, Throttle, ThrottleSettings};
use super::uses::{Use, Uses};
use crate::clock::Clock;
use crate::durable;
use crate::identity::{Identity, folded};
use crate::secret::Secret;

/// Bounds of the authenticator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Threads that hash. Each uses 19 MiB while it works.
    pub threads: usize,
    /// Checks that may wait. More are answered [`Verdict::Unavailable`].
    pub queue: usize,
    /// Successes that are remembered.
    pub remembered: usize,
    /// How long a success is remembered.
    pub remember_for: Duration,
}

impl Default for Settings {
    /// A thread for every second processor, so that logins leave room for mail; 1024 waiting; 20,000 successes for
    /// 5 minutes.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism()
                .map_or(1, NonZeroUsize::get)
                .div_ceil(2),
            queue: 1024,
            remembered: 20_000,
            remember_for: Duration::from_mins(5),
        }
    }
}

/// What became of a login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The password is right.
    Accepted {
        /// Who the client is.
        identity: Identity,
        /// What it has matched; see [`Accounts::still_trusts`].
        evidence: Evidence,
    },
    /// There were too many failures; the password was not looked at.
    Throttled {
        /// When the next try will be allowed.
        retry_after: Duration,
    },
    /// The check could not be made: too many wait, or memory is short. The client may try again.
    Unavailable,
    /// The name is unknown or inactive, or the password wrong; which of them is not told.
    WrongPassword {
        /// How long the answer is to be held back, growing with the failures.
        delay: Duration,
        /// Whose logins are refused from now on, where that is news.
        blocks: Vec<Block>,
    },
}

/// Why an authenticator could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorError {
    /// The system gives no random octets.
    #[error("cannot read random octets for the cache of logins")]
    Random(#[source] getrandom::Error),
    /// The system starts no thread.
    #[error("cannot start a thread for checking passwords")]
    Thread(#[source] io::Error),
}

/// Checks passwords. One for the whole process; shared by all sessions.
pub struct Authenticator {
    accounts: RwLock<Arc<Accounts>>,
    cache: Cache,
    clock: Arc<dyn Clock>,
    flights: Mutex<HashMap<Digest, Arc<OnceCell<bool>>>>,
    pool: Pool,
    throttle: Throttle,
    uses: Arc<Uses>,
    decoys: Decoys,
}

/// The file in the data directory of who has logged in from where.
pub const CLIENTS_FILE: &str = "known-clients";

/// The largest such file that is read, in octets: as many as can be known, with the longest names.
const MAX_KNOWN: u64 = 64 << 20;

impl Authenticator {
    /// Starts the threads and makes the key of the cache.
    ///
    /// # Errors
    /// [`AuthenticatorError`] where the system gives no thread or no random octets.
    pub fn new(
        settings: Settings,
        accounts: Accounts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthenticatorError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(AuthenticatorError::Random)?;
        let decoys = Decoys::random().map_err(AuthenticatorError::Random)?;
        let pool =
            Pool::start(settings.threads, settings.queue).map_err(AuthenticatorError::Thread)?;
        Ok(Self {
            accounts: RwLock::new(Arc::new(accounts)),
            cache: Cache::new(&key, settings.remembered, settings.remember_for),
            clock,
            flights: Mutex::default(),
            pool,
            throttle: Throttle::new(),
            uses: Arc::default(),
            decoys,
        })
    }

    /// Sets when application passwords were used last before this process began.
    #[must_use]
    pub fn with_uses(mut self, uses: Uses) -> Self {
        self.uses = Arc::new(uses);
        self
    }

    /// Sets what SCRAM shows of names that nobody can log in with. Without it that is another thing in each process.
    #[must_use]
    pub fn with_decoys(mut self, decoys: Decoys) -> Self {
        self.decoys = decoys;
        self
    }

    /// Returns when application passwords were used last.
    pub fn uses(&self) -> Arc<Uses> {
        Arc::clone(&self.uses)
    }

    /// Takes up from a file who had logged in from where when the process before ended; nobody where there is none. After the
    /// settings of the throttle, since they say what a network is. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read, or is none of ours.
    pub fn recall_clients(&self, file: &Path) -> io::Result<()> {
        let text = durable::read(file, MAX_KNOWN)?;
        text.map_or(Ok(()), |text| self.throttle.recall(&text, self.moment()))
    }

    /// Writes who has logged in from where, where that has changed, and puts it in the place of the file before. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// The disk's. The next call tries again.
    pub fn write_clients(&self, file: &Path) -> io::Result<()> {
        let Some(text) = self.throttle.known_text(self.moment()) else {
            return Ok(());
        };
        let written = durable::replace(file, text.as_bytes());
        if written.is_err() {
            self.throttle.known_not_written();
        }
        written
    }

    fn moment(&self) -> Moment {
        Moment {
            instant: self.clock.instant(),
            civil: self.clock.now(),
        }
    }

    /// Puts other settings of the throttle in force. What is known of failures stays.
    pub fn set_throttle(&self, settings: ThrottleSettings) {
        self.throttle.set(settings);
    }

    /// Returns whether somebody has logged in from the network of this address within a week, or an account is known by it: in
    /// a crowd, such clients come before those of whom nothing is known.
    pub fn is_familiar(&self, peer: IpAddr) -> bool {
        self.accounts().of_network(peer).is_some()
            || self.throttle.is_familiar(peer, self.clock.instant())
    }

    /// Returns whose logins are refused now.
    pub fn blocks(&self) -> Vec<Block> {
        self.throttle.blocks(self.clock.instant())
    }

    /// Forgets the failures of an account; returns how many blocks have ended.
    pub fn release_account(&self, name: &str) -> usize {
        self.throttle
            .release_account(self.accounts().own_name(name))
    }

    /// Forgets the failures of the network with this address; returns how many blocks have ended.
    pub fn release_address(&self, address: IpAddr) -> usize {
        self.throttle.release_address(address)
    }

    /// Returns the accounts as they are now.
    pub fn accounts(&self) -> Arc<Accounts> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&accounts)
    }

    /// Puts another set of accounts in place. Logins that are remembered stay valid where neither name nor hash
    /// has changed; what is known of failures stays.
    pub fn replace_accounts(&self, accounts: Accounts) {
        self.uses.retain(&accounts);
        let mut current = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(accounts);
    }

    /// Checks a name and a password for a client at `peer`.
    ///
    /// Takes 12 to 30 ms of CPU on another thread, but none for a login that succeeded lately. An unknown name, an
    /// inactive account, one without a password and a wrong password cost the same: one hash, however many application
    /// passwords there are. Twice that costs a wrong one whose first five letters are those of an application password: who
    /// guesses them, of 33 million, knows 25 of its 100 bits. Logins that are the same and come at once are checked once.
    /// Cancel safe: a login that is given up counts neither as a success nor as a failure.
    pub async fn verify(&self, name: &str, password: &Secret, peer: IpAddr) -> Verdict {
        let accounts = self.accounts();
        let leave = match self.leave((&accounts, name), peer) {
            Ok(leave) => leave,
            Err(retry_after) => return Verdict::Throttled { retry_after },
        };
        let name = accounts.own_name(name);
        let (now, chance) = (self.clock.now(), self.decoys.chance(name));
        let challenge = accounts.challenge(name, password, now, chance);
        let found = self
            .compare((name, password), challenge, leave.turn())
            .await;
        let now = self.clock.instant();
        match found {
            Ok(Some((identity, evidence))) => {
                leave.succeeded(now);
                self.note_use(&identity, &evidence, peer);
                Verdict::Accepted { identity, evidence }
            }
            Ok(None) => {
                let Failure { delay, blocks } = leave.failed(now);
                Verdict::WrongPassword { delay, blocks }
            }
            Err(Refused::Failed | Refused::Full) => Verdict::Unavailable,
        }
    }

    /// Returns what a client at `peer` must prove that it knows the password of. For a name that cannot log in this is
    /// what no password fits, the same each time; see [`Decoys`].
    ///
    /// # Errors
    /// The time until a login will be allowed.
    pub fn scram(&self, name: &str, peer: IpAddr) -> Result<ScramVerifier, Duration> {
        let accounts = self.accounts();
        drop(self.leave((&accounts, name), peer)?);
        // Made for every name, so that none takes longer.
        let decoy = self.decoys.verifier(name, accounts.usual_iterations());
        let known = accounts.scram(name).map(|(_, verifier)| verifier);
        Ok(known.unwrap_or(decoy))
    }

    /// Takes the end of a login by SCRAM: `verifier` is the one that was proved to, `None` where the proof was wrong.
    pub fn scram_ended(&self, name: &str, proved: Option<&ScramVerifier>, peer: IpAddr) -> Verdict {
        let (accounts, now) = (self.accounts(), self.clock.instant());
        let leave = match self.leave((&accounts, name), peer) {
            Ok(leave) => leave,
            Err(retry_after) => return Verdict::Throttled { retry_after },
        };
        // The account may have changed meanwhile.
        let known = accounts.scram(name);
        let known = known.filter(|(_, verifier)| Some(verifier) == proved);
        let Some((identity, verifier)) = known else {
            let Failure { delay, blocks } = leave.failed(now);
            return Verdict::WrongPassword { delay, blocks };
        };
        leave.succeeded(now);
        let evidence = Evidence::Scram(verifier);
        Verdict::Accepted { identity, evidence }
    }

    /// Returns who the client is, where the password is one of those it may be.
    async fn compare(
        &self,
        (name, password): (&str, &Secret),
        challenge: Challenge,
        turn: Turn,
    ) -> Result<Option<(Identity, Evidence)>, Refused> {
        let (identity, candidates) = match challenge {
            Challenge::Known {
                identity,
                candidates,
            } => (identity, candidates),
            Challenge::Unknown { decoy } => {
                if let Some(decoy) = decoy {
                    self.check((name, password), &decoy, turn).await?;
                }
                return Ok(None);
            }
        };
        for evidence in candidates {
            let is_right = match &evidence {
                Evidence::AppPassword(_, hash) | Evidence::Password(hash) => {
                    self.check((name, password), hash, turn).await?
                }
                Evidence::Scram(_) => false,
            };
            if is_right {
                return Ok(Some((identity, evidence)));
            }
        }
        Ok(None)
    }

    fn note_use(&self, identity: &Identity, evidence: &Evidence, from: IpAddr) {
        if let Some(label) = evidence.label() {
            let at = self.clock.now();
            self.uses.note(&identity.account, label, Use { at, from });
        }
    }

    /// Allows a login for `name` that is judged elsewhere, such as one by a token; an empty name stands for one that is not
    /// said. Failures count as those of passwords do.
    ///
    /// # Errors
    /// How long to wait, where there were too many failures.
    pub fn admit(&self, name: &str, peer: IpAddr) -> Result<Admission<'_>, Duration> {
        let leave = self.leave((&self.accounts(), name), peer)?;
        let clock = &*self.clock;
        Ok(Admission { leave, clock })
    }

    /// Allows a look at a login. It counts for the account, by whichever of its names: whoever guesses by all of them has no
    /// more tries.
    fn leave(
        &self,
        (accounts, name): (&Accounts, &str),
        peer: IpAddr,
    ) -> Result<Leave<'_>, Duration> {
        let name = accounts.own_name(name);
        self.throttle.admit(name, peer, self.clock.instant())
    }

    async fn check(
        &self,
        (name, password): (&str, &Secret),
        hash: &PasswordHash,
        turn: Turn,
    ) -> Result<bool, Refused> {
        let digest = self.cache.digest(&folded(name), hash, password);
        if self.cache.has(&digest, self.clock.instant()) {
            return Ok(true);
        }
        let flight = Flight::join(self, digest);
        let check = || self.pool.check(hash.clone(), password.clone(), turn);
        let is_right = *flight.outcome.get_or_try_init(check).await?;
        if is_right {
            self.cache.insert(digest, self.clock.instant());
        }
        Ok(is_right)
    }
}

/// The leave to judge one login. Dropping it without a verdict counts as neither.
pub struct Admission<'a> {
    leave: Leave<'a>,
    clock: &'a dyn Clock,
}

impl Admission<'_> {
    /// Says that the login succeeded.
    pub fn succeeded(self) {
        self.leave.succeeded(self.clock.instant());
    }

    /// Says that it failed. Returns how long the answer is to be held back, growing with the failures, and whose logins are
    /// refused from now on, where that is news.
    pub fn failed(self) -> (Duration, Vec<Block>) {
        let Failure { delay, blocks } = self.leave.failed(self.clock.instant());
        (delay, blocks)
    }
}

/// One check that everybody shares who asks the same at the same time: a web server with fifty workers that starts
/// costs one. Whoever leaves first only leaves; the last one clears away.
struct Flight<'a> {
    authenticator: &'a Authenticator,
    digest: Digest,
    outcome: Arc<OnceCell<bool>>,
}

impl<'a> Flight<'a> {
    fn join(authenticator: &'a Authenticator, digest: Digest) -> Self {
        let mut flights = authenticator
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let outcome = Arc::clone(flights.entry(digest).or_default());
        Self {
            authenticator,
            digest,
            outcome,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self
            .authenticator
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Two: the table's and this one. Nobody can join meanwhile, since joining takes the same lock.
        if Arc::strong_count(&self.outcome) <= 2 {
            flights.remove(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests;

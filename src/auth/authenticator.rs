//! The answer to a login.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
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
use super::throttle::{Block, Failure, Leave, Throttle, ThrottleSettings};
use super::uses::{Use, Uses};
use crate::clock::Clock;
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
    /// guesses them, of 33 million, knows 25 of its 100 bits. Logins that are the same and come at once are checked once. Cancel safe: a login that is given up counts neither as a success nor as a failure.
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
mod tests {
    use super::*;
    use crate::auth::{Account, AppPassword, Prefix, hash_password};
    use crate::clock::{ManualClock, Timestamp};
    use crate::identity::{AccountName, Label};

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn account(name: &str, password: &str) -> Account {
        Account {
            password: Some(hash_password(&secret(password), [3; 16]).unwrap()),
            ..Account::new(AccountName::parse(name).unwrap())
        }
    }

    fn authenticator(accounts: Vec<Account>, threads: usize) -> (Authenticator, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let settings = Settings {
            threads,
            queue: 1,
            remembered: 8,
            remember_for: Duration::from_mins(5),
        };
        let accounts = Accounts::new(accounts).unwrap();
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        (
            Authenticator::new(settings, accounts, shared).unwrap(),
            clock,
        )
    }

    fn is_accepted(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Accepted { .. })
    }

    #[test]
    fn a_network_that_an_account_is_known_by_is_familiar() {
        let printer = Account {
            networks: vec!["192.0.2.0/28".parse().unwrap()],
            ..Account::new(AccountName::parse("printer").unwrap())
        };
        let (authenticator, _) = authenticator(vec![printer], 0);
        assert!(authenticator.is_familiar(PEER));
        assert!(!authenticator.is_familiar(IpAddr::from([192, 0, 2, 16])));
    }

    #[tokio::test]
    async fn the_right_password_is_accepted_in_any_case_of_the_name() {
        let (authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
        let verdict = authenticator.verify("ALICE", &secret("secret"), PEER).await;
        let Verdict::Accepted { identity, .. } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(identity.account.as_str(), "alice");
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_unknown_name_get_the_same_verdict() {
        let (authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
        let wrong = authenticator.verify("alice", &secret("Secret"), PEER).await;
        let unknown = authenticator.verify("bob", &secret("secret"), PEER).await;
        assert_eq!(
            wrong,
            Verdict::WrongPassword {
                delay: Duration::ZERO,
                blocks: Vec::new(),
            }
        );
        assert_eq!(wrong, unknown);
    }

    #[tokio::test]
    async fn an_unknown_name_is_checked_against_a_hash_of_the_same_cost() {
        let accounts = Accounts::new(vec![account("alice", "secret")]).unwrap();
        let known = accounts.find("alice").unwrap().password.clone().unwrap();
        let unknown = accounts.challenge("bob", &secret("secret"), Timestamp::default(), 7);
        let Challenge::Unknown { decoy } = unknown else {
            panic!("bob is known");
        };
        assert_eq!(decoy.unwrap().cost(), known.cost());
    }

    #[tokio::test]
    async fn an_application_password_opens_its_account_and_its_use_is_noted() {
        let password = AppPassword {
            label: Label::parse("phone").unwrap(),
            prefix: Prefix::parse("abcde").unwrap(),
            hash: hash_password(&secret("abcde-fghjk"), [9; 16]).unwrap(),
            active: true,
            created: None,
            expires: None,
        };
        let mut alice = account("alice", "secret");
        alice.app_passwords.push(password);
        let (authenticator, clock) = authenticator(vec![alice], 1);
        let wrong = authenticator
            .verify("alice", &secret("abcde-zzzzz"), PEER)
            .await;
        assert!(matches!(wrong, Verdict::WrongPassword { .. }));
        let main = authenticator.verify("alice", &secret("secret"), PEER).await;
        let Verdict::Accepted { identity, evidence } = main else {
            panic!("{main:?}")
        };
        assert_eq!(evidence.label(), None);
        let label = Label::parse("phone").unwrap();
        assert_eq!(authenticator.uses().last(&identity.account, &label), None);
        let right = authenticator
            .verify("alice", &secret("abcde-fghjk"), PEER)
            .await;
        let Verdict::Accepted { identity, evidence } = right else {
            panic!("{right:?}")
        };
        assert_eq!(evidence.label(), Some(&label));
        let used = authenticator.uses().last(&identity.account, &label);
        let at = clock.now();
        assert_eq!(used, Some(Use { at, from: PEER }));
    }

    fn app_password(label: &str, password: &str) -> AppPassword {
        AppPassword {
            label: Label::parse(label).unwrap(),
            prefix: Prefix::of(password).unwrap(),
            hash: hash_password(&secret(password), [9; 16]).unwrap(),
            active: true,
            created: None,
            expires: None,
        }
    }

    /// Accounts of all kinds; the password of each is `right`, unless it has none.
    fn all_kinds() -> Vec<Account> {
        let phones = || {
            (0..3).map(|number| app_password(&format!("a{number}"), &format!("abcd{number}-right")))
        };
        let name = |name| AccountName::parse(name).unwrap();
        let verifier = ScramVerifier::of(&secret("right"), [3; 16]).unwrap();
        vec![
            Account {
                aliases: vec![name("a")],
                scram: Some(verifier.clone()),
                ..account("alice", "right")
            },
            Account {
                active: false,
                scram: Some(verifier),
                ..account("gone", "right")
            },
            Account::new(name("bare")),
            Account {
                app_passwords: phones().collect(),
                ..account("many", "right")
            },
            Account {
                app_passwords: phones().collect(),
                ..Account::new(name("apps"))
            },
            Account {
                app_passwords: phones()
                    .map(|password| AppPassword {
                        expires: Some(Timestamp::default()),
                        ..password
                    })
                    .collect(),
                ..Account::new(name("ended"))
            },
        ]
    }

    /// The costs of all checks so far. One test counts, or they would count one another's.
    static CHECKED: Mutex<Vec<(u32, u32, u32)>> = Mutex::new(Vec::new());

    #[tokio::test]
    async fn every_login_that_fails_is_the_same_work() {
        let (mut authenticator, _) = authenticator(all_kinds(), 0);
        let counted = Pool::start_with(1, 8, |hash, password, memory| {
            CHECKED.lock().unwrap().push(hash.cost());
            hash.matches(password, memory)
        });
        authenticator.pool = counted.unwrap();
        let cost = hash_password(&secret("x"), [3; 16]).unwrap().cost();
        let mut peers = (1..).map(|number| IpAddr::from([192, 0, 2, number]));
        let mut fail = async |name: &'static str, password: &'static str| {
            let peer = peers.next().unwrap();
            let verdict = authenticator.verify(name, &secret(password), peer).await;
            let expected = Verdict::WrongPassword {
                delay: Duration::ZERO,
                blocks: Vec::new(),
            };
            assert_eq!(verdict, expected, "{name} with {password}");
            std::mem::take(&mut *CHECKED.lock().unwrap())
        };
        for (name, password) in [
            ("alice", "wrong"),
            ("ALICE", "Wrong"),
            ("a", "wrong!"),
            ("nobody", "wrong"),
            ("", "wrong"),
            ("gone", "wrong"),
            ("gone", "right"),
            ("bare", "wrong"),
            ("bare", ""),
            ("many", "wrong"),
            ("many", "wrong-but-long-enough"),
            ("apps", "right"),
            ("ended", "abcd1-right"),
        ] {
            assert_eq!(fail(name, password).await, [cost], "{name} with {password}");
        }
        // Never more than two, however many there are.
        assert_eq!(fail("many", "abcd1-wrong").await, [cost, cost]);
        assert_eq!(fail("apps", "abcd2-wrong").await, [cost]);
        assert_eq!(fail("nobody", "abcd1-wrong").await, [cost]);
    }

    #[tokio::test]
    async fn a_question_for_scram_does_not_tell_who_has_an_answer() {
        let (authenticator, _) = authenticator(all_kinds(), 0);
        let ask = |name| authenticator.scram(name, PEER).unwrap();
        let known = ask("alice");
        for name in ["alice", "gone", "bare", "nobody", ""] {
            let (asked, again) = (ask(name), ask(name));
            assert_eq!(asked.iterations(), known.iterations(), "{name}");
            assert_eq!(asked.salt().len(), known.salt().len(), "{name}");
            assert_eq!(asked.salt(), again.salt(), "{name}");
        }
        assert_ne!(ask("gone").salt(), [3; 16], "not even by its own salt");
        assert_ne!(ask("nobody").salt(), ask("gone").salt());
    }

    #[tokio::test]
    async fn an_inactive_account_cannot_log_in() {
        let mut alice = account("alice", "secret");
        alice.active = false;
        let (authenticator, _) = authenticator(vec![alice], 1);
        let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
        assert!(matches!(verdict, Verdict::WrongPassword { .. }));
    }

    #[tokio::test]
    async fn a_login_that_succeeded_lately_needs_no_thread() {
        let (mut authenticator, clock) = authenticator(vec![account("alice", "secret")], 1);
        let first = authenticator.verify("alice", &secret("secret"), PEER).await;
        assert!(is_accepted(&first));
        authenticator.pool = Pool::start(0, 0).unwrap();
        let second = authenticator.verify("alice", &secret("secret"), PEER).await;
        assert!(is_accepted(&second));
        clock.advance(Duration::from_mins(5));
        let third = authenticator.verify("alice", &secret("secret"), PEER).await;
        assert_eq!(third, Verdict::Unavailable);
    }

    #[tokio::test]
    async fn a_new_password_ends_what_is_remembered_of_the_old_one() {
        let (authenticator, _) = authenticator(vec![account("alice", "old")], 1);
        let before = authenticator.verify("alice", &secret("old"), PEER).await;
        assert!(is_accepted(&before));
        authenticator.replace_accounts(Accounts::new(vec![account("alice", "new")]).unwrap());
        let old = authenticator.verify("alice", &secret("old"), PEER).await;
        assert!(matches!(old, Verdict::WrongPassword { .. }));
        let new = authenticator.verify("alice", &secret("new"), PEER).await;
        assert!(is_accepted(&new));
    }

    #[tokio::test]
    async fn a_full_queue_is_unavailable_and_not_a_wrong_password() {
        let (mut authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
        authenticator.pool = Pool::start(0, 0).unwrap();
        let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
        assert_eq!(verdict, Verdict::Unavailable);
    }

    #[tokio::test]
    async fn equal_logins_at_once_are_checked_once() {
        // The queue has one place: any second check would be refused.
        let (authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
        let password = secret("secret");
        let verdicts = tokio::join!(
            authenticator.verify("alice", &password, PEER),
            authenticator.verify("alice", &password, PEER),
            authenticator.verify("alice", &password, PEER),
            authenticator.verify("alice", &password, PEER),
        );
        assert!(
            is_accepted(&verdicts.0)
                && is_accepted(&verdicts.1)
                && is_accepted(&verdicts.2)
                && is_accepted(&verdicts.3)
        );
        assert!(authenticator.flights.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn whoever_guesses_by_all_names_of_an_account_has_no_more_tries() {
        let names = ["alice", "a1", "a2"];
        let aliases = ["a1", "a2"].map(|name| AccountName::parse(name).unwrap());
        let alice = Account {
            scram: ScramVerifier::of(&secret("secret"), [5; 16]).ok(),
            aliases: aliases.to_vec(),
            ..account("alice", "secret")
        };
        let (one, _) = authenticator(vec![alice], 1);
        // Each kind of login in turn, each by another name: five are looked at in all.
        let by_scram = |name| one.scram_ended(name, None, PEER);
        let verdict = one.verify("a1", &secret("guess"), PEER).await;
        assert!(matches!(verdict, Verdict::WrongPassword { .. }));
        for name in names {
            let verdict = by_scram(name);
            assert!(matches!(verdict, Verdict::WrongPassword { .. }), "{name}");
        }
        drop(one.admit("A2", PEER).unwrap().failed());
        for name in names {
            assert!(one.scram(name, PEER).is_err(), "{name}");
            assert!(one.admit(name, PEER).is_err(), "{name}");
            assert!(matches!(by_scram(name), Verdict::Throttled { .. }));
            let verdict = one.verify(name, &secret("guess"), PEER).await;
            assert!(matches!(verdict, Verdict::Throttled { .. }), "{name}");
        }
        assert_eq!(one.release_account("a1"), 1);
        assert!(one.scram("alice", PEER).is_ok());
    }

    #[tokio::test]
    async fn too_many_failures_are_throttled_even_with_the_right_password() {
        let (authenticator, clock) = authenticator(vec![account("alice", "secret")], 1);
        for _ in 0..5 {
            authenticator.verify("alice", &secret("guess"), PEER).await;
        }
        let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
        let Verdict::Throttled { retry_after } = verdict else {
            panic!("{verdict:?}")
        };
        clock.advance(retry_after);
        let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
        assert!(is_accepted(&verdict));
    }
}

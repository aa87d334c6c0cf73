//! Answers to logins, and whether a session may still send.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::alert::{Alert, Kind};
use crate::auth::{Block, Verdict as Login};
use crate::clock::Timestamp;
use crate::identity::{Identity, Proof};
use crate::secret::Secret;
use crate::smtp::replies;
use crate::smtp::sasl::Credentials;
use crate::smtp::sasl::scram::{Key, Keys, Proven};
use crate::smtp::server::{AskCredentials, AskScram, Session};

use super::counts::Event;
use super::decide::Decider;
use super::quota;
use super::stream::Stream;

impl Decider {
    pub(super) async fn credentials(
        &mut self,
        ask: AskCredentials,
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        match ask.credentials() {
            Credentials::Password { name, password } => {
                let (name, password) = (name.clone(), password.clone());
                self.password(ask, (name, password), session, client).await;
            }
            Credentials::Scram { name, proven } => {
                let (name, proven) = (name.clone(), proven.clone());
                self.scram_ended(ask, (name, proven), session, client).await;
            }
            Credentials::Certificate { authzid } => {
                let authzid = authzid.clone();
                self.external(ask, authzid, session, client).await;
            }
            Credentials::Token { name, token } => {
                let (name, token) = (name.clone(), token.clone());
                self.token(ask, (name, token), session, client).await;
            }
        }
    }

    async fn password(
        &mut self,
        ask: AskCredentials,
        (account, password): (String, Secret),
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        let authenticator = &self.parts.authenticator;
        let login = tokio::select! {
            biased;
            login = authenticator.verify(&account, &password, self.peer) => login,
            // Nobody is there to hear the answer; others wait for theirs.
            () = gone(client) => return ask.refuse(session, &replies::AUTH_UNAVAILABLE),
        };
        self.ended(ask, (&account, login), session, client).await;
    }

    /// Takes the first message of SCRAM.
    pub(super) async fn scram(
        &mut self,
        ask: AskScram,
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        let verifier = match self.parts.authenticator.scram(ask.name(), self.peer) {
            Ok(verifier) => verifier,
            Err(retry_after) => {
                hold_back(ask.name(), retry_after, client).await;
                return ask.refuse(session, &replies::AUTH_THROTTLED);
            }
        };
        let mut chance = [0; 24];
        if getrandom::fill(&mut chance).is_err() {
            return ask.refuse(session, &replies::AUTH_UNAVAILABLE);
        }
        let keys = Keys {
            iterations: verifier.iterations(),
            salt: verifier.salt().into(),
            stored_key: Key(verifier.stored_key()),
            server_key: Key(verifier.server_key()),
        };
        self.scram = Some(verifier);
        ask.go_on(session, keys, &STANDARD_NO_PAD.encode(chance));
    }

    async fn scram_ended(
        &mut self,
        ask: AskCredentials,
        (account, proven): (String, Proven),
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        let verifier = self.scram.take();
        let matched = match proven {
            Proven::Right(_) => verifier.as_ref(),
            Proven::Wrong => None,
        };
        let authenticator = &self.parts.authenticator;
        let login = authenticator.scram_ended(&account, matched, self.peer);
        self.ended(ask, (&account, login), session, client).await;
    }

    /// Answers a login.
    async fn ended(
        &mut self,
        ask: AskCredentials,
        (account, login): (&str, Login),
        session: &mut Session,
        client: Option<&Stream>,
    ) {
        match login {
            Login::Accepted { identity, evidence } => {
                if !self.enter(&identity) {
                    return ask.refuse(session, &replies::AUTH_TOO_MANY_SESSIONS);
                }
                let app_password = evidence.label().map(tracing::field::display);
                tracing::info!(account = %identity.account, app_password, "authenticated");
                self.evidence = Some(evidence);
                ask.accept(session, identity);
            }
            Login::Throttled { retry_after } => {
                hold_back(account, retry_after, client).await;
                ask.refuse(session, &replies::AUTH_THROTTLED);
            }
            Login::Unavailable => {
                tracing::warn!(account = printable(account), "authentication unavailable");
                pause(THROTTLED, client).await;
                ask.refuse(session, &replies::AUTH_UNAVAILABLE);
            }
            Login::WrongPassword { delay, blocks } => {
                self.parts.counts.count(Event::FailedLogin);
                tracing::warn!(account = printable(account), "authentication failed");
                self.note_blocks(&blocks);
                pause(delay, client).await;
                ask.refuse(session, &replies::AUTH_FAILED);
            }
        }
    }

    /// One event for each block that begins, and an alert where it is an account's.
    pub(super) fn note_blocks(&self, blocks: &[Block]) {
        for block in blocks {
            let (subject, retry_after_s) = (block.subject.to_string(), block.retry_after.as_secs());
            let subject = printable(&subject);
            tracing::warn!(subject, retry_after_s, "logins are refused");
            let accounts = self.parts.authenticator.accounts();
            let account = block.subject.account().and_then(|name| accounts.find(name));
            let Some(account) = account.filter(|account| account.active) else {
                continue;
            };
            let text = format!(
                "too many logins of {subject} have failed, the last from {}; further ones are refused for a while",
                self.peer
            );
            self.parts.alerts.raise(Alert {
                account: Some(account.name.clone()),
                tenant: account.tenant.clone(),
                ..Alert::new(Kind::AccountBlocked, text)
            });
        }
    }

    /// Counts the session for its account, where it is not; returns whether there may be another.
    pub(super) fn enter(&mut self, identity: &Identity) -> bool {
        let account = &identity.account;
        if self
            .pass
            .as_ref()
            .is_some_and(|pass| pass.account() == account)
        {
            return true;
        }
        self.pass = self.parts.quotas.enter(account);
        if self.pass.is_none() {
            quota::note_sessions(&self.parts, account);
        }
        self.pass.is_some()
    }

    /// Returns the session's identity where it may still send: accounts change while sessions last. Where it may not,
    /// the session is logged out.
    pub(super) fn identity(&mut self, session: &mut Session) -> Option<Identity> {
        let now = self.parts.clock.now();
        self.identity_at(session, now)
    }

    /// Returns the same, where what ends by itself counts as it did at `when`.
    pub(super) fn identity_at(
        &mut self,
        session: &mut Session,
        when: Timestamp,
    ) -> Option<Identity> {
        let identity = session.identity()?.clone();
        let accounts = self.parts.authenticator.accounts();
        let neighbour = self.known.and_then(|address| accounts.of_network(address));
        let is_valid = match identity.proof {
            Proof::Network => neighbour.as_ref() == Some(&identity),
            Proof::Operator => {
                accounts.of_operator(identity.account.as_str()).as_ref() == Some(&identity)
            }
            Proof::Token => self.still_grants(&identity, &accounts, when),
            Proof::Certificate => self.still_shows(&identity, &accounts, when),
            Proof::Password => {
                let evidence = self.evidence.as_ref();
                evidence.is_some_and(|evidence| accounts.still_trusts(&identity, evidence, when))
            }
        };
        if is_valid {
            return Some(identity);
        }
        session.log_out(neighbour);
        self.pass = None;
        None
    }
}

/// Tells of a login that is not looked at, and makes its client wait for the refusal: a flood that were answered at once
/// would take the processor from the others, only by being refused.
pub(super) async fn hold_back(account: &str, retry_after: Duration, client: Option<&Stream>) {
    let retry_after_s = retry_after.as_secs();
    tracing::warn!(
        account = printable(account),
        retry_after_s,
        "authentication throttled"
    );
    pause(retry_after.min(THROTTLED), client).await;
}

/// Waits before a refusal, but not for a client that has gone: its place among the connections is for others.
pub(super) async fn pause(time: Duration, client: Option<&Stream>) {
    let _gone = tokio::time::timeout(time, gone(client)).await;
}

/// Waits until the client has gone; who has no connection stays.
async fn gone(client: Option<&Stream>) {
    match client {
        Some(stream) => stream.ended().await,
        None => std::future::pending().await,
    }
}

/// How long such a refusal is held back at most.
const THROTTLED: Duration = Duration::from_secs(1);

/// A user name for the log: it may be anything that a client sends.
pub(super) fn printable(name: &str) -> String {
    name.chars()
        .take(64)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

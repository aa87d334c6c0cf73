//! Answers to logins, and whether a session may still send.

use crate::alert::{Alert, Kind};
use crate::auth::{Block, Verdict as Login};
use crate::identity::{Identity, Proof};
use crate::secret::Secret;
use crate::smtp::replies;
use crate::smtp::sasl::Credentials;
use crate::smtp::server::{AskCredentials, Session};

use super::counts::Event;
use super::decide::Decider;
use super::quota;

impl Decider {
    pub(super) async fn credentials(&mut self, ask: AskCredentials, session: &mut Session) {
        match ask.credentials() {
            Credentials::Password { name, password } => {
                let (name, password) = (name.clone(), password.clone());
                self.password(ask, (name, password), session).await;
            }
            Credentials::Certificate { .. } | Credentials::Token { .. } => {
                ask.refuse(session, &replies::AUTH_FAILED);
            }
        }
    }

    async fn password(
        &mut self,
        ask: AskCredentials,
        (account, password): (String, Secret),
        session: &mut Session,
    ) {
        let authenticator = &self.parts.authenticator;
        let login = authenticator.verify(&account, &password, self.peer).await;
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
                let retry_after_s = retry_after.as_secs();
                tracing::warn!(
                    account = printable(&account),
                    retry_after_s,
                    "authentication throttled"
                );
                ask.refuse(session, &replies::AUTH_THROTTLED);
            }
            Login::Unavailable => {
                tracing::warn!(account = printable(&account), "authentication unavailable");
                ask.refuse(session, &replies::AUTH_UNAVAILABLE);
            }
            Login::WrongPassword { delay, blocks } => {
                self.parts.counts.count(Event::FailedLogin);
                tracing::warn!(account = printable(&account), "authentication failed");
                self.note_blocks(&blocks);
                tokio::time::sleep(delay).await;
                ask.refuse(session, &replies::AUTH_FAILED);
            }
        }
    }

    /// One event for each block that begins, and an alert where it is an account's.
    fn note_blocks(&self, blocks: &[Block]) {
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
        let identity = session.identity()?.clone();
        let accounts = self.parts.authenticator.accounts();
        let neighbour = accounts.of_network(self.peer);
        let now = self.parts.clock.now();
        let is_valid = match identity.proof {
            Proof::Network => neighbour.as_ref() == Some(&identity),
            Proof::Operator => {
                accounts.of_operator(identity.account.as_str()).as_ref() == Some(&identity)
            }
            Proof::Certificate | Proof::Password | Proof::Token => {
                let evidence = self.evidence.as_ref();
                evidence.is_some_and(|evidence| accounts.still_trusts(&identity, evidence, now))
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

/// A user name for the log: it may be anything that a client sends.
fn printable(name: &str) -> String {
    name.chars()
        .take(64)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

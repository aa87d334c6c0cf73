//! Answers to logins, and whether a session may still send.

use crate::auth::Verdict as Login;
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
            Credentials::Certificate { .. } => ask.refuse(session, &replies::AUTH_FAILED),
            Credentials::Token { name, token } => {
                let (name, token) = (name.clone(), token.clone());
                self.token(ask, (name, token), session).await;
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
            Login::WrongPassword { delay } => {
                self.parts.counts.count(Event::FailedLogin);
                tracing::warn!(account = printable(&account), "authentication failed");
                tokio::time::sleep(delay).await;
                ask.refuse(session, &replies::AUTH_FAILED);
            }
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
            Proof::Token => self.still_grants(&identity, &accounts),
            Proof::Certificate | Proof::Password => {
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
pub(super) fn printable(name: &str) -> String {
    name.chars()
        .take(64)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

//! What all connections share.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::runtime::Handle;

use crate::alert::Alerts;
use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::quota::{Quotas, Table};
use crate::spool::Spool;
use crate::tls::server::Reloadable;
use crate::token::Verifier;

use super::counts::Counts;
use super::directory::Directory;
use super::limits::{ConnectionLimits, Gate};
use super::mistakes::Mistakes;
use super::places::Handshakes;
use super::turns::Turns;

/// What all connections share.
pub struct ServerParts {
    /// Who checks passwords.
    pub authenticator: Arc<Authenticator>,
    /// Where messages go.
    pub spool: Arc<dyn Spool>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The certificate; `None` where no listener needs one.
    pub tls: Option<Arc<Reloadable>>,
    /// What accounts and tenants may send, and have sent.
    pub quotas: Arc<Quotas>,
    /// How often things have happened.
    pub counts: Arc<Counts>,
    /// Who is told what happened to messages.
    pub journal: Arc<Journal>,
    /// Who is told what a person should look at.
    pub alerts: Alerts,
    pub(super) tokens: RwLock<Arc<Verifier>>,
    pub(super) directory: RwLock<Arc<Directory>>,
    pub(super) gate: Arc<Gate>,
    pub(super) handshakes: Handshakes,
    pub(super) turns: Turns,
    pub(super) mistakes: Mistakes,
    pub(super) strangers: Option<Handle>,
}

impl ServerParts {
    /// Puts the parts together.
    pub fn new(
        authenticator: Arc<Authenticator>,
        spool: Arc<dyn Spool>,
        clock: Arc<dyn Clock>,
        tls: Option<Arc<Reloadable>>,
        directory: Directory,
    ) -> Self {
        Self {
            quotas: Quotas::new(Arc::clone(&clock), Table::default()),
            authenticator,
            spool,
            journal: Arc::new(Journal::off(Arc::clone(&clock))),
            alerts: Alerts::off(),
            tokens: RwLock::new(Arc::new(Verifier::none(Arc::clone(&clock)))),
            clock,
            tls,
            counts: Arc::default(),
            directory: RwLock::new(Arc::new(directory)),
            gate: Gate::new(ConnectionLimits::default()),
            handshakes: Handshakes::new(),
            turns: Turns::new(),
            mistakes: Mistakes::default(),
            strangers: None,
        }
    }

    /// Sets the runtime that serves clients from networks where nobody has logged in lately: however many there are, what
    /// others have to do does not wait behind them. Without it one runtime serves all.
    #[must_use]
    pub fn with_strangers(mut self, runtime: Handle) -> Self {
        self.strangers = Some(runtime);
        self
    }

    /// Sets what accounts and tenants may send. Without it there is no limit.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Arc<Quotas>) -> Self {
        self.quotas = quotas;
        self
    }

    /// Sets how many connections there may be. For connections that come later.
    #[must_use]
    pub fn with_limits(mut self, limits: ConnectionLimits) -> Self {
        self.gate = Gate::new(limits);
        self
    }

    /// Sets who is told what happened to messages; nobody is by default.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<Journal>) -> Self {
        self.journal = journal;
        self
    }

    /// Sets who is told what a person should look at; nobody is by default.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Alerts) -> Self {
        self.alerts = alerts;
        self
    }

    /// Puts another judge of access tokens in place. Sessions whose token's issuer is gone end with their next message.
    pub fn replace_tokens(&self, tokens: Verifier) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
    }

    /// Returns who judges access tokens; nobody's count by default.
    pub fn tokens(&self) -> Arc<Verifier> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another directory in place; messages begun before end with the old one.
    pub fn replace_directory(&self, directory: Directory) {
        *self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// Returns the directory as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(
            &self
                .directory
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Returns how many connections there are.
    pub fn connections(&self) -> usize {
        self.gate.open()
    }
}

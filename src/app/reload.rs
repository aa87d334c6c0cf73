//! Another configuration for the running server: load, check, swap. A bad file changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::acme;
use crate::clock::Clock;
use crate::config::{
    self, Checked, Diagnostic, Expiry, Log, Report, Server, SpoolLimits, SystemMail,
};
use crate::dns::Resolver;
use crate::identity::{AccountName, UpstreamName};
use crate::journal;
use crate::mta_sts::Policies;
use crate::policy::VerifiedSenders;
use crate::relay::{Arrangement, Lane, Relay};
use crate::route::Table;
use crate::spool::embedded::EmbeddedSpool;
use crate::submission::{Directory, ListenerSettings, Profile, ServerParts};
use crate::telemetry;
use crate::tls::{self, server::Reloadable};
use crate::verification::Ledger;
use crate::web::public;

use super::alerts::Desk;
use super::build;
use super::build::Way;
use super::challenges;
use super::error::AppError;
use super::expiry::Watch;
use super::register::Register;
use super::sandbox::Sandbox;

/// What a reload reaches.
pub(super) struct Reloader {
    pub(super) config_file: PathBuf,
    pub(super) relay: Arc<Relay>,
    pub(super) spool: Arc<EmbeddedSpool>,
    pub(super) parts: Arc<ServerParts>,
    pub(super) tls: Arc<Reloadable>,
    /// Who gets certificates from an authority.
    pub(super) keeper: Arc<acme::Keeper>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) clock: Arc<dyn Clock>,
    /// The policies of domains, which outlive the upstreams that ask for them.
    pub(super) policies: Arc<Policies>,
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Who changes the ledger of senders. At most one thread waits for the turn then.
    pub(super) ledger_turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) kept: Mutex<Kept>,
    /// What operators have been told of what ends.
    pub(super) watch: Mutex<Watch>,
    pub(super) fixed: Fixed,
    pub(super) sandbox: Sandbox,
    /// What is known of alerts.
    pub(super) alerts: Arc<Desk>,
}

/// What is known of routes and upstreams besides what the relay knows.
pub(super) struct Kept {
    /// As configured, without what an operator has changed.
    pub(super) routes: Table,
    /// What operators have changed, and when upstreams were parked.
    pub(super) register: Register,
    /// How each upstream is reached.
    pub(super) ways: BTreeMap<UpstreamName, Way>,
    /// Which certificates are shown.
    pub(super) tls: tls::server::Settings,
    /// What in the configuration comes to an end.
    pub(super) expiries: Vec<Expiry>,
    /// What is done for the mail of each account, as configured.
    pub(super) profiles: HashMap<AccountName, Profile>,
    /// What verified senders change in that.
    pub(super) verified_senders: HashMap<AccountName, VerifiedSenders>,
    /// The senders that wait for a proof or have one.
    pub(super) ledger: Ledger,
}

/// What the server was started with and only another start changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fixed {
    server: Server,
    log: Log,
    listeners: Vec<ListenerSettings>,
    spool: SpoolLimits,
    journal: journal::Settings,
    pub(super) system_mail: SystemMail,
    pub(super) public: Option<public::Settings>,
    challenges: (&'static str, Vec<SocketAddr>),
}

impl Fixed {
    pub(super) fn of(config: &Checked) -> Self {
        let (challenge, places) = challenges::places(config.acme.as_ref());
        Self {
            server: config.server.clone(),
            log: config.log,
            listeners: config.listeners.clone(),
            spool: config.spool.clone(),
            journal: config.journal.clone(),
            system_mail: config.system_mail.clone(),
            challenges: (challenge, places.to_vec()),
            public: config.public.clone(),
        }
    }

    /// Returns whether the authority of these settings finds what answers it at the ports that were bound at the start.
    fn answers(&self, acme: Option<&acme::Settings>) -> bool {
        let (challenge, places) = challenges::places(acme);
        places.is_empty() || self.challenges == (challenge, places.to_vec())
    }
}

impl Reloader {
    /// Reads the configuration again and puts it in place; returns its warnings. Whatever comes of it is logged.
    ///
    /// # Errors
    /// The old configuration stays, whole.
    pub(super) async fn reload(&self) -> Result<Vec<String>, AppError> {
        // Two at once could leave parts of one and parts of the other.
        let _turn = self.turn.lock().await;
        let reloaded = self.try_reload().await;
        match &reloaded {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!(warning, "configuration");
                }
                tracing::info!("configuration reloaded");
                self.watch_expiries();
            }
            Err(AppError::Config(report)) => log_report(report),
            Err(error) => {
                tracing::error!(
                    error = telemetry::chain(error),
                    "reload failed; the old configuration stays"
                );
            }
        }
        reloaded
    }

    async fn try_reload(&self) -> Result<Vec<String>, AppError> {
        let file = self.config_file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file)).await;
        let config = loaded.map_err(|error| AppError::Runtime {
            part: "reload",
            source: std::io::Error::other(error),
        })?;
        let mut config = config.map_err(|report| self.judge(report))?;
        self.sandbox.admit(&config)?;
        if !config.accounts_file.exists() && !self.parts.authenticator.accounts().is_empty() {
            let path = config.accounts_file;
            return Err(AppError::AccountsMissing { path });
        }
        // Whatever can fail comes first, so that nothing is half exchanged.
        let certificate = self.tls.prepare(&config.tls)?;
        let lanes = self.lanes(&config)?;
        let tokens = build::tokens(&config, &self.parts.tokens(), &self.resolver)?;
        let ledger = self.ledger_of(&config).await;
        // An authority would look in vain where nothing answers it, and count that.
        let is_reachable = self.fixed.answers(config.acme.as_ref());
        if is_reachable {
            self.tls.replace(certificate);
            self.keeper.replace(config.acme.clone());
        }
        // First what decides on new mail, then its upstreams, then the routes of what has been accepted.
        let directory = {
            let mut kept = self.kept();
            kept.routes = config.routes.clone();
            kept.ways = build::ways(&config);
            if is_reachable {
                kept.tls.clone_from(&config.tls);
            }
            kept.expiries.clone_from(&config.expiries);
            kept.profiles.clone_from(&config.profiles);
            kept.verified_senders.clone_from(&config.verified_senders);
            kept.ledger = ledger;
            build::directory(&config, &kept.register, &kept.ledger)
        };
        self.parts.replace_directory(directory);
        self.parts
            .quotas
            .replace(std::mem::take(&mut config.quotas));
        let accounts = std::mem::take(&mut config.accounts);
        self.parts.authenticator.replace_accounts(accounts);
        self.alerts.replace(std::mem::take(&mut config.alerts));
        self.parts
            .authenticator
            .set_throttle(config.throttle.clone());
        self.parts.replace_tokens(tokens);
        self.route(lanes, &config).await;
        let mut warnings: Vec<_> = config.warnings.iter().map(Diagnostic::summary).collect();
        if Fixed::of(&config) != self.fixed {
            warnings.push(NEEDS_RESTART.to_owned());
        }
        Ok(warnings)
    }

    /// Says so where a file may be out of reach for the running server alone.
    fn judge(&self, report: Report) -> AppError {
        let is_denied = |diagnostic: &Diagnostic| diagnostic.message().contains(DENIED);
        if self.sandbox.is_enforced() && report.diagnostics().iter().any(is_denied) {
            return AppError::Config(report.with_advice(OUTSIDE));
        }
        AppError::Config(report)
    }

    /// Makes the upstreams of a configuration.
    ///
    /// # Errors
    /// [`AppError::Upstream`].
    pub(super) fn lanes(&self, config: &Checked) -> Result<Vec<Lane>, AppError> {
        build::lanes(
            &config.upstreams,
            &self.resolver,
            &self.clock,
            &self.policies,
        )
    }

    /// Puts upstreams in place, and lets queued messages follow the routes.
    pub(super) async fn route(&self, lanes: Vec<Lane>, config: &Checked) {
        let (drained, parked) = {
            let register = &self.kept().register;
            (register.drained(), register.parked())
        };
        self.relay.drain(drained);
        self.relay.park(parked);
        self.relay.replace(Arrangement {
            lanes,
            plan: config.retry,
            ageing: config.ageing,
        });
        self.relay.set_routes(self.parts.directory().routes.clone());
        self.reroute().await;
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes which upstreams are drained, and lets accepted mail follow.
    pub(super) async fn drain<T>(
        &self,
        change: impl FnOnce(&mut Register) -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T>
    where
        T: Send + 'static,
    {
        // Not while a reload exchanges the routes.
        let _turn = self.turn.lock().await;
        let told = self.change_register(change).await?;
        self.apply_drained().await;
        Ok(told)
    }

    /// Changes which upstreams an operator has parked.
    pub(super) async fn park<T>(
        &self,
        change: impl FnOnce(&mut Register) -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T>
    where
        T: Send + 'static,
    {
        let _turn = self.turn.lock().await;
        let told = self.change_register(change).await?;
        let parked = self.kept().register.parked();
        self.relay.park(parked);
        Ok(told)
    }

    /// Keeps what the relay knows of parkings, where that is new. What cannot be written is written another time.
    pub(super) async fn keep_histories(&self) {
        let histories = self.relay.histories();
        if histories == self.kept().register.histories() {
            return;
        }
        let _turn = self.turn.lock().await;
        let kept = self.change_register(move |register| register.keep(histories));
        if let Err(error) = kept.await {
            tracing::error!(%error, "cannot write since when upstreams are parked; it is tried again");
        }
    }

    /// Changes what is kept of the upstreams. The caller has the turn.
    async fn change_register<T>(
        &self,
        change: impl FnOnce(&mut Register) -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T>
    where
        T: Send + 'static,
    {
        let mut register = self.kept().register.clone();
        let changed = tokio::task::spawn_blocking(move || {
            let told = change(&mut register)?;
            Ok::<_, std::io::Error>((told, register))
        });
        let (told, register) = changed.await.map_err(std::io::Error::other)??;
        self.kept().register = register;
        Ok(told)
    }

    /// Puts in force which upstreams are drained.
    async fn apply_drained(&self) {
        let upstreams = self.relay.upstreams();
        let exists = |name: &UpstreamName| upstreams.iter().any(|known| known.name == *name);
        let (routes, drained) = {
            let kept = self.kept();
            let routes = build::routes(&kept.routes, &kept.register, exists);
            (routes, kept.register.drained())
        };
        self.relay.drain(drained);
        self.relay.set_routes(routes.clone());
        let directory = self.parts.directory();
        self.parts.replace_directory(Directory {
            routes,
            ..Directory::clone(&directory)
        });
        self.reroute().await;
    }
}

const NEEDS_RESTART: &str = "[server], [[listener]], [session], [log], [spool], [journal], [system_mail], [http] or the challenge of \
     [tls.acme] differ from what the server was started with; that part takes effect at the next start, with another \
     challenge all of [tls]";

/// How the system says that a file may not be opened.
const DENIED: &str = "Permission denied";

const OUTSIDE: &str = "the sandbox of the running server opens only the folders that the configuration named when it \
     started; where a file is in another one, restart it (`posthouse check` is not inside)";

fn log_report(report: &Report) {
    for diagnostic in report.diagnostics() {
        tracing::error!(error = %diagnostic.summary(), "configuration");
    }
    if let Some(advice) = report.advice() {
        tracing::error!(advice, "configuration");
    }
    tracing::error!("reload failed; the old configuration stays");
}

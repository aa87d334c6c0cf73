//! From a checked configuration to the parts of the program.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::acme;
use crate::alert::Alerts;
use crate::auth::{self, Authenticator, CLIENTS_FILE, DECOYS_FILE, Decoys, USES_FILE, Uses};
use crate::clock::Clock;
use crate::config::{Checked, Engine, Log, LogFormat, SpoolLimits, Upstream};
use crate::dial::Dialer;
use crate::dns::Resolver;
use crate::http::Dial;
use crate::identity::UpstreamName;
use crate::mta_sts::{self, Policies};
use crate::quota::{self, Quotas};
use crate::relay::{self, Lane};
use crate::route::Table;
use crate::schedule::Chance;
use crate::smtp::sasl::Mechanism;
use crate::spool::embedded;
use crate::submission::Directory;
use crate::telemetry;
use crate::token::Verifier;
use crate::upstream::maildir::MaildirUpstream;
use crate::upstream::smtp::SmtpUpstream;
use crate::verification::Ledger;

use super::error::AppError;
use super::register::Register;

/// Makes the data directory, for its owner alone. One that others can enter is closed to them.
pub(super) fn data_dir(path: &Path) -> Result<(), AppError> {
    if path.is_dir() {
        return close_to_others(path).map_err(|source| AppError::OpenDataDir {
            path: path.to_owned(),
            source,
        });
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| AppError::Create {
        path: path.to_owned(),
        source,
    })
}

/// Mail, keys and the control socket are there. The owner's group may have been let in on purpose, but never to write.
fn close_to_others(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o027 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7750))
}

/// Writes a small file of the running server, such as the list of its ports. Lost at a power cut, made at each start.
pub(super) fn note(path: &Path, text: &str) -> Result<(), AppError> {
    let temporary = path.with_extension("tmp");
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&temporary)
        .and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| AppError::Create {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn log_settings(log: Log) -> telemetry::Settings {
    telemetry::Settings {
        level: log.level.to_string(),
        format: match log.format {
            LogFormat::Json => telemetry::Format::Json,
            LogFormat::Text => telemetry::Format::Text,
        },
    }
}

pub(super) fn spool_settings(limits: &SpoolLimits) -> embedded::Settings {
    embedded::Settings {
        directory: limits.directory.clone(),
        segment_size: limits.segment_size,
        memory_budget: usize::try_from(limits.memory_budget).unwrap_or(usize::MAX),
        max_messages: Some(limits.max_messages),
        max_octets: Some(limits.max_octets),
        max_memory: Some(limits.max_memory),
        min_free: limits.min_free,
    }
}

/// Makes the directory, with the routes that mail takes while some upstreams are drained, and the senders that have been
/// verified.
pub(super) fn directory(config: &Checked, register: &Register, ledger: &Ledger) -> Directory {
    Directory {
        hostname: config.server.hostname.clone(),
        profiles: config.profiles_with(ledger),
        routes: routes(&config.routes, register, |name| {
            config.upstreams.contains_key(name)
        }),
    }
}

/// Makes the counts of what accounts and tenants send, with those of the process before. Counts that cannot be read are
/// put aside: to begin anew is better than not to begin.
pub(super) fn quotas(config: &Checked, clock: &Arc<dyn Clock>) -> Arc<Quotas> {
    let quotas = Quotas::new(Arc::clone(clock), config.quotas.clone());
    let path = quota_file(config);
    match quota::load(&path) {
        Ok(stored) => stored.restore(&quotas),
        Err(error) => {
            let aside = path.with_extension("unreadable");
            let is_aside = fs::rename(&path, &aside).is_ok();
            let error = telemetry::chain(&error);
            tracing::warn!(
                error,
                is_aside,
                "counts of quotas not readable, they begin anew"
            );
        }
    }
    quotas
}

/// Returns the file of these counts.
pub(super) fn quota_file(config: &Checked) -> PathBuf {
    config.server.data_dir.join("quota")
}

/// Makes what checks passwords.
///
/// # Errors
/// [`AppError::Authenticator`] where the system gives no thread or no random octets.
pub(super) fn authenticator(
    config: &mut Checked,
    clock: &Arc<dyn Clock>,
) -> Result<Authenticator, AppError> {
    let accounts = std::mem::take(&mut config.accounts);
    let settings = auth::Settings::default();
    let authenticator = Authenticator::new(settings, accounts, Arc::clone(clock))?;
    authenticator.set_throttle(config.throttle.clone());
    let clients = clients_file(config);
    if let Err(error) = authenticator.recall_clients(&clients) {
        let path = clients.display();
        tracing::warn!(%error, %path, "known clients not readable, everybody is new");
    }
    let authenticator = authenticator.with_uses(uses(config));
    Ok(match decoys(config) {
        Some(decoys) => authenticator.with_decoys(decoys),
        None => authenticator,
    })
}

/// Reads what SCRAM shows of unknown names, where it is offered. Without the file they could be told from others by this
/// process and the one before, which is no reason not to begin.
fn decoys(config: &Checked) -> Option<Decoys> {
    let is_scram = |mechanism: &Mechanism| match mechanism {
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => true,
        Mechanism::External
        | Mechanism::Login
        | Mechanism::OAuthBearer
        | Mechanism::Plain
        | Mechanism::XOAuth2 => false,
    };
    let sessions = config.listeners.iter().flat_map(|listener| {
        let of_networks = listener.networks.iter().map(|(_, session)| session);
        std::iter::once(&listener.session).chain(of_networks)
    });
    let mut mechanisms = sessions.flat_map(|session| session.mechanisms.iter());
    if !mechanisms.any(is_scram) {
        return None;
    }
    let path = config.server.data_dir.join(DECOYS_FILE);
    Decoys::kept_in(&path)
        .inspect_err(|error| {
            tracing::warn!(%error, path = %path.display(), "secret of unknown names not kept");
        })
        .ok()
}

/// Reads when application passwords were used last. Where that cannot be read it begins anew: it is only shown.
fn uses(config: &Checked) -> Uses {
    Uses::load(&uses_file(config)).unwrap_or_else(|error| {
        tracing::warn!(%error, "last uses of application passwords not readable, they begin anew");
        Uses::default()
    })
}

/// Returns the file of these uses.
pub(super) fn uses_file(config: &Checked) -> PathBuf {
    config.server.data_dir.join(USES_FILE)
}

/// Returns the file of who has logged in from where.
pub(super) fn clients_file(config: &Checked) -> PathBuf {
    config.server.data_dir.join(CLIENTS_FILE)
}

/// Returns the routes with stand-ins for drained upstreams, as far as these exist.
pub(super) fn routes(
    configured: &Table,
    register: &Register,
    exists: impl Fn(&UpstreamName) -> bool,
) -> Table {
    let mut stand_ins = register.stand_ins();
    stand_ins.retain(|_, to| exists(to));
    configured.with_stand_ins(&stand_ins)
}

pub(super) fn relay_settings(config: &Checked, alerts: Alerts) -> relay::Settings {
    relay::Settings {
        hostname: config.server.hostname.clone(),
        sender: config.system_mail.sender.clone(),
        sender_name: config.system_mail.name.clone(),
        grace: config.server.shutdown_grace,
        alerts,
    }
}

/// Makes who judges access tokens, with what `known` knows of the issuers that have not changed. Reads certificate
/// authorities, connects to nothing.
///
/// # Errors
/// [`AppError::Tokens`].
pub(super) fn tokens(
    config: &Checked,
    known: &Verifier,
    resolver: &Arc<dyn Resolver>,
) -> Result<Verifier, AppError> {
    let dialer: Arc<dyn Dial> = Arc::new(Dialer::new(Arc::clone(resolver), None));
    let renewed = known.renewed(config.tokens.clone(), &dialer);
    renewed.map_err(AppError::Tokens)
}

/// Makes what keeps the policies of domains (RFC 8461). Reads the file of those that are known, asks nobody.
pub(super) fn policies(
    config: &Checked,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
) -> Arc<Policies> {
    let source = mta_sts::Source::direct(Arc::clone(resolver), Arc::clone(clock));
    let file = config.server.data_dir.join("mta-sts.json");
    Arc::new(Policies::kept_in(source, file))
}

/// Makes what gets certificates from an authority; asks nobody yet.
pub(super) fn keeper(
    config: &Checked,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
) -> Arc<acme::Keeper> {
    let dialer = Arc::new(Dialer::new(Arc::clone(resolver), None));
    let keeper = acme::Keeper::new(config.acme.clone(), dialer, Arc::clone(clock));
    Arc::new(keeper)
}

/// Makes the upstreams. Reads certificate authorities, connects to nothing.
pub(super) fn lanes(
    upstreams: &BTreeMap<UpstreamName, Upstream>,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
    policies: &Arc<Policies>,
) -> Result<Vec<Lane>, AppError> {
    upstreams
        .values()
        .map(|upstream| lane(upstream, resolver, clock, policies))
        .collect()
}

fn lane(
    upstream: &Upstream,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
    policies: &Arc<Policies>,
) -> Result<Lane, AppError> {
    let clock = Arc::clone(clock);
    let engine: Arc<dyn crate::upstream::Upstream> = match &upstream.engine {
        Engine::Graph(setup) => Arc::new(setup.as_ref().clone().start(resolver, &clock)?),
        Engine::Maildir(settings) => Arc::new(MaildirUpstream::new(settings.clone(), clock)),
        Engine::Smtp(settings) => {
            let settings = settings.as_ref().clone();
            let upstream = SmtpUpstream::new(settings, Arc::clone(resolver), clock)?;
            Arc::new(upstream.with_policies(Arc::clone(policies)))
        }
    };
    Ok(Lane {
        upstream: engine,
        plan: upstream.retry,
        bounds: upstream.bounds.clone(),
    })
}

/// How an upstream is reached, in words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Way {
    pub(super) kind: &'static str,
    pub(super) place: String,
    /// Whether an upstream is left where its certificate has ended.
    pub(super) is_certificate_judged: bool,
}

/// Says how each upstream is reached.
pub(super) fn ways(config: &Checked) -> BTreeMap<UpstreamName, Way> {
    let upstreams = config.upstreams.iter();
    let way = |(name, upstream): (&UpstreamName, &Upstream)| {
        let way = Way {
            kind: upstream.engine.kind(),
            place: upstream.engine.place(),
            is_certificate_judged: upstream.engine.is_certificate_judged(),
        };
        (name.clone(), way)
    };
    upstreams.map(way).collect()
}

/// Seeds chance from the operating system; the time is no seed that two nodes would not share.
pub(super) fn chance() -> Result<Chance, AppError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| AppError::Runtime {
        part: "generator of random numbers",
        source: io::Error::other(error),
    })?;
    Ok(Chance::new(u64::from_le_bytes(seed)))
}

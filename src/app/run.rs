//! The life of the server: start, signals, stop.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alert::{Alert, Alerts};
use crate::auth::Authenticator;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Checked};
use crate::control;
use crate::dns::{Resolver, SystemResolver};
use crate::journal::Journal;
use crate::oauth;
use crate::panics::{contain, contained};
use crate::quota::{Keeper, Quotas};
use crate::relay::Relay;
use crate::spool::embedded::EmbeddedSpool;
use crate::submission::{Binding, Bound, ConnectionLimits, Server, ServerParts};
use crate::telemetry;
use crate::tls::server::Reloadable;
use crate::web;

use super::alerts::{self, Desk, Post};
use super::build;
use super::challenges::{self, Doors, OpenDoors};
use super::error::AppError;
use super::expiry;
use super::faults;
use super::operator::ServerOperator;
use super::privileges;
use super::public;
use super::register::Register;
use super::reload::{Fixed, Kept, Reloader};
use super::runtimes;
use super::sandbox::{self, Folders, Sandbox};
use super::senders;
use super::tended;

/// How many alerts may wait to be taken in.
const ALERTS: usize = 1024;

/// How long visitors of the public site may go on at a stop.
const PUBLIC_GRACE: Duration = Duration::from_secs(5);

/// How often messages are looked for whose upstreams a reload has taken away.
const ADOPT_EVERY: Duration = Duration::from_secs(10);

/// How the server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
}

/// Runs the server until SIGTERM or SIGINT. Blocks.
///
/// # Errors
/// [`AppError`] says why it did not start; nothing has been accepted then.
pub fn serve(options: &Options) -> Result<(), AppError> {
    let mut config = config::load(&options.config).map_err(AppError::Config)?;
    let ports = config
        .listeners
        .iter()
        .map(|listener| listener.ports.len() * listener.addresses.len())
        .sum();
    let room = privileges::raise_file_limit(ports)?;
    build::data_dir(&config.server.data_dir)?;
    let binding = crate::submission::bind(&config.listeners)?;
    let doors = challenges::bind(config.acme.as_ref())?;
    let public = public::bind(config.public.as_ref())?;
    let sandbox = confine(&config)?;
    let logging =
        telemetry::start(&build::log_settings(config.log)).map_err(runtime_part("log"))?;
    // From the first thread on.
    let (alerts, raised) = Alerts::new(ALERTS);
    faults::raise_panics(alerts.clone());
    report_start(&config, &binding);
    sandbox.report();
    let runtime = runtimes::main().map_err(runtime_part("runtime"))?;
    let strangers = runtimes::strangers().map_err(runtime_part("runtime"))?;
    // Before the spool is read, which may take a while: a SIGHUP without a handler ends the process.
    let signals = runtime.block_on(async { Signals::new() })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let spool = EmbeddedSpool::open(build::spool_settings(&config.spool), Arc::clone(&clock))?;
    let authenticator = build::authenticator(&mut config, &clock)?;
    let tls = Arc::new(Reloadable::new(&config.tls)?);
    let quotas = build::quotas(&config, &clock);
    let journal = Journal::open(config.journal.clone(), Arc::clone(&clock));
    let journal = Arc::new(journal.map_err(runtime_part("journal"))?);
    let all = Parts {
        alerts,
        quotas,
        sandbox,
        connections: fit(config.server.connections, room),
        journal: Arc::clone(&journal),
        spool: Arc::new(spool),
        clock,
        authenticator: Arc::new(authenticator),
        tls,
        config,
        strangers: strangers.handle().clone(),
    };
    let bound = AllBound {
        mail: binding.bound,
        public,
        doors,
    };
    let served = runtime.block_on(run(all, bound, options.config.clone(), (signals, raised)));
    // What hangs in a look-up or a disk must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    strangers.shutdown_timeout(Duration::from_secs(1));
    journal.close();
    drop(logging);
    served
}

struct Parts {
    alerts: Alerts,
    quotas: Arc<Quotas>,
    sandbox: Sandbox,
    connections: ConnectionLimits,
    config: Checked,
    journal: Arc<Journal>,
    spool: Arc<EmbeddedSpool>,
    clock: Arc<dyn Clock>,
    authenticator: Arc<Authenticator>,
    tls: Arc<Reloadable>,
    strangers: Handle,
}

/// Gives up whatever is not needed to serve. Every thread is to be without it, so none may have been started.
fn confine(config: &Checked) -> Result<Sandbox, AppError> {
    become_user(config)?;
    privileges::forbid_core_dumps()?;
    privileges::give_up()?;
    sandbox::enter(config.server.sandbox, Folders::of(config))
}

fn become_user(config: &Checked) -> Result<(), AppError> {
    let Some(name) = &config.server.run_as else {
        return Ok(());
    };
    let failed = |source| AppError::Privileges {
        user: name.clone(),
        source,
    };
    let user = privileges::find_user(name).map_err(failed)?;
    if rustix::process::geteuid().is_root() {
        user.own(&config.server.data_dir).map_err(failed)?;
        // `upstream login` may have been run before the first start.
        let tokens = config.server.data_dir.join(oauth::FOLDER);
        user.own_all(&tokens).map_err(failed)?;
    }
    user.assume().map_err(failed)
}

fn report_start(config: &Checked, binding: &Binding) {
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, hostname = %config.server.hostname, "starting");
    for warning in &config.warnings {
        tracing::warn!(warning = %warning.summary(), "configuration");
    }
    for skipped in &binding.skipped {
        tracing::warn!(
            listener = skipped.listener,
            address = %skipped.address,
            ports = skipped.ports.len(),
            first = skipped.ports.first(),
            "ports are taken by other programs and left out"
        );
    }
}

/// Keeps file descriptors for the spool and the upstreams, whatever the configuration allows to clients.
fn fit(mut limits: ConnectionLimits, room: usize) -> ConnectionLimits {
    if limits.total > room {
        tracing::warn!(
            connections = room,
            configured = limits.total,
            "the limit on open files leaves room for fewer connections"
        );
        limits.total = room;
    }
    limits
}

fn runtime_part(part: &'static str) -> impl Fn(std::io::Error) -> AppError {
    move |source| AppError::Runtime { part, source }
}

async fn run(
    parts: Parts,
    bound: AllBound,
    config_file: PathBuf,
    (mut signals, raised): (Signals, mpsc::Receiver<Alert>),
) -> Result<(), AppError> {
    let resolver: Arc<dyn Resolver> = Arc::new(SystemResolver::new()?);
    let reloader = Arc::new(parts.assemble(resolver, config_file)?);
    let Parts {
        config,
        journal,
        spool,
        clock,
        quotas,
        ..
    } = parts;
    let alerts = alert_keeper(&reloader, &config, raised);
    let stop_alerts = CancellationToken::new();
    let alerting = JoinSet::from_iter([tended::alerts(alerts, stop_alerts.clone())]);
    let stop_keeper = CancellationToken::new();
    let keeping = keep(&reloader, quotas, &config, &stop_keeper);
    let lanes = reloader.lanes(&config)?;
    reloader.route(lanes, &config).await;
    let operator = ServerOperator::new(&config, Arc::clone(&reloader), clock.now());
    let control = control::server::Server::bind(&config.server.data_dir)?;
    let stop_control = CancellationToken::new();
    let controlling = tended::control(
        control,
        (Arc::clone(&spool) as _, journal),
        Arc::new(operator),
        stop_control.clone(),
    );
    let controlling = JoinSet::from_iter([controlling]);
    let stop_relay = CancellationToken::new();
    let mut relaying = JoinSet::from_iter([Arc::clone(&reloader.relay).run(stop_relay.clone())]);
    let opened = open_ports(bound, &reloader, &config)?;
    let ended = tokio::select! {
        () = signals.serve_until_stop(&reloader) => Ok(()),
        // Mail must not be accepted by a process that no longer stores or relays: whoever supervises it starts another.
        () = spool.ended() => Err(AppError::Ended {
            part: "spool",
            source: None,
        }),
        Some(ended) = relaying.join_next() => Err(AppError::Ended {
            part: "relay",
            source: ended.err(),
        }),
    };
    tracing::info!("stopping");
    stop_control.cancel();
    controlling.join_all().await;
    opened.stop(config.server.shutdown_grace).await;
    stop_keeper.cancel();
    keeping.join_all().await;
    stop_relay.cancel();
    end_relay(relaying, &reloader).await;
    stop_alerts.cancel();
    alerting.join_all().await;
    spool.close().await;
    tracing::info!("stopped");
    ended
}

/// Gets certificates, and answers the authority that looks.
struct CertificateTask {
    doors: OpenDoors,
    task: JoinSet<()>,
    stop: CancellationToken,
}

impl CertificateTask {
    fn start(reloader: &Arc<Reloader>, doors: Doors) -> Result<Self, AppError> {
        let doors = doors.open(reloader.keeper.answers());
        let doors = doors.map_err(runtime_part("ports of [tls.acme]"))?;
        let stop = CancellationToken::new();
        let keep = tended::certificates(Arc::clone(reloader), stop.clone());
        Ok(Self {
            doors,
            task: JoinSet::from_iter([keep]),
            stop,
        })
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.join_all().await;
        self.doors.close().await;
    }
}

/// Keeps on the disk, or fresh, what is known beside the mail.
fn keep(
    reloader: &Reloader,
    quotas: Arc<Quotas>,
    config: &Checked,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let keeper = Keeper::new(quotas, build::quota_file(config));
    let mut keeping = JoinSet::from_iter([tended::counts(keeper, stop.clone())]);
    let policies = Arc::clone(&reloader.policies);
    keeping.spawn(tended::policies(policies, stop.clone()));
    let uses = reloader.parts.authenticator.uses();
    let file = build::uses_file(config);
    keeping.spawn(tended::uses(uses, file, stop.clone()));
    let authenticator = Arc::clone(&reloader.parts.authenticator);
    let file = build::clients_file(config);
    keeping.spawn(tended::clients(authenticator, file, stop.clone()));
    keeping
}

/// Waits for the relay to end, and keeps what it has learnt.
async fn end_relay(mut relaying: JoinSet<()>, reloader: &Reloader) {
    while relaying.join_next().await.is_some() {}
    reloader.keep_histories().await;
}

/// Makes what keeps the alerts.
fn alert_keeper(
    reloader: &Reloader,
    config: &Checked,
    raised: mpsc::Receiver<Alert>,
) -> alerts::Keeper {
    let spool = Arc::clone(&reloader.spool);
    let post = Post {
        relay: Arc::clone(&reloader.relay),
        parts: Arc::clone(&reloader.parts),
        spool: Arc::clone(&spool) as _,
        clock: Arc::clone(&reloader.clock),
        resolver: Arc::clone(&reloader.resolver),
        hostname: config.server.hostname.clone(),
        system_mail: config.system_mail.clone(),
        client: Mutex::default(),
    };
    let desk = Arc::clone(&reloader.alerts);
    alerts::Keeper::new(desk, raised, Arc::new(post), spool, &config.server.data_dir)
}

/// All ports that are bound before privileges are dropped.
struct AllBound {
    mail: Vec<Bound>,
    public: Vec<web::server::Bound>,
    doors: Doors,
}

/// All ports that are served.
struct Ports {
    mail: Server,
    public: Option<web::server::Server>,
    certificates: CertificateTask,
}

impl Ports {
    async fn stop(self, grace: Duration) {
        self.certificates.stop().await;
        if let Some(public) = self.public {
            public.stop(grace.min(PUBLIC_GRACE)).await;
        }
        self.mail.stop(grace).await;
    }
}

fn open_ports(
    bound: AllBound,
    reloader: &Arc<Reloader>,
    config: &Checked,
) -> Result<Ports, AppError> {
    let listeners = list_ports(&bound);
    let offer = public::offer(config, &bound.mail);
    let public = public::start(bound.public, reloader, config, offer);
    let public = public.map_err(runtime_part("public web listener"))?;
    let mail = Server::start(bound.mail, &reloader.parts).map_err(runtime_part("listeners"))?;
    // On a full disk the queue drains all the same.
    if let Err(error) = build::note(&config.server.data_dir.join("listeners"), &listeners) {
        tracing::error!(
            error = telemetry::chain(&error),
            "the list of ports is not written"
        );
    }
    tracing::info!(ports = listeners.lines().count(), "ready");
    let certificates = CertificateTask::start(reloader, bound.doors)?;
    Ok(Ports {
        mail,
        public,
        certificates,
    })
}

impl Parts {
    /// Puts the two halves together, and what a reload exchanges in them.
    fn assemble(
        &self,
        resolver: Arc<dyn Resolver>,
        config_file: PathBuf,
    ) -> Result<Reloader, AppError> {
        let alerts = self.alerts.clone();
        let register = register(&self.config.server.data_dir);
        let ledger = senders::ledger(&self.config);
        let relay = Relay::new(
            Arc::clone(&self.spool) as _,
            Arc::clone(&self.clock),
            build::relay_settings(&self.config, alerts.clone()),
            build::chance()?,
            Arc::clone(&self.journal),
        );
        let parts = ServerParts::new(
            Arc::clone(&self.authenticator),
            Arc::clone(&self.spool) as _,
            Arc::clone(&self.clock),
            Some(Arc::clone(&self.tls)),
            build::directory(&self.config, &register, &ledger),
        );
        let tokens = build::tokens(&self.config, &parts.tokens(), &resolver)?;
        parts.replace_tokens(tokens);
        relay.restore(register.histories());
        Ok(Reloader {
            config_file,
            relay,
            spool: Arc::clone(&self.spool),
            parts: Arc::new(
                parts
                    .with_limits(self.connections)
                    .with_strangers(self.strangers.clone())
                    .with_quotas(Arc::clone(&self.quotas))
                    .with_journal(Arc::clone(&self.journal))
                    .with_alerts(alerts.clone()),
            ),
            tls: Arc::clone(&self.tls),
            keeper: build::keeper(&self.config, &resolver, &self.clock),
            policies: build::policies(&self.config, &resolver, &self.clock),
            resolver,
            clock: Arc::clone(&self.clock),
            turn: tokio::sync::Mutex::default(),
            ledger_turn: Arc::default(),
            kept: Mutex::new(Kept {
                routes: self.config.routes.clone(),
                register,
                ways: build::ways(&self.config),
                tls: self.config.tls.clone(),
                expiries: self.config.expiries.clone(),
                profiles: self.config.profiles.clone(),
                verified_senders: self.config.verified_senders.clone(),
                ledger,
            }),
            watch: Mutex::default(),
            fixed: Fixed::of(&self.config),
            sandbox: self.sandbox.clone(),
            alerts: Arc::new(Desk::open(
                &self.config.server.data_dir,
                self.config.alerts.clone(),
                alerts,
            )),
        })
    }
}

/// Reads what is kept of the upstreams. Where that cannot be read, it is put aside and mail goes on.
fn register(data_dir: &Path) -> Register {
    let register = Register::load(data_dir).unwrap_or_else(|error| {
        let empty = Register::empty(data_dir);
        let aside = empty.path().with_extension("unreadable");
        let is_aside = std::fs::rename(empty.path(), aside).is_ok();
        tracing::error!(%error, is_aside, "the file of upstreams cannot be read; none is drained or parked");
        empty
    });
    for upstream in register.drained() {
        tracing::warn!(%upstream, "upstream is drained; it gets no mail");
    }
    for (upstream, park) in register.parked() {
        let reason = &*park.reason.text;
        tracing::warn!(%upstream, reason, since = %park.since, "upstream is parked by an operator; it gets no mail");
    }
    register
}

/// One line for each port: the listener's name and the address.
fn list_ports(bound: &AllBound) -> String {
    let mail = bound.mail.iter().map(|port| (port.name(), port.address()));
    let public = bound
        .public
        .iter()
        .map(|port| (public::NAME, port.address()));
    let all = mail.chain(public);
    let lines: Vec<_> = all
        .map(|(name, address)| format!("{name} {address}\n"))
        .collect();
    lines.concat()
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, AppError> {
        let listen = |kind| signal(kind).map_err(runtime_part("signal handlers"));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Reloads at each SIGHUP, and looks after what has to be looked after from time to time; returns at SIGTERM or SIGINT.
    /// What panics is done again the next time; the hook has told of it.
    async fn serve_until_stop(&mut self, reloader: &Reloader) {
        let mut orphans = tokio::time::interval(ADOPT_EVERY);
        let mut expiries = tokio::time::interval(expiry::LOOK_EVERY);
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    // It has logged what came of it; there is nobody else to tell.
                    let _told = contained(reloader.reload()).await;
                }
                _ = orphans.tick() => {
                    let adopt = contained(reloader.adopt_orphans());
                    let _adopted = adopt.await;
                    // Where it could not be written before.
                    let _kept = contained(reloader.keep_histories()).await;
                }
                _ = expiries.tick() => {
                    let _watched = contain(|| reloader.watch_expiries());
                }
                () = reloader.relay.parkings_changed() => {
                    let _kept = contained(reloader.keep_histories()).await;
                }
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
            }
        }
    }
}

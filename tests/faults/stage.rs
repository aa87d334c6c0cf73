//! A server in this process: submission and relay around a spool in memory.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use posthouse::alert::{Alert, Alerts};
use posthouse::auth::{Account, Accounts, Authenticator};
use posthouse::clock::{Clock, SystemClock, Timestamp};
use posthouse::identity::{AccountName, Route, UpstreamName};
use posthouse::journal::Journal;
use posthouse::mail::{Domain, Mailbox, Priority};
use posthouse::message::{AddressRule, PriorityHeader};
use posthouse::policy::{Detail, Grants, OnUnauthorized, Rules, Scope};
use posthouse::quota::{Limits, OverQuota, Quotas};
use posthouse::relay::{Arrangement, Lane, Relay, Settings as RelaySettings};
use posthouse::route::{Sending, Table};
use posthouse::schedule::{Bounds, Chance, RetryPlan};
use posthouse::smtp::server::{
    AuthEquals, AuthRule, BareNewlines, CertificateRule, Keywords, Limits as SessionLimits,
    Settings as Session, Timeouts, TlsMode,
};
use posthouse::submission::{
    ConnectionLimits, Directory, ListenerSettings, PortSet, Profile, Server, ServerParts, bind,
};
use posthouse::telemetry;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dialogue::Dialogue;
use crate::spool::OddSpool;
use crate::upstream::OddUpstream;

/// Clients from here are the account `shop`.
pub(crate) const SHOP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Clients from here are the account `single`, which may have one session at a time.
pub(crate) const SINGLE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

pub(crate) const RECIPIENT: &str = "customer@recipient.example";

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) parts: Arc<ServerParts>,
    pub(crate) spool: Arc<OddSpool>,
    pub(crate) clock: Arc<OddClock>,
    pub(crate) server: Option<Server>,
    raised: Mutex<Receiver<Alert>>,
    stop: CancellationToken,
    relaying: JoinSet<()>,
}

/// A runtime for a server whose clients block.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

impl Stage {
    /// Serves one port, and relays to this upstream over one connection. Must be called on the runtime.
    pub(crate) fn start(upstream: Arc<OddUpstream>) -> Self {
        Self::start_with(upstream, ConnectionLimits::default())
    }

    /// As [`Stage::start`], for so many connections.
    pub(crate) fn start_with(upstream: Arc<OddUpstream>, limits: ConnectionLimits) -> Self {
        LOG.get_or_init(Log::start);
        let (alerts, raised) = Alerts::new(64);
        posthouse::app::raise_panics(alerts.clone());
        let clock = Arc::new(OddClock::default());
        let spool = Arc::new(OddSpool::new(Arc::new(OddClock::default())));
        let stop = CancellationToken::new();
        let relay = relay(&spool, alerts.clone(), upstream);
        let relaying = JoinSet::from_iter([relay.run(stop.clone())]);
        let parts = parts(&spool, &clock).with_limits(limits);
        let parts = Arc::new(parts.with_alerts(alerts));
        let binding = bind(&[listener()]).unwrap();
        let address = binding.bound[0].address();
        let server = Server::start(binding.bound, &parts).unwrap();
        Self {
            address,
            parts,
            spool,
            clock,
            server: Some(server),
            raised: Mutex::new(raised),
            stop,
            relaying,
        }
    }

    /// Connects from an address, and greets.
    #[track_caller]
    pub(crate) fn client(&self, from: Ipv4Addr) -> Dialogue {
        let mut client = Dialogue::connect(from, self.address);
        client.must_reply("220");
        client.must("EHLO client.example", "250");
        client
    }

    /// Waits until an alert says this.
    #[track_caller]
    pub(crate) fn wait_for_alert(&self, part: &str) -> Alert {
        let mut raised = self.raised.lock().unwrap();
        let mut found = None;
        wait_until(|| {
            found = found.take().or_else(|| raised.try_recv().ok());
            found = found.take().filter(|alert| alert.text.contains(part));
            found.is_some()
        });
        found.unwrap()
    }

    /// Ends the relay in good order.
    pub(crate) async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop(Duration::ZERO).await;
        }
        self.stop.cancel();
        while let Some(ended) = self.relaying.join_next().await {
            ended.unwrap();
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it does not happen: {}", log());
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn relay(spool: &Arc<OddSpool>, alerts: Alerts, upstream: Arc<OddUpstream>) -> Arc<Relay> {
    let settings = RelaySettings {
        hostname: Domain::parse("relay.example").unwrap(),
        sender: Mailbox::parse("postmaster@relay.example").unwrap(),
        sender_name: "Mail".to_owned(),
        grace: Duration::ZERO,
        alerts,
    };
    let clock: Arc<dyn Clock> = Arc::new(OddClock::default());
    let journal = Arc::new(Journal::off(Arc::clone(&clock)));
    let spool = Arc::clone(spool) as _;
    let relay = Relay::new(spool, clock, settings, Chance::new(1), journal);
    let first = Duration::from_millis(50);
    let plan = RetryPlan::new(first, first, Duration::from_hours(1)).unwrap();
    relay.replace(Arrangement {
        lanes: vec![Lane {
            upstream,
            plan,
            bounds: Bounds {
                connections: 1,
                ..Bounds::default()
            },
        }],
        ..Arrangement::default()
    });
    relay
}

fn parts(spool: &Arc<OddSpool>, clock: &Arc<OddClock>) -> ServerParts {
    let route = Route::new(vec![UpstreamName::parse("main").unwrap()]);
    let mut routes = Table::new(Sending::Enabled, route, &HashMap::new());
    let mut limits = posthouse::quota::Table::default();
    let (mut accounts, mut profiles) = (Vec::new(), HashMap::new());
    for (name, network, sessions) in [("shop", SHOP, None), ("single", SINGLE, NonZeroU32::new(1))]
    {
        let name = AccountName::parse(name).unwrap();
        accounts.push(Account {
            networks: vec![IpAddr::V4(network).into()],
            ..Account::new(name.clone())
        });
        routes.add_account(name.clone(), None, None);
        let own = Limits {
            sessions,
            ..Limits::default()
        };
        limits.add_account(name.clone(), None, Arc::new(own), OverQuota::default());
        profiles.insert(name, profile());
    }
    let clock = Arc::<OddClock>::clone(clock) as Arc<dyn Clock>;
    let accounts = Accounts::new(accounts).unwrap();
    let settings = posthouse::auth::Settings::default();
    let authenticator = Authenticator::new(settings, accounts, Arc::clone(&clock)).unwrap();
    let directory = Directory {
        hostname: Domain::parse("relay.example").unwrap(),
        profiles,
        routes,
    };
    let quotas = Quotas::new(Arc::clone(&clock), limits);
    let spool = Arc::clone(spool) as _;
    ServerParts::new(Arc::new(authenticator), spool, clock, None, directory).with_quotas(quotas)
}

fn profile() -> Profile {
    Profile {
        rules: Rules {
            grants: Grants::Anyone,
            scope: Scope::default(),
            detail: Detail::default(),
            on_unauthorized: OnUnauthorized::default(),
        },
        priority: Priority::Normal,
        max_priority: None,
        priority_header: PriorityHeader::Keep,
        address_rule: AddressRule::All,
        added_fields: Arc::default(),
    }
}

fn listener() -> ListenerSettings {
    let mut ports = PortSet::default();
    ports.insert(PortSet::parse_part("0").unwrap()).unwrap();
    ListenerSettings {
        name: "test".to_owned(),
        addresses: vec![Ipv4Addr::LOCALHOST.into()],
        ports,
        on_port_in_use: None,
        session: Session {
            hostname: Domain::parse("relay.example").unwrap(),
            tls: TlsMode::Off,
            auth: AuthRule::Off,
            mechanisms: Session::default_mechanisms(),
            certificates: CertificateRule::Off,
            discarded: Keywords::default(),
            auth_equals: AuthEquals::Absent,
            bare_newlines: BareNewlines::Repair,
            limits: SessionLimits::default(),
            timeouts: Timeouts::default(),
        },
        networks: Vec::new(),
        balancers: Vec::new(),
        connections: None,
    }
}

/// The system's clock. Once it is told to, it panics the next time that it is asked for the instant; the one that is told
/// is that of those who serve clients.
#[derive(Debug, Default)]
pub(crate) struct OddClock {
    panics: AtomicBool,
    /// By how much it is ahead, in seconds.
    ahead: AtomicU64,
}

/// What it says then.
pub(crate) const CLOCK_SAID: &str = "the clock panics, as a test wants it";

impl OddClock {
    pub(crate) fn panic_next(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Lets whole seconds pass at once.
    pub(crate) fn advance(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for OddClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn instant(&self) -> Instant {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "{CLOCK_SAID}");
        // In step with deadlines, also where a test lets time pass.
        let ahead = Duration::from_secs(self.ahead.load(Ordering::SeqCst));
        tokio::time::Instant::now().into_std() + ahead
    }
}

/// The log of all tests of the process.
static LOG: OnceLock<Log> = OnceLock::new();

/// Returns it.
pub(crate) fn log() -> String {
    let text = LOG.get().unwrap().text.lock().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    /// The program's own set-up, for its hook; its writer is not used.
    _logging: Mutex<telemetry::Logging>,
}

impl Log {
    fn start() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer(Arc::clone(&text));
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Mutex::new(writer))
            .init();
        let logging = telemetry::start(&telemetry::Settings::default()).unwrap();
        Self {
            text,
            _logging: Mutex::new(logging),
        }
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

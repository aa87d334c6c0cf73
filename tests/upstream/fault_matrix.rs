//! What each fault of an upstream comes to, as one table: `tests/data/faults.txt`.
//!
//! Each row is played twice. The real client meets the fault at a scripted server (or resolver, or socket), which gives
//! an attempt; and the relay, in virtual time, is given that attempt, which shows whether it counts against the message
//! and when it is tried again. The transaction is played step by step and with PIPELINING, which must come to the same.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse::clock::SystemClock;
use posthouse::dns::{Proof, ResolveError, Resolver, StaticResolver, Tlsa};
use posthouse::mail::status::Class;
use posthouse::mail::{Attempt, Failure, Health, Outcome};
use posthouse::upstream::smtp::{PlainTextLogin, Settings, SmtpUpstream, Timeouts, TlsPolicy};
use socket2::{Domain, Socket, Type};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

use crate::fake_upstream::{FakeUpstream, Quirk, Script, Tls, Upset};
use crate::next_try::{Next, next_try};
use crate::support::{login, patient, relay, settings, trusting};

/// How far a fault is from the beginning of an attempt.
const STAGES: [&str; 10] = [
    "resolve",
    "connect",
    "greeting",
    "EHLO",
    "STARTTLS",
    "handshake",
    "login",
    "MAIL",
    "RCPT",
    "DATA",
];

/// The stages of the message itself.
const CONTENT_STAGES: [&str; 4] = ["content", "final", "MAIL+BDAT", "BDAT"];

/// What can go wrong at each.
const FAULTS: [&str; 5] = ["refused 4yz", "refused 5yz", "closed", "silent", "garbage"];

/// What cannot happen, or is another row.
const IMPOSSIBLE: [(&str, &str); 8] = [
    // TCP refuses in one way only, says nothing, and closes after it has connected, which is the greeting's row.
    ("connect", "refused 4yz"),
    ("connect", "closed"),
    ("connect", "garbage"),
    // While it takes the content it has nothing to say, but it may say why it closes.
    ("content", "refused 4yz"),
    ("content", "garbage"),
    // Then the content stays unread, or is refused by what BDAT is answered.
    ("MAIL+BDAT", "refused 4yz"),
    ("MAIL+BDAT", "refused 5yz"),
    ("MAIL+BDAT", "garbage"),
];

/// One row: what happens, and what comes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    stage: String,
    fault: String,
    /// What exactly happens; the reply, where there is one.
    exactly: String,
    /// What comes of it, in the words of the table.
    outcome: String,
    status: String,
    health: String,
    counts: String,
    next: String,
}

impl Row {
    fn parse(line: &str) -> Self {
        let cells: Vec<_> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        let [stage, fault, exactly, outcome, status, health, counts, next] =
            <[String; 8]>::try_from(cells).unwrap_or_else(|cells| panic!("{cells:?}"));
        Self {
            stage,
            fault,
            exactly,
            outcome,
            status,
            health,
            counts,
            next,
        }
    }

    fn line(&self) -> String {
        let cells = [
            &self.stage,
            &self.fault,
            &self.exactly,
            &self.outcome,
            &self.status,
            &self.health,
            &self.counts,
            &self.next,
        ];
        format!("| {} |", cells.map(String::as_str).join(" | "))
    }

    /// The reply that is scripted.
    fn reply(&self) -> &str {
        self.exactly.trim_matches('`')
    }

    /// Returns the row with what really came of it.
    fn with(&self, attempt: &Attempt, next: &Next) -> Self {
        let (word, class, failure): (_, _, &Failure) = match &attempt.outcomes[0].1 {
            Outcome::Relayed(..) => panic!("{self:?} was relayed"),
            Outcome::Deferred(failure) => ("deferred", Class::PersistentTransientFailure, failure),
            Outcome::Rejected(failure) => ("rejected", Class::PermanentFailure, failure),
            Outcome::Unknown(failure) => ("unknown", Class::PersistentTransientFailure, failure),
        };
        let health = match &attempt.health {
            Health::Good => "good",
            Health::Throttled { .. } => "throttled",
            Health::Unreachable => "unreachable",
            Health::Unusable => "unusable",
        };
        Self {
            outcome: word.to_owned(),
            status: failure.status(class).to_string(),
            health: health.to_owned(),
            counts: next.counts().to_owned(),
            next: next.words(),
            ..self.clone()
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table() -> String {
    fs::read_to_string(root().join("tests/data/faults.txt")).unwrap()
}

fn rows() -> Vec<Row> {
    let table = table();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(Row::parse).collect()
}

/// How the upstream takes commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    StepByStep,
    Pipelined,
    /// With BDAT, and the content behind it.
    Chunked,
}

impl Pace {
    fn of(stage: &str) -> &'static [Self] {
        match stage {
            "BDAT" | "MAIL+BDAT" => &[Self::Chunked],
            "MAIL" | "RCPT" | "DATA" | "content" | "final" => &[Self::StepByStep, Self::Pipelined],
            _ => &[Self::StepByStep],
        }
    }

    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::StepByStep => &["SIZE"],
            Self::Pipelined => &["SIZE", "PIPELINING"],
            Self::Chunked => &["SIZE", "PIPELINING", "CHUNKING"],
        }
    }
}

/// The real client meets the fault.
async fn play(row: &Row, pace: Pace) -> Attempt {
    if row.stage == "resolve" {
        return unresolved(row).await;
    }
    if row.stage == "connect" {
        return unconnected(row).await;
    }
    let server = FakeUpstream::start(script(row, pace)).await;
    let (settings, _authority) = settings_for(row, &server);
    attempt(settings, localhost(), message(row)).await
}

fn script(row: &Row, pace: Pace) -> Script {
    let script = Script::default().extensions(pace.extensions());
    let script = match row.stage.as_str() {
        "STARTTLS" | "handshake" => script.tls(Tls::StartTls),
        "login" => script.mechanisms("PLAIN"),
        _ => script,
    };
    let command = match row.stage.as_str() {
        "final" | "content" => ".",
        "login" => "AUTH",
        "MAIL+BDAT" => "MAIL",
        other => other,
    };
    let at = command.to_owned();
    match (row.stage.as_str(), row.fault.as_str()) {
        ("handshake", fault) => script.tls(upset(fault)),
        ("greeting", "refused 4yz" | "refused 5yz") => Script {
            greeting: row.reply().to_owned(),
            ..script
        },
        // HELO, which is tried then, fares no better.
        ("EHLO", "refused 5yz") => script.reply("EHLO", row.reply()).reply("HELO", row.reply()),
        ("content", "closed") => script.quirk(Quirk::CloseInData),
        ("content", "refused 5yz") => script.quirk(Quirk::RefuseInData(row.reply().to_owned())),
        ("content", _) => script.quirk(Quirk::SilentInData),
        ("BDAT", "closed") => script.quirk(Quirk::CloseAfterDot),
        ("BDAT", "silent") => script.quirk(Quirk::SilentAt(".".to_owned())),
        ("BDAT", "garbage") => script.quirk(Quirk::GarbageAt(".".to_owned())),
        (_, "refused 4yz" | "refused 5yz") => script.reply(command, row.reply()),
        (_, "closed") => script.quirk(Quirk::CloseAt(at)),
        (_, "silent") => script.quirk(Quirk::SilentAt(at)),
        (_, _) => script.quirk(Quirk::GarbageAt(at)),
    }
}

fn upset(fault: &str) -> Tls {
    match fault {
        // internal_error and handshake_failure (RFC 8446 §6.2).
        "refused 4yz" => Tls::StartTlsUpset(Upset::Alert(80)),
        "refused 5yz" => Tls::StartTlsUpset(Upset::Alert(40)),
        "closed" => Tls::StartTlsUpset(Upset::Close),
        "silent" => Tls::StartTlsUpset(Upset::Silence),
        _ => Tls::StartTlsAnswered("220 go ahead\r\n".to_owned()),
    }
}

/// Limits that no healthy exchange reaches, and that silence soon does.
fn limits(row: &Row) -> Timeouts {
    if row.fault != "silent" {
        return patient();
    }
    Timeouts {
        connect: SILENCE,
        command: SILENCE,
        data: SILENCE,
        final_reply: SILENCE,
    }
}

const SILENCE: Duration = Duration::from_secs(1);

fn settings_for(row: &Row, server: &FakeUpstream) -> (Settings, Option<NamedTempFile>) {
    let timeouts = limits(row);
    if matches!(row.stage.as_str(), "STARTTLS" | "handshake") {
        let (settings, file) = trusting(server, TlsPolicy::Required);
        let settings = Settings {
            timeouts,
            ..settings
        };
        return (settings, Some(file));
    }
    let login = (row.stage == "login").then(|| login(PlainTextLogin::Allowed));
    let settings = Settings {
        timeouts,
        login,
        ..settings(server)
    };
    (settings, None)
}

/// A message that fits into one write; where somebody does not read it, one that does not fit into what the system keeps.
fn message(row: &Row) -> Vec<u8> {
    let lines = if row.stage == "content" { 400_000 } else { 3 };
    let mut message = b"Subject: x\r\n\r\n".to_vec();
    message.extend_from_slice(&b"just another line of it\r\n".repeat(lines));
    message
}

async fn attempt(settings: Settings, resolver: Arc<dyn Resolver>, message: Vec<u8>) -> Attempt {
    let upstream = SmtpUpstream::new(settings, resolver, Arc::new(SystemClock)).unwrap();
    relay(&upstream, &["r@example.net"], &message).await
}

fn localhost() -> Arc<dyn Resolver> {
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    Arc::new(StaticResolver::default().with_host("localhost", &addresses))
}

/// A name server that never answers.
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        std::future::pending().await
    }

    async fn mail_exchangers(&self, _: &str) -> Result<Vec<Box<str>>, ResolveError> {
        std::future::pending().await
    }

    async fn texts(&self, _: &str) -> Result<Vec<Box<str>>, ResolveError> {
        std::future::pending().await
    }

    async fn can_prove(&self) -> Result<bool, ResolveError> {
        std::future::pending().await
    }

    async fn proved_exchangers(&self, _: &str) -> Result<(Vec<Box<str>>, Proof), ResolveError> {
        std::future::pending().await
    }

    async fn tlsa(&self, _: &str, _: u16) -> Result<Option<Tlsa>, ResolveError> {
        std::future::pending().await
    }
}

async fn unresolved(row: &Row) -> Attempt {
    let server = FakeUpstream::start(Script::default()).await;
    let resolver: Arc<dyn Resolver> = match (row.fault.as_str(), row.reply()) {
        ("silent", _) => Arc::new(Silent),
        ("refused 5yz", "null MX") => {
            Arc::new(StaticResolver::default().with_exchangers("localhost", &[]))
        }
        ("refused 5yz", _) => Arc::new(StaticResolver::default()),
        (_, _) => Arc::new(StaticResolver::default().failing()),
    };
    let settings = Settings {
        mx: row.reply() == "null MX",
        timeouts: limits(row),
        ..settings(&server)
    };
    attempt(settings, resolver, message(row)).await
}

async fn unconnected(row: &Row) -> Attempt {
    let server = FakeUpstream::start(Script::default()).await;
    let (_socket, address, _fillers) = if row.fault == "silent" {
        deaf_port()
    } else {
        let (socket, address) = bound();
        (socket, address, Vec::new())
    };
    let settings = Settings {
        port: address.port(),
        timeouts: limits(row),
        ..settings(&server)
    };
    attempt(settings, localhost(), message(row)).await
}

/// A port that nobody else can take and that nobody listens on.
fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A port whose queue of connections is full, so that the system drops who asks for another.
fn deaf_port() -> (Socket, SocketAddr, Vec<TcpStream>) {
    let (socket, address) = bound();
    socket.listen(0).unwrap();
    let mut fillers = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        fillers.push(stream);
    }
    (socket, address, fillers)
}

/// Plays all rows side by side; returns them in their order, with an attempt for each pace.
fn play_all(rows: &[Row]) -> Vec<Vec<Attempt>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut playing = JoinSet::new();
        for (place, row) in rows.iter().enumerate() {
            let row = row.clone();
            playing.spawn(async move {
                let mut attempts = Vec::new();
                for pace in Pace::of(&row.stage) {
                    attempts.push(play(&row, *pace).await);
                }
                (place, attempts)
            });
        }
        let mut played = playing.join_all().await;
        played.sort_by_key(|(place, _)| *place);
        played.into_iter().map(|(_, attempts)| attempts).collect()
    })
}

#[test]
fn every_fault_at_every_stage_comes_to_what_the_table_says() {
    let (rows, mut found) = (rows(), Vec::new());
    for (row, attempts) in rows.iter().zip(play_all(&rows)) {
        for attempt in &attempts {
            let actual = row.with(attempt, &next_try(attempt));
            if found.last() != Some(&actual) {
                found.push(actual);
            }
        }
    }
    let lines = |rows: &[Row]| rows.iter().map(Row::line).collect::<Vec<_>>().join("\n");
    let (expected, found) = (lines(&rows), lines(&found));
    assert!(expected == found, "what came of it:\n{found}");
}

#[test]
fn the_table_has_every_fault_at_every_stage() {
    let rows = rows();
    let known: BTreeSet<_> = rows
        .iter()
        .map(|row| (row.stage.as_str(), row.fault.as_str()))
        .collect();
    let mut missing = Vec::new();
    for stage in STAGES.iter().chain(&CONTENT_STAGES) {
        for fault in FAULTS {
            let cell = (*stage, fault);
            if known.contains(&cell) == IMPOSSIBLE.contains(&cell) {
                missing.push(cell);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    let all = (STAGES.len() + CONTENT_STAGES.len()) * FAULTS.len() - IMPOSSIBLE.len();
    assert_eq!(known.len(), all, "an unknown stage or fault");
}

#[test]
fn the_documentation_has_the_table() {
    let page = fs::read_to_string(root().join("docs/scheduling.md")).unwrap();
    let table = table();
    let (_, rows) = table.split_once("\n\n").unwrap();
    assert!(
        page.contains(rows.trim_end()),
        "docs/scheduling.md differs from tests/data/faults.txt"
    );
}

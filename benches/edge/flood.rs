//! Good clients, alone and beside attackers.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use posthouse::clock::{Clock as _, SystemClock};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustls::ClientConfig;

use crate::client::{Client, login};
use crate::common::configuration::{LOGIN, PASSWORD};
use crate::common::figures::{Times, decimal};
use crate::common::server::Server;
use crate::common::tls;
use crate::common::usage;
use crate::options::{Flood, Kind};
use crate::server;

/// How long an attack lasts before good clients are timed beside it.
const LEAD: Duration = Duration::from_secs(1);

/// Measures what the command line asks for and prints rows of a table.
///
/// # Errors
/// Something cannot be started, or a good client is not served while nobody attacks.
pub(crate) fn perform(shape: &Flood) -> io::Result<()> {
    let stage = Stage::set(shape)?;
    let kinds = if shape.attack.is_empty() {
        Kind::value_variants()
    } else {
        &shape.attack
    };
    println!(
        "| attack | attackers' connections/s, answers/s | posthouse, CPU | alone: median, 99 %, µs | beside it | ratio of 99 % \
         | beside the same on an empty port | a password checked: median, most, ms, alone; beside it | lost |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut turn = 0;
    for kind in kinds {
        let result = stage.rounds(*kind, &mut turn);
        result.map_err(|error| stage.server.explain(&error))?;
    }
    stage.server.stop()
}

/// What is attacked, and who looks on.
struct Stage<'a> {
    shape: &'a Flood,
    server: Server,
    address: SocketAddr,
    config: Arc<ClientConfig>,
    /// How often there have been new hashes.
    hashes: Cell<u64>,
}

/// What the rounds of an attack have shown.
#[derive(Default)]
struct Seen {
    quiet: Good,
    loud: Good,
    empty: Good,
    connections: u64,
    answers: u64,
    /// Seconds that it lasted, and of posthouse's processor time meanwhile.
    lasted: f64,
    spent: f64,
}

/// What good clients have seen.
#[derive(Default)]
struct Good {
    /// Of whole sessions, in milliseconds.
    times: Vec<f64>,
    /// Until a login is answered whose password has to be checked, in milliseconds.
    checks: Vec<f64>,
    /// Sessions that were not served.
    lost: u64,
    /// Of the last one of those.
    why: Option<io::Error>,
}

impl Good {
    fn lose(&mut self, why: io::Error) {
        self.lost += 1;
        self.why = Some(why);
    }
}

impl<'a> Stage<'a> {
    fn set(shape: &'a Flood) -> io::Result<Self> {
        let processors = sched_getaffinity(None)?;
        let ours: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|number| processors.is_set(*number))
            .collect();
        let server = if shape.together || ours.len() < 2 {
            server::usual(&shape.place)?
        } else {
            // Children have the processor of whoever starts them.
            stay_on(&ours[..1])?;
            let server = server::usual(&shape.place)?;
            stay_on(&ours[1..])?;
            server
        };
        Ok(Self {
            shape,
            address: server.listener("plain")?,
            server,
            config: tls::client()?,
            hashes: Cell::new(0),
        })
    }

    fn rounds(&self, kind: Kind, turn: &mut u32) -> io::Result<()> {
        let mut seen = Seen::default();
        // So that the password is known, and the address.
        self.time(kind, Duration::from_millis(200), &mut Good::default())?;
        let slice = Duration::from_millis(self.shape.slice);
        for _ in 0..self.shape.rounds {
            self.time(kind, slice, &mut seen.quiet)?;
            if let Some(why) = seen.quiet.why.take() {
                return Err(why);
            }
            let rate = self.beside(kind, *turn, &mut seen)?;
            self.beside_nothing(kind, *turn, rate, &mut seen.empty)?;
            *turn += 1;
        }
        report(kind, seen);
        Ok(())
    }

    /// Times good sessions beside the attack; returns connections a second.
    fn beside(&self, kind: Kind, turn: u32, seen: &mut Seen) -> io::Result<f64> {
        let before = (usage::cpu(self.server.id()), SystemClock.instant());
        let attack = self.attack(kind, self.address, turn, None)?;
        thread::sleep(LEAD);
        self.time(
            kind,
            Duration::from_millis(self.shape.slice),
            &mut seen.loud,
        )?;
        let (connections, answers) = end(attack)?;
        let lasted = before.1.elapsed().as_secs_f64();
        seen.spent += (usage::cpu(self.server.id()).saturating_sub(before.0)).as_secs_f64();
        seen.lasted += lasted;
        seen.connections += connections;
        seen.answers += answers;
        // What is left of it must not be in the next part.
        thread::sleep(LEAD);
        Ok(decimal(connections) / lasted)
    }

    /// Times good sessions while the same attack goes where nothing is.
    fn beside_nothing(&self, kind: Kind, turn: u32, rate: f64, good: &mut Good) -> io::Result<()> {
        if kind == Kind::BotnetTls {
            return Ok(());
        }
        let mut decoy = program(&["decoy"])?.spawn()?;
        let mut line = String::new();
        if let Some(output) = decoy.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(io::Error::other)?;
        let attack = self.attack(kind, address, turn, Some(rate))?;
        thread::sleep(LEAD);
        self.time(kind, Duration::from_millis(self.shape.slice), good)?;
        end(attack)?;
        drop(decoy.stdin.take());
        decoy.wait().map(drop)
    }

    fn attack(
        &self,
        kind: Kind,
        server: SocketAddr,
        turn: u32,
        rate: Option<f64>,
    ) -> io::Result<Child> {
        let name = kind.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        let connections = self.shape.connections.unwrap_or(match kind {
            Kind::Account | Kind::Address | Kind::Botnet | Kind::BotnetTls => 1_000,
            Kind::Silent => 12_000,
        });
        let mut command = program(&[
            "attack",
            name,
            &server.to_string(),
            &turn.to_string(),
            &connections.to_string(),
            &self.shape.patience.to_string(),
        ])?;
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        command.spawn()
    }

    fn time(&self, kind: Kind, slice: Duration, good: &mut Good) -> io::Result<()> {
        self.hashes.set(self.hashes.get() + 1);
        let accounts = server::accounts(self.hashes.get())?;
        self.server.replace_accounts(&accounts)?;
        for number in 0..server::CHECKED {
            let begun = SystemClock.instant();
            match self.check(&server::checked(number)) {
                Ok(()) => good.checks.push(begun.elapsed().as_secs_f64() * 1e3),
                Err(error) => good.lose(error),
            }
        }
        let end = SystemClock.instant() + slice;
        while SystemClock.instant() < end {
            let begun = SystemClock.instant();
            match self.session(kind) {
                Ok(()) => good.times.push(begun.elapsed().as_secs_f64() * 1e3),
                Err(error) => good.lose(error),
            }
            thread::sleep(Duration::from_millis(self.shape.pace));
        }
        Ok(())
    }

    /// Logs in.
    fn check(&self, name: &str) -> io::Result<()> {
        let mut client = Client::connect(self.address, Ipv4Addr::LOCALHOST)?;
        client.hear(220)?;
        client.must("EHLO load.example", 250)?;
        client.must(&login(name, PASSWORD), 235)
    }

    /// Logs in, sends one message and leaves.
    fn session(&self, kind: Kind) -> io::Result<()> {
        let mut client = Client::connect(self.address, Ipv4Addr::LOCALHOST)?;
        client.hear(220)?;
        client.must("EHLO load.example", 250)?;
        match kind {
            Kind::Account | Kind::Address | Kind::Botnet | Kind::Silent => send(client),
            Kind::BotnetTls => {
                client.must("STARTTLS", 220)?;
                let mut client = client.encrypt(&self.config)?;
                client.must("EHLO load.example", 250)?;
                send(client)
            }
        }
    }
}

fn send<S: io::Read + io::Write>(mut client: Client<S>) -> io::Result<()> {
    let content = "From: load@example.com\r\nSubject: load\r\n\r\ntext\r\n.";
    client.must(&login(LOGIN.0, LOGIN.1), 235)?;
    client.must("MAIL FROM:<load@example.com>", 250)?;
    client.must("RCPT TO:<to@example.net>", 250)?;
    client.must("DATA", 354)?;
    client.must(content, 250)?;
    client.must("QUIT", 221)
}

/// Lets this process, and those that it starts, run on these processors only.
fn stay_on(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for number in processors {
        set.set(*number);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// This program once more, as a process of its own.
fn program(arguments: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

/// Ends an attack; returns its connections and the answers it got.
fn end(mut attack: Child) -> io::Result<(u64, u64)> {
    drop(attack.stdin.take());
    let mut text = String::new();
    if let Some(mut output) = attack.stdout.take() {
        output.read_to_string(&mut text)?;
    }
    attack.wait()?;
    let numbers = text.trim().split_once(' ');
    let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.ok_or_else(|| io::Error::other(format!("the attack failed: {text}")))
}

fn report(kind: Kind, seen: Seen) {
    let [quiet, loud, empty] =
        [&seen.quiet, &seen.loud, &seen.empty].map(|good| Times::from_millis(&good.times));
    let name = kind.to_possible_value();
    let both = |times: &Times| format!("{:.0}, {:.0}", times.median() * 1e3, times.at_99() * 1e3);
    println!(
        "| `{}` | {:.0}, {:.0} | {:.0} % | {} | {} | {:.2} | {} | {}; {} | {} of {} |",
        name.as_ref().map_or("", |value| value.get_name()),
        decimal(seen.connections) / seen.lasted,
        decimal(seen.answers) / seen.lasted,
        100.0 * seen.spent / seen.lasted,
        both(&quiet),
        both(&loud),
        loud.at_99() / quiet.at_99(),
        if seen.empty.times.is_empty() {
            "–".to_owned()
        } else {
            both(&empty)
        },
        checks(&seen.quiet),
        checks(&seen.loud),
        seen.loud.lost,
        seen.loud.times.len() as u64 + seen.loud.lost
    );
    if let Some(why) = seen.loud.why {
        println!("the last that was lost: {why}");
    }
}

fn checks(good: &Good) -> String {
    let times = Times::from_millis(&good.checks);
    format!("{:.0}, {:.0}", times.median(), times.at(1.0))
}

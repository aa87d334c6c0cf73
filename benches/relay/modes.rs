//! The modes of the command line.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::{Clock, SystemClock};

use crate::common::command_line::Place;
use crate::common::configuration::{LOGIN, base, upstream};
use crate::common::figures::mebibytes;
use crate::common::generator::{Flow, Load, Pace, Reuse, Security};
use crate::common::ledger::Ledger;
use crate::common::report;
use crate::common::run;
use crate::common::run::Measurement;
use crate::common::server::Server;
use crate::common::sink::Sink;
use crate::common::tls;
use crate::common::usage;
use crate::options::{Encryption, Large, Mode, Shape};
use crate::support::postfix::Postfix;
use crate::support::process::wait_for;
use crate::target::Target;

/// Does what the command line asks for.
///
/// # Errors
///
/// What the mode fails with.
pub(crate) fn perform(mode: Mode) -> io::Result<()> {
    match mode {
        Mode::Throughput(shape) => throughput(&shape),
        Mode::Peer(shape) => peer(&shape),
        Mode::Direct(shape) => direct(&shape),
        Mode::Latency(shape) => latency(&shape),
        Mode::Idle(place) => idle(&place),
        Mode::Large(large) => many_large(&large),
    }
}

/// A target with its sink; messages are numbered through all its runs.
struct Series {
    ledger: Arc<Ledger>,
    sink: Sink,
    target: Option<Target>,
    next: u64,
    runs: Vec<Measurement>,
}

impl Series {
    fn new(
        messages: u64,
        start: impl FnOnce(SocketAddr) -> io::Result<Option<Target>>,
    ) -> io::Result<Self> {
        let ledger = Arc::new(Ledger::new(messages));
        let sink = Sink::start(Arc::clone(&ledger), Duration::ZERO)?;
        let target = start(sink.address())?;
        Ok(Self {
            ledger,
            sink,
            target,
            next: 0,
            runs: Vec::new(),
        })
    }

    fn name(&self) -> &'static str {
        self.target.as_ref().map_or("direct", |target| target.name)
    }

    fn load(&self, shape: &Shape, count: u64) -> io::Result<Load> {
        let target = self.target.as_ref();
        Ok(Load {
            address: target.map_or(self.sink.address(), |target| target.address(shape.tls)),
            sessions: shape.sessions,
            count,
            first: self.next,
            size: shape.size,
            flow: shape.flow,
            security: match shape.tls {
                Encryption::Off => Security::Plain,
                Encryption::Starttls => Security::StartTls(tls::client()?),
                Encryption::Implicit => Security::Implicit(tls::client()?),
            },
            login: shape
                .login
                .then(|| (LOGIN.0.to_owned(), LOGIN.1.to_owned())),
            reuse: shape.reuse(),
            pace: None,
            priority: None,
            limit: shape.place.limit(),
        })
    }

    fn run(&mut self, load: &Load) -> io::Result<Measurement> {
        self.next += load.count;
        let relay = self.target.as_ref().map(|target| target.id);
        let result = run::measure(load, &self.ledger, relay);
        result.map_err(|error| self.explain(&error))
    }

    fn warm_up(&mut self, shape: &Shape) -> io::Result<()> {
        let load = self.load(shape, warm_up_count(shape))?;
        self.run(&load).map(drop)
    }

    fn measured_run(&mut self, shape: &Shape) -> io::Result<()> {
        let load = self.load(shape, shape.count)?;
        let measurement = self.run(&load)?;
        self.runs.push(measurement);
        Ok(())
    }

    /// Stops the relay first, so that a late copy is still counted, then compares.
    fn finish(self) -> io::Result<Vec<Measurement>> {
        if let Some(target) = self.target {
            target.stop()?;
        }
        self.sink.stop()?;
        run::check(self.ledger.balance(), true)?;
        Ok(self.runs)
    }

    fn explain(&self, error: &io::Error) -> io::Error {
        let target = self.target.as_ref();
        target.map_or_else(
            || io::Error::other(error.to_string()),
            |target| target.explain(error),
        )
    }
}

fn posthouse_series(shape: &Shape) -> io::Result<Series> {
    Series::new(all_messages(shape), |sink| {
        Target::posthouse(&shape.place, sink, shape.connections).map(Some)
    })
}

fn postfix_series(shape: &Shape) -> io::Result<Series> {
    Series::new(all_messages(shape), |sink| {
        Target::postfix(&shape.place, sink, shape.connections, shape.login).map(Some)
    })
}

fn throughput(shape: &Shape) -> io::Result<()> {
    one_series(posthouse_series(shape)?, shape)
}

fn direct(shape: &Shape) -> io::Result<()> {
    if shape.tls != Encryption::Off || shape.login {
        return Err(io::Error::other("the sink has neither TLS nor logins"));
    }
    one_series(Series::new(all_messages(shape), |_| Ok(None))?, shape)
}

fn one_series(mut series: Series, shape: &Shape) -> io::Result<()> {
    series.warm_up(shape)?;
    for _ in 0..shape.runs {
        series.measured_run(shape)?;
    }
    let name = series.name();
    let runs = series.finish()?;
    report::head();
    report::row(name, shape.sessions, shape.size, &runs);
    Ok(())
}

/// Postfix alone where this build of posthouse cannot be started.
fn peer(shape: &Shape) -> io::Result<()> {
    if let Some(reason) = Postfix::missing() {
        return Err(io::Error::other(reason));
    }
    let mut ours = match posthouse_series(shape) {
        Ok(series) => Some(series),
        Err(error) => {
            println!("posthouse is left out: {error}");
            None
        }
    };
    let mut theirs = postfix_series(shape)?;
    for series in ours.iter_mut().chain([&mut theirs]) {
        series.warm_up(shape)?;
    }
    for _ in 0..shape.runs {
        for series in ours.iter_mut().chain([&mut theirs]) {
            series.measured_run(shape)?;
        }
    }
    let theirs = theirs.finish()?;
    let ours = ours.map(Series::finish).transpose()?;
    report::head();
    report::row("Postfix", shape.sessions, shape.size, &theirs);
    if let Some(ours) = ours {
        report::row("posthouse", shape.sessions, shape.size, &ours);
        report::ratio(&ours, &theirs);
    }
    Ok(())
}

fn latency(shape: &Shape) -> io::Result<()> {
    let shape = Shape {
        sessions: 1,
        count: shape.count.min(2000),
        ..shape.clone()
    };
    let mut all = vec![Series::new(all_messages(&shape), |_| Ok(None))?];
    match posthouse_series(&shape) {
        Ok(series) => all.push(series),
        Err(error) => println!("posthouse is left out: {error}"),
    }
    match Postfix::missing() {
        None => all.push(postfix_series(&shape)?),
        Some(reason) => println!("Postfix is left out: {reason}"),
    }
    for mut series in all {
        let plain = Shape {
            tls: Encryption::Off,
            login: false,
            ..shape.clone()
        };
        let kind = if series.target.is_none() {
            &plain
        } else {
            &shape
        };
        let mut load = series.load(kind, shape.count)?;
        load.pace = Some(Pace::every(Duration::from_millis(shape.pace)));
        series.run(&load)?;
        let (name, ledger) = (series.name(), Arc::clone(&series.ledger));
        series.finish()?;
        report::latencies(name, &ledger.latencies_of(0..u64::MAX));
    }
    Ok(())
}

fn idle(place: &Place) -> io::Result<()> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let config = [
        base("", "nowhere"),
        WHOLE_RANGE.to_owned(),
        upstream("nowhere", nowhere, "tls = \"disabled\""),
    ];
    let posthouse = Server::start(place, &config.concat(), IDLE_ACCOUNTS)?;
    let ports = posthouse.process().listeners().len();
    let milliseconds = posthouse.process().ready_after().as_millis();
    println!("{ports} listeners ready {milliseconds} ms after the start of the process");
    // What only the start needed is given back soon after it.
    let settled = SystemClock.instant() + Duration::from_secs(2);
    wait_for(Duration::from_secs(5), || {
        Ok((SystemClock.instant() > settled).then_some(()))
    })?;
    println!(
        "memory: {:.1} MiB resident, {:.1} MiB proportional, {:.1} MiB at most",
        mebibytes(usage::resident_memory(posthouse.id())),
        mebibytes(usage::proportional_memory(posthouse.id())),
        mebibytes(usage::peak_memory(posthouse.id()))
    );
    posthouse.stop()
}

fn many_large(large: &Large) -> io::Result<()> {
    let size = large.mebibytes << 20;
    let needed = size * large.count + (size * large.count) / 5;
    let free = free_space(&large.place)?;
    if free < needed {
        let text = format!("{needed} octets needed, {free} free; take a smaller --count");
        return Err(io::Error::other(text));
    }
    let mut series = Series::new(large.count, |sink| {
        Target::posthouse(&large.place, sink, large.connections).map(Some)
    })?;
    let Some((id, address)) = series
        .target
        .as_ref()
        .map(|target| (target.id, target.address(Encryption::Off)))
    else {
        return Ok(());
    };
    let load = Load {
        address,
        sessions: usize::try_from(large.count).map_err(io::Error::other)?,
        count: large.count,
        first: 0,
        size: usize::try_from(size).map_err(io::Error::other)?,
        flow: Flow::Envelope,
        security: Security::Plain,
        login: None,
        reuse: Reuse::Keep,
        pace: None,
        priority: None,
        limit: large.place.limit(),
    };
    let measurement = series.run(&load)?;
    let peak = mebibytes(usage::peak_memory(id));
    series.finish()?;
    report::head();
    report::row("posthouse", load.sessions, load.size, &[measurement]);
    println!("resident memory at most: {peak:.1} MiB");
    Ok(())
}

fn free_space(place: &Place) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(&place.directory)?;
    Ok(facts.f_bavail * facts.f_frsize)
}

fn warm_up_count(shape: &Shape) -> u64 {
    (shape.count / 5).max(1)
}

fn all_messages(shape: &Shape) -> u64 {
    warm_up_count(shape) + shape.count * u64::from(shape.runs)
}

const WHOLE_RANGE: &str = r#"[[listener]]
name = "range"
address = ["[::]"]
ports = ["1025-5000"]
tls = "starttls"
auth = "after-tls"

"#;

const IDLE_ACCOUNTS: &str = "[account.nobody]\nactive = true\nnetworks = [\"192.0.2.1/32\"]\n";

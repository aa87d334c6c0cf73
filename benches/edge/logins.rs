//! Sessions that connect, log in, send one message and leave.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};

use crate::common::configuration::LOGIN;
use crate::common::figures::{decimal, spread};
use crate::common::generator;
use crate::common::generator::{Flow, Load, Reuse, Security};
use crate::common::ledger::Ledger;
use crate::common::tls;
use crate::common::usage;
use crate::options::Logins;
use crate::server;

/// Measures what the command line asks for and prints it.
pub(crate) fn perform(shape: &Logins) -> io::Result<()> {
    let server = server::unbounded(&shape.place)?;
    let runs = u64::from(shape.runs);
    let warm_up = (shape.count / 10).max(1);
    let ledger = Arc::new(Ledger::new(warm_up + runs * shape.count));
    let mut load = Load {
        address: server.listener("plain")?,
        sessions: usize::from(shape.sessions),
        count: warm_up,
        first: 0,
        size: usize::try_from(shape.size).map_err(io::Error::other)?,
        flow: Flow::Envelope,
        security: if shape.tls {
            Security::StartTls(tls::client()?)
        } else {
            Security::Plain
        },
        login: Some((LOGIN.0.to_owned(), LOGIN.1.to_owned())),
        reuse: Reuse::PerMessage,
        pace: None,
        priority: None,
        limit: shape.place.limit(),
    };
    generator::run(&load, &ledger).map_err(|error| server.explain(&error))?;
    let (mut rates, mut cpu, mut machine) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..shape.runs {
        load.first += load.count;
        load.count = shape.count;
        let before = (usage::cpu(server.id()), usage::machine()?);
        let begun = SystemClock.instant();
        generator::run(&load, &ledger).map_err(|error| server.explain(&error))?;
        let sessions = decimal(shape.count);
        rates.push(sessions / begun.elapsed().as_secs_f64());
        let micros =
            |after: Duration, before| after.saturating_sub(before).as_secs_f64() * 1e6 / sessions;
        cpu.push(micros(usage::cpu(server.id()), before.0));
        machine.push(micros(usage::machine()?, before.1));
    }
    println!(
        "{} sessions at once, {}: sessions/s {}, CPU µs/session {}, machine µs/session {}",
        shape.sessions,
        if shape.tls { "STARTTLS" } else { "plain" },
        spread(&rates, 0),
        spread(&cpu, 0),
        spread(&machine, 0)
    );
    server.stop()
}

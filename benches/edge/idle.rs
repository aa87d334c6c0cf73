//! Connections that do nothing, held by processes of their own.

use std::any::Any;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use posthouse::clock::{Clock as _, SystemClock};

use crate::client::Client;
use crate::common::figures::mebibytes;
use crate::common::tls;
use crate::common::usage;
use crate::options::{Crowd, Idle};
use crate::server;

/// Connections of one process.
const CROWD: u32 = 5_000;

/// Measures what the command line asks for and prints it.
pub(crate) fn perform(shape: &Idle) -> io::Result<()> {
    let server = server::unbounded(&shape.place)?;
    let address = server.listener(if shape.tls { "implicit" } else { "plain" })?;
    // So that what is made once is there before.
    let warm = Crowd {
        server: address,
        source: Ipv4Addr::LOCALHOST,
        count: 100,
        tls: shape.tls,
    };
    end(start(&warm)?)?;
    let before = usage::resident_memory(server.id());
    let begun = SystemClock.instant();
    let mut crowds = Vec::new();
    let mut left = shape.count;
    while left > 0 {
        let [.., high, low] = (crowds.len() + 2).to_be_bytes();
        let count = left.min(CROWD);
        left -= count;
        crowds.push(start(&Crowd {
            server: address,
            source: Ipv4Addr::new(127, 1, high, low),
            count,
            tls: shape.tls,
        })?);
    }
    let taken = begun.elapsed();
    let after = usage::resident_memory(server.id());
    println!(
        "{} idle connections {}: {:.1} KiB each, {:.1} MiB in all, connected in {:.1} s",
        shape.count,
        if shape.tls { "inside TLS" } else { "plain" },
        mebibytes(after.saturating_sub(before)) * 1024.0 / f64::from(shape.count),
        mebibytes(after),
        taken.as_secs_f64()
    );
    // Whoever comes now is served as if they were not there.
    let begun = SystemClock.instant();
    end(start(&warm)?)?;
    println!(
        "100 more, one after the other: {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    for crowd in crowds {
        end(crowd)?;
    }
    server.stop()
}

/// Starts a process that holds connections; returns when it has them all.
fn start(crowd: &Crowd) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "hold",
        &crowd.server.to_string(),
        &crowd.source.to_string(),
        &crowd.count.to_string(),
    ]);
    if crowd.tls {
        command.arg("--tls");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    if line.trim() == READY {
        return Ok(child);
    }
    end(child)?;
    Err(io::Error::other(format!(
        "the crowd is not complete: {line}"
    )))
}

fn end(mut child: Child) -> io::Result<()> {
    drop(child.stdin.take());
    child.wait().map(drop)
}

const READY: &str = "ready";

/// Connects, greets, says so, and holds the connections until its input ends.
pub(crate) fn hold(crowd: &Crowd) -> io::Result<()> {
    let config = tls::client()?;
    let mut held: Vec<Box<dyn Any>> = Vec::new();
    for _ in 0..crowd.count {
        let client = Client::connect(crowd.server, crowd.source)?;
        if crowd.tls {
            held.push(Box::new(greet(client.encrypt(&config)?)?));
        } else {
            held.push(Box::new(greet(client)?));
        }
    }
    println!("{READY}");
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn greet<S: Read + Write>(mut client: Client<S>) -> io::Result<Client<S>> {
    client.hear(220)?;
    client.must("EHLO idle.example", 250)?;
    Ok(client)
}

//! Measures Graph: the whole relay in front of a fake Graph that takes 50 ms for a call and four calls at once.
//!
//! `cargo bench --bench graph -- [MESSAGES]`, 2,000 messages where no number is given. Every message is counted: a run in
//! which one is missing, comes twice, or is refused by the fake has no rate, it fails.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod dialogue;
    pub(crate) mod fake_graph;
    pub(crate) mod process;
}

use std::collections::BTreeSet;
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};

use crate::support::dialogue::Dialogue;
use crate::support::fake_graph::{CLIENT, FakeGraph, MAILBOX, SECRET, TENANT};
use crate::support::process::{Posthouse, write_configuration};

/// How long the fake takes for a call.
const CALL: Duration = Duration::from_millis(50);

/// Calls at once.
const AT_ONCE: u32 = 4;

/// Messages, where no number is given.
const MESSAGES: usize = 2000;

/// The least share of the possible rate that will do.
const LEAST: f64 = 0.95;

fn main() -> ExitCode {
    let number = std::env::args().skip(1).find_map(|text| text.parse().ok());
    match measure(number.unwrap_or(MESSAGES)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(messages: usize) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let graph = runtime.block_on(FakeGraph::start());
    graph.delay(CALL);
    // Nothing is answered until all messages are in the queue: what is measured is the way out.
    graph.hold();
    let directory = tempfile::tempdir()?;
    let (config, accounts) = configuration(&graph);
    write_configuration(directory.path(), &config, &accounts)?;
    let binary = Path::new(env!("CARGO_BIN_EXE_posthouse"));
    let posthouse = Posthouse::start(binary, directory.path())?;
    submit(&posthouse, messages);
    let begin = SystemClock.instant();
    graph.release();
    let sent = runtime.block_on(graph.wait_for_all(messages, CALL * 20 * u32::try_from(messages)?));
    let took = SystemClock.instant().saturating_duration_since(begin);
    posthouse.stop()?;
    let subjects: BTreeSet<String> = sent.iter().map(|sent| sent.subject()).collect();
    if sent.len() != messages || subjects.len() != messages {
        return Err(format!("{} sent, {} of them different", sent.len(), subjects.len()).into());
    }
    let refused = graph
        .answers()
        .iter()
        .filter(|answer| *answer != "202")
        .count();
    if refused > 0 || graph.issued() != 1 {
        return Err(format!("{refused} refused, {} tokens", graph.issued()).into());
    }
    report(messages, took, graph.most())
}

fn report(messages: usize, took: Duration, most: usize) -> Result<(), Box<dyn Error>> {
    let count = f64::from(u32::try_from(messages)?);
    let rate = count / took.as_secs_f64();
    let possible = f64::from(AT_ONCE) / CALL.as_secs_f64();
    let share = rate / possible;
    println!(
        "graph: {messages} messages in {:.1} s, {rate:.1}/s of {possible:.0}/s possible ({:.1} %), {most} calls at once",
        took.as_secs_f64(),
        100.0 * share
    );
    if share < LEAST {
        return Err(format!("less than {:.0} % of what is possible", 100.0 * LEAST).into());
    }
    Ok(())
}

fn configuration(graph: &FakeGraph) -> (String, String) {
    let url = graph.url();
    let config = format!(
        "[server]\nhostname = \"relay.example.com\"\ndata_dir = \"data\"\n\
         [[listener]]\nname = \"submission\"\naddress = [\"127.0.0.1\"]\nports = [\"0\"]\n\
         [tls.self_signed]\n\
         [relay]\nupstream = [\"office\"]\n\
         [upstream.office.graph]\ntenant_id = \"{TENANT}\"\nclient_id = \"{CLIENT}\"\n\
         client_secret = {{ inline = \"{SECRET}\" }}\nendpoint = \"{url}\"\nauthority = \"{url}\"\n\
         large = \"refuse\"\n\
         [accounts]\nfile = \"accounts.toml\"\n"
    );
    let accounts = format!(
        "[account.shop]\nnetworks = [\"127.0.0.2/32\"]\nauthorized_senders = \"{MAILBOX}\"\n\
         password = \"$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM\"\n"
    );
    (config, accounts)
}

/// Submits numbered messages over one connection.
fn submit(posthouse: &Posthouse, messages: usize) {
    let address = posthouse.listener("submission").expect("it is bound");
    let mut client = Dialogue::connect(Ipv4Addr::new(127, 0, 0, 2), address);
    client.must_reply("220");
    client.must("EHLO client.example", "250");
    for number in 0..messages {
        let message = format!(
            "From: {MAILBOX}\r\nTo: r{number}@recipient.example\r\nSubject: number {number}\r\n\r\n{}",
            "Hello, this is a small message.\r\n".repeat(30)
        );
        let recipient = format!("r{number}@recipient.example");
        let reply = client.submit(MAILBOX, &[recipient.as_str()], message.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
}

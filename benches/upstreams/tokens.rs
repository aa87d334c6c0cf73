//! Counts what logins by token cost: the whole relay in front of a server that takes nothing but XOAUTH2 inside TLS.
//!
//! `cargo bench --bench tokens -- [MESSAGES]`, 10,000 messages where no number is given. A connection is closed after 100
//! messages, so that there are many logins. A run in which a message is missing or comes twice fails; so does one that
//! takes more than one request for a token.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod dialogue;
    pub(crate) mod fake_upstream;
    pub(crate) mod process;
    pub(crate) mod token_server;
}

use std::collections::BTreeSet;
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};

use crate::support::dialogue::Dialogue;
use crate::support::fake_upstream::{FakeUpstream, Received, Script, Tls};
use crate::support::process::{Posthouse, wait_for, write_configuration, write_file};
use crate::support::token_server::{CLIENT_ID, Registration, SECRET, TENANT, TokenServer};

/// Messages, where no number is given.
const MESSAGES: usize = 10_000;

/// Messages of one session of the client.
const SESSION: usize = 500;

/// How long the last message is waited for.
const PATIENCE: Duration = Duration::from_mins(5);

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
    let script = Script::default()
        .tls(Tls::StartTls)
        .mechanisms("LOGIN XOAUTH2")
        .tokens(&["token-"]);
    let upstream = runtime.block_on(FakeUpstream::start(script));
    let tokens = TokenServer::start(Registration::default());
    let directory = tempfile::tempdir()?;
    configure(directory.path(), &upstream, &tokens)?;
    let binary = Path::new(env!("CARGO_BIN_EXE_posthouse"));
    let posthouse = Posthouse::start(binary, directory.path())?;
    let begin = SystemClock.instant();
    submit(&posthouse, messages);
    wait_for(
        PATIENCE,
        || Ok((upstream.count() >= messages).then_some(())),
    )?;
    let took = SystemClock.instant().saturating_duration_since(begin);
    posthouse.stop()?;
    let arrived = upstream.messages();
    let different: BTreeSet<_> = arrived.iter().filter_map(subject).collect();
    if arrived.len() != messages || different.len() != messages {
        return Err(format!("{} arrived, {} different", arrived.len(), different.len()).into());
    }
    let requests = tokens.token_requests();
    println!("messages            {messages}");
    println!("seconds             {:.1}", took.as_secs_f64());
    println!("logins              {}", upstream.connections());
    println!("requests for tokens {requests}");
    if requests == 1 {
        return Ok(());
    }
    Err(format!("{requests} requests for tokens, 1 is needed").into())
}

fn configure(
    directory: &Path,
    upstream: &FakeUpstream,
    tokens: &TokenServer,
) -> std::io::Result<()> {
    let authority = directory.join("upstream.pem");
    write_file(&authority, upstream.certificate.as_bytes())?;
    let config = CONFIGURATION
        .replace("PORT", &upstream.address.port().to_string())
        .replace("AUTHORITY", &authority.display().to_string())
        .replace("TENANT", TENANT)
        .replace("CLIENT", CLIENT_ID)
        .replace("SECRET", SECRET)
        .replace("TOKENS", &tokens.url());
    write_configuration(directory, &config, ACCOUNTS)
}

fn subject(message: &Received) -> Option<String> {
    let text = String::from_utf8_lossy(&message.octets).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    line.map(str::to_owned)
}

fn submit(posthouse: &Posthouse, messages: usize) {
    let address = posthouse.listener("submission").expect("it is bound");
    let mut client = None;
    for number in 0..messages {
        if number % SESSION == 0 {
            let mut next = Dialogue::connect(Ipv4Addr::LOCALHOST, address);
            next.must_reply("220");
            next.must("EHLO bench.example", "250");
            client = Some(next);
        }
        let client = client.as_mut().expect("a session has begun");
        let message = format!("From: s@shop.example\r\nSubject: {number}\r\n\r\nHello.\r\n");
        let reply = client.submit("s@shop.example", &["r@example.net"], message.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
}

const CONFIGURATION: &str = r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"

[[listener]]
name = "submission"
address = ["127.0.0.1"]
ports = ["0"]
tls = "off"
auth = "off"

[relay]
upstream = ["main"]

[upstream.main.smtp]
host = "127.0.0.1"
port = PORT
ca_file = "AUTHORITY"
username = "user"
messages_per_connection = 100

[upstream.main.smtp.oauth.microsoft]
tenant_id = "TENANT"
client_id = "CLIENT"
client_secret = { inline = "SECRET" }
authority = "TOKENS"

[accounts]
file = "accounts.toml"
"#;

const ACCOUNTS: &str = r#"[account.shop]
networks = ["127.0.0.1/32"]
authorized_domains = "shop.example"
"#;

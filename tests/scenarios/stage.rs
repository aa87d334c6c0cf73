//! What a scenario is played on: scripted upstreams, a configuration, the running relay.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rcgen::CertificateParams;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::dialogue::{Dialogue, HOSTNAME};
use crate::support::fake_upstream::{FakeUpstream, Received, ReservedPort, Script};
use crate::support::process::{Posthouse, wait_for, write_configuration, write_file};

/// The account that every configuration has unless it says otherwise.
pub(crate) const ACCOUNT: &str = "shop";

/// Its password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A sender that it may use.
pub(crate) const SENDER: &str = "orders@shop.example";

/// Somebody to write to.
pub(crate) const RECIPIENT: &str = "customer@recipient.example";

/// Clients that connect from here are the account, without a login.
pub(crate) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How the reply to a committed message begins; its queue id follows.
pub(crate) const QUEUED: &str = "250 2.0.0 ok: queued as ";

/// How long a scenario waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Scripted servers run beside the tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime is built")
});

/// Runs what a test waits for beside the scripted servers.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// A scripted upstream, for tests that block.
pub(crate) struct Server {
    inner: FakeUpstream,
}

impl Server {
    /// Starts one that accepts everything.
    pub(crate) fn willing() -> Self {
        Self::start(Script::default())
    }

    /// Starts one.
    pub(crate) fn start(script: Script) -> Self {
        let inner = RUNTIME.block_on(FakeUpstream::start(script));
        Self { inner }
    }

    /// Starts one that shows this certificate, signed by itself.
    pub(crate) fn start_showing(script: Script, certificate: CertificateParams) -> Self {
        let inner = RUNTIME.block_on(FakeUpstream::start_showing(script, certificate));
        Self { inner }
    }

    /// Starts one where none was before.
    pub(crate) fn start_at(port: ReservedPort, script: Script) -> Self {
        let inner = RUNTIME.block_on(async { port.start(script) });
        Self { inner }
    }

    /// Waits until it has taken so many messages.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Received> {
        RUNTIME.block_on(self.inner.wait_for(count))
    }

    /// Waits until a command line has come that begins with `start`.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, start: &str) {
        RUNTIME.block_on(self.inner.wait_for_line(start));
    }

    /// Waits until so many command lines have come that begin with `start`.
    #[track_caller]
    pub(crate) fn wait_for_lines(&self, start: &str, count: usize) {
        let found = wait_for(PATIENCE, || {
            Ok((self.count_lines(start) >= count).then_some(()))
        });
        assert!(found.unwrap().is_some(), "{start}: {:?}", self.lines());
    }

    /// Counts the command lines so far that begin with `start`.
    pub(crate) fn count_lines(&self, start: &str) -> usize {
        let lines = self.inner.lines();
        lines.iter().filter(|line| line.starts_with(start)).count()
    }
}

impl std::ops::Deref for Server {
    type Target = FakeUpstream;

    fn deref(&self) -> &FakeUpstream {
        &self.inner
    }
}

/// Returns the subjects of messages, in order.
pub(crate) fn subjects(messages: &[Received]) -> Vec<String> {
    let subject = |received: &Received| field(&received.octets, "Subject").unwrap_or_default();
    messages.iter().map(subject).collect()
}

/// Returns the value of the first header field of this name, without folding being undone.
pub(crate) fn field(message: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let header = text.split("\r\n\r\n").next()?;
    let start = format!("{}:", name.to_ascii_lowercase());
    let found = header
        .split("\r\n")
        .find(|line| line.to_ascii_lowercase().starts_with(&start))?;
    Some(found.split_once(':')?.1.trim().to_owned())
}

/// Writes a small message.
pub(crate) fn message(subject: &str) -> Vec<u8> {
    message_with(
        &format!("From: {SENDER}\r\nSubject: {subject}\r\n"),
        "Hello.\r\n",
    )
}

/// Writes a message with these fields and this text.
pub(crate) fn message_with(fields: &str, text: &str) -> Vec<u8> {
    format!("{fields}To: <{RECIPIENT}>\r\n\r\n{text}").into_bytes()
}

/// A configuration in the making: tables of keys with values in TOML.
#[derive(Clone)]
pub(crate) struct Setup {
    directory: Arc<TempDir>,
    tables: BTreeMap<String, BTreeMap<String, String>>,
    upstreams: Vec<String>,
    listeners: Vec<String>,
    routes: Vec<String>,
}

impl Setup {
    /// Makes a configuration with one account and retries after a second.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("posthouse-scenario-")
            .tempdir();
        let mut setup = Self {
            directory: Arc::new(directory.expect("a directory is made")),
            tables: BTreeMap::new(),
            upstreams: Vec::new(),
            listeners: vec![
                listener("submission", "starttls", "ports = [\"0\"]"),
                listener("submissions", "implicit", "ports = [\"0\"]"),
            ],
            routes: Vec::new(),
        };
        for (path, value) in DEFAULTS {
            setup.put(path, value);
        }
        setup
    }

    /// Makes a configuration whose one upstream is this server, in plain text.
    pub(crate) fn to(server: &Server) -> Self {
        Self::new().upstream("main", server.address)
    }

    /// Adds an upstream, in plain text; the first is the main one, others follow as failover.
    #[must_use]
    pub(crate) fn upstream(mut self, name: &str, address: SocketAddr) -> Self {
        let path = |key| format!("upstream.{name}.smtp.{key}");
        self.put(&path("host"), &format!("{:?}", address.ip().to_string()));
        self.put(&path("port"), &address.port().to_string());
        self.put(&path("tls"), "\"disabled\"");
        self.upstreams.push(name.to_owned());
        let list = format!("{:?}", self.upstreams);
        self.put("relay.upstream", &list);
        self
    }

    /// Makes TLS required at the main upstream, and trusts its certificate and no other.
    #[must_use]
    pub(crate) fn trusting(self, server: &Server) -> Self {
        let file = self.path().join("upstream.pem");
        write_file(&file, server.certificate.as_bytes()).expect("the file is written");
        self.with("upstream.main.smtp.tls", "\"required\"")
            .with("upstream.main.smtp.ca_file", &toml_text(&file))
    }

    /// Sets a key. What begins with `account.` goes to the accounts' file.
    #[must_use]
    pub(crate) fn with(mut self, path: &str, value: &str) -> Self {
        self.put(path, value);
        self
    }

    /// Leaves a key out.
    #[must_use]
    pub(crate) fn without(mut self, path: &str) -> Self {
        let (table, key) = path.rsplit_once('.').expect("a table and a key");
        let keys = self.tables.get_mut(table).expect("the table is there");
        keys.remove(key).expect("the key is there");
        self
    }

    /// Adds a listener; `more` are lines for its table.
    #[must_use]
    pub(crate) fn listener(mut self, name: &str, tls: &str, more: &str) -> Self {
        self.listeners.push(listener(name, tls, more));
        self
    }

    /// Adds a route by recipient to one upstream, which must be there; `more` are lines for its table.
    #[must_use]
    pub(crate) fn route(mut self, recipients: &[&str], upstream: &str, more: &str) -> Self {
        self.routes.push(format!(
            "[[route]]\nrecipients = {recipients:?}\nupstream = {upstream:?}\n{more}\n"
        ));
        self
    }

    /// Takes all routes by recipient out.
    #[must_use]
    pub(crate) fn without_routes(mut self) -> Self {
        self.routes.clear();
        self
    }

    /// Writes both files.
    pub(crate) fn write(&self) {
        let lists = [self.listeners.concat(), self.routes.concat()];
        let (mut config, mut accounts) = (lists.concat(), String::new());
        for (table, keys) in &self.tables {
            let file = if table.starts_with("account.") {
                &mut accounts
            } else {
                &mut config
            };
            writeln!(file, "[{table}]").unwrap();
            for (key, value) in keys {
                writeln!(file, "{key} = {value}").unwrap();
            }
        }
        write_configuration(self.path(), &config, &accounts).expect("files are written");
    }

    /// Writes the files and starts the relay.
    #[track_caller]
    pub(crate) fn start(&self) -> Relay {
        self.write();
        self.start_as_written()
    }

    /// Starts the relay with what is in the directory.
    #[track_caller]
    pub(crate) fn start_as_written(&self) -> Relay {
        let process = Posthouse::start(binary(), self.path()).expect("posthouse starts");
        self.relay(process)
    }

    /// Says that the relay runs as this process.
    pub(crate) fn relay(&self, process: Posthouse) -> Relay {
        Relay {
            process,
            directory: Arc::clone(&self.directory),
        }
    }

    /// Writes the files and starts a relay that ends by itself; returns how, with what it said.
    #[track_caller]
    pub(crate) fn fail_to_start(&self) -> (ExitStatus, String) {
        self.write();
        let mut process = Posthouse::launch(binary(), self.path()).expect("posthouse starts");
        let status = process.wait_for_end().expect("it is waited for");
        (status.expect("posthouse ends"), process.log())
    }

    /// The directory with the files; the data is in `data` below.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn put(&mut self, path: &str, value: &str) {
        let (table, key) = path.rsplit_once('.').expect("a table and a key");
        let keys = self.tables.entry(table.to_owned()).or_default();
        keys.insert(key.to_owned(), value.to_owned());
    }
}

/// Writes a path as a string of TOML.
pub(crate) fn toml_text(path: &Path) -> String {
    format!("{:?}", path.to_str().expect("the path is text"))
}

/// The program under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_posthouse"))
}

/// Runs the program with a scenario's configuration.
#[track_caller]
pub(crate) fn command(setup: &Setup, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--config");
    command.arg(setup.path().join("posthouse.toml"));
    let ended = command.stdin(Stdio::null()).output();
    ended.expect("posthouse runs")
}

/// Runs the program; returns what it prints.
#[track_caller]
pub(crate) fn says(setup: &Setup, arguments: &[&str]) -> String {
    let output = command(setup, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Runs the program; returns the JSON that it prints.
#[track_caller]
pub(crate) fn json(setup: &Setup, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&says(setup, arguments)).expect("it prints JSON")
}

fn listener(name: &str, tls: &str, more: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\naddress = [\"127.0.0.1\"]\ntls = \"{tls}\"\n{more}\n")
}

/// A running relay.
pub(crate) struct Relay {
    pub(crate) process: Posthouse,
    directory: Arc<TempDir>,
}

impl Relay {
    /// Returns where a listener is bound.
    #[track_caller]
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        self.process
            .listener(listener)
            .expect("the listener is bound")
    }

    /// Returns the file with the server's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        let name = format!("data/tls/self-signed-{HOSTNAME}.pem");
        self.directory.path().join(name)
    }

    /// Begins a session as nobody: connects and says EHLO.
    #[track_caller]
    pub(crate) fn stranger(&self) -> Dialogue {
        self.client_from(Ipv4Addr::LOCALHOST)
    }

    /// Begins a session of the account, which is known by its address: connects and says EHLO.
    #[track_caller]
    pub(crate) fn neighbour(&self) -> Dialogue {
        self.client_from(NEIGHBOUR)
    }

    /// Connects from an address and says EHLO.
    #[track_caller]
    pub(crate) fn client_from(&self, from: impl Into<IpAddr>) -> Dialogue {
        let mut client = Dialogue::connect(from, self.address("submission"));
        client.must_reply("220");
        client.must("EHLO client.example", "250");
        client
    }

    /// Begins a session inside TLS as nobody.
    #[track_caller]
    pub(crate) fn secured_stranger(&self) -> Dialogue {
        let mut client = self.stranger();
        client.start_tls(&self.certificate());
        client.must("EHLO client.example", "250");
        client
    }

    /// Begins a session inside TLS and logs in as the account.
    #[track_caller]
    pub(crate) fn logged_in(&self) -> Dialogue {
        let mut client = self.secured_stranger();
        let reply = client.log_in(ACCOUNT, PASSWORD);
        assert!(reply.starts_with("235"), "{reply}");
        client
    }

    /// Submits a small message of the account, in a session of its own.
    #[track_caller]
    pub(crate) fn submit(&self, subject: &str) {
        self.submit_to(&[RECIPIENT], subject);
    }

    /// Submits a small message to these recipients.
    #[track_caller]
    pub(crate) fn submit_to(&self, recipients: &[&str], subject: &str) {
        let reply = self
            .neighbour()
            .submit(SENDER, recipients, &message(subject));
        assert!(reply.starts_with(QUEUED), "{reply}");
    }

    /// Writes another configuration and waits until it is in place.
    #[track_caller]
    pub(crate) fn reload(&self, setup: &Setup) {
        let count = self.count_in_log(RELOADED);
        setup.write();
        self.signal(Signal::HUP);
        self.wait_for_log_times(RELOADED, count + 1);
    }

    /// Sends a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal).expect("it can be told");
    }

    /// Waits until the log has a line with all of these; returns the first.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, parts: &[&str]) -> String {
        let is_it = |line: &&str| parts.iter().all(|part| line.contains(part));
        let found = wait_for(PATIENCE, || {
            Ok(self.process.log().lines().find(is_it).map(str::to_owned))
        });
        let found = found.expect("the log can be read");
        found.unwrap_or_else(|| panic!("no {parts:?} in the log: {}", self.process.log_tail()))
    }

    /// Waits until the log has so many lines with this.
    #[track_caller]
    pub(crate) fn wait_for_log_times(&self, part: &str, times: usize) {
        let found = wait_for(PATIENCE, || {
            Ok((self.count_in_log(part) >= times).then_some(()))
        });
        let found = found.expect("the log can be read");
        assert!(found.is_some(), "{part}: {}", self.process.log_tail());
    }

    /// Counts the lines of the log with this.
    pub(crate) fn count_in_log(&self, part: &str) -> usize {
        let log = self.process.log();
        log.lines().filter(|line| line.contains(part)).count()
    }

    /// Returns the most memory that the process has had so far, in KiB.
    #[track_caller]
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let figure = line.and_then(|line| line.trim().split(' ').next());
        figure.expect("the system tells").parse().unwrap()
    }

    /// Ends the relay in good order.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.process.stop().expect("posthouse stops in good order");
    }
}

const RELOADED: &str = "configuration reloaded";

/// The hash is that of [`PASSWORD`].
const DEFAULTS: &[(&str, &str)] = &[
    ("server.hostname", "\"relay.example.com\""),
    ("server.data_dir", "\"data\""),
    ("relay.enabled", "true"),
    ("relay.retry.first", "\"1s\""),
    ("relay.retry.longest", "\"1s\""),
    ("tls.self_signed", "{}"),
    ("accounts.file", "\"accounts.toml\""),
    (
        "account.shop.password",
        "\"$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM\"",
    ),
    ("account.shop.networks", "[\"127.0.0.2/32\"]"),
    ("account.shop.authorized_domains", "\"shop.example\""),
];

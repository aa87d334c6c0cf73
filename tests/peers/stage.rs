//! Client, relay and recording upstream, put up for one test.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::peer::{Certificates, assert_relayed, is_ready, restrict, run_client};
use crate::support::process::{Posthouse, write_configuration, write_file};
use crate::support::recorder::{Mail, Recorder};

/// How a client comes to TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Security {
    Implicit,
    StartTls,
}

/// How it logs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mechanism {
    Login,
    Plain,
    ScramSha256,
}

impl Mechanism {
    /// As in EHLO.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// A program that submits.
pub(crate) struct Client {
    /// What is missing for it.
    pub(crate) missing: fn() -> Vec<String>,
    /// Submits one message from [`SENDER`] to [`RECIPIENTS`] and returns the content that it sent.
    pub(crate) submit: fn(&Submission<'_>) -> io::Result<Vec<u8>>,
}

/// Where and how a client is to submit. The host is `localhost`.
pub(crate) struct Submission<'a> {
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) mechanism: Mechanism,
    /// The authority (PEM) that has issued the server's certificate.
    pub(crate) authority: &'a Path,
    /// A directory for the client's own files.
    pub(crate) directory: &'a Path,
}

impl Submission<'_> {
    /// The settings as the scripts in `clients` read them.
    pub(crate) fn environment(&self, command: &mut Command) {
        command
            .env("PEER_HOST", "localhost")
            .env("PEER_PORT", self.port.to_string())
            .env("PEER_AUTH", self.mechanism.name())
            .env("PEER_USER", USER)
            .env("PEER_PASSWORD", PASSWORD)
            .env("PEER_AUTHORITY", self.authority)
            .env("PEER_WRITTEN", self.directory.join("written"))
            .env(
                "PEER_TLS",
                match self.security {
                    Security::Implicit => "implicit",
                    Security::StartTls => "starttls",
                },
            );
    }

    /// Lets a script of `tests/peers/clients` send the message to all recipients.
    pub(crate) fn by_script(&self, program: &str, script: &str) -> io::Result<Vec<u8>> {
        let content = message("");
        let file = self.message_file(&content)?;
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/clients");
        let mut command = Command::new(program);
        self.environment(command.arg(Path::new(scripts).join(script)));
        command
            .env("PEER_MESSAGE", file)
            .env("PEER_FROM", SENDER)
            .env("PEER_TO", RECIPIENTS.join(","));
        run_client(&mut command, self.directory)?;
        Ok(content)
    }

    /// What a script has written down.
    pub(crate) fn written(&self) -> io::Result<Vec<u8>> {
        std::fs::read(self.directory.join("written"))
    }

    /// Writes [`message`] for a client that takes a file.
    pub(crate) fn message_file(&self, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.directory.join("message.eml");
        write_file(&path, content)?;
        Ok(path)
    }
}

/// The recording upstream with a directory and certificates.
pub(crate) struct Stage {
    pub(crate) directory: TempDir,
    pub(crate) certificates: Certificates,
    pub(crate) recorder: Recorder,
    arrivals: Receiver<Mail>,
}

impl Stage {
    /// Puts it up. Its directory can be entered by the user that Postfix runs as.
    pub(crate) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("posthouse-peers-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in("/var/tmp")?;
        let certificates = Certificates::make(directory.path())?;
        let (sender, arrivals) = mpsc::sync_channel(16);
        let sender = Mutex::new(sender);
        let recorder = Recorder::start(move |mail| {
            let sender = sender.lock().expect("no other holder panics");
            // A full channel means more copies than any test expects; the test has failed by then.
            drop(sender.try_send(mail));
        })?;
        Ok(Self {
            directory,
            certificates,
            recorder,
            arrivals,
        })
    }

    /// Starts posthouse with one account and the upstream that `upstream` describes.
    pub(crate) fn posthouse(&self, upstream: &str) -> io::Result<Posthouse> {
        self.posthouse_for(upstream, MAY_SEND)
    }

    /// Does the same with these lines for the account.
    pub(crate) fn posthouse_for(&self, upstream: &str, account: &str) -> io::Result<Posthouse> {
        let directory = self.write(upstream, account)?;
        Posthouse::start(binary(), &directory)
    }

    /// Runs a command of posthouse with the configuration that was written last.
    pub(crate) fn command(&self, arguments: &[&str]) -> io::Result<Output> {
        Command::new(binary())
            .args(arguments)
            .arg("--config")
            .arg(self.directory.path().join("relay/posthouse.toml"))
            .stdin(Stdio::null())
            .output()
    }

    /// Writes the configuration of [`Stage::posthouse`] and starts nothing.
    pub(crate) fn configure(&self, upstream: &str) -> io::Result<PathBuf> {
        self.write(upstream, MAY_SEND)
    }

    /// Writes a configuration; returns its directory.
    fn write(&self, upstream: &str, account: &str) -> io::Result<PathBuf> {
        let directory = self.directory.path().join("relay");
        std::fs::create_dir_all(&directory)?;
        let secret = directory.join("upstream.secret");
        write_file(&secret, UPSTREAM_LOGIN.1.as_bytes())?;
        restrict(&secret)?;
        let config = CONFIGURATION
            .replace(
                "CERTIFICATE",
                &self.certificates.certificate.display().to_string(),
            )
            .replace("KEY", &self.certificates.key.display().to_string())
            .replace("UPSTREAM", upstream)
            .replace(
                "AUTHORITY",
                &self.certificates.authority.display().to_string(),
            );
        write_configuration(&directory, &config, &format!("{ACCOUNT}{account}"))?;
        Ok(directory)
    }

    /// Describes the recorder as an upstream.
    pub(crate) fn recorder_as_upstream(&self) -> String {
        upstream_at(self.recorder.address(), "tls = \"disabled\"")
    }

    /// Lets a client submit and returns what it sent.
    pub(crate) fn submit(
        &self,
        client: &Client,
        address: SocketAddr,
        security: Security,
        mechanism: Mechanism,
    ) -> io::Result<Vec<u8>> {
        (client.submit)(&Submission {
            port: address.port(),
            security,
            mechanism,
            authority: &self.certificates.authority,
            directory: self.directory.path(),
        })
    }

    /// Waits for the next message at the recorder.
    pub(crate) fn arrival(&self) -> Option<Mail> {
        self.arrivals.recv_timeout(ARRIVES_WITHIN).ok()
    }
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_posthouse"))
}

/// One client, posthouse, the recorder: what was sent arrives.
#[track_caller]
pub(crate) fn submit_through_posthouse(client: &Client, security: Security, mechanism: Mechanism) {
    if !is_ready((client.missing)()) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = stage
        .posthouse(&stage.recorder_as_upstream())
        .expect("posthouse starts");
    let name = match security {
        Security::Implicit => "submissions",
        Security::StartTls => "submission",
    };
    let address = posthouse.listener(name).expect("the listener is bound");
    let sent = stage
        .submit(client, address, security, mechanism)
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let Some(mail) = stage.arrival() else {
        panic!("nothing arrived: {}", posthouse.log_tail());
    };
    check(&sent, &mail);
    posthouse.stop().expect("posthouse stops in good order");
}

/// Checks envelope and content of a message that arrived.
#[track_caller]
pub(crate) fn check(sent: &[u8], mail: &Mail) {
    assert_eq!(mail.reverse_path, SENDER);
    // Their order means nothing; Postfix sorts them.
    let sorted = |paths: &mut dyn Iterator<Item = &str>| {
        paths.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    assert_eq!(mail.recipients.len(), RECIPIENTS.len());
    assert_eq!(
        sorted(&mut mail.recipients.iter().map(String::as_str)),
        sorted(&mut RECIPIENTS.into_iter())
    );
    assert_relayed(sent, &mail.content);
}

/// Describes an upstream at `address`, with more lines for its table.
pub(crate) fn upstream_at(address: SocketAddr, more: &str) -> String {
    format!(
        "host = \"{}\"\nport = {}\n{more}\n",
        address.ip(),
        address.port()
    )
}

/// A message for clients that send what they are given. It has all that travels badly: dots at the start of lines,
/// eight-bit text, folded fields, Bcc in two lines, an attachment with every octet.
pub(crate) fn message(fields: &str) -> Vec<u8> {
    use base64::Engine as _;
    let every: Vec<u8> = (0..=255).cycle().take(256 * 40).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(every);
    let lines: Vec<&str> = (0..encoded.len())
        .step_by(76)
        .map(|start| &encoded[start..encoded.len().min(start + 76)])
        .collect();
    let text = format!(
        "{fields}From: =?utf-8?Q?Zo=C3=AB?= Absender <shop@sender.example>\n\
         To: Erste <first@recipient.example>,\n second@recipient.example\n\
         Cc: third@recipient.example\nBcc: hidden@recipient.example,\n\tsecond@recipient.example\n\
         Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_Z=C3=BCrich_=E2=9C=89?=\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_a boundary\"\n\
         X-Spaces:   kept  as they are  \n\n\
         --=_a boundary\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Grüße.\n.one dot\n..two dots\n.\nBcc: not a field\n\n\
         --=_a boundary\nContent-Type: application/octet-stream; name=\"a.bin\"\n\
         Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a.bin\"\n\n{}\n\
         --=_a boundary--\n",
        lines.join("\n")
    );
    text.replace('\n', "\r\n").into_bytes()
}

/// The reverse-path of every submission.
pub(crate) const SENDER: &str = "shop@sender.example";

/// The forward-paths of every submission, in order.
pub(crate) const RECIPIENTS: [&str; 4] = [
    "first@recipient.example",
    "second@recipient.example",
    "third@recipient.example",
    "hidden@recipient.example",
];

/// The account's name.
pub(crate) const USER: &str = "shop";

/// The account's password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// What upstreams that want a login know posthouse by; as in `clients/take.py`.
pub(crate) const UPSTREAM_LOGIN: (&str, &str) =
    ("relay@upstream.example", "an upstream's password");

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

const CONFIGURATION: &str = r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"

[[listener]]
name = "submission"
address = ["127.0.0.1"]
ports = ["0"]
tls = "starttls"
auth = "after-tls"

[[listener]]
name = "submissions"
address = ["127.0.0.1"]
ports = ["0"]
tls = "implicit"

[[listener]]
name = "devices"
profile = "device"
address = ["127.0.0.1"]
ports = ["0"]

[[listener]]
name = "balanced"
address = ["127.0.0.1"]
ports = ["0"]
tls = "off"
plain_text_auth_networks = ["192.0.2.0/28"]
proxy_protocol = ["127.0.0.1"]

[tls]
certificate = "CERTIFICATE"
key = "KEY"

[relay]
enabled = true
upstream = ["next"]

[upstream.next.smtp]
UPSTREAM

[accounts]
file = "accounts.toml"
"#;

/// The hash is that of [`PASSWORD`].
const ACCOUNT: &str = r#"[account.shop]
password = "$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM"
active = true
"#;

/// What every client sends as.
const MAY_SEND: &str = "authorized_domains = \"sender.example\"\n";

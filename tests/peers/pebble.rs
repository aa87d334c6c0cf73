//! Pebble, Let's Encrypt's authority for trials: certificates are got, shown, kept, renewed.

#![expect(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use posthouse::tls::client::{PeerCertificate, unverified};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;

use crate::stage::binary;
use crate::support::peer::{Certificates, is_ready, missing_program, restrict};
use crate::support::process::{Posthouse, wait_for, write_configuration, write_file};

const PATIENCE: Duration = Duration::from_mins(1);

/// Whose certificates Pebble's are.
const PEBBLE: &str = "Pebble Intermediate CA";

/// Pebble with the names that it looks up, and a directory for posthouse.
struct Stage {
    directory: TempDir,
    certificates: Certificates,
    pebble: Child,
    port: u16,
    /// Where Pebble looks: port 80 and port 443 of the world outside.
    http: u16,
    tls: u16,
}

/// How Pebble is started.
#[derive(Clone, Copy)]
struct Pebble {
    /// How many good nonces of a hundred it refuses, so that requests are repeated.
    refused_nonces: &'static str,
    /// More lines of its configuration.
    more: &'static str,
}

const STRICT: Pebble = Pebble {
    refused_nonces: "20",
    more: "",
};

impl Stage {
    /// Puts it up; `None` where Pebble is missing.
    fn new(pebble: Pebble) -> Option<Self> {
        if !is_ready(
            ["pebble", "openssl"]
                .into_iter()
                .filter_map(missing_program),
        ) {
            return None;
        }
        Some(Self::put_up(pebble).expect("pebble starts"))
    }

    fn put_up(settings: Pebble) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("posthouse-pebble-")
            .tempdir()?;
        let path = directory.path();
        let certificates = Certificates::make(path)?;
        fs::create_dir_all(path.join("data/txt"))?;
        let [port, http, tls] = [free_port()?, free_port()?, free_port()?];
        let config = format!(
            r#"{{ "pebble": {{ "listenAddress": "127.0.0.1:{port}", "certificate": "{}", "privateKey": "{}",
                "httpPort": {http}, "tlsPort": {tls}, "ocspResponderURL": "" {} }} }}"#,
            certificates.certificate.display(),
            certificates.key.display(),
            settings.more
        );
        write_file(&path.join("pebble.json"), config.as_bytes())?;
        let names = answer_names(path.join("data/txt"))?;
        let log = fs::File::create(path.join("pebble.log"))?;
        let pebble = Command::new("pebble")
            .arg("-config")
            .arg(path.join("pebble.json"))
            .args(["-dnsserver", &names.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", settings.refused_nonces)
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let stage = Self {
            directory,
            certificates,
            pebble,
            port,
            http,
            tls,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ready = wait_for(PATIENCE, || Ok(TcpStream::connect(address).ok()))?;
        ready.ok_or_else(|| io::Error::other("pebble does not listen"))?;
        Ok(stage)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes posthouse's configuration; `acme` are lines for its table, `more` further tables.
    fn configure(&self, acme: &str, more: &str) {
        let config = CONFIGURATION
            .replace("PORT", &self.port.to_string())
            .replace(
                "AUTHORITY",
                &self.certificates.authority.display().to_string(),
            )
            .replace("ACME", acme);
        write_configuration(self.path(), &format!("{config}\n{more}"), "").expect("it is written");
    }

    fn http_01(&self) -> String {
        format!(
            "challenge = \"http-01\"\nhttp = [\"127.0.0.1:{}\"]",
            self.http
        )
    }

    fn start(&self) -> Posthouse {
        Posthouse::start(binary(), self.path()).expect("posthouse starts")
    }

    /// Runs a command of posthouse; returns what it prints.
    fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(binary())
            .args(arguments)
            .arg("--config")
            .arg(self.path().join("posthouse.toml"))
            .stdin(Stdio::null())
            .output()
            .expect("posthouse runs");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        assert!(
            output.status.success(),
            "{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Waits until clients that ask for `name` see one of Pebble's certificates, other than `before`.
    #[track_caller]
    fn issued(&self, posthouse: &Posthouse, name: &str, before: Option<&Shown>) -> Shown {
        let found = wait_for(PATIENCE, || {
            let shown = shown(posthouse, name);
            let is_other = before.is_none_or(|before| before.fingerprint != shown.fingerprint);
            Ok((shown.issuer.contains(PEBBLE) && is_other).then_some(shown))
        });
        found.unwrap().unwrap_or_else(|| {
            let pebble = fs::read_to_string(self.path().join("pebble.log")).unwrap_or_default();
            panic!("no certificate: {}\n{pebble}", posthouse.log_tail())
        })
    }

    /// A program for dns-01 that writes the record where the answers are read from; `first` are commands before that.
    fn hook(&self, first: &str) -> PathBuf {
        let hook = self.path().join("hook");
        let script = format!(
            "#!/bin/sh\nset -e\n{first}\nfile={}/$3\ncase $1 in\npresent) echo \"$4\" >> \"$file\";;\ncleanup) rm -f \"$file\";;\nesac\n",
            self.path().join("data/txt").display()
        );
        write_file(&hook, script.as_bytes()).unwrap();
        fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
        hook
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        drop(self.pebble.kill());
        drop(self.pebble.wait());
    }
}

/// What a client sees of a certificate.
type Shown = PeerCertificate;

/// Asks the implicit TLS listener for a name, with openssl.
fn shown(posthouse: &Posthouse, name: &str) -> Shown {
    let address = posthouse
        .listener("submissions")
        .expect("the listener is bound");
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address.to_string(),
            "-servername",
            name,
        ])
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    let certificate =
        CertificateDer::from_pem_slice(&output.stdout).expect("a certificate is shown");
    PeerCertificate::parse(&certificate).expect("it can be read")
}

/// Finds a port that nobody has.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Answers look-ups: every name has 127.0.0.1, and the TXT records of the files in `records`.
fn answer_names(records: PathBuf) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = dns_answer(&query[..length], &records) {
                // Who has gone asks again or not.
                drop(socket.send_to(&answer, from));
            }
        }
    });
    Ok(address)
}

fn dns_answer(query: &[u8], records: &Path) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
        at += length;
    }
    let kind = u16::from_be_bytes(query.get(at..at + 2)?.try_into().ok()?);
    let question = query.get(12..at + 4)?;
    let name = labels.join(".").to_ascii_lowercase();
    let values: Vec<Vec<u8>> = match kind {
        1 => vec![vec![127, 0, 0, 1]],
        16 => {
            let text = fs::read_to_string(records.join(name)).unwrap_or_default();
            let value = |line: &str| {
                [
                    &[u8::try_from(line.len()).unwrap_or(0)][..],
                    line.as_bytes(),
                ]
                .concat()
            };
            text.lines().map(value).collect()
        }
        _ => Vec::new(),
    };
    let count = u16::try_from(values.len()).ok()?.to_be_bytes();
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x85, 0x80, 0, 1, count[0], count[1], 0, 0, 0, 0]);
    answer.extend(question);
    for value in values {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]);
        answer.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
        answer.extend(value);
    }
    Some(answer)
}

/// An SMTP session over TLS that stays open.
struct Session(StreamOwned<ClientConnection, TcpStream>);

impl Session {
    fn open(posthouse: &Posthouse) -> Self {
        let address = posthouse
            .listener("submissions")
            .expect("the listener is bound");
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("relay.example.com").unwrap();
        let connection = ClientConnection::new(unverified().unwrap(), name).unwrap();
        let mut session = Self(StreamOwned::new(connection, stream));
        assert!(session.reply().starts_with("220"));
        session
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n") {
            let mut octet = [0];
            self.0.read_exact(&mut octet).unwrap();
            text.extend(octet);
        }
        String::from_utf8(text).unwrap()
    }
}

/// The state of the one order that posthouse keeps.
fn record(stage: &Stage) -> serde_json::Value {
    let files = fs::read_dir(stage.path().join("data/acme")).unwrap();
    let path = files
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.to_string_lossy().contains("relay.example.com-")
                && path.extension().is_some_and(|e| e == "json")
        })
        .expect("there is a record");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn by_a_page_it_is_got_at_the_first_start_and_kept() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    let named = "[[tls.name]]\nnames = [\"mail.customer.example\"]\nacme = true\n";
    stage.configure(&stage.http_01(), named);
    let posthouse = stage.start();
    let first = stage.issued(&posthouse, "relay.example.com", None);
    assert_eq!(first.names, ["relay.example.com".into()]);
    let other = stage.issued(&posthouse, "mail.customer.example", Some(&first));
    assert_eq!(other.names, ["mail.customer.example".into()]);
    let listed = stage.command(&["tls", "list"]);
    assert!(
        listed.contains("relay.example.com (default)\tacme\tCN=Pebble"),
        "{listed}"
    );
    let answer = http_get(stage.http, "/");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    posthouse.stop().expect("posthouse stops in good order");

    for entry in fs::read_dir(stage.path().join("data/acme")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let posthouse = stage.start();
    assert_eq!(shown(&posthouse, "relay.example.com"), first);
    posthouse.stop().expect("posthouse stops in good order");
    let listed = stage.command(&["tls", "list", "--json"]);
    assert!(listed.contains("\"issuer\":\"CN=Pebble"), "{listed}");
}

fn http_get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: relay.example.com\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn by_a_handshake_it_is_got_with_an_rsa_key() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    let port = stage.tls;
    let acme = format!(
        "challenge = \"tls-alpn-01\"\ntls_alpn = [\"127.0.0.1:{port}\"]\nkey = \"rsa-2048\""
    );
    stage.configure(&acme, "");
    let posthouse = stage.start();
    stage.issued(&posthouse, "relay.example.com", None);
    // Nobody else gets a handshake there.
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-servername",
            "relay.example.com",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    assert!(!output.status.success());
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn by_a_record_it_is_got_for_all_names_below() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    let hook = stage.hook("");
    let acme = format!(
        "challenge = \"dns-01\"\ndns_hook = \"{}\"\nnames = [\"relay.example.com\", \"*.relay.example.com\"]",
        hook.display()
    );
    stage.configure(&acme, "");
    let posthouse = stage.start();
    let shown = stage.issued(&posthouse, "relay.example.com", None);
    let mut names: Vec<_> = shown.names.iter().map(|name| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["*.relay.example.com", "relay.example.com"]);
    let left = fs::read_dir(stage.path().join("data/txt")).unwrap().count();
    assert_eq!(left, 0, "records of challenges are removed");
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn a_hook_sets_the_record_inside_the_sandbox_and_reaches_nothing_outside() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    // A hook may use the folders for temporary files, in which this test is; here it may not.
    let outside = tempfile::tempdir_in("/dev/shm").unwrap();
    write_file(&outside.path().join("secret"), b"hunter2").unwrap();
    let (outside, data) = (outside.path().display(), stage.path().join("data"));
    let first = format!(
        "if cat {outside}/secret > /dev/null 2>&1; then touch {0}/has-read; fi\n\
         if (: > {outside}/written) 2> /dev/null; then touch {0}/has-written; fi\n\
         touch {0}/has-run",
        data.display()
    );
    let hook = stage.hook(&first);
    let acme = format!("challenge = \"dns-01\"\ndns_hook = \"{}\"", hook.display());
    stage.configure(&acme, "");
    let posthouse = stage.start();
    let is_sandboxed = wait_for(PATIENCE, || {
        let log = posthouse.log();
        let mut lines = log.lines().filter(|line| line.contains("sandboxed"));
        Ok(lines.next().map(|line| !line.contains("not sandboxed")))
    });
    let is_missing = is_sandboxed.unwrap() != Some(true);
    if !is_ready(is_missing.then(|| "the kernel has no Landlock".to_owned())) {
        return;
    }
    stage.issued(&posthouse, "relay.example.com", None);
    assert!(data.join("has-run").exists());
    assert!(!data.join("has-read").exists(), "nothing outside is read");
    assert!(!data.join("has-written").exists(), "nor written");
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn a_renewed_one_is_shown_to_new_sessions_while_old_ones_go_on() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    stage.configure(&stage.http_01(), "");
    let posthouse = stage.start();
    let first = stage.issued(&posthouse, "relay.example.com", None);
    let mut session = Session::open(&posthouse);
    stage.command(&["tls", "renew", "RELAY.example.com"]);
    stage.issued(&posthouse, "relay.example.com", Some(&first));
    let reply = session.ask("NOOP");
    assert!(reply.starts_with("250"), "{reply}");
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn a_wrong_directory_is_told_and_the_server_serves() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    stage.configure(&stage.http_01(), "");
    let file = stage.path().join("posthouse.toml");
    let text = fs::read_to_string(&file).unwrap();
    write_file(&file, text.replace("/dir\"", "/no-such-page\"").as_bytes()).unwrap();
    let posthouse = stage.start();
    let wait = |word: &str| {
        let found = wait_for(PATIENCE, || {
            Ok(posthouse.log().contains(word).then_some(()))
        });
        assert!(found.unwrap().is_some(), "{}", posthouse.log_tail());
    };
    wait("answered 404 to /no-such-page: is this the directory of an ACME authority?");
    assert!(Session::open(&posthouse).ask("NOOP").starts_with("250"));
    let listed = stage.command(&["tls", "list"]);
    assert!(listed.contains("failed 1 times in a row"), "{listed}");
    // Put right, it is got at once.
    write_file(&file, text.as_bytes()).unwrap();
    stage.command(&["reload"]);
    stage.issued(&posthouse, "relay.example.com", None);
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn an_authority_that_is_not_trusted_is_told_and_the_server_serves() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    stage.configure(&stage.http_01(), "");
    let file = stage.path().join("posthouse.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("ca_file"))
        .collect();
    write_file(&file, text.join("\n").as_bytes()).unwrap();
    let posthouse = stage.start();
    let found = wait_for(PATIENCE, || {
        Ok(posthouse
            .log()
            .contains("the certificate of 127.0.0.1 is not accepted")
            .then_some(()))
    });
    assert!(found.unwrap().is_some(), "{}", posthouse.log_tail());
    assert!(Session::open(&posthouse).ask("NOOP").starts_with("250"));
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn a_name_that_leads_elsewhere_is_told_by_the_authority() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    let port = free_port().unwrap();
    stage.configure(
        &format!("challenge = \"http-01\"\nhttp = [\"127.0.0.1:{port}\"]"),
        "",
    );
    let posthouse = stage.start();
    let found = wait_for(PATIENCE, || {
        Ok(posthouse
            .log()
            .contains("could not see that relay.example.com is ours")
            .then_some(()))
    });
    assert!(found.unwrap().is_some(), "{}", posthouse.log_tail());
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn an_order_is_gone_on_with_after_a_crash() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    let begun = stage.path().join("data/begun");
    let hook = stage.hook(&format!(
        "if [ ! -e {0} ]; then touch {0}; exec sleep 600; fi",
        begun.display()
    ));
    let hook = hook.display();
    stage.configure(
        &format!("challenge = \"dns-01\"\ndns_hook = \"{hook}\""),
        "",
    );
    let posthouse = stage.start();
    let found = wait_for(PATIENCE, || Ok(begun.exists().then_some(())));
    assert!(found.unwrap().is_some(), "{}", posthouse.log_tail());
    let before = record(&stage);
    posthouse.kill().unwrap();
    assert!(before["order"]["url"].is_string(), "{before}");
    let posthouse = stage.start();
    stage.issued(&posthouse, "relay.example.com", None);
    posthouse.stop().expect("posthouse stops in good order");
    let after = record(&stage);
    assert_eq!(after["orders"], before["orders"], "the same order");
    assert!(after["order"].is_null(), "{after}");
}

#[test]
fn an_account_that_the_authority_has_forgotten_is_made_again() {
    let Some(stage) = Stage::new(STRICT) else {
        return;
    };
    stage.configure(&stage.http_01(), "");
    let posthouse = stage.start();
    let first = stage.issued(&posthouse, "relay.example.com", None);
    posthouse.stop().expect("posthouse stops in good order");
    let account = || {
        let mut files = fs::read_dir(stage.path().join("data/acme"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let path = files
            .find(|path| path.to_string_lossy().contains("account-"))
            .unwrap();
        (
            path.clone(),
            serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap(),
        )
    };
    let (path, mut known) = account();
    let id = known["id"].as_str().unwrap().to_owned();
    known["id"] = format!("{}/9999", id.rsplit_once('/').unwrap().0).into();
    write_file(&path, known.to_string().as_bytes()).unwrap();
    restrict(&path).unwrap();
    let posthouse = stage.start();
    stage.command(&["tls", "renew"]);
    stage.issued(&posthouse, "relay.example.com", Some(&first));
    assert_eq!(
        account().1["id"].as_str().unwrap(),
        id,
        "found again by its key"
    );
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn an_account_of_a_person_is_bound() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let Some(stage) = Stage::new(Pebble {
        more: ", \"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": { \"kid-1\": \
               \"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\" }",
        ..STRICT
    }) else {
        return;
    };
    let secret = stage.path().join("eab.secret");
    write_file(&secret, KEY.as_bytes()).unwrap();
    restrict(&secret).unwrap();
    let eab = format!(
        "eab = {{ key_id = \"kid-1\", hmac_key = {{ file = \"{}\" }} }}",
        secret.display()
    );
    stage.configure(&format!("{}\n{eab}", stage.http_01()), "");
    let posthouse = stage.start();
    stage.issued(&posthouse, "relay.example.com", None);
    posthouse.stop().expect("posthouse stops in good order");
}

const CONFIGURATION: &str = r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"

[[listener]]
name = "submissions"
address = ["127.0.0.1"]
ports = ["0"]
tls = "implicit"

[tls.acme]
agree_to_terms = true
contact = ["mailto:postmaster@example.com"]
directory = "https://127.0.0.1:PORT/dir"
ca_file = "AUTHORITY"
ACME

[relay]
upstream = ["next"]

[upstream.next.maildir]
directory = "DIRECTORY/mail"

[accounts]
file = "accounts.toml"
"#;

//! Dovecot's submission server as the upstream: it takes tokens by XOAUTH2 and OAUTHBEARER and asks a token server who
//! they are for (RFC 7662). What it takes it hands to the recorder.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::curl;
use crate::stage::{Mechanism, Security, Stage, UPSTREAM_LOGIN, check, upstream_at};
use crate::support::peer::is_ready;
use crate::support::process::{Posthouse, tail, wait_for, write_file};
use crate::support::token_server::{CLIENT_ID, Registration, SECRET, TokenServer};

#[test]
fn relays_to_dovecot_by_xoauth2() {
    relay_to_dovecot("xoauth2", 1800);
}

#[test]
fn relays_to_dovecot_by_oauthbearer() {
    relay_to_dovecot("oauthbearer", 1800);
}

#[test]
fn relays_to_dovecot_by_xoauth2_in_one_line() {
    relay_to_dovecot("xoauth2", 60);
}

#[test]
fn relays_to_dovecot_by_oauthbearer_in_one_line() {
    relay_to_dovecot("oauthbearer", 60);
}

#[test]
fn a_token_that_dovecot_refuses_is_told_with_its_reason() {
    if !is_ready(missing()) {
        return;
    }
    for mechanism in ["xoauth2", "oauthbearer"] {
        let stage = Stage::new().expect("the stage stands");
        let tokens = token_server(1800, "somebody-else@upstream.example");
        let dovecot = Dovecot::start(&stage, mechanism, tokens.address).expect("Dovecot starts");
        let posthouse = start(&stage, &dovecot, &tokens);
        submit(&stage, &posthouse, &dovecot);
        let found = wait_for(Duration::from_secs(30), || {
            let log = posthouse.log();
            let line = log
                .lines()
                .find(|line| line.contains("cannot be used as configured"));
            Ok(line.map(str::to_owned))
        });
        let line = found
            .expect("the log can be read")
            .expect("the upstream is unusable");
        assert!(line.contains("535"), "{line}");
        assert!(
            line.contains("(") && line.contains("status "),
            "{mechanism}: {line}"
        );
        posthouse.stop().expect("posthouse stops in good order");
    }
}

/// curl, posthouse, Dovecot, the recorder.
#[track_caller]
fn relay_to_dovecot(mechanism: &str, length: usize) {
    if !is_ready(missing()) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let tokens = token_server(length, UPSTREAM_LOGIN.0);
    let dovecot = Dovecot::start(&stage, mechanism, tokens.address).expect("Dovecot starts");
    let posthouse = start(&stage, &dovecot, &tokens);
    let sent = submit(&stage, &posthouse, &dovecot);
    let Some(mail) = stage.arrival() else {
        panic!(
            "nothing arrived: {}\n{}",
            posthouse.log_tail(),
            dovecot.log_tail()
        );
    };
    check(&sent, &mail);
    assert_eq!(tokens.token_requests(), 1);
    posthouse.stop().expect("posthouse stops in good order");
}

fn token_server(length: usize, mailbox: &str) -> TokenServer {
    TokenServer::start(Registration {
        length,
        mailbox: mailbox.to_owned(),
        ..Registration::default()
    })
}

#[track_caller]
fn start(stage: &Stage, dovecot: &Dovecot, tokens: &TokenServer) -> Posthouse {
    let more = format!(
        "tls = \"required\"\nca_file = \"AUTHORITY\"\nusername = \"{}\"\n\n\
         [upstream.next.smtp.oauth.generic]\ntoken_url = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret = {{ inline = \"{SECRET}\" }}\n",
        UPSTREAM_LOGIN.0,
        tokens.token_url()
    );
    let upstream = upstream_at(dovecot.address, &more);
    stage.posthouse(&upstream).expect("posthouse starts")
}

#[track_caller]
fn submit(stage: &Stage, posthouse: &Posthouse, dovecot: &Dovecot) -> Vec<u8> {
    let address = posthouse.listener("submission").expect("it is bound");
    stage
        .submit(&curl::CLIENT, address, Security::StartTls, Mechanism::Plain)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", posthouse.log_tail(), dovecot.log_tail()))
}

fn missing() -> impl Iterator<Item = String> {
    let is_there = |path: &str| Path::new(path).exists();
    let program = (!is_there(PROGRAM)).then(|| "dovecot-core is not installed".to_owned());
    let submission = (!is_there("/usr/lib/dovecot/submission-login"))
        .then(|| "dovecot-submissiond is not installed".to_owned());
    let root = (!rustix::process::geteuid().is_root()).then(|| "Dovecot needs root".to_owned());
    program
        .into_iter()
        .chain(submission)
        .chain(root)
        .chain((curl::CLIENT.missing)())
}

const PROGRAM: &str = "/usr/sbin/dovecot";

/// A running Dovecot. Dropping it stops it.
struct Dovecot {
    address: SocketAddr,
    directory: PathBuf,
    process: Child,
}

impl Dovecot {
    fn start(stage: &Stage, mechanism: &str, tokens: SocketAddr) -> io::Result<Self> {
        let directory = stage.directory.path().join("dovecot");
        let home = directory.join("home");
        std::fs::create_dir_all(&home)?;
        // Its workers are nobody.
        let nobody = Some(65_534);
        std::os::unix::fs::chown(&home, nobody, nobody)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let dir = directory.display().to_string();
        let config = CONFIGURATION
            .replace("DIRECTORY", &dir)
            .replace("MECHANISM", mechanism)
            .replace(
                "CERTIFICATE",
                &stage.certificates.certificate.display().to_string(),
            )
            .replace("KEY", &stage.certificates.key.display().to_string())
            .replace("RECORDER", &stage.recorder.address().port().to_string())
            .replace("PORT", &address.port().to_string());
        write_file(&directory.join("dovecot.conf"), config.as_bytes())?;
        let oauth = OAUTH.replace("TOKENS", &tokens.to_string());
        write_file(&directory.join("oauth2.conf"), oauth.as_bytes())?;
        let process = Command::new(PROGRAM)
            .arg("-F")
            .arg("-c")
            .arg(directory.join("dovecot.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.join("stderr"))?)
            .spawn()?;
        let dovecot = Self {
            address,
            directory,
            process,
        };
        let up = wait_for(Duration::from_secs(20), || {
            Ok(TcpStream::connect(address).ok())
        })?;
        match up {
            Some(_) => Ok(dovecot),
            None => Err(io::Error::other(format!(
                "not ready: {}",
                dovecot.log_tail()
            ))),
        }
    }

    fn log_tail(&self) -> String {
        let log = tail(&self.directory.join("log"));
        format!("{log}\n{}", tail(&self.directory.join("stderr")))
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Nothing is left to do where it fails.
        let id = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        drop(self.process.wait());
    }
}

const CONFIGURATION: &str = "protocols = submission
listen = 127.0.0.1
base_dir = DIRECTORY/run
state_dir = DIRECTORY/state
log_path = DIRECTORY/log
auth_verbose = yes
auth_failure_delay = 0
ssl = required
ssl_cert = <CERTIFICATE
ssl_key = <KEY
auth_mechanisms = MECHANISM
passdb {
  driver = oauth2
  mechanisms = MECHANISM
  args = DIRECTORY/oauth2.conf
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=DIRECTORY/home
}
mail_location = maildir:DIRECTORY/home/mail
service submission-login {
  inet_listener submission {
    port = PORT
  }
}
hostname = dovecot.example
submission_relay_host = 127.0.0.1
submission_relay_port = RECORDER
submission_relay_ssl = no
";

const OAUTH: &str = "introspection_mode = post
introspection_url = http://TOKENS/introspect
username_attribute = username
active_attribute = active
active_value = true
";

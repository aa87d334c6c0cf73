//! Clients that log in with an access token: curl, smtplib, Nodemailer, Jakarta Mail.

use std::io;
use std::process::Command;

use posthouse::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::jakarta_mail;
use crate::stage::{RECIPIENTS, SENDER, Stage, USER};
use crate::support::identity_provider::IdentityProvider;
use crate::support::peer::{installed, is_ready, missing_file, missing_program, run_client};
use crate::support::process::write_file;

/// Submits one message to a port with STARTTLS on localhost.
struct Way<'a> {
    port: u16,
    token: &'a str,
    stage: &'a Stage,
}

/// posthouse takes the message of a client that has the provider's token.
#[track_caller]
fn submits(missing: Vec<String>, submit: impl Fn(&Way<'_>) -> io::Result<()>) {
    if !is_ready(missing) {
        return;
    }
    let provider = IdentityProvider::start();
    let stage = Stage::new().expect("the stage stands");
    let login = format!(
        "{}\n[login.oauth.corp]\naudience = [\"posthouse\"]\n[login.oauth.corp.jwt]\nissuer = {:?}\n",
        stage.recorder_as_upstream(),
        provider.url()
    );
    let posthouse = stage.posthouse(&login).expect("posthouse starts");
    let address = posthouse
        .listener("submission")
        .expect("the listener is bound");
    let end = SystemClock.now().unix_seconds() + 600;
    let token = provider.sign(json!({
        "aud": "posthouse", "exp": end, "email": USER, "groups": "x".repeat(2000),
    }));
    let way = Way {
        port: address.port(),
        token: &token,
        stage: &stage,
    };
    submit(&way).unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let Some(mail) = stage.arrival() else {
        panic!("nothing arrived: {}", posthouse.log_tail());
    };
    assert_eq!(mail.reverse_path, SENDER);
    let log = posthouse.log_tail();
    assert!(log.contains("corp") && !log.contains(&token[..40]), "{log}");
    posthouse.stop().expect("posthouse stops in good order");
}

impl Way<'_> {
    fn run(&self, mut command: Command) -> io::Result<()> {
        command
            .env("PEER_PORT", self.port.to_string())
            .env("PEER_USER", USER)
            .env("PEER_TOKEN", self.token)
            .env("PEER_SENDER", SENDER)
            .env("PEER_RECIPIENT", RECIPIENTS[0])
            .env("PEER_AUTHORITY", &self.stage.certificates.authority)
            .env("NODE_EXTRA_CA_CERTS", &self.stage.certificates.authority);
        run_client(&mut command, self.stage.directory.path())?;
        Ok(())
    }
}

fn curl(way: &Way<'_>, mechanism: &str) -> io::Result<()> {
    let file = way.stage.directory.path().join("message.eml");
    write_file(
        &file,
        b"From: <shop@sender.example>\r\nSubject: by token\r\n\r\nHello.\r\n",
    )?;
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "30", "--ssl-reqd"])
        .arg("--cacert")
        .arg(&way.stage.certificates.authority)
        .args(["--user", USER, "--oauth2-bearer", way.token])
        .args(["--login-options", &format!("AUTH={mechanism}")])
        .args(["--mail-from", SENDER, "--mail-rcpt", RECIPIENTS[0]])
        .arg("--upload-file")
        .arg(file)
        .arg(format!("smtp://localhost:{}/client.example", way.port));
    way.run(command)
}

#[test]
fn curl_by_oauthbearer() {
    let missing = missing_program("curl").into_iter().collect();
    submits(missing, |way| curl(way, "OAUTHBEARER"));
}

#[test]
fn curl_by_xoauth2() {
    let missing = missing_program("curl").into_iter().collect();
    submits(missing, |way| curl(way, "XOAUTH2"));
}

const SMTPLIB: &str = r#"
import os, smtplib, ssl
e = os.environ
client = smtplib.SMTP("localhost", int(e["PEER_PORT"]), timeout=30)
client.starttls(context=ssl.create_default_context(cafile=e["PEER_AUTHORITY"]))
client.ehlo()
response = "user=%s\1auth=Bearer %s\1\1" % (e["PEER_USER"], e["PEER_TOKEN"])
client.auth("XOAUTH2", lambda challenge=None: response)
client.sendmail(e["PEER_SENDER"], [e["PEER_RECIPIENT"]], b"From: <shop@sender.example>\r\nSubject: by token\r\n\r\nHello.\r\n")
client.quit()
"#;

#[test]
fn smtplib_by_xoauth2() {
    let missing = missing_program("python3").into_iter().collect();
    submits(missing, |way| {
        let mut command = Command::new("python3");
        command.args(["-c", SMTPLIB]);
        way.run(command)
    });
}

const NODEMAILER: &str = r#"
const e = process.env;
const nodemailer = require(e.PEER_LIBRARY);
const transport = nodemailer.createTransport({
  host: "localhost", port: Number(e.PEER_PORT), requireTLS: true,
  auth: { type: "OAuth2", user: e.PEER_USER, accessToken: e.PEER_TOKEN },
});
transport.sendMail({ from: e.PEER_SENDER, to: e.PEER_RECIPIENT, subject: "by token", text: "Hello." })
  .then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
"#;

#[test]
fn nodemailer_by_oauth2() {
    let missing = missing_program("node").into_iter();
    let missing = missing.chain(missing_file(&installed("node_modules/nodemailer")));
    submits(missing.collect(), |way| {
        let mut command = Command::new("node");
        command
            .args(["-e", NODEMAILER])
            .env("PEER_LIBRARY", installed("node_modules/nodemailer"));
        way.run(command)
    });
}

#[test]
fn jakarta_mail_by_xoauth2() {
    submits((jakarta_mail::CLIENT.missing)(), |way| {
        let mut command = jakarta_mail::java(&["message"]);
        command
            .env("PEER_HOST", "localhost")
            .env("PEER_TLS", "starttls")
            .env("PEER_AUTH", "XOAUTH2")
            .env("PEER_PASSWORD", way.token)
            .env("PEER_WRITTEN", way.stage.directory.path().join("written"));
        way.run(command)
    });
}

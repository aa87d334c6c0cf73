//! Clients that log in with a certificate: curl, `openssl s_client`, msmtp, smtplib; and swaks, which shows one and logs in
//! with a password. Authority, certificates and list of revoked ones are made as docs/logins.md says.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::stage::{PASSWORD, RECIPIENTS, SENDER, Stage, USER, binary};
use crate::support::peer::{is_ready, missing_program, run_client};
use crate::support::process::{Posthouse, wait_for, write_file};

/// How long a line of the log may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Submits one message to a port with STARTTLS on localhost.
struct Way<'a> {
    port: u16,
    /// Certificate and key, without the endings of their names.
    shown: PathBuf,
    stage: &'a Stage,
}

impl Way<'_> {
    fn certificate(&self) -> PathBuf {
        self.shown.with_extension("pem")
    }

    fn key(&self) -> PathBuf {
        self.shown.with_extension("key")
    }

    fn authority(&self) -> &Path {
        &self.stage.certificates.authority
    }

    fn message_file(&self) -> io::Result<PathBuf> {
        let file = self.stage.directory.path().join("message.eml");
        let text = b"From: <shop@sender.example>\r\nSubject: by certificate\r\n\r\nHello.\r\n";
        write_file(&file, text)?;
        Ok(file)
    }
}

/// The shell commands below the heading, in order.
fn commands() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logins.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let section = page.split("\n## Logins by certificate\n").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next());
    let blocks = section
        .expect("the section is there")
        .split("```sh\n")
        .skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    blocks.map(str::to_owned).collect()
}

fn shell(directory: &Path, commands: &str) {
    let ended = Command::new("sh")
        .args(["-eu", "-c", commands])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("a shell runs");
    assert!(ended.status.success(), "{commands}\n{ended:?}");
}

/// Starts posthouse with a listener that asks for certificates of the page's authority.
fn start(stage: &Stage, more_tls: &str) -> Posthouse {
    let folder = stage.directory.path();
    let directory = stage
        .configure(&stage.recorder_as_upstream())
        .expect("it is configured");
    let file = directory.join("posthouse.toml");
    let text = std::fs::read_to_string(&file).expect("it has been written");
    let authority = folder.join("client-ca.pem");
    let tls = format!(
        "[tls]\nclient_ca = {:?}\n{more_tls}",
        authority.display().to_string()
    );
    let text = text.replace("[tls]\n", &tls);
    let listener = "[[listener]]\nname = \"asks\"\naddress = [\"127.0.0.1\"]\nports = [\"0\"]\nclient_certificate = \"requested\"\n";
    write_file(&file, format!("{text}\n{listener}").as_bytes()).expect("it is written");
    let pem = folder.join("printer-2.pem");
    let pem = pem.to_str().expect("the path is text");
    let printer_3 = "printer-3.example.com";
    let added = stage.command(&[
        "account",
        "certificate",
        "add",
        USER,
        printer_3,
        "--file",
        pem,
    ]);
    let added = added.expect("posthouse runs");
    assert!(added.status.success(), "{added:?}");
    Posthouse::start(binary(), &directory).expect("posthouse starts")
}

/// Waits until the log has these words so many times: a client may have gone before the line is there.
#[track_caller]
fn wait_for_log(posthouse: &Posthouse, words: &str, times: usize) {
    let found = wait_for(PATIENCE, || {
        Ok((posthouse.log().matches(words).count() == times).then_some(()))
    });
    assert!(
        found.is_ok_and(|found| found.is_some()),
        "{words}: {}",
        posthouse.log_tail()
    );
}

/// posthouse takes the message of a client with either certificate, and logs in nobody whose certificate is revoked.
#[track_caller]
fn submits(program: &str, submit: impl Fn(&Way<'_>) -> io::Result<()>) {
    let missing = [program, "openssl"].into_iter().filter_map(missing_program);
    if !is_ready(missing) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let folder = stage.directory.path();
    let [pinned, issued, revoke] = commands().try_into().expect("the page has three blocks");
    shell(folder, &pinned);
    shell(folder, &issued);
    let posthouse = start(&stage, "");
    let port = posthouse
        .listener("asks")
        .expect("the listener is bound")
        .port();
    let way = |stem: &str, port| Way {
        port,
        shown: folder.join(stem),
        stage: &stage,
    };
    for stem in ["printer-2", "printer-3"] {
        submit(&way(stem, port))
            .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
        let Some(mail) = stage.arrival() else {
            panic!("nothing arrived: {}", posthouse.log_tail());
        };
        assert_eq!(mail.reverse_path, SENDER);
    }
    wait_for_log(&posthouse, "authenticated account=shop certificate=", 2);
    posthouse.stop().expect("posthouse stops in good order");

    shell(folder, &revoke);
    let list = folder.join("client-ca.crl").display().to_string();
    let posthouse = start(&stage, &format!("client_crl = {list:?}\n"));
    let port = posthouse
        .listener("asks")
        .expect("the listener is bound")
        .port();
    assert!(submit(&way("printer-3", port)).is_err());
    wait_for_log(&posthouse, "it has been revoked", 1);
    submit(&way("printer-2", port))
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn curl_sends_with_a_certificate() {
    submits("curl", |way| {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--max-time", "30", "--ssl-reqd"])
            .arg("--cacert")
            .arg(way.authority())
            .arg("--cert")
            .arg(way.certificate())
            .arg("--key")
            .arg(way.key())
            .args(["--login-options", "AUTH=EXTERNAL"])
            .args(["--user", &format!("{USER}:")])
            .args(["--mail-from", SENDER, "--mail-rcpt", RECIPIENTS[0]])
            .arg("--upload-file")
            .arg(way.message_file()?)
            .arg(format!("smtp://localhost:{}/client.example", way.port));
        run_client(&mut command, way.stage.directory.path())?;
        Ok(())
    });
}

#[test]
fn msmtp_sends_with_a_certificate() {
    submits("msmtp", |way| {
        let mut command = Command::new("msmtp");
        command
            .args(["--host=localhost", "--domain=client.example", "--tls=on"])
            .arg(format!("--port={}", way.port))
            .arg("--tls-starttls=on")
            .arg(format!("--tls-trust-file={}", way.authority().display()))
            .arg(format!("--tls-cert-file={}", way.certificate().display()))
            .arg(format!("--tls-key-file={}", way.key().display()))
            .args(["--auth=external", &format!("--user={USER}")])
            .arg(format!("--from={SENDER}"))
            .args(["--timeout=30", "--", RECIPIENTS[0]])
            .stdin(std::fs::File::open(way.message_file()?)?);
        run_client(&mut command, way.stage.directory.path())?;
        Ok(())
    });
}

#[test]
fn openssl_sends_with_a_certificate() {
    submits("openssl", |way| {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-crlf", "-starttls", "smtp"])
            .args(["-verify_return_error", "-verify_hostname", "localhost"])
            .arg("-connect")
            .arg(format!("localhost:{}", way.port))
            .arg("-CAfile")
            .arg(way.authority())
            .arg("-cert")
            .arg(way.certificate())
            .arg("-key")
            .arg(way.key())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = format!(
            "EHLO client.example\nAUTH EXTERNAL =\nMAIL FROM:<{SENDER}>\nRCPT TO:<{}>\nDATA\nFrom: <{SENDER}>\n\nHello.\n.\nQUIT\n",
            RECIPIENTS[0]
        );
        client
            .stdin
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .write_all(lines.as_bytes())?;
        let said = client.wait_with_output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        if said.contains("queued as") {
            return Ok(());
        }
        Err(io::Error::other(said))
    });
}

#[test]
fn smtplib_sends_with_a_certificate() {
    const PROGRAM: &str = r#"
import os, smtplib, ssl
e = os.environ
context = ssl.create_default_context(cafile=e["PEER_AUTHORITY"])
context.load_cert_chain(e["PEER_CERTIFICATE"], e["PEER_KEY"])
with smtplib.SMTP("localhost", int(e["PEER_PORT"]), timeout=30) as client:
    client.starttls(context=context)
    client.ehlo()
    client.auth("EXTERNAL", lambda challenge=None: "")
    client.sendmail(e["PEER_SENDER"], [e["PEER_RECIPIENT"]], "From: <%s>\r\n\r\nHello.\r\n" % e["PEER_SENDER"])
"#;
    submits("python3", |way| {
        let mut command = Command::new("python3");
        command
            .args(["-c", PROGRAM])
            .env("PEER_PORT", way.port.to_string())
            .env("PEER_AUTHORITY", way.authority())
            .env("PEER_CERTIFICATE", way.certificate())
            .env("PEER_KEY", way.key())
            .env("PEER_SENDER", SENDER)
            .env("PEER_RECIPIENT", RECIPIENTS[0]);
        run_client(&mut command, way.stage.directory.path())?;
        Ok(())
    });
}

#[test]
fn a_client_with_a_certificate_may_log_in_with_a_password() {
    if !is_ready(["swaks", "openssl"].into_iter().filter_map(missing_program)) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let folder = stage.directory.path();
    for commands in commands().iter().take(2) {
        shell(folder, commands);
    }
    let posthouse = start(&stage, "");
    let address = posthouse.listener("asks").expect("the listener is bound");
    let mut command = Command::new("swaks");
    command
        .args(["--server", "localhost", "--helo", "client.example", "--tls"])
        .args(["--port", &address.port().to_string(), "--timeout", "30"])
        .arg("--tls-cert")
        .arg(folder.join("printer-3.pem"))
        .arg("--tls-key")
        .arg(folder.join("printer-3.key"))
        // swaks takes the first mechanism that it knows.
        .args(["--auth", "--auth-user", USER, "--auth-password", PASSWORD])
        .args(["--from", SENDER, "--to", RECIPIENTS[0]]);
    run_client(&mut command, folder)
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let said = std::fs::read_to_string(folder.join("client.log")).expect("it has been written");
    assert!(said.contains("AUTH LOGIN PLAIN EXTERNAL"), "{said}");
    assert!(stage.arrival().is_some(), "{}", posthouse.log_tail());
    posthouse.stop().expect("posthouse stops in good order");
}

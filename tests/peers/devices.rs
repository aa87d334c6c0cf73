//! Clients at a listener for devices, behind a balancer, and at the wrong port.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::stage::{PASSWORD, RECIPIENTS, SENDER, Stage, USER, check, message};
use crate::support::peer::{is_ready, missing_program, run_client};
use crate::support::process::{Posthouse, wait_for, write_file};

const PATIENCE: Duration = Duration::from_secs(30);

fn start(stage: &Stage) -> Posthouse {
    let upstream = stage.recorder_as_upstream();
    stage.posthouse(&upstream).expect("posthouse starts")
}

/// Lets swaks submit to a listener without TLS, and checks what arrives.
#[track_caller]
fn swaks(listener: &str, more: &[&str]) {
    if !is_ready(missing_program("swaks")) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = start(&stage);
    let address = posthouse.listener(listener).expect("it is bound");
    let sent = submit_with_swaks(&stage, address, more);
    let sent = sent.unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    check(&sent, &stage.arrival().expect("it arrives"));
    if listener == "balanced" {
        let log = posthouse.log();
        let is_told =
            |line: &str| line.contains("peer=192.0.2.7") && line.contains("proxy=127.0.0.1");
        assert!(log.lines().any(is_told), "{log}");
    }
    posthouse.stop().expect("posthouse stops in good order");
}

fn submit_with_swaks(stage: &Stage, address: SocketAddr, more: &[&str]) -> io::Result<Vec<u8>> {
    let content = message("");
    let file = stage.directory.path().join("message.eml");
    write_file(&file, content.strip_suffix(b"\r\n").unwrap_or(&content))?;
    let mut command = Command::new("swaks");
    command
        .args(["--server", "127.0.0.1", "--helo", "MFP_3"])
        .args(["--port", &address.port().to_string(), "--timeout", "30"])
        .args(["--auth", "LOGIN", "--auth-user", USER])
        .args(["--auth-password", PASSWORD, "--from", SENDER])
        .args(["--to", &RECIPIENTS.join(","), "--suppress-data", "--data"])
        .arg(format!("@{}", file.display()))
        .args(more);
    run_client(&mut command, stage.directory.path())?;
    Ok(content)
}

#[test]
fn swaks_logs_in_in_plain_text() {
    swaks("devices", &[]);
}

#[test]
fn swaks_is_who_its_proxy_header_says() {
    for version in ["1", "2"] {
        let family = if version == "1" { "TCP4" } else { "AF_INET" };
        swaks(
            "balanced",
            &[
                "--proxy-version",
                version,
                "--proxy-family",
                family,
                "--proxy-source",
                "192.0.2.7",
                "--proxy-source-port",
                "56324",
                "--proxy-dest",
                "198.51.100.1",
                "--proxy-dest-port",
                "587",
            ],
        );
    }
}

#[test]
fn curl_begins_with_a_proxy_header() {
    if !is_ready(missing_program("curl")) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = start(&stage);
    let address = posthouse.listener("balanced").expect("it is bound");
    let file = stage.directory.path().join("message.eml");
    write_file(&file, &message("Date: Sat, 21 Nov 2026 07:00:00 +0100\r\n"))
        .expect("it is written");
    // Without a header there would be no greeting. It names this machine, from where nobody may log in without TLS here.
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--verbose",
            "--max-time",
            "30",
            "--haproxy-protocol",
        ])
        .args(["--user", &format!("{USER}:{PASSWORD}")])
        .args([
            "--mail-from",
            SENDER,
            "--mail-rcpt",
            RECIPIENTS[0],
            "--upload-file",
        ])
        .arg(file)
        .arg(format!(
            "smtp://127.0.0.1:{}/client.example",
            address.port()
        ));
    let ended = command.stdin(Stdio::null()).output().expect("curl runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("< 220 relay.example.com"), "{said}");
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn smtplib_logs_in_in_plain_text() {
    if !is_ready(missing_program("python3")) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = start(&stage);
    let address = posthouse.listener("devices").expect("it is bound");
    let script = format!(
        "import smtplib\n\
         with smtplib.SMTP('127.0.0.1', {}) as client:\n\
         \x20   client.login('{USER}', '{PASSWORD}')\n\
         \x20   client.sendmail('{SENDER}', ['{}'], 'From: {SENDER}\\r\\nSubject: scan\\r\\n\\r\\npage')\n",
        address.port(),
        RECIPIENTS[0],
    );
    let mut command = Command::new("python3");
    run_client(command.args(["-c", &script]), stage.directory.path())
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let mail = stage.arrival().expect("it arrives");
    assert_eq!(mail.recipients, [RECIPIENTS[0]]);
    posthouse.stop().expect("posthouse stops in good order");
}

#[test]
fn openssl_that_begins_tls_at_a_port_of_plain_text_is_told_of_in_the_log() {
    if !is_ready(missing_program("openssl")) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = start(&stage);
    let address = posthouse.listener("submission").expect("it is bound");
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string()]);
    let ended = command.stdin(Stdio::null()).output().expect("openssl runs");
    assert!(!ended.status.success(), "{ended:?}");
    let is_told = |line: &str| line.contains("protocol=TLS") && line.contains("SSL/TLS");
    let found = wait_for(PATIENCE, || {
        Ok(posthouse.log().lines().any(is_told).then_some(()))
    });
    assert!(
        found.is_ok_and(|found| found.is_some()),
        "{}",
        posthouse.log_tail()
    );
    posthouse.stop().expect("posthouse stops in good order");
}

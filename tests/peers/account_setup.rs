//! Mail programs set an account up: a reader with Thunderbird's rules and one with Outlook's fetch the settings, judge them,
//! log in with what they have found, and send.

use std::process::Command;

use crate::stage::PASSWORD;
use crate::support::peer::{is_ready, missing_program};
use crate::trial::Trial;

const SITE: &str = r#"
[http.public]
address = ["127.0.0.1"]
ports = ["0"]
tls = false
url = "https://relay.example.com"
imap = "imap.example.com:993"
autoconfig = "local-part"
"#;

/// May send as all domains of the test.
const ACCOUNT: &str =
    "authorized_domains = [\"sender.example\", \"xn--bcher-kva.example\", \"a.b.c.example\"]\n";

/// Lets a program set up the account of an address; returns the ways to TLS of the messages that arrive.
#[track_caller]
fn set_up(trial: &Trial, program: &str, address: &str, messages: usize) -> Vec<String> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/clients/mail_program.py"
    );
    let mut command = Command::new("python3");
    command
        .arg(script)
        .arg(program)
        .arg(format!("http://127.0.0.1:{}", trial.port("http.public")))
        .args([address, PASSWORD])
        .env("PEER_AUTHORITY", &trial.stage.certificates.authority);
    let ended = Trial::run(&mut command);
    assert!(ended.is_success, "{address}: {}", ended.printed);
    let incoming = "kind='imap', hostname='imap.example.com', port=993, tls='SSL', username='shop'";
    assert!(ended.printed.contains(incoming), "{}", ended.printed);
    let ways = (0..messages).map(|_| {
        let mail = trial.arrival();
        assert_eq!(mail.reverse_path, address);
        let text = String::from_utf8_lossy(&mail.content).into_owned();
        let (_, subject) = text.split_once("Subject: ").expect("there is a subject");
        subject.lines().next().unwrap_or_default().to_owned()
    });
    let mut ways: Vec<String> = ways.collect();
    ways.sort();
    ways
}

#[test]
fn thunderbird_finds_both_ways_for_addresses_of_several_domains() {
    if !is_ready(missing_program("python3")) {
        return;
    }
    let trial = Trial::with(SITE, ACCOUNT);
    for address in [
        "shop@sender.example",
        "shop@xn--bcher-kva.example",
        "shop@a.b.c.example",
    ] {
        let ways = set_up(&trial, "thunderbird", address, 2);
        assert_eq!(ways, ["SSL", "STARTTLS"]);
    }
    trial.end();
}

#[test]
fn outlook_finds_the_best_way() {
    if !is_ready(missing_program("python3")) {
        return;
    }
    let trial = Trial::with(SITE, ACCOUNT);
    for address in ["shop@sender.example", "shop@a.b.c.example"] {
        assert_eq!(set_up(&trial, "outlook", address, 1), ["SSL"]);
    }
    trial.end();
}

//! `posthouse sender add example.com`, the TXT record in DNS, and `posthouse sender verify`. The program asks the name servers
//! of `/etc/resolv.conf` at port 53, so the scenario has a network and a view of the files of its own, where a name server of
//! the test is the one there is.

use std::process::Command;

use crate::stage::{ACCOUNT, Relay, Server, Setup, command, json, says};
use crate::support::fake_dns::{Answer, FakeDns};
use crate::support::peer::{is_ready, missing_program};
use crate::support::process::write_file;

const DOMAIN: &str = "elsewhere.example";

const NAME: &str = "_posthouse.elsewhere.example";

/// Set where the test has a network of its own.
const INSIDE: &str = "POSTHOUSE_TEST_OWN_NETWORK";

#[test]
fn there_not_there_wrong_in_pieces_and_silent() {
    let missing = ["unshare", "ip", "mount"]
        .into_iter()
        .filter_map(missing_program);
    if !is_ready(missing) {
        return;
    }
    let allowed = Command::new("unshare").args(["-rmn", "true"]).output();
    let refused = allowed.is_ok_and(|output| !output.status.success());
    let refused = refused.then(|| "the system lets nobody make namespaces".to_owned());
    if !is_ready(refused) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let servers = directory.path().join("resolv.conf");
    let text = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    write_file(&servers, text.as_bytes()).unwrap();
    let output = Command::new("unshare")
        .args(["-rmn", "sh", "-c"])
        .arg("ip link set lo up && mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"")
        .arg(&servers)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("domain_is_verified_by_its_record::inside")
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "runs in a network of its own, which the other test makes"]
fn inside() {
    assert!(
        std::env::var_os(INSIDE).is_some(),
        "the other test runs this one"
    );
    let dns = FakeDns::start("127.0.0.1:53".parse().unwrap()).unwrap();
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let told = says(&setup, &["sender", "add", DOMAIN, "--account", ACCOUNT]);
    let (_, token) = told.split_once("posthouse-verify=").expect("it is told");
    let token: String = token.chars().take_while(|c| is_of_token(*c)).collect();
    let record = format!("posthouse-verify={token}");
    let texts = |texts: &[&[&str]]| {
        let strings = |strings: &&[&str]| strings.iter().map(|&text| text.to_owned()).collect();
        Answer::Texts(texts.iter().map(strings).collect())
    };

    // What is not the record proves nothing: no name, no record, another one, one that only begins or ends so.
    is_not_there(&setup, &relay, 0);
    dns.set(NAME, Answer::Empty);
    is_not_there(&setup, &relay, 0);
    dns.set(
        NAME,
        texts(&[&["v=spf1 -all"], &["posthouse-verify=another"]]),
    );
    is_not_there(&setup, &relay, 2);
    for wrong in [
        format!("{record}x"),
        format!("x{record}"),
        record.to_ascii_uppercase(),
    ] {
        dns.set(NAME, texts(&[&[&wrong]]));
        is_not_there(&setup, &relay, 1);
    }
    // Two records are not one in two strings.
    let (first, rest) = record.split_at(20);
    dns.set(NAME, texts(&[&[first], &[rest]]));
    is_not_there(&setup, &relay, 2);

    // Where nothing is known nothing changes, and that is said.
    for unknown in [Answer::Failure, Answer::Silence] {
        dns.set(NAME, unknown.clone());
        let output = command(&setup, &["sender", "verify", DOMAIN]);
        assert_eq!(output.status.code(), Some(69), "{unknown:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("nothing has changed"), "{said}");
        assert_eq!(state(&setup), "pending");
    }

    // Each look asks anew, whatever the answer before said of being kept.
    let before = dns.count(NAME);
    dns.set(NAME, texts(&[&["v=spf1 -all"], &[first, rest]]));
    let told = says(&setup, &["sender", "verify", DOMAIN]);
    assert!(told.contains("The record is there."), "{told}");
    assert_eq!(dns.count(NAME), before + 1);
    assert_eq!(state(&setup), "verified");
    assert!(may_send(&relay), "at once");
    relay.wait_for_log(&["sender verified", "by=\"dns\""]);

    // A name server that fails takes nothing back; a record that is gone does.
    dns.set(NAME, Answer::Silence);
    let output = command(&setup, &["sender", "verify", DOMAIN]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(may_send(&relay));
    dns.set(NAME, Answer::Empty);
    is_not_there(&setup, &relay, 0);
    relay.stop();
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn state(setup: &Setup) -> String {
    let list = json(setup, &["sender", "list", "--json"]);
    list[0]["state"].as_str().unwrap().to_owned()
}

fn may_send(relay: &Relay) -> bool {
    let mail = format!("MAIL FROM:<me@{DOMAIN}>");
    relay.neighbour().say(&mail).starts_with("250")
}

/// Looks for the record; there are so many others.
#[track_caller]
fn is_not_there(setup: &Setup, relay: &Relay, others: usize) {
    let output = command(setup, &["sender", "verify", DOMAIN]);
    assert_eq!(output.status.code(), Some(66), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = format!("There is no such record at {NAME} ({others} others).");
    assert!(told.contains(&expected), "{told}");
    assert_eq!(state(setup), "pending");
    assert!(!may_send(relay));
}

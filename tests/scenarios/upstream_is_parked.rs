//! A person must repair something, or an operator has said so: mail is kept, its lifetime stands still, and it leaves as
//! soon as the upstream can be used.

use serde_json::Value;

use crate::stage::{PATIENCE, RECIPIENT, Relay, Server, Setup, command, json, says, subjects};
use crate::support::fake_upstream::{ReservedPort, Script, Tls};
use crate::support::process::wait_for;

/// What `posthouse upstream list` says of an upstream.
#[track_caller]
fn listed(setup: &Setup, name: &str) -> Value {
    let list = json(setup, &["upstream", "list", "--json"]);
    let found = list.as_array().unwrap().iter();
    let mut found = found.filter(|upstream| upstream["name"] == name);
    found.next().expect("it is listed").clone()
}

/// Waits until an upstream is in this state; returns what is said of it.
#[track_caller]
fn wait_for_state(setup: &Setup, relay: &Relay, name: &str, state: &str) -> Value {
    let found = wait_for(PATIENCE, || {
        let found = listed(setup, name);
        Ok((found["condition"] == state).then_some(found))
    });
    let found = found.unwrap();
    found.unwrap_or_else(|| panic!("{name} is not {state}: {}", relay.process.log_tail()))
}

/// An upstream that offers no login.
fn without_login() -> Script {
    Script::default().tls(Tls::StartTls)
}

fn with_login() -> Script {
    without_login().mechanisms("PLAIN LOGIN")
}

fn logging_in(upstream: &Server, password: &str) -> Setup {
    Setup::to(upstream)
        .trusting(upstream)
        .with("upstream.main.smtp.username", "\"user\"")
        .with("upstream.main.smtp.password", password)
}

#[test]
fn its_list_tells_why_and_what_to_repair_and_a_reload_finds_it_repaired() {
    let upstream = Server::start(with_login());
    let setup = logging_in(&upstream, "{ inline = \"wrong\" }");
    let relay = setup.start();
    relay.submit("kept");
    let main = wait_for_state(&setup, &relay, "main", "parked");
    assert_eq!(main["kind"], "smtp");
    assert_eq!(main["place"], upstream.address.to_string());
    assert_eq!(main["parked_by"], "posthouse");
    assert_eq!(
        (&main["failures"], &main["waiting"]),
        (&1.into(), &1.into())
    );
    let text = |key: &str| main[key].as_str().unwrap().to_owned();
    assert!(text("reason").starts_with("logging in: the upstream answered 535"));
    assert!(text("repair").contains("user name or password are wrong"));
    assert!(text("since") < text("probe"));
    let line = relay.wait_for_log(&["ERROR", "cannot be used as configured"]);
    assert!(line.contains("alert=\"upstream_parked\""), "{line}");
    assert!(line.contains("repair=\"The upstream says"), "{line}");
    let table = says(&setup, &["upstream", "list"]);
    assert!(table.contains("What to do about main: "), "{table}");

    // A reload that repairs nothing neither ends the parking nor tells of it anew.
    relay.reload(&setup);
    relay.wait_for_log(&["upstream is still parked"]);
    assert_eq!(listed(&setup, "main")["since"], main["since"]);
    assert_eq!(relay.count_in_log("upstream_parked"), 1);

    relay.reload(
        &setup
            .clone()
            .with("upstream.main.smtp.password", "{ inline = \"secret\" }"),
    );
    assert_eq!(subjects(&upstream.wait_for(1)), ["kept"]);
    relay.wait_for_log(&["upstream works again", "lasted_s="]);
    assert_eq!(
        wait_for_state(&setup, &relay, "main", "good")["reason"],
        Value::Null
    );
    relay.stop();
}

#[test]
fn its_mail_does_not_expire_and_leaves_once_the_upstream_is_repaired_and_resumed() {
    let (upstream, down) = (Server::start(without_login()), ReservedPort::new());
    let setup = logging_in(&upstream, "{ inline = \"secret\" }")
        .upstream("down", down.address)
        .with("relay.upstream", "[\"main\"]")
        .with("relay.retry.lifetime", "\"1s\"")
        .with("relay.retry.warn_after", "\"0s\"");
    let relay = setup.start();
    relay.submit("kept");
    let main = wait_for_state(&setup, &relay, "main", "parked");
    let repair = main["repair"].as_str().unwrap();
    assert!(repair.contains("[upstream.main.smtp.oauth]"), "{repair}");
    // A message that is younger and is not parked shows that the lifetime of both is over.
    relay.submit_to(&["other@recipient.example"], "expires");
    says(
        &setup,
        &[
            "queue",
            "reroute",
            "--recipient",
            "other@",
            "--yes",
            "--to",
            "down",
        ],
    );
    relay.wait_for_log(&["expired", "other@recipient.example"]);

    // Nor does a crash lose how long it was parked.
    let file = setup.path().join("data/upstreams");
    let kept = wait_for(PATIENCE, || Ok(std::fs::read_to_string(&file).ok()));
    assert!(kept.unwrap().expect("it is kept").contains("failed"));
    relay.process.kill().unwrap();
    let relay = setup.start();
    let again = wait_for_state(&setup, &relay, "main", "parked");
    assert_eq!(again["since"], main["since"]);
    relay.wait_for_log(&["ERROR", "upstream_parked"]);
    // The probe of the new process has failed; the next one is a minute away.
    let is_probed = || Ok((listed(&setup, "main")["failures"] != 0).then_some(()));
    assert!(wait_for(PATIENCE, is_probed).unwrap().is_some());

    upstream.set_script(with_login());
    let done = says(&setup, &["upstream", "resume", "main"]);
    assert!(done.starts_with("Upstream main gets mail again"), "{done}");
    let messages = upstream.wait_for(1);
    assert!(
        messages
            .iter()
            .any(|message| message.recipients[0].contains(RECIPIENT))
    );
    let log = relay.process.log();
    let mut lines = log.lines();
    assert!(
        !lines.any(|line| line.contains("expired") && line.contains(RECIPIENT)),
        "{log}"
    );
    relay.stop();
}

#[test]
fn an_operator_parks_it_and_that_survives_a_crash() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream)
        .with("relay.retry.lifetime", "\"1s\"")
        .with("relay.retry.warn_after", "\"0s\"");
    let relay = setup.start();
    says(
        &setup,
        &["upstream", "park", "main", "--reason", "contract ended"],
    );
    relay.submit("kept");
    relay.process.kill().unwrap();
    let stopped = listed(&setup, "main");
    assert_eq!(
        (&stopped["condition"], &stopped["waiting"]),
        (&"parked".into(), &Value::Null)
    );
    let relay = setup.start();
    relay.wait_for_log(&[
        "WARN",
        "upstream is parked by an operator",
        "contract ended",
    ]);
    let main = listed(&setup, "main");
    assert_eq!(main["parked_by"], "operator");
    assert_eq!(main["reason"], "contract ended");
    assert_eq!(
        (&main["since"], &main["waiting"]),
        (&stopped["since"], &1.into())
    );
    relay.reload(&setup);
    assert_eq!(upstream.messages(), []);
    says(&setup, &["upstream", "resume", "main"]);
    assert_eq!(subjects(&upstream.wait_for(1)), ["kept"]);
    let again = command(&setup, &["upstream", "resume", "main"]);
    assert_eq!(again.status.code(), Some(66), "{again:?}");
    relay.stop();
}

#[test]
fn the_next_of_the_list_takes_its_mail_until_it_is_back() {
    let (main, spare) = (Server::start(without_login()), Server::willing());
    let setup = logging_in(&main, "{ inline = \"secret\" }").upstream("spare", spare.address);
    let relay = setup.start();
    relay.submit("first");
    assert_eq!(subjects(&spare.wait_for(1)), ["first"]);
    let listed = wait_for_state(&setup, &relay, "main", "parked");
    assert_eq!(listed["waiting"], 0);
    main.set_script(with_login());
    relay.submit("second");
    assert_eq!(spare.wait_for(2).len(), 2);
    says(&setup, &["upstream", "resume", "main"]);
    relay.submit("third");
    assert_eq!(subjects(&main.wait_for(1)), ["third"]);
    wait_for_state(&setup, &relay, "main", "good");
    relay.stop();
}

#[test]
fn a_message_that_the_first_puts_off_is_not_offered_to_the_next() {
    let main = Server::start(Script::default().refuse_recipient(RECIPIENT, "450 4.2.1 busy"));
    let spare = Server::willing();
    let relay = Setup::to(&main).upstream("spare", spare.address).start();
    relay.submit("put off");
    relay.wait_for_log_times("deferred", 2);
    assert_eq!(spare.messages(), []);
    main.set_script(Script::default());
    assert_eq!(subjects(&main.wait_for(1)), ["put off"]);
    assert_eq!(spare.connections(), 0);
    relay.stop();
}

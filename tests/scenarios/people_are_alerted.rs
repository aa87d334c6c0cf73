//! Something happens that a person should look at: it is told by mail, round what fails, and to a webhook, and it is
//! listed; none is lost to a crash.

use serde_json::Value;

use crate::stage::{
    ACCOUNT, PATIENCE, RECIPIENT, Relay, Server, Setup, command, field, json, says, subjects,
};
use crate::support::fake_upstream::{Received, ReservedPort, Script, Tls};
use crate::support::hook_server::{HookServer, Posted};
use crate::support::process::wait_for;

const OPS: &str = "ops@example.com";

/// An upstream that offers no login, so that one who has a password parks it.
fn without_login() -> Script {
    Script::default().tls(Tls::StartTls)
}

/// A configuration whose main upstream gets parked by the first message.
fn to_be_parked(upstream: &Server) -> Setup {
    Setup::to(upstream)
        .trusting(upstream)
        .with("upstream.main.smtp.username", "\"user\"")
        .with("upstream.main.smtp.password", "{ inline = \"secret\" }")
        .with("alerts.mail", &format!("[\"{OPS}\"]"))
}

/// What `posthouse alerts` lists.
#[track_caller]
fn listed(setup: &Setup, arguments: &[&str]) -> Vec<Value> {
    let all = [&["alerts", "--json"], arguments].concat();
    json(setup, &all).as_array().unwrap().clone()
}

/// Waits until an alert of this kind is listed.
#[track_caller]
fn wait_for_alert(setup: &Setup, relay: &Relay, kind: &str) -> Value {
    let found = wait_for(PATIENCE, || {
        Ok(listed(setup, &["--kind", kind]).first().cloned())
    });
    found
        .unwrap()
        .unwrap_or_else(|| panic!("no {kind}: {}", relay.process.log_tail()))
}

/// Waits for a request that was answered with this status.
#[track_caller]
fn wait_for_post(hook: &HookServer, relay: &Relay, status: u16) -> Posted {
    let found = wait_for(PATIENCE, || {
        let mut posted = hook.posted().into_iter();
        Ok(posted.find(|posted| posted.status == status))
    });
    found
        .unwrap()
        .unwrap_or_else(|| panic!("no {status}: {}", relay.process.log_tail()))
}

fn alert_mail(messages: &[Received]) -> &Received {
    let mut mails = messages
        .iter()
        .filter(|message| message.recipients.iter().any(|to| to.contains(OPS)));
    mails.next().expect("there is an alert mail")
}

#[test]
fn a_parked_upstream_is_told_by_mail_through_another_one() {
    let (main, other) = (Server::start(without_login()), Server::willing());
    // It is on no route: only the alert may take it.
    let setup = to_be_parked(&main)
        .upstream("other", other.address)
        .with("relay.upstream", "[\"main\"]");
    let relay = setup.start();
    relay.submit("kept");
    let messages = other.wait_for(1);
    let told = alert_mail(&messages);
    assert!(told.sender.starts_with("<>"), "{}", told.sender);
    let text = String::from_utf8(told.octets.clone()).unwrap();
    let subject = field(&told.octets, "Subject").unwrap();
    assert!(
        subject.ends_with("upstream parked: upstream main"),
        "{subject}"
    );
    assert_eq!(
        field(&told.octets, "Auto-Submitted").unwrap(),
        "auto-generated"
    );
    assert!(
        field(&told.octets, "Message-ID")
            .unwrap()
            .starts_with("<alert.")
    );
    assert!(text.contains("[upstream.main.smtp.oauth]"), "{text}");
    let alert = wait_for_alert(&setup, &relay, "upstream_parked");
    assert_eq!(
        (&alert["upstream"], &alert["count"]),
        (&"main".into(), &1.into())
    );
    let line = relay.wait_for_log(&["alert=\"upstream_parked\""]);
    assert!(line.contains("ERROR"), "{line}");
    relay.stop();
    // A stopped server's alerts are listed from its file.
    assert_eq!(listed(&setup, &[]), [wait_for_stopped(&setup)]);
}

/// The one alert in the file of a stopped server.
#[track_caller]
fn wait_for_stopped(setup: &Setup) -> Value {
    let file = std::fs::read_to_string(setup.path().join("data/alerts")).unwrap();
    let mut alerts = file.lines().filter_map(|line| {
        serde_json::from_str::<Value>(line)
            .ok()?
            .get("alert")
            .cloned()
    });
    alerts.next_back().expect("it is stored")
}

#[test]
fn where_there_is_no_other_upstream_the_log_says_so_and_no_alert_makes_another() {
    let main = Server::start(without_login());
    let setup = to_be_parked(&main).with("alerts.delivery_time", "\"1s\"");
    let relay = setup.start();
    relay.submit("kept");
    relay.wait_for_log(&["goes by the upstream that fails"]);
    let late = wait_for_alert(&setup, &relay, "delivery_time_exceeded");
    assert_eq!(late["account"], ACCOUNT);
    let text = late["text"].as_str().unwrap();
    assert!(
        text.contains("1 message of account") && text.contains(RECIPIENT),
        "{text}"
    );
    // The mails of both alerts wait too, and are nobody's: they are never late.
    main.set_script(without_login().mechanisms("PLAIN LOGIN"));
    says(&setup, &["upstream", "resume", "main"]);
    assert!(subjects(&main.wait_for(3)).contains(&"kept".to_owned()));
    assert_eq!(
        listed(&setup, &["--kind", "delivery_time_exceeded"])[0]["count"],
        1
    );
    relay.stop();
}

#[test]
fn a_webhook_gets_a_signed_request_and_another_after_a_failure() {
    let (main, hook) = (Server::willing(), HookServer::start(500));
    let setup = Setup::to(&main).with("alerts.webhook", &hook.table());
    let relay = setup.start();
    let to = says(&setup, &["alerts", "test"]);
    assert!(to.contains("the webhook at 127.0.0.1"), "{to}");
    let first = wait_for_post(&hook, &relay, 500);
    assert!(first.is_signed, "{first:?}");
    hook.answer(204);
    let second = wait_for_post(&hook, &relay, 204);
    assert!(second.is_signed, "{second:?}");
    assert_eq!(second.content, first.content);
    let alert = &second.content["alerts"][0];
    assert_eq!(
        (&alert["kind"], &alert["count"]),
        (&"test".into(), &1.into())
    );
    relay.wait_for_log(&["webhook of alerts refuses", "status=500"]);
    relay.wait_for_log(&["webhook of alerts called"]);
    assert!(
        !relay.process.log().contains("/hook"),
        "the address is not logged"
    );
    relay.stop();
}

#[test]
fn a_crash_loses_neither_alerts_nor_what_is_on_its_way() {
    let (main, hook) = (Server::willing(), HookServer::start(500));
    let setup = Setup::to(&main).with("alerts.webhook", &hook.table());
    let relay = setup.start();
    says(&setup, &["alerts", "test"]);
    let before = wait_for_post(&hook, &relay, 500);
    let stored = wait_for_alert(&setup, &relay, "test");
    relay.process.kill().unwrap();
    hook.answer(200);
    let relay = setup.start();
    let after = wait_for_post(&hook, &relay, 200);
    assert_eq!(after.content, before.content);
    assert_eq!(wait_for_alert(&setup, &relay, "test"), stored);
    relay.stop();
}

#[test]
fn a_reload_says_who_is_told_from_now_on() {
    let main = Server::willing();
    let setup = Setup::to(&main);
    let relay = setup.start();
    let nobody = command(&setup, &["alerts", "test"]);
    assert_eq!(nobody.status.code(), Some(78), "{nobody:?}");
    let setup = setup.with("alerts.mail", &format!("[\"{OPS}\"]"));
    let path = format!("account.{ACCOUNT}.alert_mail");
    let setup = setup.with(&path, "\"owner@shop.example\"");
    relay.reload(&setup);
    let to = says(&setup, &["alerts", "test", "--account", ACCOUNT]);
    assert!(
        to.contains(OPS) && to.contains("owner@shop.example"),
        "{to}"
    );
    let messages = main.wait_for(2);
    assert!(
        subjects(&messages)
            .iter()
            .all(|subject| subject.contains("test: account shop"))
    );
    let unknown = command(&setup, &["alerts", "test", "--account", "nobody"]);
    assert!(!unknown.status.success(), "{unknown:?}");
    relay.stop();
}

#[test]
fn a_flood_makes_few_mails_and_few_lines() {
    let (main, down) = (Server::willing(), ReservedPort::new());
    let setup = Setup::to(&main)
        .upstream("down", down.address)
        .with("relay.upstream", "[\"down\"]")
        .with("alerts.upstream", "[\"main\"]")
        .with("alerts.mail", &format!("[\"{OPS}\"]"))
        .with("alerts.delivery_time", "\"1s\"");
    let relay = setup.start();
    let mut client = relay.neighbour();
    for number in 0..200 {
        let message = crate::stage::message(&format!("late {number}"));
        client.submit(crate::stage::SENDER, &[RECIPIENT], &message);
    }
    let count = || {
        let alerts = listed(&setup, &["--kind", "delivery_time_exceeded"]);
        alerts
            .iter()
            .map(|alert| alert["count"].as_u64().unwrap())
            .sum::<u64>()
    };
    wait_for_alert(&setup, &relay, "delivery_time_exceeded");
    assert!((1..=60).contains(&count()));
    assert_eq!(main.wait_for(1).len(), 1, "the next mail is due in an hour");
    let file = std::fs::read_to_string(setup.path().join("data/alerts")).unwrap();
    assert!(file.lines().count() < 200, "{file}");
    relay.stop();
}

/// A configuration with two upstreams, of which mail takes the first and alerts the second, and an owner of the account.
fn told_elsewhere(mail: &Server, alerts: &Server) -> Setup {
    Setup::to(mail)
        .upstream("alerts", alerts.address)
        .with("relay.upstream", "[\"main\"]")
        .with("alerts.upstream", "[\"alerts\"]")
        .with("alerts.mail", &format!("[\"{OPS}\"]"))
        .with(
            &format!("account.{ACCOUNT}.alert_mail"),
            "\"owner@shop.example\"",
        )
}

/// Waits for the mails of one alert, to the operator and to the account's owner; returns subject and text.
#[track_caller]
fn wait_for_mails(alerts: &Server, before: usize) -> (String, String) {
    let mails = alerts.wait_for(before + 2).split_off(before);
    let mut to: Vec<_> = mails.iter().flat_map(|mail| &mail.recipients).collect();
    to.sort();
    assert!(
        to[0].contains(OPS) && to[1].contains("owner@shop.example"),
        "{to:?}"
    );
    let mail = &mails[0];
    assert!(mail.sender.starts_with("<>"), "{}", mail.sender);
    let text = String::from_utf8_lossy(&mail.octets);
    let words: Vec<_> = text.split_whitespace().collect();
    (field(&mail.octets, "Subject").unwrap(), words.join(" "))
}

#[test]
fn a_guesser_is_told_to_operator_and_owner_by_mail() {
    let (mail, alerts) = (Server::willing(), Server::willing());
    let setup = told_elsewhere(&mail, &alerts).with("auth.throttle.longest_delay", "\"0s\"");
    let relay = setup.start();
    for _ in 0..2 {
        let mut client = relay.secured_stranger();
        for _ in 0..3 {
            client.log_in(ACCOUNT, "guess");
        }
    }
    let (subject, text) = wait_for_mails(&alerts, 0);
    assert!(
        subject.ends_with("logins refused: account shop"),
        "{subject}"
    );
    assert!(
        text.contains("too many logins of shop") && text.contains("127.0.0.1"),
        "{text}"
    );
    assert!(!text.contains("guess"), "{text}");
    // A name that nobody has blocks itself, and is no matter of a person's.
    for _ in 0..2 {
        let mut client = relay.secured_stranger();
        for _ in 0..3 {
            client.log_in("nobody", "guess");
        }
    }
    relay.wait_for_log(&["logins are refused", "nobody"]);
    assert_eq!(listed(&setup, &["--kind", "account_blocked"]).len(), 1);
    assert_eq!(mail.count_lines("DATA") + mail.count_lines("BDAT"), 0);
    relay.stop();
}

#[test]
fn a_sender_that_is_not_authorized_is_told_by_mail_whatever_becomes_of_the_message() {
    let (mail, alerts) = (Server::willing(), Server::willing());
    let other = "ceo@bank.example";
    let message =
        crate::stage::message_with(&format!("From: {other}\r\nSubject: odd\r\n"), "Pay.\r\n");
    // Each is a server of its own: nobody is told twice in an hour of the same.
    for (outcome, reply, words) in [
        ("reject", "550 5.7.1", "The message was refused."),
        ("alert", "250", "The message was relayed all the same."),
        ("hold", "250", "posthouse queue release"),
    ] {
        let before = alerts.count_lines("RCPT TO");
        let setup = told_elsewhere(&mail, &alerts);
        let setup = setup.with("account.shop.on_unauthorized", &format!("\"{outcome}\""));
        let relay = setup.start();
        let got = relay
            .neighbour()
            .submit(crate::stage::SENDER, &[RECIPIENT], &message);
        assert!(got.starts_with(reply), "{outcome}: {got}");
        let (subject, text) = wait_for_mails(&alerts, before);
        assert!(
            subject.ends_with("sender not authorized: account shop"),
            "{outcome}: {subject}"
        );
        for part in ["shop", other, words] {
            assert!(text.contains(part), "{outcome}: {part}: {text}");
        }
        let alert = wait_for_alert(&setup, &relay, "unauthorized_sender");
        assert_eq!(alert["account"], ACCOUNT);
        relay.stop();
    }
    assert_eq!(
        subjects(&mail.wait_for(1)),
        ["odd"],
        "only where it is relayed"
    );
}

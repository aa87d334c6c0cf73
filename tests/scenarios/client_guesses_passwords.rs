//! Who guesses is slowed down and learns nothing; who is known from there is not locked out.

use crate::stage::{ACCOUNT, PASSWORD, Relay, Server, Setup, json, says};
use crate::support::dialogue::plain;

#[test]
fn a_wrong_password_and_an_unknown_user_hear_the_same() {
    let (_upstream, relay) = start();
    let mut client = relay.secured_stranger();
    let wrong = client.log_in(ACCOUNT, "not the password");
    let unknown = client.log_in("nobody", "not the password");
    assert!(wrong.starts_with("535 5.7.8"), "{wrong}");
    assert_eq!(wrong, unknown);
    let right = client.log_in(ACCOUNT, PASSWORD);
    assert!(right.starts_with("235"), "{right}");
    relay.stop();
}

#[test]
fn a_few_failures_end_the_session() {
    let (_upstream, relay) = start();
    let mut client = relay.secured_stranger();
    for name in ["one", "two", "three"] {
        let reply = client.log_in(name, "guess");
        assert!(reply.starts_with("535 5.7.8"), "{reply}");
    }
    let replies = client.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with("421 4.7.0"),
        "{replies:?}"
    );
    relay.stop();
}

#[test]
fn many_failures_throttle_the_network_but_not_who_is_known_there() {
    let (_upstream, relay) = start();
    relay.logged_in();
    guess_until_throttled(&relay);
    relay.logged_in();
    relay.wait_for_log(&["WARN", "authentication throttled", "another"]);
    relay.stop();
}

#[test]
fn who_was_known_before_a_restart_is_not_throttled_after_it() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    relay.logged_in();
    relay.stop();
    let relay = setup.start();
    guess_until_throttled(&relay);
    relay.logged_in();
    relay.stop();
}

#[test]
fn a_login_before_tls_is_refused_without_a_challenge() {
    let (_upstream, relay) = start();
    let mut client = relay.stranger();
    let offer = client.must("EHLO client.example", "250");
    assert!(!offer.contains("AUTH"), "{offer}");
    client.must(
        &format!("AUTH PLAIN {}", plain(ACCOUNT, PASSWORD)),
        "538 5.7.11",
    );
    client.must("AUTH PLAIN", "538 5.7.11");
    client.must("AUTH LOGIN", "538 5.7.11");
    client.must("MAIL FROM:<orders@shop.example>", "530");
    client.start_tls(&relay.certificate());
    let offer = client.must("EHLO client.example", "250");
    assert!(offer.contains("AUTH LOGIN PLAIN"), "{offer}");
    relay.stop();
}

#[test]
fn a_name_with_control_characters_does_not_write_the_log() {
    let (_upstream, relay) = start();
    let mut client = relay.secured_stranger();
    let name = "eve\r\n2026-01-01T00:00:00Z  INFO authenticated account=boss\u{1b}[2J";
    let reply = client.log_in(name, "guess");
    assert!(reply.starts_with('5'), "{reply}");
    relay.wait_for_log(&["authentication failed", "eve"]);
    let log = relay.process.log();
    assert!(!log.contains('\u{1b}'), "{log}");
    assert!(
        log.lines().all(|line| !line.starts_with("2026-01-01")),
        "{log}"
    );
    relay.stop();
}

/// Guesses by many names until the network is throttled.
#[track_caller]
fn guess_until_throttled(relay: &Relay) {
    for round in 0..4 {
        let mut client = relay.secured_stranger();
        for number in 0..3 {
            client.log_in(&format!("guess{round}{number}"), "guess");
        }
    }
    let reply = relay.secured_stranger().log_in("another", "guess");
    assert!(reply.starts_with("454 4.7.0"), "{reply}");
}

fn start() -> (Server, Relay) {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    (upstream, relay)
}

#[test]
fn an_operator_sees_who_is_refused_and_lets_them_try_again() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).with("auth.throttle.longest_delay", "\"0s\"");
    let relay = setup.start();
    for _ in 0..2 {
        let mut client = relay.secured_stranger();
        for _ in 0..3 {
            client.log_in(ACCOUNT, "guess");
        }
    }
    let reply = relay.secured_stranger().log_in(ACCOUNT, PASSWORD);
    assert!(reply.starts_with("454 4.7.0"), "{reply}");
    relay.wait_for_log(&["WARN", "logins are refused", "shop from 127.0.0.1/32"]);
    let blocked = json(&setup, &["auth", "blocked", "--json"]);
    assert_eq!(blocked[0]["account"], ACCOUNT, "{blocked}");
    assert_eq!(blocked[0]["network"], "127.0.0.1/32", "{blocked}");
    says(&setup, &["auth", "release", ACCOUNT]);
    let blocked = json(&setup, &["auth", "blocked", "--json"]);
    assert_eq!(blocked, serde_json::json!([]));
    let reply = relay.secured_stranger().log_in(ACCOUNT, PASSWORD);
    assert!(reply.starts_with("235"), "{reply}");
    relay.stop();
}

#[test]
fn who_is_allowed_is_not_refused() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("auth.throttle.allow", "[\"127.0.0.0/8\"]")
        .with("auth.throttle.longest_delay", "\"0s\"")
        .start();
    for _ in 0..7 {
        let mut client = relay.secured_stranger();
        for _ in 0..3 {
            let reply = client.log_in(ACCOUNT, "guess");
            assert!(reply.starts_with("535"), "{reply}");
        }
    }
    relay.logged_in();
    relay.stop();
}

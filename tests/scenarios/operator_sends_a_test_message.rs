//! `posthouse test-mail`: through the running server as an account, and straight to an upstream.

use std::process::Output;

use crate::stage::{RECIPIENT, SENDER, Server, Setup, command};
use crate::support::fake_upstream::{Script, Tls};

/// Runs the command; returns its exit code and what it printed.
fn test_mail(setup: &Setup, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(setup, &[&["test-mail"], arguments].concat());
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn it_goes_the_way_of_the_accounts_mail_and_is_followed_until_it_has_left() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let (code, out, err) = test_mail(&setup, &["--account", "shop", "--to", RECIPIENT]);
    assert_eq!(code, Some(0), "{out}{err}");
    for part in [
        "C: MAIL FROM:<postmaster@shop.example>",
        "S: 250 2.0.0 ok",
        "as account shop, sent by an operator",
        "allowed: ",
        "by upstream main",
        "attempt 1",
        "Relayed in ",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let messages = upstream.wait_for(1);
    assert!(messages[0].sender.starts_with("<postmaster@shop.example>"));
    relay.stop();
}

#[test]
fn what_the_account_may_not_send_is_refused_as_a_client_would_be() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let arguments = [
        "--account",
        "shop",
        "--from",
        "boss@other.example",
        "--to",
        RECIPIENT,
    ];
    let (code, out, err) = test_mail(&setup, &arguments);
    assert_eq!(code, Some(77), "{out}{err}");
    assert!(
        err.contains("550 5.7.1") && err.contains("authorized_senders"),
        "{err}"
    );
    let (code, out, _) = test_mail(&setup, &[&arguments[..], &["--json"]].concat());
    assert_eq!(code, Some(77));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["outcome"], "refused");
    assert!(upstream.messages().is_empty());
    relay.stop();
}

#[test]
fn a_message_that_is_put_off_stays_and_the_upstream_is_looked_at() {
    let script = Script::default()
        .tls(Tls::StartTls)
        .mechanisms("LOGIN")
        .reply("AUTH", "535 5.7.8 wrong");
    let upstream = Server::start(script);
    let setup = Setup::to(&upstream)
        .trusting(&upstream)
        .with("upstream.main.smtp.username", "\"user\"")
        .with("upstream.main.smtp.password", "{ inline = \"hunter22\" }");
    let relay = setup.start();
    let (code, out, err) = test_mail(&setup, &["--account", "shop", "--to", RECIPIENT]);
    assert_eq!(code, Some(78), "{out}{err}");
    for part in ["deferred", "Looking at upstream main:", "failed\tlogin\t"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(err.contains("user name or password are wrong"), "{err}");
    assert!(!format!("{out}{err}").contains("hunter22"));
    relay.stop();
}

#[test]
fn a_refusal_for_good_is_told_with_the_words_of_the_upstream() {
    let script = Script::default().refuse_recipient(RECIPIENT, "550 5.1.1 nobody here");
    let upstream = Server::start(script);
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let arguments = ["--account", "shop", "--from", SENDER, "--to", RECIPIENT];
    let (code, out, err) = test_mail(&setup, &arguments);
    assert_eq!(code, Some(69), "{out}{err}");
    assert!(out.contains("550 5.1.1 nobody here"), "{out}");
    relay.stop();
}

#[test]
fn without_a_server_it_goes_straight_to_the_upstreams_of_the_route() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    setup.write();
    let (code, out, err) = test_mail(&setup, &["--account", "shop", "--to", RECIPIENT, "--json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["way"], "direct");
    assert_eq!(report["outcome"], "relayed");
    assert_eq!(report["attempts"][0]["upstream"], "main");
    assert_eq!(report["attempts"][0]["steps"][1]["step"], "connect");
    let dialogue = report["attempts"][0]["dialogue"].to_string();
    assert!(dialogue.contains("S: 250 2.0.0 taken"), "{dialogue}");
    assert_eq!(upstream.messages().len(), 1);
}

//! Clients of an identity provider log in without a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthouse::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::stage::{
    ACCOUNT, PASSWORD, PATIENCE, QUEUED, RECIPIENT, SENDER, Server, Setup, message, says,
};
use crate::support::dialogue::Dialogue;
use crate::support::identity_provider::IdentityProvider;
use crate::support::process::{wait_for, write_file};

fn now() -> u64 {
    SystemClock.now().unix_seconds()
}

fn setup(upstream: &Server, provider: &IdentityProvider) -> Setup {
    Setup::to(upstream)
        .with("login.oauth.corp.audience", "[\"posthouse\"]")
        .with("login.oauth.corp.accounts", "\"local-part\"")
        .with("login.oauth.corp.domains", "[\"corp.example\"]")
        .with(
            "login.oauth.corp.jwt.issuer",
            &format!("{:?}", provider.url()),
        )
}

/// Claims of a token for the account that is good for an hour.
fn claims() -> Value {
    json!({ "aud": "posthouse", "exp": now() + 3600, "email": format!("{ACCOUNT}@corp.example") })
}

fn xoauth2(name: &str, token: &str) -> String {
    let response = format!("user={name}\u{1}auth=Bearer {token}\u{1}\u{1}");
    format!("AUTH XOAUTH2 {}", STANDARD.encode(response))
}

fn oauthbearer(name: &str, token: &str) -> String {
    let response = format!("n,a={name},\u{1}host=localhost\u{1}auth=Bearer {token}\u{1}\u{1}");
    format!("AUTH OAUTHBEARER {}", STANDARD.encode(response))
}

#[test]
fn a_token_opens_the_account_that_it_is_for() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let relay = setup(&upstream, &provider).start();
    let mut long = claims();
    // As long as Entra's with many groups.
    long["groups"] = json!("x".repeat(3000));
    let token = provider.sign(long);
    for line in [
        xoauth2(ACCOUNT, &token),
        oauthbearer("Shop@corp.example", &token),
    ] {
        let mut client = relay.secured_stranger();
        let offer = client.must("EHLO client.example", "250");
        assert!(
            offer.contains("AUTH LOGIN PLAIN XOAUTH2 OAUTHBEARER"),
            "{offer}"
        );
        client.must(&line, "235 2.7.0");
        let reply = client.submit(SENDER, &[RECIPIENT], &message("by token"));
        assert!(reply.starts_with(QUEUED), "{reply}");
    }
    let mut client = relay.secured_stranger();
    client.must("AUTH XOAUTH2", "334");
    let line = xoauth2(ACCOUNT, &token);
    client.must(line.trim_start_matches("AUTH XOAUTH2 "), "235");
    relay.logged_in();
    upstream.wait_for(2);
    assert_eq!(provider.requests("/keys"), 1);
    let logged = relay.process.log();
    assert!(
        logged.contains("issuer=\"corp\"") || logged.contains("issuer=corp"),
        "{logged}"
    );
    assert!(!logged.contains(&token[..30]) && !logged.contains(&token[token.len() - 30..]));
    relay.stop();
}

#[test]
fn a_token_that_does_not_count_is_answered_with_the_reason_and_then_refused() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let relay = setup(&upstream, &provider).start();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        provider.sign(claims)
    };
    let rows = [
        (
            ACCOUNT,
            with("exp", json!(now() - 61)),
            "the token has expired",
        ),
        (
            ACCOUNT,
            with("aud", json!("other")),
            "for the audience `other`",
        ),
        (
            ACCOUNT,
            with("email", json!("shop@evil.example")),
            "is not listed",
        ),
        ("another", provider.sign(claims()), "for another account"),
    ];
    for (name, token, reason) in rows {
        let mut client = relay.secured_stranger();
        let challenge = client.must(&xoauth2(name, &token), "334 ");
        let challenge = STANDARD.decode(challenge[4..].trim()).unwrap();
        let challenge: Value = serde_json::from_slice(&challenge).unwrap();
        assert_eq!(challenge["status"], "invalid_token");
        client.must("", "535 5.7.8");
        client.must("MAIL FROM:<orders@shop.example>", "530");
        relay.wait_for_log(&["INFO", "access token refused", reason]);
        relay.wait_for_log(&["WARN", "authentication failed", name]);
    }
    relay.stop();
}

#[test]
fn failures_with_tokens_end_the_session_as_others_do() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let relay = setup(&upstream, &provider).start();
    let mut client = relay.secured_stranger();
    for _ in 0..2 {
        client.must(&oauthbearer(ACCOUNT, "forged"), "334 ");
        client.must("AQ==", "535 5.7.8");
    }
    client.must(&oauthbearer(ACCOUNT, "forged"), "334 ");
    client.must("*", "535 5.7.8");
    client.must_reply("421 4.7.0");
    relay.stop();
}

#[test]
fn a_listener_takes_tokens_where_its_mechanisms_have_them() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let only = |mechanisms: &str| format!("ports = [\"0\"]\nmechanisms = {mechanisms}");
    let relay = setup(&upstream, &provider)
        .listener("passwords", "implicit", &only("[\"LOGIN\", \"PLAIN\"]"))
        .listener("tokens", "implicit", &only("[\"OAUTHBEARER\"]"))
        .start();
    let token = oauthbearer(ACCOUNT, &provider.sign(claims()));
    let begin = |listener: &str| {
        let mut client = Dialogue::connect([127, 0, 0, 1], relay.address(listener));
        client.handshake(&relay.certificate());
        client.must_reply("220");
        let offer = client.must("EHLO client.example", "250");
        (client, offer)
    };
    let (mut client, offer) = begin("passwords");
    assert!(offer.contains("AUTH LOGIN PLAIN\n"), "{offer}");
    client.must(&token, "504");
    assert!(client.log_in(ACCOUNT, PASSWORD).starts_with("235"));
    let (mut client, offer) = begin("tokens");
    assert!(offer.contains("AUTH OAUTHBEARER\n"), "{offer}");
    assert!(client.log_in(ACCOUNT, PASSWORD).starts_with("504"));
    client.must(&token, "235");
    relay.stop();
}

#[test]
fn while_the_provider_is_down_clients_are_told_to_come_again() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let relay = setup(&upstream, &provider).start();
    provider.set_out(true);
    let token = provider.sign(claims());
    let mut client = relay.secured_stranger();
    client.must(&xoauth2(ACCOUNT, &token), "454 4.7.0");
    relay.wait_for_log(&["WARN", "authentication unavailable", "503"]);
    let reply = client.log_in(ACCOUNT, PASSWORD);
    assert!(reply.starts_with("235"), "passwords go on: {reply}");
    relay.stop();
}

#[test]
fn a_session_lasts_as_long_as_its_token() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let relay = setup(&upstream, &provider)
        .with("session.limits.idle_commands", "1000000")
        .start();
    let mut claims = claims();
    // With the minute that clocks may differ, three seconds are left.
    claims["exp"] = json!(now() - 57);
    let mut client = relay.secured_stranger();
    client.must(&xoauth2(ACCOUNT, &provider.sign(claims)), "235");
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    let ended = wait_for(PATIENCE, || {
        client.must("RSET", "250");
        let reply = client.say(&format!("MAIL FROM:<{SENDER}>"));
        Ok(reply.starts_with("530").then_some(()))
    });
    assert!(ended.unwrap().is_some(), "the session has no end");
    relay.stop();
}

#[test]
fn a_session_ends_with_its_account() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let setup = setup(&upstream, &provider);
    let relay = setup.start();
    let mut client = relay.secured_stranger();
    client.must(&xoauth2(ACCOUNT, &provider.sign(claims())), "235");
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.must("RSET", "250");
    let setup = setup.with(&format!("account.{ACCOUNT}.active"), "false");
    setup.write();
    says(&setup, &["reload"]);
    client.must(&format!("MAIL FROM:<{SENDER}>"), "530");
    let setup = setup.with(&format!("account.{ACCOUNT}.active"), "true");
    setup.write();
    says(&setup, &["reload"]);
    client.must(&xoauth2(ACCOUNT, &provider.sign(claims())), "235");
    relay.stop();
}

#[test]
fn what_is_demanded_of_tokens_counts_for_those_who_are_in_already() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let setup = setup(&upstream, &provider);
    let relay = setup.start();
    let mut client = relay.secured_stranger();
    client.must(&xoauth2(ACCOUNT, &provider.sign(claims())), "235");
    relay.reload(&setup);
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.must("RSET", "250");
    relay.reload(&setup.with("login.oauth.corp.clients", "[\"mailer\"]"));
    client.must(&format!("MAIL FROM:<{SENDER}>"), "530");
    client.must(&xoauth2(ACCOUNT, &provider.sign(claims())), "334 ");
    client.must("", "535 5.7.8");
    relay.stop();
}

#[test]
fn a_message_that_began_before_its_token_ended_is_taken() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let relay = setup(&upstream, &provider).start();
    let mut claims = claims();
    // With the minute that clocks may differ, two seconds are left.
    claims["exp"] = json!(now() - 58);
    let mut client = relay.secured_stranger();
    client.must(&xoauth2(ACCOUNT, &provider.sign(claims)), "235");
    client.envelope(SENDER, &[RECIPIENT]);
    client.must("DATA", "354");
    client.send(&message("just in time"));
    let end = now() + 3;
    wait_for(PATIENCE, || Ok((now() >= end).then_some(()))).unwrap();
    client.must(".", QUEUED);
    client.must(&format!("MAIL FROM:<{SENDER}>"), "530");
    relay.stop();
}

#[test]
fn a_provider_is_asked_about_tokens_that_nobody_can_read() {
    let (upstream, provider) = (Server::willing(), IdentityProvider::start());
    let setup = Setup::to(&upstream);
    let secret = setup.path().join("corp.secret");
    write_file(&secret, b"s3cret").unwrap();
    let changed = std::process::Command::new("chmod")
        .arg("600")
        .arg(&secret)
        .status();
    assert!(changed.unwrap().success());
    let table = "login.oauth.corp.introspection";
    let relay = setup
        .with("account.inactive.active", "false")
        .with(
            &format!("{table}.url"),
            &format!("\"{}/introspect\"", provider.url()),
        )
        .with(&format!("{table}.client_id"), "\"posthouse\"")
        .with(
            &format!("{table}.client_secret"),
            "{ file = \"corp.secret\" }",
        )
        .start();
    provider.know("opaque-1", json!({ "active": true, "username": ACCOUNT }));
    let mut client = relay.secured_stranger();
    client.must(&xoauth2(ACCOUNT, "opaque-1"), "235");
    let mut client = relay.secured_stranger();
    client.must(&oauthbearer(ACCOUNT, "opaque-1"), "235");
    assert_eq!(provider.requests("/introspect"), 1);
    // A token that does not count is the same question and the same answer, whoever it is said to be for.
    let mut answers = Vec::new();
    for (place, name) in [ACCOUNT, "nobody", "inactive"].into_iter().enumerate() {
        let mut client = relay.secured_stranger();
        let told = client.must(&xoauth2(name, &format!("unknown-{place}")), "334 ");
        let refused = client.must("", "535 5.7.8");
        // The number of the session follows.
        let refused = refused.split(" (").next().unwrap().to_owned();
        assert_eq!(provider.requests("/introspect"), 2 + place, "{name}");
        answers.push((told, refused));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    relay.stop();
}

#[test]
fn without_a_provider_tokens_are_not_offered() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.secured_stranger();
    let offer = client.must("EHLO client.example", "250");
    assert!(!offer.contains("OAUTH"), "{offer}");
    client.must(&xoauth2(ACCOUNT, "token"), "504 5.5.4");
    relay.stop();
}

//! Programs that know a password send through a server that takes nothing but OAuth.

use crate::stage::{Server, Setup, command, subjects, toml_text};
use crate::support::fake_upstream::{Script, Tls};
use crate::support::process::write_file;
use crate::support::token_server::{CLIENT_ID, Person, Registration, SECRET, TENANT, TokenServer};

/// Takes every token of the token server, as Microsoft does: inside TLS, by XOAUTH2.
fn microsoft() -> Script {
    Script::default()
        .tls(Tls::StartTls)
        .mechanisms("LOGIN XOAUTH2")
        .tokens(&["token-"])
}

fn setup(upstream: &Server, tokens: &TokenServer) -> Setup {
    let setup = Setup::to(upstream).trusting(upstream);
    let form = "upstream.main.smtp.oauth.microsoft";
    setup
        .with("upstream.main.smtp.username", "\"user\"")
        .with(&format!("{form}.tenant_id"), &format!("{TENANT:?}"))
        .with(&format!("{form}.client_id"), &format!("{CLIENT_ID:?}"))
        .with(&format!("{form}.authority"), &format!("{:?}", tokens.url()))
}

fn with_secret(setup: Setup) -> Setup {
    let file = setup.path().join("client.secret");
    write_file(&file, SECRET.as_bytes()).expect("the file is written");
    std::process::Command::new("chmod")
        .arg("600")
        .arg(&file)
        .status()
        .expect("chmod runs");
    let source = format!("{{ file = {} }}", toml_text(&file));
    setup.with("upstream.main.smtp.oauth.microsoft.client_secret", &source)
}

#[test]
fn a_hundred_messages_over_many_connections_take_one_token() {
    let upstream = Server::start(microsoft());
    let tokens = TokenServer::start(Registration::default());
    let setup = with_secret(setup(&upstream, &tokens));
    let setup = setup.with("upstream.main.smtp.messages_per_connection", "10");
    let relay = setup.start();
    let mut client = relay.neighbour();
    for number in 0..100 {
        let message = crate::stage::message(&format!("{number}"));
        let reply = client.submit(crate::stage::SENDER, &[crate::stage::RECIPIENT], &message);
        assert!(reply.starts_with(crate::stage::QUEUED), "{reply}");
    }
    let messages = upstream.wait_for(100);
    assert!(messages.iter().all(|message| message.is_encrypted));
    assert!(
        messages
            .iter()
            .all(|message| message.login.as_deref() == Some("user"))
    );
    assert!(upstream.connections() >= 10);
    assert_eq!(tokens.token_requests(), 1);
    let log = relay.process.log();
    assert!(!log.contains("token-1-") && !log.contains(SECRET));
    relay.stop();
}

#[test]
fn when_the_secret_expires_mail_waits_and_nothing_bounces() {
    let upstream = Server::start(microsoft());
    let tokens = TokenServer::start(Registration {
        is_expired: true,
        ..Registration::default()
    });
    let setup = with_secret(setup(&upstream, &tokens));
    let relay = setup.start();
    relay.submit("first");
    relay.submit("second");
    let line = relay.wait_for_log(&["ERROR", "cannot be used as configured"]);
    assert!(line.contains("upstream=main"), "{line}");
    assert!(line.contains("AADSTS7000222"), "{line}");
    assert_eq!(upstream.count_lines("AUTH"), 0);

    // A new secret, and a reload.
    tokens.change(|known| known.is_expired = false);
    relay.reload(&setup);
    let mut subjects = subjects(&upstream.wait_for(2));
    subjects.sort();
    assert_eq!(subjects, ["first", "second"]);
    assert_eq!(relay.count_in_log("bounced"), 0);
    relay.stop();
}

#[test]
fn a_person_permits_it_on_the_command_line_while_mail_waits() {
    let upstream = Server::start(microsoft());
    let tokens = TokenServer::start(Registration {
        secret: None,
        rotates: true,
        person: Person::Agrees(1),
        ..Registration::default()
    });
    let setup = setup(&upstream, &tokens);
    let setup = setup.with("upstream.main.smtp.oauth.microsoft.login", "true");
    let relay = setup.start();
    relay.submit("patience");
    let line = relay.wait_for_log(&["ERROR", "cannot be used as configured"]);
    assert!(line.contains("posthouse upstream login"), "{line}");

    let output = command(&setup, &["upstream", "login", "main"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("ABCD-EFGH"), "{said}");
    assert!(said.contains("https://login.example/device"), "{said}");
    assert!(
        !said.contains("the-device-code") && !said.contains("refresh-of"),
        "{said}"
    );
    assert_eq!(subjects(&upstream.wait_for(1)), ["patience"]);
    let asked = tokens
        .seen()
        .into_iter()
        .find(|seen| seen.path.ends_with("devicecode"));
    let scope = asked.expect("a code was asked for").form["scope"].clone();
    assert_eq!(scope, "https://outlook.office.com/SMTP.Send offline_access");

    // The server replaces the refresh token at each use; a restart goes on with the newest.
    relay.stop();
    let relay = setup.start();
    relay.submit("again");
    assert_eq!(subjects(&upstream.wait_for(2)), ["patience", "again"]);
    relay.stop();
}

#[test]
fn a_login_that_is_refused_says_so_and_stores_nothing() {
    let upstream = Server::start(microsoft());
    let tokens = TokenServer::start(Registration {
        secret: None,
        person: Person::Refuses,
        ..Registration::default()
    });
    let setup = setup(&upstream, &tokens);
    let permitted = setup
        .clone()
        .with("upstream.main.smtp.oauth.microsoft.login", "true");
    permitted.write();
    let output = command(&permitted, &["upstream", "login", "main"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("the permission was refused"), "{said}");
    assert!(!permitted.path().join("data/tokens").exists());

    // With a secret of its own there is nothing to permit.
    let own = with_secret(setup);
    own.write();
    let output = command(&own, &["upstream", "login", "main"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("needs no login"), "{said}");
}

#[test]
fn a_refresh_token_of_google_cannot_be_got_here() {
    let upstream = Server::start(microsoft());
    let setup = Setup::to(&upstream).trusting(&upstream);
    let form = "upstream.main.smtp.oauth.google";
    let setup = setup
        .with("upstream.main.smtp.username", "\"user\"")
        .with(
            &format!("{form}.client_id"),
            "\"x.apps.googleusercontent.com\"",
        )
        .with(&format!("{form}.client_secret"), "{ inline = \"x\" }")
        .with(&format!("{form}.refresh_token"), "{ inline = \"x\" }");
    setup.write();
    let output = command(&setup, &["upstream", "login", "main"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("Google does not allow it for mail"), "{said}");
    assert!(said.contains("use a service account"), "{said}");
}

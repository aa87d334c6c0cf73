//! SIGHUP: a good configuration is in force at once, also for what waits and for who is connected; a bad one changes
//! nothing and is told where it is bad.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;

use crate::stage::{RECIPIENT, SENDER, Server, Setup, json, message, says, subjects, toml_text};
use crate::support::dialogue::HOSTNAME;
use crate::support::fake_upstream::ReservedPort;
use crate::support::process::write_file;

#[test]
fn a_broken_file_keeps_the_old_configuration_and_is_told_by_line() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let file = setup.path().join("posthouse.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().count() + 2;
    text.push_str("[upstream.other.smtp]\nhosst = \"smtp.example.net\"\n");
    write_file(&file, text.as_bytes()).unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["ERROR", &format!("posthouse.toml:{line}:1"), "hosst"]);
    relay.wait_for_log(&["ERROR", "the old configuration stays"]);
    relay.submit("all the same");
    assert_eq!(subjects(&upstream.wait_for(1)), ["all the same"]);

    let accounts = setup.path().join("accounts.toml");
    setup.write();
    write_file(&accounts, b"[account.shop]\nauthorized_domains = \"a,b\"\n").unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["ERROR", "accounts.toml:2:"]);
    relay.wait_for_log_times("the old configuration stays", 2);
    relay.submit("again");
    assert_eq!(subjects(&upstream.wait_for(2)), ["all the same", "again"]);
    relay.stop();
}

#[test]
fn a_file_that_is_gone_keeps_the_old_configuration() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    std::fs::remove_file(setup.path().join("posthouse.toml")).unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["ERROR", "the old configuration stays"]);
    relay.submit("all the same");
    assert_eq!(subjects(&upstream.wait_for(1)), ["all the same"]);
    relay.stop();
}

#[test]
fn accounts_that_are_gone_lock_nobody_out() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    std::fs::remove_file(setup.path().join("accounts.toml")).unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["ERROR", "accounts.toml", "the old configuration stays"]);
    relay.submit("all the same");
    assert_eq!(subjects(&upstream.wait_for(1)), ["all the same"]);
    relay.stop();
}

#[test]
fn queued_mail_follows_a_new_route() {
    let (dead, upstream) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new().upstream("old", dead.address);
    let relay = setup.start();
    relay.submit("waits");
    relay.wait_for_log(&["deferred"]);
    let setup = setup
        .upstream("new", upstream.address)
        .with("relay.upstream", "[\"new\"]");
    relay.reload(&setup);
    assert_eq!(subjects(&upstream.wait_for(1)), ["waits"]);
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(2)), ["waits", "afterwards"]);
    relay.stop();
}

#[test]
fn queued_mail_follows_an_upstream_that_has_moved() {
    let (dead, upstream) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new().upstream("main", dead.address);
    let relay = setup.start();
    relay.submit("waits");
    relay.wait_for_log(&["deferred"]);
    let port = upstream.address.port().to_string();
    relay.reload(&setup.with("upstream.main.smtp.port", &port));
    assert_eq!(subjects(&upstream.wait_for(1)), ["waits"]);
    relay.stop();
}

#[test]
fn again_and_again_under_load() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    std::thread::scope(|scope| {
        let clients = [0, 1, 2].map(|client| {
            let relay = &relay;
            scope.spawn(move || {
                let mut session = relay.neighbour();
                for number in 0..60 {
                    let message = message(&format!("{client} {number}"));
                    let reply = session.submit(SENDER, &[RECIPIENT], &message);
                    assert!(reply.starts_with("250"), "{reply}");
                }
            })
        });
        while clients.iter().any(|client| !client.is_finished()) {
            relay.reload(&setup);
        }
    });
    let mut subjects = subjects(&upstream.wait_for(180));
    relay.stop();
    assert_eq!(upstream.messages().len(), 180);
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 180);
}

#[test]
fn a_new_certificate_is_shown_to_new_sessions() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let place = |name: &str| setup.path().join(name);
    let (certificate, key) = (place("server.pem"), place("server.key"));
    let issue = || {
        let key_pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new([HOSTNAME.to_owned()]).unwrap();
        let pem = params.self_signed(&key_pair).unwrap().pem();
        write_file(&certificate, pem.as_bytes()).unwrap();
        write_file(&key, key_pair.serialize_pem().as_bytes()).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    };
    issue();
    let setup = setup
        .clone()
        .without("tls.self_signed")
        .with("tls.certificate", &toml_text(&certificate))
        .with("tls.key", &toml_text(&key));
    let relay = setup.start();
    let mut before = relay.stranger();
    before.start_tls(&certificate);
    issue();
    relay.reload(&setup);
    let mut after = relay.stranger();
    after.start_tls(&certificate);
    for client in [&mut before, &mut after] {
        client.must("EHLO client.example", "250");
        let reply = client.log_in(crate::stage::ACCOUNT, crate::stage::PASSWORD);
        assert!(reply.starts_with("235"), "{reply}");
    }
    // A key that is not the certificate's changes nothing.
    write_file(
        &key,
        KeyPair::generate().unwrap().serialize_pem().as_bytes(),
    )
    .unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["ERROR", "the old configuration stays"]);
    relay.stranger().start_tls(&certificate);
    relay.stop();
}

#[test]
fn a_disabled_account_is_refused_in_a_session_that_had_logged_in() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let mut logged_in = relay.logged_in();
    let mut neighbour = relay.neighbour();
    let mut inside = relay.logged_in();
    inside.envelope(SENDER, &[RECIPIENT]);
    let mut sending = [relay.logged_in(), relay.neighbour()];
    for client in &mut sending {
        client.envelope(SENDER, &[RECIPIENT]);
        client.must("DATA", "354");
        client.send(&message("too late"));
    }
    relay.reload(&setup.clone().with("account.shop.active", "false"));
    for client in &mut sending {
        client.must(".", "530 5.7.0");
        client.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    }
    logged_in.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    neighbour.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    let reply = inside.say("DATA");
    assert!(reply.starts_with(['4', '5']), "{reply}");
    drop(inside);
    logged_in.must("QUIT", "221");
    let mut new = relay.secured_stranger();
    let reply = new.log_in(crate::stage::ACCOUNT, crate::stage::PASSWORD);
    assert!(reply.starts_with("535"), "{reply}");

    relay.reload(&setup);
    let reply = relay
        .logged_in()
        .submit(SENDER, &[RECIPIENT], &message("active again"));
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["active again"]);
    relay.stop();
}

#[test]
fn a_network_taken_from_an_account_ends_what_its_sessions_may() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let mut client = relay.neighbour();
    let reply = client.submit(SENDER, &[RECIPIENT], &message("still there"));
    assert!(reply.starts_with("250"), "{reply}");
    relay.reload(&setup.with("account.shop.networks", "[\"127.0.0.77/32\"]"));
    client.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    assert_eq!(subjects(&upstream.wait_for(1)), ["still there"]);
    relay.stop();
}

#[test]
fn mail_of_an_account_that_is_gone_is_relayed_all_the_same() {
    let (dead, upstream) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new().upstream("main", dead.address);
    let relay = setup.start();
    relay.submit("orphan");
    relay.wait_for_log(&["deferred"]);
    let port = upstream.address.port().to_string();
    let setup = setup.with("upstream.main.smtp.port", &port);
    setup.write();
    write_file(
        &setup.path().join("accounts.toml"),
        b"[account.other]\nnetworks = [\"127.0.0.9/32\"]\n",
    )
    .unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["configuration reloaded"]);
    assert_eq!(subjects(&upstream.wait_for(1)), ["orphan"]);
    relay.stop();
}

#[test]
fn mail_of_an_account_that_is_gone_is_held_where_its_upstream_is_gone_too() {
    let (dead, upstream) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new();
    let relay = setup.clone().upstream("old", dead.address).start();
    relay.submit("orphan");
    relay.wait_for_log(&["deferred"]);
    let setup = setup.upstream("new", upstream.address);
    setup.write();
    write_file(
        &setup.path().join("accounts.toml"),
        b"[account.other]\nnetworks = [\"127.0.0.9/32\"]\n",
    )
    .unwrap();
    relay.signal(Signal::HUP);
    relay.wait_for_log(&["WARN", "messages held", "messages=1"]);
    let held = says(&setup, &["queue", "list", "--state", "held"]);
    assert!(held.contains("held"), "{held}");
    says(
        &setup,
        &["queue", "reroute", "--all", "--yes", "--to", "new"],
    );
    says(&setup, &["queue", "release", "--all", "--yes"]);
    assert_eq!(subjects(&upstream.wait_for(1)), ["orphan"]);
    relay.stop();
}

#[test]
fn another_way_to_a_certificate_waits_for_the_next_start_and_the_old_one_stays() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let acme = setup
        .clone()
        .without("tls.self_signed")
        .with("tls.acme.agree_to_terms", "true")
        .with("tls.acme.challenge", "\"http-01\"")
        .with("tls.acme.http", "[\"127.0.0.1:1\"]")
        .with("tls.acme.directory", "\"https://127.0.0.1:1/dir\"");
    acme.write();
    let told = says(&acme, &["reload"]);
    assert!(told.contains("at the next start"), "{told}");
    // The authority would look where nothing answers, and clients would be shown a certificate that nobody knows.
    let list = json(&acme, &["tls", "list", "--json"]);
    assert_eq!(list[0]["source"], "self-signed", "{list}");
    relay.secured_stranger();
    assert_eq!(relay.count_in_log("getting a certificate"), 0);
    relay.stop();
}

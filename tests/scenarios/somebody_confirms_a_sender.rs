//! `posthouse sender`, the link in the mail and the page behind it. What is not confirmed does not authorize.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;

use crate::stage::{ACCOUNT, Relay, Server, Setup, command, json, says};
use crate::support::peer::{is_ready, missing_program};

/// Not covered by the account's own list.
const NEW: &str = "me@elsewhere.example";

fn setup(upstream: &Server) -> Setup {
    Setup::to(upstream)
        .with("http.public.address", "[\"127.0.0.1\"]")
        .with("http.public.ports", "[\"0\"]")
        .with("http.public.tls", "false")
        .with("http.public.url", "\"https://relay.example/\"")
}

/// Asks the public site; returns status and page.
fn ask(relay: &Relay, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(relay.address("http.public")).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Asks for a sender; returns the path of the link in the mail, the last of so many.
fn link(setup: &Setup, upstream: &Server, sender: &str, mails: usize) -> String {
    says(setup, &["sender", "add", sender, "--account", ACCOUNT]);
    let received = upstream.wait_for(mails);
    let mail = received.last().unwrap();
    assert!(mail.sender.starts_with("<>"), "{}", mail.sender);
    let text = String::from_utf8_lossy(&mail.octets);
    let link = text.lines().find(|line| line.contains("/verify/")).unwrap();
    let path = link.trim().strip_prefix("https://relay.example");
    path.unwrap().to_owned()
}

fn reply_to(relay: &Relay, sender: &str) -> String {
    relay.neighbour().say(&format!("MAIL FROM:<{sender}>"))
}

#[test]
fn looking_confirms_nothing_the_button_does_once() {
    let upstream = Server::willing();
    let setup = setup(&upstream);
    let relay = setup.start();
    assert!(reply_to(&relay, NEW).starts_with("550 5.7.1"));
    let path = link(&setup, &upstream, NEW, 1);
    for method in ["GET", "HEAD"] {
        assert_eq!(ask(&relay, method, &path).0, 200);
    }
    assert!(reply_to(&relay, NEW).starts_with("550 5.7.1"), "pending");
    assert_eq!(ask(&relay, "POST", "/verify/x").0, 404);
    assert_eq!(ask(&relay, "POST", &format!("{path}x")).0, 404);
    let (status, page) = ask(&relay, "POST", &path);
    assert_eq!(status, 200, "{page}");
    assert!(reply_to(&relay, NEW).starts_with("250"), "at once");
    for method in ["POST", "GET"] {
        assert_eq!(ask(&relay, method, &path).0, 410);
    }
    let list = json(&setup, &["sender", "list", "--json"]);
    assert_eq!(list[0]["sender"], NEW);
    assert_eq!(list[0]["state"], "verified");
    assert_eq!(list[0]["by"], "link");
    relay.wait_for_log(&["sender verified", "by=\"link\"", "peer=127.0.0.1"]);
    // A reload and another process know it, and so do commands that ask no server.
    relay.reload(&setup);
    assert!(reply_to(&relay, NEW).starts_with("250"));
    relay.stop();
    let explained = ["explain", "--account", ACCOUNT, "--from", NEW];
    says(&setup, &explained);
    let relay = setup.start();
    assert!(reply_to(&relay, NEW).starts_with("250"));
    says(&setup, &["sender", "delete", NEW]);
    assert!(reply_to(&relay, NEW).starts_with("550 5.7.1"), "at once");
    assert_eq!(ask(&relay, "POST", &path).0, 404);
    relay.stop();
}

#[test]
fn what_waits_waits_after_a_crash_and_what_was_confirmed_stays() {
    let upstream = Server::willing();
    let setup = setup(&upstream);
    let relay = setup.start();
    let first = link(&setup, &upstream, NEW, 1);
    relay.signal(Signal::KILL);
    drop(relay);
    let relay = setup.start();
    assert!(reply_to(&relay, NEW).starts_with("550 5.7.1"));
    assert_eq!(ask(&relay, "POST", &first).0, 200);
    relay.signal(Signal::KILL);
    drop(relay);
    let relay = setup.start();
    assert!(reply_to(&relay, NEW).starts_with("250"));
    assert_eq!(ask(&relay, "POST", &first).0, 410);
    let file = std::fs::read_to_string(setup.path().join("data/senders")).unwrap();
    let token = first.strip_prefix("/verify/").unwrap();
    assert!(!file.contains(token), "only its digest is stored");
    assert!(!relay.process.log().contains(token), "nor is it logged");
    relay.stop();
}

#[test]
fn where_proof_is_required_nothing_else_counts() {
    let upstream = Server::willing();
    let required = setup(&upstream).with("accounts.defaults.verified_senders", "\"required\"");
    let relay = required.start();
    // The list of the account has it, and nobody has proved it.
    assert!(reply_to(&relay, "orders@shop.example").starts_with("550 5.7.1"));
    let list = json(&required, &["sender", "list", "--json"]);
    assert_eq!(list[0]["state"], "unverified");
    assert_eq!(list[0]["counts"], false);
    let path = link(&required, &upstream, "orders@shop.example", 1);
    assert!(reply_to(&relay, "orders@shop.example").starts_with("550 5.7.1"));
    assert_eq!(ask(&relay, "POST", &path).0, 200);
    assert!(reply_to(&relay, "orders@shop.example").starts_with("250"));
    assert!(reply_to(&relay, "other@shop.example").starts_with("550 5.7.1"));
    // An operator's word for a domain.
    let by_hand = [
        "sender",
        "verify",
        "shop.example",
        "--account",
        ACCOUNT,
        "--by-hand",
    ];
    says(&required, &by_hand);
    assert!(reply_to(&relay, "other@shop.example").starts_with("250"));
    // Where it does not count it does not, whatever is stored.
    let off = required
        .clone()
        .with("accounts.defaults.verified_senders", "\"off\"");
    says(&required, &["sender", "verify", NEW, "--account", ACCOUNT]);
    assert!(reply_to(&relay, NEW).starts_with("250"));
    relay.reload(&off);
    assert!(reply_to(&relay, NEW).starts_with("550 5.7.1"));
    relay.stop();
}

#[test]
fn a_domain_waits_for_its_record_and_other_accounts_get_nothing() {
    let upstream = Server::willing();
    let setup = setup(&upstream).with("account.other.networks", "[\"127.0.0.3\"]");
    let setup = setup.with("account.other.authorized_domains", "\"other.example\"");
    let relay = setup.start();
    let told = says(
        &setup,
        &["sender", "add", "elsewhere.example", "--account", ACCOUNT],
    );
    assert!(
        told.contains("_posthouse.elsewhere.example TXT \"posthouse-verify="),
        "{told}"
    );
    assert!(reply_to(&relay, NEW).starts_with("550 5.7.1"));
    says(
        &setup,
        &["sender", "verify", "elsewhere.example", "--by-hand"],
    );
    assert!(reply_to(&relay, NEW).starts_with("250"));
    let mut other = relay.client_from(std::net::Ipv4Addr::new(127, 0, 0, 3));
    assert!(
        other
            .say(&format!("MAIL FROM:<{NEW}>"))
            .starts_with("550 5.7.1")
    );
    let unknown = command(&setup, &["sender", "add", NEW, "--account", "nobody"]);
    assert_eq!(unknown.status.code(), Some(66), "{unknown:?}");
    relay.stop();
}

#[test]
fn whoever_gets_the_name_of_an_account_that_is_gone_has_to_prove_anew() {
    let upstream = Server::willing();
    let setup = setup(&upstream);
    let with_desk = setup
        .clone()
        .with("account.desk.networks", "[\"127.0.0.3\"]")
        .with("account.desk.authorized_domains", "\"desk.example\"");
    let reply = |relay: &Relay| {
        let mut desk = relay.client_from(std::net::Ipv4Addr::new(127, 0, 0, 3));
        desk.say(&format!("MAIL FROM:<{NEW}>"))
    };
    let prove = || says(&setup, &["sender", "verify", NEW, "--account", "desk"]);
    let relay = with_desk.start();
    prove();
    assert!(reply(&relay).starts_with("250"));
    relay.reload(&setup);
    relay.wait_for_log(&["sender forgotten: its account is gone", "account=desk", NEW]);
    relay.reload(&with_desk);
    assert!(reply(&relay).starts_with("550 5.7.1"));
    // The same where it goes while no server runs.
    prove();
    assert!(reply(&relay).starts_with("250"));
    relay.stop();
    setup.start().stop();
    let relay = with_desk.start();
    assert!(reply(&relay).starts_with("550 5.7.1"));
    relay.stop();
}

#[test]
fn curl_fetches_the_settings_of_mail_programs() {
    if !is_ready(missing_program("curl")) {
        return;
    }
    let upstream = Server::willing();
    let setup = setup(&upstream)
        .with("http.public.tls", "true")
        .with("http.public.imap", "\"imap.example.com:993\"");
    let relay = setup.start();
    let (site, name) = (
        relay.address("http.public"),
        crate::support::dialogue::HOSTNAME,
    );
    let url = |path: &str| format!("https://{name}:{}{path}", site.port());
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail",
                "--max-time",
                "30",
                "--noproxy",
                "*",
            ])
            .arg("--resolve")
            .arg(format!("{name}:{}:{}", site.port(), site.ip()))
            .arg("--cacert")
            .arg(relay.certificate())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = curl(&[&url("/mail/config-v1.1.xml?emailaddress=me@shop.example")]);
    let (tls, starttls) = (
        relay.address("submissions").port(),
        relay.address("submission").port(),
    );
    for part in [
        "<domain>shop.example</domain>".to_owned(),
        "<incomingServer type=\"imap\">".to_owned(),
        format!("<port>{tls}</port>\n      <socketType>SSL</socketType>"),
        format!("<port>{starttls}</port>\n      <socketType>STARTTLS</socketType>"),
    ] {
        assert!(text.contains(&part), "{part}\n{text}");
    }
    let question = "<Autodiscover><EMailAddress>me@shop.example</EMailAddress></Autodiscover>";
    let path = "/autodiscover/autodiscover.xml";
    let text = curl(&["--data", question, &url(path)]);
    assert!(
        text.contains("<LoginName>me@shop.example</LoginName>"),
        "{text}"
    );
    relay.stop();
}

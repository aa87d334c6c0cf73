//! A printer of many years: no TLS, a short user name, an EHLO that must not say much. What it needs is given where its
//! neighbours are, and nowhere else.

use crate::stage::{ACCOUNT, PASSWORD, RECIPIENT, Relay, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::{Dialogue, plain};

/// Connects to a listener from an address and says EHLO; returns what is offered too.
fn greeted(relay: &Relay, listener: &str, from: [u8; 4]) -> (Dialogue, String) {
    let mut client = Dialogue::connect(from, relay.address(listener));
    client.must_reply("220");
    let offer = client.must("EHLO MFP_3RD_FLOOR", "250");
    (client, offer)
}

#[test]
fn it_logs_in_in_plain_text_with_a_short_name_at_a_listener_for_devices() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("account.shop.aliases", "[\"p1\"]")
        .listener("devices", "off", "ports = [\"0\"]\nprofile = \"device\"")
        .start();
    let (mut device, offer) = greeted(&relay, "devices", [127, 0, 0, 1]);
    assert_eq!(
        offer,
        "250-relay.example.com\n250-SIZE 52428800\n250-AUTH LOGIN PLAIN\n250-AUTH=LOGIN PLAIN\n250 8BITMIME"
    );
    assert!(device.log_in("P1", PASSWORD).starts_with("235"));
    let scan = String::from_utf8(message("scan")).unwrap();
    let reply = device.submit(SENDER, &[RECIPIENT], scan.replace("\r\n", "\n").as_bytes());
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["scan"]);
    // It is the account, whatever it calls itself.
    relay.wait_for_log(&["accepted", &format!("account={ACCOUNT} ")]);
    relay.stop();
}

#[test]
fn only_listed_networks_may_log_in_in_plain_text() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .listener(
            "mixed",
            "starttls",
            "ports = [\"0\"]\nplain_text_auth_networks = [\"127.0.0.64/28\"]",
        )
        .start();
    let (mut near, offer) = greeted(&relay, "mixed", [127, 0, 0, 70]);
    assert!(offer.contains("AUTH LOGIN PLAIN"), "{offer}");
    assert!(near.log_in(ACCOUNT, PASSWORD).starts_with("235"));
    for beside in [[127, 0, 0, 63], [127, 0, 0, 80]] {
        let (mut far, offer) = greeted(&relay, "mixed", beside);
        assert!(!offer.contains("AUTH"), "{offer}");
        assert!(far.log_in(ACCOUNT, PASSWORD).starts_with("538 5.7.11"));
        far.start_tls(&relay.certificate());
        far.must("EHLO client.example", "250");
        assert!(far.log_in(ACCOUNT, PASSWORD).starts_with("235"));
    }
    relay.stop();
}

#[test]
fn each_network_is_told_what_it_bears() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .listener(
            "mixed",
            "starttls",
            "ports = [\"0\"]\nlimits = { message_size = \"2 KiB\" }\n\
             [[listener.network]]\nnetworks = [\"127.0.0.64/26\"]\ndiscard_keywords = [\"starttls\", \"CHUNKING\"]\n\
             [[listener.network]]\nnetworks = [\"127.0.0.70\"]\nauth = \"always\"\nlimits = { message_size = \"4 KiB\" }",
        )
        .start();
    let offers = |from, keyword: &str| {
        let (_, offer) = greeted(&relay, "mixed", from);
        offer.lines().any(|line| line[4..].starts_with(keyword))
    };
    assert!(offers([127, 0, 0, 1], "STARTTLS") && offers([127, 0, 0, 1], "SIZE 2048"));
    assert!(!offers([127, 0, 0, 65], "STARTTLS") && !offers([127, 0, 0, 65], "CHUNKING"));
    // The narrowest network counts, and says nothing of what the wider one discards.
    assert!(offers([127, 0, 0, 70], "STARTTLS") && offers([127, 0, 0, 70], "AUTH"));
    assert!(offers([127, 0, 0, 70], "SIZE 4096"));
    relay.stop();
}

#[test]
fn it_is_known_by_its_network_and_says_helo() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .listener(
            "devices",
            "off",
            "ports = [\"0\"]\nprofile = \"device\"\nauth = \"off\"",
        )
        .start();
    let mut device = Dialogue::connect([127, 0, 0, 2], relay.address("devices"));
    device.must_reply("220");
    device.must("HELO SCANNER_7", "250");
    device.must(&format!("AUTH PLAIN {}", plain(ACCOUNT, PASSWORD)), "502");
    let reply = device.submit(SENDER, &[RECIPIENT], &message("scan"));
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["scan"]);
    relay.stop();
}

#[test]
fn a_listener_may_be_full_by_itself() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .listener(
            "devices",
            "off",
            "ports = [\"0\"]\nprofile = \"device\"\nconnections = 2",
        )
        .start();
    let address = relay.address("devices");
    let _held: Vec<Dialogue> = (0..2).map(|_| Dialogue::begin(address)).collect();
    let mut third = Dialogue::connect([127, 0, 0, 1], address);
    third.must_reply("421 4.7.0");
    drop(relay.logged_in());
    relay.stop();
}

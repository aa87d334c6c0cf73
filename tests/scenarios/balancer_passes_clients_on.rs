//! A balancer stands before the relay and tells by a PROXY header whose connection it passes on. That client counts, for
//! all that goes by addresses; and nobody else may say who somebody is.

use std::net::{IpAddr, Ipv4Addr};

use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::Dialogue;

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A listener behind a balancer, of its own limits.
fn setup(upstream: &Server, tls: &str, more: &str) -> Setup {
    let more = format!("ports = [\"0\"]\nproxy_protocol = [\"{BALANCER}\"]\n{more}");
    Setup::to(upstream)
        .listener("balanced", tls, &more)
        .with("account.far.networks", "[\"192.0.2.0/28\"]")
        .with("account.far.authorized_domains", "\"shop.example\"")
}

/// Connects as the balancer, on behalf of a client.
fn balanced(relay: &Relay, header: &[u8]) -> Dialogue {
    let mut client = Dialogue::connect(BALANCER, relay.address("balanced"));
    client.send(header);
    client
}

fn text_header(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 56324 587\r\n").into_bytes()
}

/// The binary form; `rest` are TLVs.
fn binary_header(client: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    let len = u16::try_from(12 + rest.len()).unwrap();
    header.extend_from_slice(&len.to_be_bytes());
    header.extend_from_slice(&client);
    header.extend_from_slice(&[198, 51, 100, 1, 0xdc, 0x04, 0x02, 0x4b]);
    header.extend_from_slice(rest);
    header
}

#[test]
fn the_client_that_the_header_names_counts() {
    let upstream = Server::willing();
    let relay = setup(&upstream, "starttls", "").start();
    let headers = [
        text_header("192.0.2.1"),
        binary_header([192, 0, 2, 1], &[]),
        binary_header([192, 0, 2, 1], &[0xee; 3000]),
    ];
    for header in headers {
        // What the client sends comes in the same packet.
        let mut client = balanced(&relay, &[&header[..], b"EHLO client.example\r\n"].concat());
        client.must_reply("220");
        client.must_reply("250");
        let reply = client.submit(SENDER, &[RECIPIENT], &message("far"));
        assert!(reply.starts_with("250"), "{reply}");
    }
    let messages = upstream.wait_for(3);
    assert_eq!(subjects(&messages), ["far"; 3]);
    let text = String::from_utf8_lossy(&messages[0].octets);
    assert!(text.contains("192.0.2.1"), "{text}");
    let line = relay.wait_for_log(&["accepted", "account=far"]);
    assert!(
        line.contains("peer=192.0.2.1") && line.contains("proxy=127.0.0.9"),
        "{line}"
    );
    // Another client of the balancer is nobody.
    let mut stranger = balanced(&relay, &text_header("192.0.2.77"));
    stranger.must_reply("220");
    stranger.must("EHLO client.example", "250");
    stranger.must(&format!("MAIL FROM:<{SENDER}>"), "530");
    relay.stop();
}

#[test]
fn the_header_comes_before_tls() {
    let upstream = Server::willing();
    let relay = setup(&upstream, "implicit", "").start();
    for header in [
        text_header("192.0.2.1"),
        binary_header([192, 0, 2, 1], &[4; 40]),
    ] {
        let mut client = balanced(&relay, &header);
        client.handshake(&relay.certificate());
        client.must_reply("220");
        client.must("EHLO client.example", "250");
        client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    }
    relay.stop();
}

#[test]
fn a_balancer_that_looks_whether_the_server_lives_is_itself() {
    let upstream = Server::willing();
    let relay = setup(&upstream, "starttls", "").start();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for header in [&local[..], b"PROXY UNKNOWN\r\n"] {
        let mut check = balanced(&relay, header);
        check.must_reply("220");
        check.must("EHLO balancer.example", "250");
        check.must(&format!("MAIL FROM:<{SENDER}>"), "530");
        check.must("QUIT", "221");
    }
    relay.stop();
}

#[test]
fn whom_a_balancer_cannot_name_is_not_trusted_for_its_address() {
    let upstream = Server::willing();
    let setup = setup(&upstream, "starttls", "")
        .with("account.near.networks", &format!("[\"{BALANCER}\"]"))
        .with("account.near.authorized_domains", "\"shop.example\"");
    let relay = setup.start();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for header in [&local[..], b"PROXY UNKNOWN\r\n"] {
        let mut client = balanced(&relay, header);
        client.must_reply("220");
        client.must("EHLO client.example", "250");
        client.must(&format!("MAIL FROM:<{SENDER}>"), "530");
    }
    // By itself, at another listener, it is the account's.
    let mut itself = Dialogue::connect(BALANCER, relay.address("submission"));
    itself.must_reply("220");
    itself.must("EHLO client.example", "250");
    itself.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    drop(itself);
    relay.stop();
}

#[test]
fn a_header_comes_from_balancers_alone_and_always() {
    let upstream = Server::willing();
    let relay = setup(&upstream, "starttls", "timeouts = { handshake = \"1s\" }").start();
    // Somebody else says to be the account's.
    for from in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 10])] {
        let mut forger = Dialogue::connect(from, relay.address("balanced"));
        forger.must_reply("220");
        forger.send(&text_header("192.0.2.1"));
        forger.must_reply("554 5.5.1");
        assert!(forger.replies_to_the_end().is_empty());
    }
    relay.wait_for_log(&["client speaks another protocol", "protocol=PROXY"]);
    // Without one nobody is served, and nothing is said.
    for wrong in [
        &b"EHLO client.example\r\n"[..],
        b"PROXY TCP4 192.0.2.1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c",
        b"",
    ] {
        let mut balancer = balanced(&relay, wrong);
        assert!(balancer.replies_to_the_end().is_empty(), "{wrong:?}");
    }
    let line = relay.wait_for_log(&["no PROXY header from a balancer"]);
    assert!(line.contains("peer=127.0.0.9"), "{line}");
    assert_eq!(relay.count_in_log("no PROXY header from a balancer"), 1);
    relay.stop();
}

#[test]
fn clients_behind_a_balancer_are_counted_one_by_one() {
    let upstream = Server::willing();
    let relay = setup(&upstream, "starttls", "connections_per_address = 1").start();
    let mut first = balanced(&relay, &text_header("192.0.2.1"));
    first.must_reply("220");
    balanced(&relay, &text_header("192.0.2.1")).must_reply("421 4.7.0");
    balanced(&relay, &text_header("192.0.2.2")).must_reply("220");
    relay.stop();
}

//! A printer has no password: it sends from where it is, as who it is, and nobody else does.

use crate::stage::{PASSWORD, RECIPIENT, SENDER, Server, Setup, message, subjects};

#[test]
fn it_needs_no_password_and_keeps_its_bounds() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("account.printer.networks", "[\"127.0.0.64/28\"]")
        .with(
            "account.printer.authorized_senders",
            "\"scan@shop.example\"",
        )
        .start();
    let mut printer = relay.client_from([127, 0, 0, 70]);
    printer.must("MAIL FROM:<boss@shop.example>", "550 5.7.1");
    let scan = message("scan");
    let scan = String::from_utf8(scan)
        .unwrap()
        .replace(SENDER, "scan@shop.example");
    let reply = printer.submit("scan@shop.example", &[RECIPIENT], scan.as_bytes());
    assert!(reply.starts_with("250"), "{reply}");
    let mut beside = relay.client_from([127, 0, 0, 80]);
    beside.must("MAIL FROM:<scan@shop.example>", "530 5.7.0");
    let messages = upstream.wait_for(1);
    assert_eq!(subjects(&messages), ["scan"]);
    let text = String::from_utf8(messages[0].octets.clone()).unwrap();
    assert!(
        text.contains("with ESMTP\r\n"),
        "not ESMTPA: it has not logged in: {text}"
    );
    // An account without a password cannot log in with any.
    let mut guesser = relay.secured_stranger();
    for password in ["", PASSWORD] {
        let reply = guesser.log_in("printer", password);
        assert!(reply.starts_with('5'), "{reply}");
    }
    relay.stop();
}

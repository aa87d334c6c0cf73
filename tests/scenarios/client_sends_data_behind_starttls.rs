//! What a stranger has put behind STARTTLS in the same segment is not executed inside TLS, and nothing that was said in
//! clear survives the handshake.

use crate::stage::{ACCOUNT, PASSWORD, RECIPIENT, SENDER, Server, Setup, message, subjects};

#[test]
fn it_is_dropped() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.stranger();
    client.send(b"STARTTLS\r\nEHLO smuggler\r\nRSET\r\nNOOP\r\n");
    client.must_reply("220");
    client.handshake(&relay.certificate());
    // Had anything been executed, its reply would come first.
    client.must("VRFY me", "252");
    client.must("MAIL FROM:<orders@shop.example>", "503");
    client.must("EHLO client.example", "250");
    relay.stop();
}

#[test]
fn the_end_of_tls_is_told_so_that_nobody_can_cut_replies_off() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.secured_stranger();
    client.must("QUIT", "221");
    assert!(client.ends_in_good_order());
    relay.stop();
}

#[test]
fn a_transaction_begun_in_clear_is_not_there_inside() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.neighbour();
    client.must("MAIL FROM:<orders@shop.example>", "250");
    client.must("RCPT TO:<victim@recipient.example>", "250");
    client.must("STARTTLS", "503");
    client.must("RSET", "250");
    client.start_tls(&relay.certificate());
    client.must("EHLO client.example", "250");
    client.must("RCPT TO:<victim@recipient.example>", "503");
    client.must("DATA", "503");
    let reply = client.log_in(ACCOUNT, PASSWORD);
    assert!(reply.starts_with("235"), "{reply}");
    let reply = client.submit(SENDER, &[RECIPIENT], &message("inside"));
    assert!(reply.starts_with("250"), "{reply}");
    let messages = upstream.wait_for(1);
    assert_eq!(subjects(&messages), ["inside"]);
    assert_eq!(messages[0].recipients.len(), 1);
    relay.stop();
}

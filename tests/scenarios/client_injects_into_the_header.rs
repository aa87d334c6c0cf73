//! THREATS H1: nothing that a client says in the envelope or in a field makes a line of its own in the message.

use crate::stage::{RECIPIENT, SENDER, Server, Setup, field, message, message_with};

#[test]
fn by_the_name_it_greets_with() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut count = 0;
    for name in [
        "client.example",
        "a\tX-Injected: yes",
        "(comment (nested",
        "client.example) by relay.example.com (x",
        "[127.0.0.1]\u{b}X-Injected:",
        "\u{1b}[31mred",
        "a\rX-Injected: yes",
    ] {
        let mut client = relay.neighbour();
        let reply = client.say(&format!("EHLO {name}"));
        if !reply.starts_with("250") {
            assert!(reply.starts_with('5'), "{reply}");
            client.must("EHLO client.example", "250");
        }
        let reply = client.submit(SENDER, &[RECIPIENT], &message("greeted"));
        assert!(reply.starts_with("250"), "{reply}");
        count += 1;
    }
    for message in upstream.wait_for(count) {
        let text = String::from_utf8(message.octets).unwrap();
        assert!(text.starts_with("Received: from "), "{text}");
        assert!(!text.contains("\nX-Injected"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{b}']), "{text}");
        let header = text.split_once("\r\n\r\n").unwrap().0;
        let names = header
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']));
        let mut names: Vec<_> = names.map(|line| line.split(':').next().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["Date", "From", "Message-ID", "Received", "Subject", "To"],
            "{text}"
        );
    }
    assert!(!relay.process.log().contains('\u{1b}'));
    relay.stop();
}

#[test]
fn by_the_parameters_of_the_envelope() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.neighbour();
    for command in [
        "MAIL FROM:<orders@shop.example\rBcc:x@recipient.example>",
        "MAIL FROM:<orders@shop.example> ENVID=a+0D+0ARCPT+20TO:<x@recipient.example>",
        "MAIL FROM:<orders@shop.example> AUTH=<>+0D+0A",
        "MAIL FROM:<orders@shop.example> RET=HDRS\tX",
        "MAIL FROM:<\"a> SIZE=1\r\"@shop.example>",
    ] {
        let reply = client.say(command);
        assert!(reply.starts_with('5'), "{command:?}: {reply}");
    }
    client.must("NOOP", "250");
    client.must("MAIL FROM:<orders@shop.example>", "250");
    for command in [
        "RCPT TO:<customer@recipient.example> ORCPT=rfc822;a+0D+0AX",
        "RCPT TO:<customer@recipient.example> ORCPT=rfc822;a+00",
        "RCPT TO:<customer@recipient.example\u{0}@shop.example>",
    ] {
        let reply = client.say(command);
        assert!(reply.starts_with('5'), "{command:?}: {reply}");
    }
    // A quoted local part may hold what looks like the end of the path: it stays inside.
    let odd = "\"a> ORCPT=rfc822;evil@bank.example\"@recipient.example";
    client.must(&format!("RCPT TO:<{odd}>"), "250");
    client.must("DATA", "354");
    client.send(&message("quoted"));
    client.send(b".\r\n");
    client.must_reply("250");
    let messages = upstream.wait_for(1);
    assert_eq!(messages[0].recipients.len(), 1);
    assert!(
        messages[0].recipients[0].starts_with(&format!("<{odd}>")),
        "{messages:?}"
    );
    relay.stop();
}

#[test]
fn blind_copies_are_not_shown() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let fields = "Bcc: hidden@recipient.example\r\nFrom: orders@shop.example\r\nBCC:\r\n hidden@recipient.example,\r\n\thidden@recipient.example\r\n\
                  Subject: blind\r\nbcc : hidden@recipient.example\r\nResent-Bcc: hidden@recipient.example\r\n";
    let content = message_with(fields, "Bcc: this is text\r\n");
    let mut client = relay.neighbour();
    let reply = client.submit(SENDER, &[RECIPIENT, "hidden@recipient.example"], &content);
    if reply.starts_with("554 5.6.0") {
        // A space before the colon is obsolete; without it the message must pass.
        let content = String::from_utf8(content).unwrap().replace("bcc :", "bcc:");
        let recipients = [RECIPIENT, "hidden@recipient.example"];
        let reply = client.submit(SENDER, &recipients, content.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
    let messages = upstream.wait_for(1);
    let text = String::from_utf8(messages[0].octets.clone()).unwrap();
    assert!(!text.contains("hidden"), "{text}");
    assert!(text.contains("Bcc: this is text"), "{text}");
    assert_eq!(messages[0].recipients.len(), 2);
    assert_eq!(field(&messages[0].octets, "Subject").unwrap(), "blind");
    relay.stop();
}

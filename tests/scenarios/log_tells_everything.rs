//! At level trace, through logins of all kinds, right and wrong: no password is in the log, in any form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::stage::{ACCOUNT, PASSWORD, RECIPIENT, SENDER, Server, Setup, message_with};
use crate::support::dialogue::plain;
use crate::support::fake_upstream::{Script, Tls};

#[test]
fn no_password_is_in_it() {
    for mechanisms in ["PLAIN", "LOGIN", "CRAM-MD5"] {
        let upstream = Server::start(Script::default().tls(Tls::StartTls).mechanisms(mechanisms));
        let relay = Setup::to(&upstream)
            .trusting(&upstream)
            .with("log.level", "\"trace\"")
            .with("upstream.main.smtp.username", "\"user\"")
            .with("upstream.main.smtp.password", "{ inline = \"secret\" }")
            .start();
        let mut client = relay.secured_stranger();
        let reply = client.log_in(ACCOUNT, "wrong horse battery staple");
        assert!(reply.starts_with("535"), "{reply}");
        client.must("AUTH LOGIN", "334");
        client.must(&STANDARD.encode(ACCOUNT), "334");
        client.must(&STANDARD.encode(PASSWORD), "235");
        // In the wrong place, as clients with errors do.
        client.must(&STANDARD.encode(PASSWORD), "5");
        client.must(&format!("AUTH PLAIN {}", plain(ACCOUNT, PASSWORD)), "503");
        relay
            .stranger()
            .must(&format!("AUTH PLAIN {}", plain(ACCOUNT, PASSWORD)), "538");
        let text = message_with(
            &format!("From: {SENDER}\r\nSubject: private\r\n"),
            "The text of the message.\r\n",
        );
        let reply = client.submit(SENDER, &[RECIPIENT], &text);
        assert!(reply.starts_with("250"), "{reply}");
        upstream.wait_for(1);
        relay.wait_for_log(&["relayed"]);
        let log = relay.process.log();
        assert!(log.lines().count() > 20, "the level has effect");
        for secret in [
            PASSWORD.to_owned(),
            "wrong horse".to_owned(),
            STANDARD.encode(PASSWORD),
            plain(ACCOUNT, PASSWORD),
            plain(ACCOUNT, "wrong horse battery staple"),
            STANDARD.encode("secret"),
            plain("user", "secret"),
            "\"secret\"".to_owned(),
            "argon2".to_owned(),
            "The text of the message".to_owned(),
        ] {
            let line = log.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None, "{mechanisms}: {secret}");
        }
        relay.stop();
    }
}

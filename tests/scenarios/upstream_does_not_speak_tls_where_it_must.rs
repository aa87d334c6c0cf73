//! STARTTLS missing, refused, broken or tampered with: nothing of a message is ever said in clear, and nothing bounces.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{Script, Tls};

#[test]
fn starttls_is_not_offered() {
    mail_waits_for(Tls::None);
}

#[test]
fn starttls_is_refused() {
    mail_waits_for(Tls::StartTlsAnswered("454 4.7.0 not now\r\n".to_owned()));
}

#[test]
fn the_handshake_is_no_handshake() {
    mail_waits_for(Tls::StartTlsAnswered("220 go ahead\r\n".to_owned()));
}

#[test]
fn a_reply_is_injected_before_the_handshake() {
    mail_waits_for(Tls::StartTlsInjected(
        "220 go ahead\r\n250-fake.example\r\n250 PIPELINING\r\n".to_owned(),
    ));
}

fn mail_waits_for(tls: Tls) {
    let upstream = Server::start(Script::default().tls(tls));
    let setup = Setup::to(&upstream).trusting(&upstream);
    let relay = setup.start();
    relay.submit("private");
    relay.wait_for_log(&["deferred"]);
    assert_eq!(upstream.count_lines("MAIL"), 0, "{:?}", upstream.lines());
    assert_eq!(relay.count_in_log("bounced"), 0);

    upstream.set_script(Script::default().tls(Tls::StartTls));
    relay.reload(&setup);
    let messages = upstream.wait_for(1);
    assert_eq!(subjects(&messages), ["private"]);
    assert!(messages[0].is_encrypted);
    relay.stop();
}

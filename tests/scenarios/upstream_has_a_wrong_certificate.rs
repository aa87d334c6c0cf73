//! Mail waits and never falls back to clear; a pinned fingerprint is a promise that this one is right.

use rcgen::{CertificateParams, date_time_ymd};

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{Script, Tls, usual_certificate};

#[test]
fn it_has_expired() {
    let words = mail_waits(expired(), Authority::Itself);
    assert!(words.contains("expired"), "{words}");
}

#[test]
fn it_is_for_another_name() {
    let params = CertificateParams::new(["other.example".to_owned()]).unwrap();
    let words = mail_waits(params, Authority::Itself);
    assert!(words.contains("name"), "{words}");
}

#[test]
fn nobody_knows_its_authority() {
    let words = mail_waits(usual_certificate(), Authority::System);
    assert!(
        words.contains("authority") || words.contains("issue"),
        "{words}"
    );
}

#[test]
fn a_pinned_fingerprint_is_accepted_whatever_else_it_says() {
    let upstream = Server::start_showing(Script::default().tls(Tls::StartTls), expired());
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.tls", "\"required\"")
        .with(
            "upstream.main.smtp.fingerprint",
            &format!("{:?}", upstream.fingerprint),
        )
        .start();
    relay.submit("pinned");
    assert!(upstream.wait_for(1)[0].is_encrypted);
    relay.stop();
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused() {
    let upstream = Server::start(Script::default().tls(Tls::StartTls));
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.tls", "\"required\"")
        .with(
            "upstream.main.smtp.fingerprint",
            &format!("{:?}", "00".repeat(32)),
        )
        .start();
    relay.submit("pinned");
    relay.wait_for_log(&["ERROR", "fingerprint"]);
    assert_eq!(upstream.count_lines("MAIL"), 0);
    relay.stop();
}

/// Whom the relay is told to trust.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Authority {
    Itself,
    System,
}

/// Returns what the log says to whoever has to repair it.
fn mail_waits(certificate: CertificateParams, authority: Authority) -> String {
    let upstream = Server::start_showing(Script::default().tls(Tls::StartTls), certificate);
    let setup = Setup::to(&upstream).with("upstream.main.smtp.tls", "\"required\"");
    let setup = match authority {
        Authority::Itself => setup.trusting(&upstream),
        Authority::System => setup,
    };
    let relay = setup.start();
    relay.submit("private");
    let words = relay.wait_for_log(&["ERROR", "cannot be used as configured"]);
    assert_eq!(upstream.count_lines("MAIL"), 0, "{:?}", upstream.lines());
    assert_eq!(subjects(&upstream.messages()), [""; 0]);
    assert_eq!(relay.count_in_log("bounced"), 0);
    relay.stop();
    words
}

fn expired() -> CertificateParams {
    let mut params = usual_certificate();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

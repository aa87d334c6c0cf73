//! Operators are told before, and when it is too late.

use rcgen::{DnType, date_time_ymd};

use crate::stage::{Server, Setup, says};
use crate::support::fake_upstream::{Script, Tls, usual_certificate};

#[test]
fn a_secret_that_has_expired_is_told_of_at_the_start_and_once_a_day() {
    let upstream = Server::start(
        Script::default()
            .tls(Tls::StartTls)
            .mechanisms("PLAIN LOGIN"),
    );
    let setup = Setup::to(&upstream)
        .trusting(&upstream)
        .with("upstream.main.smtp.username", "\"user\"")
        .with(
            "upstream.main.smtp.password",
            "{ inline = \"secret\", expires = \"2020-02-29\" }",
        );
    let relay = setup.start();
    let line = relay.wait_for_log(&["ERROR", "alert=\"expiry_near\"", "has expired"]);
    assert!(line.contains("the secret of upstream main"), "{line}");
    assert!(!line.contains("inline"), "{line}");
    relay.reload(&setup);
    for command in [&["status"][..], &["upstream", "list"]] {
        let said = says(&setup, command);
        assert!(said.contains("has expired on 2020-02-29"), "{said}");
    }
    assert_eq!(relay.count_in_log("has expired"), 1);
    // That it should have expired stops nothing: the upstream decides.
    relay.submit("sent");
    upstream.wait_for(1);
    relay.stop();
}

#[test]
fn the_certificate_that_an_upstream_shows_is_looked_at() {
    let mut certificate = usual_certificate();
    certificate
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    certificate.not_after = date_time_ymd(4000, 1, 1);
    let script = Script::default().tls(Tls::StartTls);
    let upstream = Server::start_showing(script, certificate);
    let setup = Setup::to(&upstream).trusting(&upstream);
    let relay = setup.start();
    relay.submit("sent");
    upstream.wait_for(1);
    relay.wait_for_log(&["relayed"]);
    let status = crate::stage::json(&setup, &["status", "--json"]);
    let endings = status["server"]["endings"].as_array().unwrap();
    let shown = endings
        .iter()
        .find(|ending| ending["what"] == "the certificate that upstream main shows");
    assert_eq!(
        shown.expect("it is known")["ends"],
        "4000-01-01T00:00:00.000Z"
    );
    assert_eq!(relay.count_in_log("expires soon"), 0);
    relay.stop();
}

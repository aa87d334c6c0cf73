//! That is nobody's fault who writes mail: it waits, and the log tells an operator what to repair.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{Script, Tls};

#[test]
fn mail_waits_until_the_password_is_repaired() {
    let upstream = Server::start(
        Script::default()
            .tls(Tls::StartTls)
            .mechanisms("PLAIN LOGIN"),
    );
    let setup = Setup::to(&upstream).trusting(&upstream);
    let setup = setup
        .with("upstream.main.smtp.username", "\"user\"")
        .with("upstream.main.smtp.password", "{ inline = \"wrong\" }");
    let relay = setup.start();
    relay.submit("first");
    relay.submit("second");
    let line = relay.wait_for_log(&["ERROR", "cannot be used as configured"]);
    assert!(line.contains("upstream=main"), "{line}");
    assert!(line.contains("535 5.7.8"), "{line}");
    assert_eq!(upstream.count_lines("MAIL"), 0);

    let repaired = setup.with("upstream.main.smtp.password", "{ inline = \"secret\" }");
    relay.reload(&repaired);
    let messages = upstream.wait_for(2);
    let mut subjects = subjects(&messages);
    subjects.sort();
    assert_eq!(subjects, ["first", "second"]);
    assert!(messages.iter().all(|message| message.is_encrypted));
    assert!(
        messages
            .iter()
            .all(|message| message.login.as_deref() == Some("user"))
    );
    assert_eq!(relay.count_in_log("bounced"), 0);
    relay.stop();
}

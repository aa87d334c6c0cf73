//! The mail of other accounts, through other upstreams, does not notice.

use crate::stage::{RECIPIENT, Server, Setup, message, subjects};
use crate::support::fake_upstream::{Quirk, Script};

#[test]
fn mail_through_another_is_not_held_up() {
    let hanging = Server::start(Script::default().quirk(Quirk::SilentAt("EHLO".to_owned())));
    let working = Server::willing();
    let relay = Setup::to(&hanging)
        .upstream("other", working.address)
        .with("relay.upstream", "[\"main\"]")
        .with("upstream.main.smtp.connections", "3")
        .with("account.lucky.networks", "[\"127.0.0.5/32\"]")
        .with("account.lucky.upstream", "[\"other\"]")
        .start();
    for number in 0..10 {
        relay.submit(&number.to_string());
    }
    hanging.wait_for_lines("EHLO", 2);
    let mut client = relay.client_from([127, 0, 0, 5]);
    for number in 0..10 {
        let subject = format!("lucky {number}");
        let reply = client.submit("orders@shop.example", &[RECIPIENT], &message(&subject));
        assert!(reply.starts_with("250"), "{reply}");
    }
    let mut arrived = subjects(&working.wait_for(10));
    arrived.sort();
    let expected: Vec<_> = (0..10).map(|number| format!("lucky {number}")).collect();
    assert_eq!(arrived, expected);
    relay.process.kill().unwrap();
}

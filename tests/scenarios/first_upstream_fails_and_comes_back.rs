//! The next of the list takes over at once; mail returns to the first when that works again.

use crate::stage::{PATIENCE, RECIPIENT, SENDER, Server, Setup, message, subjects};
use crate::support::fake_upstream::{ReservedPort, Script};
use crate::support::process::wait_for;

#[test]
fn the_spare_takes_over_and_gives_back() {
    let (port, spare) = (ReservedPort::new(), Server::willing());
    let relay = Setup::new()
        .upstream("main", port.address)
        .upstream("spare", spare.address)
        .start();
    relay.submit("while it is down");
    assert_eq!(subjects(&spare.wait_for(1)), ["while it is down"]);

    let main = Server::start_at(port, Script::default());
    let mut submitted = 1;
    let mut client = relay.neighbour();
    let back = wait_for(PATIENCE, || {
        let reply = client.submit(SENDER, &[RECIPIENT], &message("on and on"));
        assert!(reply.starts_with("250"), "{reply}");
        submitted += 1;
        let arrived = wait_for(PATIENCE, || {
            let arrived = main.messages().len() + spare.messages().len();
            Ok((arrived == submitted).then_some(()))
        });
        assert!(arrived?.is_some(), "{}", relay.process.log_tail());
        Ok((!main.messages().is_empty()).then_some(()))
    });
    assert!(back.unwrap().is_some(), "{}", relay.process.log_tail());
    relay.submit("when it is back");
    assert!(subjects(&main.wait_for(2)).contains(&"when it is back".to_owned()));
    relay.stop();
}

#[test]
fn one_that_is_busy_is_passed_over() {
    passed_over(&Script {
        greeting: "421 4.3.2 too busy".to_owned(),
        ..Script::default()
    });
}

#[test]
fn one_that_refuses_the_login_is_passed_over() {
    passed_over(&Script::default().mechanisms("PLAIN"));
}

fn passed_over(script: &Script) {
    let (main, spare) = (Server::start(script.clone()), Server::willing());
    let relay = Setup::to(&main).upstream("spare", spare.address).start();
    relay.submit("one");
    relay.submit("two");
    let mut subjects = subjects(&spare.wait_for(2));
    subjects.sort();
    assert_eq!(subjects, ["one", "two"]);
    assert_eq!(main.messages(), []);
    assert!(main.connections() <= 2, "it is left alone");
    relay.stop();
}

//! `posthouse queue drain` and `reroute`: mail takes another way while somebody works on an upstream.

use crate::stage::{Server, Setup, command, json, says, subjects};
use crate::support::fake_upstream::{Quirk, Script};

#[test]
fn its_mail_takes_the_next_upstream_also_after_a_restart() {
    let (main, spare) = (Server::willing(), Server::willing());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("spare", spare.address);
    let relay = setup.start();
    says(&setup, &["queue", "drain", "main"]);
    relay.submit("drained");
    assert_eq!(subjects(&spare.wait_for(1)), ["drained"]);
    relay.stop();
    let relay = setup.start();
    let status = json(&setup, &["status", "--json"]);
    assert_eq!(status["server"]["upstreams"][0]["condition"], "drained");
    relay.submit("drained after a restart");
    spare.wait_for(2);
    says(&setup, &["queue", "drain", "--end", "main"]);
    relay.submit("not any more");
    assert_eq!(subjects(&main.wait_for(1)), ["not any more"]);
    let again = command(&setup, &["queue", "drain", "--end", "main"]);
    assert_eq!(again.status.code(), Some(66), "{again:?}");
    relay.stop();
}

#[test]
fn another_takes_its_place() {
    let (main, other) = (Server::willing(), Server::willing());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("other", other.address)
        .with("relay.upstream", "[\"main\"]");
    let relay = setup.start();
    says(&setup, &["queue", "drain", "main"]);
    relay.submit("waits");
    // It is not lost while nothing may take it.
    let list = json(&setup, &["queue", "list", "--json"]);
    assert_eq!(list[0]["route"], serde_json::json!(["main"]));
    says(&setup, &["queue", "drain", "main", "--to", "other"]);
    assert_eq!(subjects(&other.wait_for(1)), ["waits"]);
    relay.submit("new mail too");
    other.wait_for(2);
    relay.reload(&setup);
    relay.submit("after a reload");
    other.wait_for(3);
    says(&setup, &["queue", "drain", "--end", "main"]);
    relay.submit("back");
    assert_eq!(subjects(&main.wait_for(1)), ["back"]);
    relay.stop();
}

#[test]
fn an_operators_route_lasts_over_reload_and_restart() {
    let (main, spare) = (Server::willing(), Server::willing());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("spare", spare.address)
        .with("relay.upstream", "[\"main\"]");
    let relay = setup.start();
    says(&setup, &["queue", "drain", "main"]);
    relay.submit("held");
    says(&setup, &["queue", "hold", "--all", "--yes"]);
    let done = says(
        &setup,
        &["queue", "reroute", "--all", "--yes", "--to", "spare"],
    );
    assert_eq!(done, "1 message rerouted\n");
    relay.reload(&setup);
    relay.stop();
    let relay = setup.start();
    let list = json(&setup, &["queue", "list", "--state", "held", "--json"]);
    assert_eq!(list[0]["route"], serde_json::json!(["spare"]));
    says(
        &setup,
        &["queue", "release", "--upstream", "spare", "--yes"],
    );
    assert_eq!(subjects(&spare.wait_for(1)), ["held"]);
    assert!(main.messages().is_empty());
    relay.stop();
}

#[test]
fn a_message_that_is_being_attempted_is_told_of() {
    let upstream = Server::start(Script::default().quirk(Quirk::SilentAt("MAIL".to_owned())));
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    relay.submit("under way");
    upstream.wait_for_line("MAIL");
    let done = says(&setup, &["queue", "retry", "--all", "--yes"]);
    assert_eq!(
        done,
        "0 messages due now\n1 message being attempted at this moment\n"
    );
    let held = command(&setup, &["queue", "hold", "--all", "--yes"]);
    assert_eq!(held.status.code(), Some(69), "{held:?}");
    relay.process.kill().unwrap();
}

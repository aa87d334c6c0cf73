//! One more than allowed hears 421 and is closed; when one goes, there is room again.

use crate::stage::{
    NEIGHBOUR, PATIENCE, QUEUED, RECIPIENT, SENDER, Server, Setup, message, subjects,
};
use crate::support::dialogue::Dialogue;
use crate::support::process::wait_for;

#[test]
fn from_one_address() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("server.connections_per_address", "2")
        .start();
    let address = relay.address("submission");
    let first = relay.neighbour();
    let mut second = relay.neighbour();
    let mut third = Dialogue::connect(NEIGHBOUR, address);
    let replies = third.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with("421 4.7.0"),
        "{replies:?}"
    );
    // Others are not concerned, nor those who are in.
    relay.stranger();
    second.must("NOOP", "250");
    drop(first);
    let back_in = wait_for(PATIENCE, || {
        let mut client = Dialogue::connect(NEIGHBOUR, address);
        Ok(client.reply().starts_with("220").then_some(()))
    });
    assert!(back_in.unwrap().is_some());
    relay.stop();
}

#[test]
fn in_all() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).with("server.connections", "2").start();
    let (first, second) = (relay.neighbour(), relay.stranger());
    let mut third = Dialogue::connect([127, 0, 0, 3], relay.address("submissions"));
    let replies = third.replies_to_the_end();
    assert!(replies.len() <= 1, "{replies:?}");
    relay.wait_for_log(&["WARN", "too many connections", "127.0.0.3"]);
    drop((first, second));
    let taken = wait_for(PATIENCE, || {
        let mut client = Dialogue::connect(NEIGHBOUR, relay.address("submission"));
        Ok(client.reply().starts_with("220").then_some(client))
    });
    let mut client = taken.unwrap().unwrap();
    client.must("EHLO client.example", "250");
    let reply = client.submit(SENDER, &[RECIPIENT], &message("afterwards"));
    assert!(reply.starts_with(QUEUED), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
}

#[test]
fn who_has_not_logged_in_makes_room_and_who_has_does_not() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).with("server.connections", "2").start();
    // All are of one network; the account's is the one that has been there longest.
    let (mut known, mut idler) = (relay.neighbour(), relay.stranger());
    let newcomer = wait_for(PATIENCE, || {
        let mut client = Dialogue::connect([127, 0, 0, 3], relay.address("submission"));
        Ok(client.reply().starts_with("220").then_some(client))
    });
    let mut newcomer = newcomer.unwrap().expect("there is room in the end");
    let replies = idler.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with("421 4.7.0"),
        "{replies:?}"
    );
    known.must("NOOP", "250");
    newcomer.must("EHLO client.example", "250");
    relay.wait_for_log(&["WARN", "clients without a login make room", "closed=1"]);
    relay.stop();
}

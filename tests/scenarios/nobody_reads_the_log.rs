//! F33: standard error is a pipe that is full. Mail goes on, and the process can be stopped.

use std::io::pipe;

use crate::stage::{RECIPIENT, SENDER, Server, Setup, binary, message};
use crate::support::process::Posthouse;

#[test]
fn mail_goes_on() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).with("log.level", "\"trace\"");
    setup.write();
    let (unread, stderr) = pipe().unwrap();
    let process = Posthouse::start_logging_to(binary(), setup.path(), stderr).unwrap();
    let relay = setup.relay(process);
    let mut client = relay.neighbour();
    // Each message writes several lines of more than a hundred octets; a pipe holds 64 KiB.
    for number in 0..500 {
        let reply = client.submit(SENDER, &[RECIPIENT], &message(&number.to_string()));
        assert!(reply.starts_with("250"), "{reply}");
    }
    upstream.wait_for(500);
    relay.stop();
    drop(unread);
}

#[test]
fn a_reader_that_has_gone_does_not_end_the_process() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    setup.write();
    let (unread, stderr) = pipe().unwrap();
    let process = Posthouse::start_logging_to(binary(), setup.path(), stderr).unwrap();
    drop(unread);
    let relay = setup.relay(process);
    for number in 0..3 {
        relay.submit(&number.to_string());
    }
    upstream.wait_for(3);
    relay.stop();
}

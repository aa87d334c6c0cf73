//! F12: nobody new is served for a while; who is in goes on, and everything recovers by itself.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::stage::{NEIGHBOUR, RECIPIENT, Relay, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::Dialogue;

#[test]
fn the_relay_recovers() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    relay.submit("before");
    upstream.wait_for(1);
    let mut inside = relay.neighbour();
    limit(&relay, open_files(&relay) + 4);
    let crowd: Vec<_> = (0..20)
        .map(|_| Dialogue::connect(NEIGHBOUR, relay.address("submission")))
        .collect();
    relay.wait_for_log(&["ERROR", "cannot accept connections"]);
    let reply = inside.submit(SENDER, &[RECIPIENT], &message("inside"));
    assert!(reply.starts_with(['2', '4']), "{reply}");
    let count = if reply.starts_with('2') { 2 } else { 1 };
    drop(crowd);
    relay.submit("recovered");
    let subjects = subjects(&upstream.wait_for(count + 1));
    assert!(subjects.contains(&"recovered".to_owned()), "{subjects:?}");
    assert_eq!(subjects.len(), count + 1, "{subjects:?}");
    relay.stop();
}

fn open_files(relay: &Relay) -> u64 {
    let list = std::fs::read_dir(format!("/proc/{}/fd", relay.process.id()));
    list.unwrap().count() as u64
}

fn limit(relay: &Relay, files: u64) {
    let pid = Pid::from_raw(relay.process.id().cast_signed());
    let new = Rlimit {
        current: Some(files),
        maximum: Some(files),
    };
    prlimit(pid, Resource::Nofile, new).unwrap();
}

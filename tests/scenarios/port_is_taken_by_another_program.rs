//! A port of a range is left out with one warning; a single one is worth a refusal that says what to do.

use std::net::{Ipv4Addr, TcpListener};

use crate::stage::{Server, Setup, subjects};

#[test]
fn in_a_range_it_is_skipped_with_one_warning() {
    let upstream = Server::willing();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    // The port beside it may be taken too, or not.
    let range = format!("auth = \"off\"\nports = [\"{}-{port}\"]", port - 1);
    let relay = Setup::to(&upstream)
        .listener("range", "off", &range)
        .start();
    assert_eq!(relay.count_in_log("left out"), 1);
    relay.wait_for_log(&["WARN", "left out", "range"]);
    let bound = relay.process.listeners();
    assert!(
        bound.iter().all(|(_, address)| address.port() != port),
        "{bound:?}"
    );
    relay.submit("all the same");
    assert_eq!(subjects(&upstream.wait_for(1)), ["all the same"]);
    relay.stop();
}

#[test]
fn alone_it_refuses_to_start() {
    let upstream = Server::willing();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let setup = Setup::to(&upstream).listener(
        "single",
        "off",
        &format!("auth = \"off\"\nports = [\"{port}\"]"),
    );
    let (status, said) = setup.fail_to_start();
    assert_eq!(status.code(), Some(71), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    assert!(said.contains("listener `single`"), "{said}");
    assert!(
        said.contains("hint: another program has the port"),
        "{said}"
    );
}

#[test]
fn alone_it_is_skipped_where_that_is_written_out() {
    let upstream = Server::willing();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let lines = format!("auth = \"off\"\nports = [\"{port}\"]\non_port_in_use = \"skip\"");
    let relay = Setup::to(&upstream)
        .listener("single", "off", &lines)
        .start();
    assert_eq!(relay.count_in_log("left out"), 1);
    relay.stop();
}

//! Mail is taken all the time, waits, and goes out by itself.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{ReservedPort, Script};

#[test]
fn mail_goes_out_by_itself() {
    let port = ReservedPort::new();
    let relay = Setup::new().upstream("main", port.address).start();
    relay.submit("early");
    relay.wait_for_log(&["WARN", "upstream is left alone for a while"]);
    relay.submit("later");
    let upstream = Server::start_at(port, Script::default());
    let mut subjects = subjects(&upstream.wait_for(2));
    subjects.sort();
    assert_eq!(subjects, ["early", "later"]);
    relay.wait_for_log(&["upstream works again"]);
    assert_eq!(relay.count_in_log("bounced"), 0);
    relay.stop();
}

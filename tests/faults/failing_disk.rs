//! A disk that refuses what is written.

use std::io;
use std::sync::Arc;

use posthouse::alert::Kind;
use posthouse::spool::SpoolError;

use crate::stage::{RECIPIENT, SHOP, Stage, runtime, wait_until};
use crate::upstream::OddUpstream;

const SENDER: &str = "orders@shop.example";

const MESSAGE: &[u8] = b"From: orders@shop.example\r\nSubject: x\r\n\r\nHello.\r\n";

/// Makes the error that a disk meets.
type Fault = fn() -> SpoolError;

fn system(code: rustix::io::Errno) -> SpoolError {
    SpoolError::Unavailable(io::Error::from_raw_os_error(code.raw_os_error()))
}

#[test]
fn is_told_to_client_and_operator_and_mail_goes_on_when_it_is_over() {
    let runtime = runtime();
    let upstream = Arc::new(OddUpstream::new(0));
    let stage = runtime.block_on(async { Stage::start(Arc::clone(&upstream)) });
    let faults: [(Fault, [&str; 2], &str); 3] = [
        (
            || system(rustix::io::Errno::IO),
            ["451", "4.3.0"],
            "Input/output",
        ),
        (
            || system(rustix::io::Errno::ROFS),
            ["451", "4.3.0"],
            "Read-only",
        ),
        // No limit of the spool's own is reached, or that were told as a queue over its limit.
        (|| SpoolError::Full, ["452", "4.3.1"], "inodes"),
    ];
    let mut client = stage.client(SHOP);
    for (fault, [code, status], words) in faults {
        stage.spool.fail(Some(fault));
        let refused = client.submit(SENDER, &[RECIPIENT], MESSAGE);
        let reply = format!("{code} {status}");
        assert!(refused.starts_with(&reply), "{refused}");
        let alert = stage.wait_for_alert(words);
        assert_eq!(alert.kind, Kind::SystemError);
        assert!(alert.text.contains(code), "{}", alert.text);
        stage.spool.fail(None);
    }
    let queued = client.submit(SENDER, &[RECIPIENT], MESSAGE);
    assert!(queued.starts_with("250"), "{queued}");
    wait_until(|| upstream.taken().len() == 1);
    runtime.block_on(stage.stop());
}

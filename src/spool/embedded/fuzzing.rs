//! The way in for the fuzz target of the records, which are nobody else's.

use super::message;
use super::record::{FRAME, Frame, Mark};

/// Reads octets as a record, and as the head of a message.
///
/// # Panics
/// The short and the whole reading of a head do not agree.
pub fn read_record(octets: &[u8]) {
    let mark = Mark([0; 8]);
    if let Some(frame) = Frame::read(mark, octets) {
        let head = octets.get(FRAME..).unwrap_or_default();
        let _checked = frame.check(head);
        assert!(frame.length() >= FRAME as u64);
    }
    let summary = message::summarize(octets);
    if let Ok(stored) = message::read(octets) {
        let summary = summary.expect("what can be read can be summarized");
        assert_eq!(stored.id, summary.id);
    }
    let _place = message::read_body_place(octets);
    let _route = message::read_route(octets);
    let _id = message::read_id(octets);
}

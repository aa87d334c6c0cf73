//! Replies of an upstream: cut in pieces of any size they are the same, and what is kept of them is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use posthouse::smtp::reply::{ReceivedReply, ReplyError, ReplyParser};

/// More than any reply may have, and what is kept of one.
const BOUND: usize = 100 * 2048;

fn read(octets: &[u8], cut: usize) -> (Vec<ReceivedReply>, Option<ReplyError>) {
    let (mut parser, mut replies) = (ReplyParser::default(), Vec::new());
    for piece in octets.chunks(cut) {
        parser.receive(piece);
        loop {
            match parser.poll() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

fuzz_target!(|octets: &[u8]| {
    let Some((cut, octets)) = octets.split_first() else {
        return;
    };
    let whole = read(octets, usize::MAX);
    let pieces = read(octets, usize::from(*cut).max(1));
    assert_eq!(whole.0, pieces.0);
    // A line without end is noticed at the end of a piece; what is wrong with it may be seen sooner.
    assert_eq!(whole.1.is_some(), pieces.1.is_some());
    for reply in whole.0 {
        let kept: usize = reply.lines.iter().map(|line| line.len()).sum();
        assert!(kept <= BOUND);
        assert!((200..600).contains(&reply.response.code));
        assert!(
            !reply
                .lines
                .iter()
                .any(|line| line.contains(['\r', '\n', '\0', '\x1b']))
        );
    }
});

//! The octets of a message: cut in pieces of any size they are the same, only `<CRLF>.<CRLF>` ends them, and what
//! comes out has no line end but CRLF.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use posthouse::smtp::data::{DataDecoder, DataFault, DataLimits, Framing, Progress};
use posthouse::smtp::server::BareNewlines;

struct Decoded {
    message: Vec<u8>,
    rest: Vec<u8>,
    fault: Option<DataFault>,
    is_ended: bool,
}

fn decode(octets: &[u8], framing: Framing, bare_newlines: BareNewlines, cut: usize) -> Decoded {
    let limits = DataLimits {
        size: 4096,
        line: 1000,
        bare_newlines,
    };
    let mut decoder = DataDecoder::new(framing, limits);
    let (mut input, mut message, mut is_ended) = (BytesMut::new(), Vec::new(), false);
    for piece in octets.chunks(cut) {
        input.extend_from_slice(piece);
        if !is_ended {
            let progress = decoder.decode(&mut input, usize::MAX, |octets| {
                message.extend_from_slice(&octets);
            });
            is_ended = progress == Progress::End;
        }
    }
    if framing == Framing::Counted {
        decoder.finish(|octets| message.extend_from_slice(&octets));
    }
    if decoder.fault().is_none() {
        assert!(message.len() <= 4096);
    }
    Decoded {
        message,
        rest: input.to_vec(),
        fault: decoder.fault(),
        is_ended,
    }
}

/// What an independent reader takes for the end: the first `.` alone between two CRLF, or at the very beginning.
fn end_of_data(octets: &[u8]) -> Option<usize> {
    if octets.starts_with(b".\r\n") {
        return Some(3);
    }
    let end = octets.windows(5).position(|window| window == b"\r\n.\r\n");
    end.map(|at| at + 5)
}

fuzz_target!(|octets: &[u8]| {
    let [flags, cut, octets @ ..] = octets else {
        return;
    };
    let framing = match flags & 1 {
        0 => Framing::Dots,
        _ => Framing::Counted,
    };
    let bare_newlines = match flags & 2 {
        0 => BareNewlines::Repair,
        _ => BareNewlines::Refuse,
    };
    let whole = decode(octets, framing, bare_newlines, usize::MAX);
    let pieces = decode(octets, framing, bare_newlines, usize::from(*cut).max(1));
    assert_eq!(whole.is_ended, pieces.is_ended);
    assert_eq!(whole.rest, pieces.rest);
    assert_eq!(whole.fault, pieces.fault);
    if whole.fault.is_none() {
        assert_eq!(whole.message, pieces.message);
    }
    if framing == Framing::Dots {
        let end = end_of_data(octets);
        assert_eq!(whole.is_ended, end.is_some());
        let rest = end.and_then(|end| octets.get(end..)).unwrap_or_default();
        assert_eq!(whole.rest, rest);
    }
    let without_lines = String::from_utf8_lossy(&whole.message).replace("\r\n", "");
    let tail = whole.message.ends_with(b"\r") as usize;
    let bare = without_lines
        .bytes()
        .filter(|octet| matches!(octet, b'\r' | b'\n'))
        .count();
    // A CR at the end of what was given out may be the half of a CRLF whose other half made the message too large.
    assert!(bare <= tail, "a bare newline came out");
});

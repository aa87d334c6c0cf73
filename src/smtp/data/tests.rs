use proptest::prelude::*;

use super::*;

const LIMITS: DataLimits = DataLimits {
    size: 10_000,
    line: 1000,
    bare_newlines: BareNewlines::Repair,
};

struct Decoded {
    message: Vec<u8>,
    rest: Vec<u8>,
    fault: Option<DataFault>,
    progress: Progress,
}

fn decode_with(limits: DataLimits, framing: Framing, pieces: &[&[u8]]) -> Decoded {
    let mut decoder = DataDecoder::new(framing, limits);
    let (mut input, mut message, mut progress) = (BytesMut::new(), Vec::new(), Progress::More);
    for piece in pieces {
        input.extend_from_slice(piece);
        if progress == Progress::More {
            progress = decoder.decode(&mut input, usize::MAX, |octets| {
                message.extend_from_slice(&octets);
            });
        }
    }
    if framing == Framing::Counted {
        decoder.finish(|octets| message.extend_from_slice(&octets));
    }
    Decoded {
        message,
        rest: input.to_vec(),
        fault: decoder.fault(),
        progress,
    }
}

fn decode(stream: &[u8]) -> Decoded {
    decode_with(LIMITS, Framing::Dots, &[stream])
}

#[test]
fn stuffed_dots_are_taken_off() {
    let decoded = decode(b"a\r\n..b\r\n.c\r\n...\r\n.\r\nRSET\r\n");
    assert_eq!(decoded.message, b"a\r\n.b\r\nc\r\n..\r\n");
    assert_eq!(
        (decoded.rest.as_slice(), decoded.progress),
        (&b"RSET\r\n"[..], Progress::End)
    );
}

#[test]
fn an_empty_message_ends_at_its_first_line() {
    let decoded = decode(b".\r\nQUIT\r\n");
    assert_eq!(
        (decoded.message.len(), decoded.progress),
        (0, Progress::End)
    );
    assert_eq!(decoded.rest, b"QUIT\r\n");
}

/// The endings with which messages were smuggled past other servers. None of them ends the data here.
#[test]
fn false_ends_of_data_do_not_end_it() {
    for ending in [
        "\n.\n",
        "\n.\r\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\n",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\r\n.\r\r\n",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
        "\r\r\n\x2e\r\r\n",
        "\r\n. \r\n",
        "\n\n.\r\n",
        "\r\n.\x0b\r\n",
    ] {
        let stream = format!("first{ending}MAIL FROM:<a@b>\r\n.\r\n");
        let decoded = decode(stream.as_bytes());
        assert_eq!(decoded.progress, Progress::End, "{ending:?}");
        assert!(decoded.rest.is_empty(), "{ending:?} ended the data early");
    }
}

#[test]
fn two_faults_are_told_alike_however_the_octets_were_cut() {
    let mut stream = vec![b'x'; 900];
    stream.extend_from_slice(b"\r\n");
    let mut stream = stream.repeat(12);
    stream.extend_from_slice(b"\0\r\n.\r\n");
    let whole = decode(&stream);
    let pieces: Vec<&[u8]> = stream.chunks(7).collect();
    let cut_up = decode_with(LIMITS, Framing::Dots, &pieces);
    assert_eq!(whole.fault, Some(DataFault::TooLarge));
    assert_eq!(cut_up.fault, whole.fault);
}

#[test]
fn bare_newlines_become_crlf() {
    assert_eq!(
        decode(b"a\nb\rc\r\r\nd\n\r\n.\r\n").message,
        b"a\r\nb\r\nc\r\n\r\nd\r\n\r\n"
    );
    assert_eq!(decode(b"a\n.\r\nb\r\n.\r\n").message, b"a\r\n.\r\nb\r\n");
}

#[test]
fn bare_newlines_are_refused_where_that_is_set() {
    let limits = DataLimits {
        bare_newlines: BareNewlines::Refuse,
        ..LIMITS
    };
    for stream in ["a\nb\r\n.\r\n", "a\rb\r\n.\r\n", "a\r\n.\rb\r\n.\r\n"] {
        let decoded = decode_with(limits, Framing::Dots, &[stream.as_bytes()]);
        assert_eq!(
            (decoded.fault, decoded.progress),
            (Some(DataFault::BareNewline), Progress::End)
        );
    }
}

#[test]
fn a_message_over_a_limit_is_read_to_its_end() {
    let limits = DataLimits {
        size: 5,
        line: 3,
        ..LIMITS
    };
    let large = decode_with(limits, Framing::Dots, &[b"a\r\nb\r\nc\r\n.\r\nNOOP"]);
    assert_eq!(
        (large.fault, large.rest.as_slice()),
        (Some(DataFault::TooLarge), &b"NOOP"[..])
    );
    let roomy = DataLimits { size: 50, ..limits };
    let long = decode_with(roomy, Framing::Dots, &[b"ab", b"cd\r\n.\r\n"]);
    assert_eq!(
        (long.fault, long.progress),
        (Some(DataFault::LineTooLong), Progress::End)
    );
}

#[test]
fn a_message_of_exactly_the_limit_is_taken() {
    let limits = DataLimits {
        size: 3,
        line: 1,
        ..LIMITS
    };
    assert_eq!(
        decode_with(limits, Framing::Dots, &[b"a\r\n.\r\n"]).fault,
        None
    );
}

#[test]
fn a_nul_is_refused() {
    assert_eq!(decode(b"a\0b\r\n.\r\n").fault, Some(DataFault::Nul));
}

#[test]
fn counted_octets_have_no_dots_to_unstuff() {
    let decoded = decode_with(LIMITS, Framing::Counted, &[b"a\r\n.\r\n..b\nc\r"]);
    assert_eq!(decoded.message, b"a\r\n.\r\n..b\r\nc\r\n");
    assert_eq!(decoded.progress, Progress::More);
}

#[test]
fn no_more_is_taken_than_was_asked_for() {
    let mut decoder = DataDecoder::new(Framing::Counted, LIMITS);
    let mut input = BytesMut::from(&b"abcQUIT"[..]);
    let mut message = Vec::new();
    let progress = decoder.decode(&mut input, 3, |octets| message.extend_from_slice(&octets));
    assert_eq!(
        (message.as_slice(), &input[..], progress),
        (&b"abc"[..], &b"QUIT"[..], Progress::More)
    );
}

fn stuff(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::new();
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

proptest! {
    #[test]
    fn the_cut_of_the_stream_does_not_matter(stream in "([.a\r\n\0]|\r\n|\r\n\\.){0,60}", cut in 1usize..5) {
        for framing in [Framing::Dots, Framing::Counted] {
            let whole = decode_with(LIMITS, framing, &[stream.as_bytes()]);
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(cut).collect();
            let cut = decode_with(LIMITS, framing, &pieces);
            prop_assert_eq!(cut.progress, whole.progress);
            prop_assert_eq!(cut.fault, whole.fault);
            prop_assert_eq!(cut.rest, whole.rest);
            if whole.fault.is_none() {
                prop_assert_eq!(cut.message, whole.message);
            }
        }
    }

    #[test]
    fn a_message_of_whole_lines_survives_stuffing(lines in proptest::collection::vec("[.a-c]{0,6}", 0..9)) {
        let message: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        let decoded = decode(&stuff(&message));
        prop_assert_eq!(decoded.message, message);
        prop_assert_eq!(decoded.progress, Progress::End);
    }

    /// Whatever goes in, what comes out has no newline but CRLF, and exactly one end when stuffed again.
    #[test]
    fn nothing_that_comes_out_can_be_split_by_the_next_hop(stream in "([.ab\r\n]|\r\n|\r\n\\.){0,80}") {
        let decoded = decode(stream.as_bytes());
        let text = String::from_utf8(decoded.message).unwrap();
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
    }
}

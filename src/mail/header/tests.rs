use proptest::prelude::*;

use super::*;

fn fault(octets: &[u8]) -> HeaderError {
    Header::parse(octets).unwrap_err()
}

#[test]
fn a_folded_field_is_one_field() {
    let header = Header::parse(b"Subject: a\r\n b\r\n\tc\r\nTo: x@y\r\n").unwrap();
    assert_eq!(header.fields().len(), 2);
    assert_eq!(header.fields()[0].name(), "Subject");
    assert_eq!(header.fields()[0].value(), b" a\r\n b\r\n\tc");
    assert_eq!(header.fields()[0].octets(), b"Subject: a\r\n b\r\n\tc\r\n");
    assert_eq!(header.fields()[1].value(), b" x@y");
}

#[test]
fn an_empty_block_has_no_fields() {
    assert!(Header::parse(b"").unwrap().fields().is_empty());
}

#[test]
fn a_value_may_be_empty() {
    assert_eq!(Header::parse(b"Bcc:\r\n").unwrap().fields()[0].value(), b"");
}

#[test]
fn names_are_found_whatever_their_letter_case() {
    let header = Header::parse(b"FROM: a\r\nfrom: b\r\nFromage: c\r\n").unwrap();
    let values: Vec<_> = header.find("From").map(Field::value).collect();
    assert_eq!(values, [b" a", b" b"]);
    assert!(!header.has("Fro"));
}

#[test]
fn a_continuation_line_cannot_come_first() {
    assert_eq!(fault(b" From: a@b\r\n"), HeaderError::NotAField { line: 1 });
}

#[test]
fn white_space_before_the_colon_is_refused() {
    assert_eq!(
        fault(b"A: b\r\nFrom : a@b\r\n"),
        HeaderError::SpaceBeforeColon { line: 2 }
    );
    assert_eq!(
        fault(b"From\t: a@b\r\n"),
        HeaderError::SpaceBeforeColon { line: 1 }
    );
}

#[test]
fn lines_that_are_no_fields_are_refused() {
    for line in [
        &b"no colon\r\n"[..],
        b": no name\r\n",
        b"two words: x\r\n",
        b"Fr\xd0\xbem: x\r\n",
        b"From\x7f: x\r\n",
        b"\r\n",
    ] {
        assert_eq!(fault(line), HeaderError::NotAField { line: 1 }, "{line:?}");
    }
}

#[test]
fn an_octet_zero_is_refused() {
    assert_eq!(fault(b"From: a\0@b\r\n"), HeaderError::Nul { line: 1 });
    assert_eq!(fault(b"A: b\r\n \0\r\n"), HeaderError::Nul { line: 2 });
}

#[test]
fn bare_cr_and_bare_lf_are_refused() {
    for block in [
        &b"A: b\nFrom: c\r\n"[..],
        b"A: b\rFrom: c\r\n",
        b"A: b\r\r\n",
        b"A: b\r\n c",
    ] {
        assert!(
            matches!(fault(block), HeaderError::LineEnd { .. }),
            "{block:?}"
        );
    }
}

#[test]
fn a_header_has_at_most_1000_fields() {
    assert!(Header::parse(&b"A: b\r\n".repeat(1000)).is_ok());
    assert_eq!(fault(&b"A: b\r\n".repeat(1001)), HeaderError::TooManyFields);
}

#[test]
fn a_header_has_at_most_256_kib() {
    let block = [b"A: ", &vec![b'x'; MAX_HEADER][..], b"\r\n"].concat();
    assert_eq!(fault(&block), HeaderError::TooLong);
}

proptest! {
    #[test]
    fn the_fields_together_are_the_block(block in "([A-Za-z-]{1,8}:[ -~]{0,12}\r\n([ \t][ -~]{0,6}\r\n){0,2}){0,6}") {
        let header = Header::parse(block.as_bytes()).unwrap();
        let joined: Vec<u8> = header.fields().iter().flat_map(Field::octets).copied().collect();
        prop_assert_eq!(joined, block.as_bytes());
    }

    #[test]
    fn no_octets_make_the_splitter_panic(octets: Vec<u8>) {
        let _ = Header::parse(&octets);
    }

    #[test]
    fn no_line_soup_makes_the_splitter_panic(text in "[AF: \t\r\n\0é]{0,40}") {
        let _ = Header::parse(text.as_bytes());
    }
}

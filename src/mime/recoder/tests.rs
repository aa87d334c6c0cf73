use std::fmt::Write as _;

use mail_parser::{Message, MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use crate::mime::{AsIs, Demands, Gauge, Survey, Verdict};

use super::*;

const OLD: Demands = Demands {
    seven_bit: true,
    short_lines: true,
};
const LINES: Demands = Demands {
    seven_bit: false,
    short_lines: true,
};

fn verdict(message: &[u8], demands: Demands, cut: usize) -> Verdict {
    let mut survey = Survey::new(demands);
    for piece in message.chunks(cut) {
        survey.push(piece);
    }
    survey.finish()
}

/// Recodes a message; gives `None` where it stays.
fn recode(message: &[u8], demands: Demands, cut: usize) -> Option<Vec<u8>> {
    let Verdict::Recode(plan) = verdict(message, demands, cut) else {
        return None;
    };
    let (mut recoder, mut out) = (Recoder::new(plan), Vec::new());
    for piece in message.chunks(cut) {
        recoder.push(piece, &mut out).unwrap();
    }
    recoder.finish(&mut out).unwrap();
    Some(out)
}

fn recoded(message: &str, demands: Demands) -> String {
    let message = message.replace('\n', "\r\n");
    let out = recode(message.as_bytes(), demands, 4096).unwrap();
    String::from_utf8(out).unwrap().replace("\r\n", "\n")
}

fn as_is(message: &str) -> AsIs {
    let message = message.replace('\n', "\r\n");
    match verdict(message.as_bytes(), OLD, 4096) {
        Verdict::AsIs(reason) => reason,
        Verdict::Recode(_) => panic!("it is recoded"),
    }
}

#[test]
fn text_becomes_quoted_printable() {
    let message = "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
                   Content-Transfer-Encoding: 8bit\nTo: a@b\n\nf\u{fc}r = \n.\n";
    assert_eq!(
        recoded(message, OLD),
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: quoted-printable\nTo: a@b\n\nf=C3=BCr =3D=20\n=2E\n"
    );
}

#[test]
fn what_says_nothing_of_itself_says_what_it_has_become() {
    assert_eq!(
        recoded("Subject: x\n\nf\u{fc}r\n", OLD),
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: quoted-printable\n\nf=C3=BCr\n"
    );
    let latin = recode(b"Subject: x\r\n\r\nf\xfcr\r\n", OLD, 10).unwrap();
    let latin = String::from_utf8(latin).unwrap();
    assert!(latin.contains("charset=unknown-8bit") && latin.ends_with("f=FCr\r\n"));
    let long = recoded(&format!("Subject: x\n\n{}\n", "x".repeat(999)), OLD);
    assert!(!long.contains("Content-Type") && long.contains("MIME-Version: 1.0"));
}

#[test]
fn anything_but_text_becomes_base64() {
    let message = "MIME-Version: 1.0\nContent-Type: application/xml\n\n<\u{fc}/>\n";
    assert_eq!(
        recoded(message, OLD),
        "MIME-Version: 1.0\nContent-Type: application/xml\nContent-Transfer-Encoding: base64\n\n\
         PMO8Lz4NCg==\n"
    );
    // So long that the last line is full.
    let body = format!("\u{fc}{}\n", "x".repeat(53));
    let message = format!("MIME-Version: 1.0\nContent-Type: application/xml\n\n{body}");
    assert!(recoded(&message, OLD).ends_with("DQo=\n") || recoded(&message, OLD).ends_with("0K\n"));
}

#[test]
fn only_the_parts_concerned_are_encoded_and_containers_say_7bit() {
    let message = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\
                   Content-Transfer-Encoding: 8bit\n\npreamble\n--a\n\
                   Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\u{fc}\n--a\n\
                   Content-Type: multipart/alternative; boundary=\"a b\"\nContent-Transfer-Encoding: 8bit\n\n--a b\n\n\
                   plain\n--a b\nContent-Transfer-Encoding: 8bit\n\nplain too\n--a b--\n--a\n\
                   Content-Type: application/x\nContent-Transfer-Encoding: base64\n\nAAAA\n\n--a--\nepilogue\n";
    assert_eq!(
        recoded(message, OLD),
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\
         Content-Transfer-Encoding: 7bit\n\npreamble\n--a\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n--a\n\
         Content-Type: multipart/alternative; boundary=\"a b\"\nContent-Transfer-Encoding: 7bit\n\n--a b\n\n\
         plain\n--a b\nContent-Transfer-Encoding: 7bit\n\nplain too\n--a b--\n--a\n\
         Content-Type: application/x\nContent-Transfer-Encoding: base64\n\nAAAA\n\n--a--\nepilogue\n"
    );
}

#[test]
fn a_message_inside_is_entered() {
    let message = "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n\
                   Subject: inner\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: innermost\n\n\u{fc}\n--d--\n";
    assert_eq!(
        recoded(message, OLD),
        "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\n\
         Subject: inner\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: innermost\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n--d--\n"
    );
}

#[test]
fn an_upstream_with_8bitmime_gets_long_lines_encoded_and_nothing_else() {
    let long = "x".repeat(999);
    let message = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: 8bit\n\n--a\n\n\u{fc}\n\
         --a\nContent-Type: text/html\n\n{long}\n--a--\n"
    );
    let out = recoded(&message, LINES);
    assert!(out.contains("boundary=a\nContent-Transfer-Encoding: 8bit\n\n--a\n\n\u{fc}\n--a\n"));
    assert!(out.contains("text/html\nContent-Transfer-Encoding: quoted-printable\n\nxxx"));
    assert!(out.lines().all(|line| line.len() <= 76));
}

#[test]
fn a_long_header_is_folded_and_the_body_stays() {
    let message = format!(
        "To: {}z@c\nSubject: {}\n\nbody\n",
        "abc@example.com, ".repeat(200),
        "x".repeat(1500)
    );
    let out = recoded(&message, LINES);
    assert_eq!(out.replace("\n ", " "), message);
    assert_eq!(out.lines().filter(|line| line.len() > 998).count(), 1);
}

#[test]
fn what_is_signed_or_sealed_stays() {
    let eight = "Content-Transfer-Encoding: 8bit\n\n\u{fc}\n";
    for name in ["DKIM-Signature", "ARC-Seal", "ARC-Message-Signature"] {
        assert_eq!(as_is(&format!("{name}: v=1\n{eight}")), AsIs::Signed);
    }
    for content_type in [
        "multipart/signed; boundary=a",
        "multipart/encrypted; boundary=a",
        "application/pkcs7-mime",
        "message/partial; id=1",
        "message/delivery-status",
        "text",
    ] {
        let message = format!("Content-Type: {content_type}\n{eight}--a\n\n\u{fc}\n--a--\n");
        assert_eq!(as_is(&message), AsIs::Fixed, "{content_type}");
    }
    let encoded = "Content-Transfer-Encoding: base64\n\n\u{fc}\n";
    assert_eq!(as_is(encoded), AsIs::Fixed);
    assert_eq!(as_is("Subject: \u{fc}\n\nplain\n"), AsIs::Fixed);
}

#[test]
fn a_signed_part_stays_while_others_change() {
    let signed =
        "Content-Type: multipart/signed; boundary=s\n\n--s\n\n\u{fc} \n--s\n\nsignature\n--s--\n";
    let inner = "Content-Type: message/rfc822\n\nDKIM-Signature: v=1\nSubject: x\n\n\u{fc}\n";
    let message = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: 8bit\n\n\
         --a\n{signed}--a\n{inner}--a\n\n\u{fc}\n--a--\n"
    );
    let out = recoded(&message, OLD);
    assert!(out.contains(&format!("--a\n{signed}--a\n{inner}--a\n")));
    assert!(out.contains("boundary=a\nContent-Transfer-Encoding: 8bit\n"));
    assert!(out.ends_with("quoted-printable\n\n=C3=BC\n--a--\n"));
}

#[test]
fn an_ambiguous_structure_stays() {
    let start = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n";
    let inner = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\u{fc}\n";
    for (what, rest) in [
        ("no last boundary", "--a\n\n\u{fc}\n".to_owned()),
        ("no part", "\u{fc}\n".to_owned()),
        ("a part without its end", format!("--a\n{inner}--a--\n")),
        (
            "a boundary behind the last one",
            "--a\n\n\u{fc}\n--a--\n--a\n\n--a--\n".to_owned(),
        ),
        (
            "the beginning of another line",
            "--a\n\n\u{fc}\n--ab\n--a--\n".to_owned(),
        ),
        ("no header", "--a\nno header\n\n\u{fc}\n--a--\n".to_owned()),
        (
            "two types",
            "--a\nContent-Type: a/b\nContent-Type: c/d\n\n\u{fc}\n--a--\n".to_owned(),
        ),
        (
            "the same boundary inside",
            format!("--a\n{}--a--\n", inner.replace('b', "a")),
        ),
    ] {
        assert_eq!(as_is(&format!("{start}{rest}")), AsIs::Malformed, "{what}");
    }
    let none = "Content-Type: multipart/mixed\n\n\u{fc}\n";
    assert_eq!(as_is(none), AsIs::Malformed);
    let encoded = "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64\n\n--a\n\n\u{fc}\n--a--\n";
    assert_eq!(as_is(encoded), AsIs::Malformed);
}

#[test]
fn a_message_that_fits_stays() {
    assert_eq!(as_is("Subject: x\n\nplain\n"), AsIs::Fits);
    let eight = "Subject: x\r\n\r\n\u{fc}\r\n";
    assert_eq!(
        verdict(eight.as_bytes(), LINES, 4096),
        Verdict::AsIs(AsIs::Fits)
    );
}

#[test]
fn a_part_without_an_empty_line_is_a_part() {
    let message = "Content-Type: multipart/mixed; boundary=a\nMIME-Version: 1.0\n\n--a\nContent-Type: image/x\n--a\n\
                   Content-Type: message/rfc822\n--a\n--a\n\n\u{fc}\n--a--\n";
    let out = recoded(message, OLD);
    assert!(
        out.contains("--a\nContent-Type: image/x\n--a\nContent-Type: message/rfc822\n--a\n--a\n")
    );
    assert!(out.ends_with("=C3=BC\n--a--\n"));
}

#[test]
fn nesting_and_number_of_parts_are_bounded() {
    let mut deep = String::new();
    for level in 0..100_000 {
        let _ = write!(
            deep,
            "Content-Type: multipart/mixed; boundary=b{level}x\n\n--b{level}x\n"
        );
    }
    assert_eq!(as_is(&format!("{deep}\n\u{fc}\n")), AsIs::Malformed);
    let messages = "Content-Type: message/rfc822\n\n".repeat(100_000);
    assert_eq!(as_is(&format!("{messages}\n\u{fc}\n")), AsIs::Malformed);
    let start = "Content-Type: multipart/mixed; boundary=a\n\n";
    let wide = format!("{start}{}\u{fc}\n--a--\n", "--a\n\n".repeat(100_000));
    assert_eq!(as_is(&wide), AsIs::Malformed);
}

/// Lines that look like boundaries are the dearest to judge: 99 boundaries are open here.
#[test]
fn lines_that_look_like_boundaries_do_not_take_long() {
    let mut message = String::new();
    for level in 0..98 {
        let _ = write!(
            message,
            "Content-Type: multipart/mixed; boundary={}{level}\n\n--{0}{level}\n",
            "x".repeat(60)
        );
    }
    message += "\n\u{fc}\n";
    message += &format!("--{}\n", "x".repeat(60)).repeat(100_000);
    for level in (0..98).rev() {
        let _ = writeln!(message, "--{}{level}--", "x".repeat(60));
    }
    let out = recoded(&message, OLD);
    assert!(out.contains("=C3=BC"));
}

#[test]
fn another_message_than_the_planned_one_is_noticed() {
    let Verdict::Recode(plan) = verdict("Subject: x\r\n\r\n\u{fc}\r\n".as_bytes(), OLD, 99) else {
        panic!("it stays");
    };
    let mut recoder = Recoder::new(plan);
    let mut out = Vec::new();
    let other = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n";
    let pushed = recoder.push(other, &mut out);
    assert!(pushed.is_err() || recoder.finish(&mut out) == Err(Changed));
}

/// A part as tests make it.
#[derive(Clone, Debug)]
enum Part {
    Leaf { header: String, body: Vec<u8> },
    Message(Box<Self>),
    Multipart(Vec<Self>),
}

impl Part {
    fn write(&self, number: &mut u32, out: &mut Vec<u8>) {
        match self {
            Self::Leaf { header, body } => {
                out.extend_from_slice(header.as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(body);
            }
            Self::Message(inner) => {
                out.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n");
                inner.write(number, out);
            }
            Self::Multipart(parts) => {
                *number += 1;
                let boundary = format!("b_{number}_");
                let header =
                    format!("Content-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\r\n");
                out.extend_from_slice(header.as_bytes());
                for part in parts {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    part.write(number, out);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
        }
    }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[ -~]{0,90}".prop_map(String::into_bytes),
        "[ a-z\u{fc}\u{20ac}.=-]{0,90}".prop_map(String::into_bytes),
        proptest::collection::vec(prop_oneof![1..=9_u8, 11..=12_u8, 14..=255_u8], 0..30),
        (995..1100_usize, "[x \u{fc}-]").prop_map(|(length, c)| c.repeat(length).into_bytes()),
    ];
    proptest::collection::vec(line, 0..5).prop_map(|lines| lines.join(&b"\r\n"[..]))
}

fn part() -> impl Strategy<Value = Part> {
    let header = prop_oneof![
        Just(String::new()),
        Just(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
                .to_owned()
        ),
        Just("Content-Type: text/html; charset=iso-8859-1\r\n".to_owned()),
        Just(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
                .to_owned()
        ),
        Just(
            "Content-Type: image/x; name=\"a (b\"\r\nX-Long: ".to_owned()
                + &"word ".repeat(300)
                + "end\r\n"
        ),
    ];
    let leaf = (header, body()).prop_map(|(header, body)| Part::Leaf { header, body });
    leaf.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Part::Multipart),
            // The reader that judges stumbles over a message directly inside a message.
            inner.prop_map(|part| match part {
                Part::Message(_) => Part::Multipart(vec![part]),
                Part::Leaf { .. } | Part::Multipart(_) => Part::Message(Box::new(part)),
            }),
        ]
    })
}

/// What an independent reader sees: for each part its type and its decoded octets.
fn seen(message: &[u8]) -> Vec<(String, Vec<u8>)> {
    fn of(raw: &[u8], message: &Message<'_>, seen: &mut Vec<(String, Vec<u8>)>) {
        for part in &message.parts {
            let kind = part.content_type().map_or_else(
                || "text/plain".to_owned(),
                |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()),
            );
            match (part.message(), part.sub_parts()) {
                (Some(inner), _) => {
                    seen.push((kind, Vec::new()));
                    of(raw, inner, seen);
                }
                (None, Some(_)) => seen.push((kind, Vec::new())),
                (None, None) => seen.push((kind, decoded(raw, part))),
            }
        }
    }
    /// The octets themselves; the reader gives text only in UTF-8.
    fn decoded(raw: &[u8], part: &mail_parser::MessagePart<'_>) -> Vec<u8> {
        let body = &raw[part.raw_body_offset() as usize..part.raw_end_offset() as usize];
        match part
            .content_transfer_encoding()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("base64") => mail_parser::decoders::base64::base64_decode(body).unwrap(),
            Some("quoted-printable") => {
                mail_parser::decoders::quoted_printable::quoted_printable_decode(body).unwrap()
            }
            _ => body.to_vec(),
        }
    }
    let mut parts = Vec::new();
    of(
        message,
        &MessageParser::new().parse(message).unwrap(),
        &mut parts,
    );
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_part_is_decoded_to_what_it_was(part in part(), cut in 1..400_usize, is_old: bool) {
        let mut message = b"From: a@b.c\r\nMIME-Version: 1.0\r\n".to_vec();
        part.write(&mut 0, &mut message);
        message.extend_from_slice(b"\r\n");
        let demands = if is_old { OLD } else { LINES };
        let Some(out) = recode(&message, demands, cut) else {
            let shape = Gauge::of(&message);
            prop_assert!(!shape.has_long_lines && (!is_old || !shape.is_eight_bit));
            return Ok(());
        };
        prop_assert_eq!(&out, &recode(&message, demands, 100_000).unwrap());
        let shape = Gauge::of(&out);
        prop_assert!(!shape.has_long_lines);
        if is_old {
            prop_assert!(!shape.is_eight_bit);
        }
        prop_assert!(out.ends_with(b"\r\n"));
        let (before, after) = (seen(&message), seen(&out));
        prop_assert_eq!(before, after);
        // Once is enough.
        prop_assert_eq!(verdict(&out, demands, cut), Verdict::AsIs(AsIs::Fits));
    }

    #[test]
    fn no_octets_make_it_panic_or_give_what_it_did_not_plan(
        words in proptest::collection::vec(
            prop_oneof![
                Just("\r\n".to_owned()), Just("--a".to_owned()), Just("--".to_owned()), Just("\u{fc}".to_owned()),
                Just("Content-Type: multipart/mixed; boundary=a\r\n".to_owned()),
                Just("Content-Type: message/rfc822\r\n".to_owned()),
                Just("Content-Transfer-Encoding: 8bit\r\n".to_owned()),
                "[ -~]{0,5}", Just("x".repeat(999)),
            ],
            0..30,
        ),
        cut in 1..50_usize,
    ) {
        let message = words.concat() + "\r\n";
        let verdict_whole = verdict(message.as_bytes(), OLD, 100_000);
        prop_assert_eq!(&verdict(message.as_bytes(), OLD, cut), &verdict_whole);
        let out = recode(message.as_bytes(), OLD, cut);
        prop_assert_eq!(out.is_some(), matches!(verdict_whole, Verdict::Recode(_)));
    }
}

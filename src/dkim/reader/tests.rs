use std::time::Duration;

use proptest::prelude::*;

use crate::dkim::canonical::Canonicalization;
use crate::dkim::key::{Algorithm, Key};
use crate::dkim::record::KeyRecord;
use crate::dkim::signers::{Selector, Subdomains};
use crate::dkim::verify::verify;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_528_637_909_000);

fn signer(domain: &str, algorithm: Algorithm, header: Form, body: Form) -> Signer {
    Signer {
        name: "test".into(),
        domain: Domain::parse(domain).unwrap(),
        selector: Selector::parse("s1").unwrap(),
        key: Key::generate(algorithm).unwrap(),
        subdomains: Subdomains::Signed,
        canonicalization: Canonicalization { header, body },
        valid_for: None,
        expires: None,
    }
}

fn sign(signers: &Signers, message: &str, cut: usize) -> Option<String> {
    let mut reader = Reader::new(signers);
    for piece in message.as_bytes().chunks(cut) {
        reader.push(piece);
    }
    let unsigned = reader.finish()?;
    Some(String::from_utf8(unsigned.sign(NOW).unwrap()).unwrap())
}

fn records(signers: &Signers) -> Vec<String> {
    let record = |signer: &Arc<Signer>| KeyRecord::of(&signer.key).as_str().to_owned();
    signers.all().iter().map(record).collect()
}

const MESSAGE: &str = "Received: by here\r\nFrom: A <a@example.com>\r\nTo: b@example.net,\r\n c@example.net\r\nSubject:  two  words \r\n\
                       Content-Type: text/plain\r\n\r\nHello  you \r\n\r\n\r\n";

#[test]
fn both_keys_of_a_domain_sign() {
    let signers: Signers = [
        signer("example.com", Algorithm::Rsa, Form::Relaxed, Form::Relaxed),
        signer(
            "example.com",
            Algorithm::Ed25519,
            Form::Simple,
            Form::Simple,
        ),
    ]
    .into_iter()
    .collect();
    let signatures = sign(&signers, MESSAGE, 10).unwrap();
    assert_eq!(signatures.matches("DKIM-Signature:").count(), 2);
    assert!(
        signatures.contains(
            "a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.com;\r\n\ts=s1; t=1528637909;"
        )
    );
    assert!(signatures.lines().all(|line| line.len() <= 78));
    let message = signatures + MESSAGE;
    for (place, record) in records(&signers).iter().enumerate() {
        assert_eq!(verify(&message, place, record), Ok(()));
    }
}

#[test]
fn what_a_reader_would_see_breaks_the_signature_when_it_is_added() {
    let signers: Signers = [signer(
        "example.com",
        Algorithm::Ed25519,
        Form::Relaxed,
        Form::Relaxed,
    )]
    .into_iter()
    .collect();
    let signed = sign(&signers, MESSAGE, 999).unwrap() + MESSAGE;
    let record = &records(&signers)[0];
    for added in [
        "From: x@y",
        "To: x@y",
        "Cc: x@y",
        "Reply-To: x@y",
        "Subject: x",
        "Date: x",
        "Content-Type: x/y",
    ] {
        let message = format!("{added}\r\n{signed}");
        assert!(verify(&message, 0, record).is_err(), "{added}");
    }
    for added in [
        "Received: x",
        "X-Spam: no",
        "Return-Path: <>",
        "MIME-Version: 1.0",
        "List-Id: x",
    ] {
        let message = format!("{added}\r\n{signed}");
        assert_eq!(verify(&message, 0, record), Ok(()), "{added}");
    }
}

#[test]
fn the_end_of_a_signature_is_told_where_it_has_one() {
    let mut one = signer(
        "example.com",
        Algorithm::Ed25519,
        Form::Relaxed,
        Form::Relaxed,
    );
    one.valid_for = Some(Duration::from_secs(91));
    let signers: Signers = [one].into_iter().collect();
    let signature = sign(&signers, MESSAGE, 999).unwrap();
    assert!(signature.contains("t=1528637909; x=1528638000;"));
    assert_eq!(
        verify(&(signature + MESSAGE), 0, &records(&signers)[0]),
        Ok(())
    );
}

#[test]
fn nobody_signs_for_a_stranger() {
    let signers: Signers = [signer(
        "example.com",
        Algorithm::Ed25519,
        Form::Relaxed,
        Form::Relaxed,
    )]
    .into_iter()
    .collect();
    for from in [
        "From: a@example.net\r\n",
        "From: a@example.net, b@example.com\r\n",
        "Sender: a@example.com\r\n",
        "From: a@example.com\r\nFrom: a@example.com\r\n",
        "From: nobody\r\n",
        "",
    ] {
        let message = format!("{from}Subject: x\r\n\r\nbody\r\n");
        assert_eq!(sign(&signers, &message, 999), None, "{from}");
    }
    let mut reader = Reader::new(&signers);
    reader.push(b"From: a@example.net\r\n\r\n");
    assert!(!reader.is_needed());
    assert!(!Reader::new(&Signers::default()).is_needed());
}

#[test]
fn a_message_without_a_body_is_signed() {
    let signers: Signers = [signer(
        "example.com",
        Algorithm::Ed25519,
        Form::Simple,
        Form::Simple,
    )]
    .into_iter()
    .collect();
    for message in ["From: a@example.com\r\n\r\n", "From: a@example.com\r\n"] {
        let signatures = sign(&signers, message, 3).unwrap();
        let whole = signatures + "From: a@example.com\r\n\r\n";
        assert_eq!(verify(&whole, 0, &records(&signers)[0]), Ok(()));
    }
}

#[test]
fn a_header_without_end_is_given_up() {
    let signers: Signers = [signer(
        "example.com",
        Algorithm::Ed25519,
        Form::Relaxed,
        Form::Relaxed,
    )]
    .into_iter()
    .collect();
    let mut reader = Reader::new(&signers);
    for _ in 0..1000 {
        reader.push(&b"X: y\r\n".repeat(1000));
    }
    assert!(!reader.is_needed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_message_is_signed_as_a_verifier_reads_it(
        fields in proptest::collection::vec(
            ("Subject|To|X-Y|Received|List-Id|Resent-From|cc", "[ \\t]{0,2}[a-z ,]{0,40}(\\r\\n[ \\t][a-z]{1,9} ?){0,3}"),
            0..12,
        ),
        body in "([a-z \\t.]{0,30}\\r\\n){0,6}",
        cut in 1..100_usize,
        forms: (bool, bool),
    ) {
        let form = |is_simple| if is_simple { Form::Simple } else { Form::Relaxed };
        let signers: Signers = [signer("example.com", Algorithm::Ed25519, form(forms.0), form(forms.1))]
            .into_iter()
            .collect();
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
        let fields = fields.concat();
        let message = format!("{fields}From: a@b.example.com\r\n\r\n{body}");
        let signed = sign(&signers, &message, cut).unwrap() + &message;
        prop_assert_eq!(verify(&signed, 0, &records(&signers)[0]), Ok(()));
    }
}

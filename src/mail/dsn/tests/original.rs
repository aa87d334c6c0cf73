//! What is returned of the message.

use super::*;

#[test]
fn a_protected_message_is_never_returned_whole() {
    let failure = refused("no such user");
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let is_whole = |fixture: &Fixture| {
        let report = fixture.of_first(Action::Failed(&failure));
        String::from_utf8_lossy(&report.octets).contains("Content-Type: message/rfc822")
    };
    assert!(is_whole(&fixture));
    fixture.envelope.tls = TlsRequest::Required;
    assert!(!is_whole(&fixture));
}

#[test]
fn ret_full_returns_the_whole_message() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let report = fixture.failed(&refused("no"));
    assert_eq!(types(&report)[3], "message/rfc822");
    let text = String::from_utf8_lossy(&report.octets).into_owned();
    assert!(text.contains(std::str::from_utf8(&fixture.original).unwrap()));
}

#[test]
fn the_header_alone_is_returned_unless_all_is_wished_and_there() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    assert_eq!(
        parts(&fixture.failed(&refused("no")))[2].trim_end(),
        HEADER.trim_end()
    );
    fixture.envelope.ret = Some(DsnReturn::Full);
    let failure = refused("no");
    let recipients = [(RecipientIndex(0), Action::Failed(&failure))];
    let mut dsn = fixture.dsn(&recipients);
    dsn.original = Original::Beginning(&fixture.original);
    let report = dsn.write().unwrap();
    assert!(!String::from_utf8_lossy(&report.octets).contains("The body."));
}

#[test]
fn a_returned_header_is_cut_at_a_field() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    let field = format!("X-Long: {}\r\n", "x".repeat(900));
    fixture.original = field.repeat(200).into_bytes();
    let report = fixture.failed(&refused("no"));
    let returned = parts(&report)[2].clone();
    assert!(returned.len() <= MAX_RETURNED_HEADER && returned.len() > MAX_RETURNED_HEADER - 2000);
    assert!(returned.lines().all(|line| line == field.trim_end()));
}

#[test]
fn a_cut_off_beginning_gives_whole_fields() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.original = b"From: a@b\r\nSubject: x\r\nTo: trunc".to_vec();
    let report = fixture.failed(&refused("no"));
    assert_eq!(parts(&report)[2].trim_end(), "From: a@b\r\nSubject: x");
}

#[test]
fn overlong_lines_and_octets_zero_are_not_returned() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    fixture.original = [b"A: b\r\nB: ", &[b'x'; 1000][..], b"\r\n\r\n\0\r\n"].concat();
    let report = fixture.failed(&refused("no"));
    assert_eq!(parts(&report)[2].trim_end(), "A: b");
}

#[test]
fn a_message_without_a_header_is_reported_too() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.original = b"\r\nbody\r\n".to_vec();
    let report = fixture.failed(&refused("no"));
    assert!(parts(&report)[0].contains("Your message of Saturday"));
    assert_eq!(parts(&report)[2].trim_end(), "");
}

//! Whatever comes from outside.

use super::*;

proptest! {
    #[test]
    fn no_text_from_outside_leaves_its_place(
        answer in "[ -~]{0,60}|[\r\n\\-=_0-9.:/A-Z ]{0,60}|\\PC{0,200}",
        envelope_id in "[\r\n :A-Za-z\u{2028}é]{0,30}",
        original in "[\r\n ;:A-Za-zé]{0,30}",
        remote in "[\r\n :A-Za-z.]{0,20}",
        local_part in "[ -~]{1,30}",
        subject in "[ -~é]{0,60}",
    ) {
        let quoted = local_part.replace('\\', "\\\\").replace('"', "\\\"");
        let mut fixture = Fixture::new(&[&format!("\"{quoted}\"@there.example")]);
        fixture.envelope.envelope_id = Some(envelope_id.into());
        fixture.envelope.recipients[0].original = Some(OriginalRecipient {
            address_type: original.clone().into(),
            address: original.into(),
        });
        fixture.original = format!("Subject: {subject}\r\n\r\n").into_bytes();
        let failure = refused(&answer);
        let recipients = [(RecipientIndex(0), Action::Failed(&failure))];
        let mut dsn = fixture.dsn(&recipients);
        dsn.remote = Some(&remote);
        let report = dsn.write().unwrap();
        prop_assert!(report.octets.split(|&octet| octet == b'\n').all(|line| line.len() <= 999));
        let [_, fields, returned] = parts(&report);
        let mut blocks = fields.trim_end().split("\r\n\r\n");
        let names = |block: &str| {
            let block = format!("{block}\r\n");
            let header = Header::parse(block.as_bytes()).unwrap();
            header.fields().iter().map(|field| field.name().to_owned()).collect::<Vec<_>>().join(" ")
        };
        prop_assert_eq!(names(blocks.next().unwrap()), "Reporting-MTA Original-Envelope-Id Arrival-Date");
        prop_assert_eq!(
            names(blocks.next().unwrap()),
            "Original-Recipient Final-Recipient Action Status Remote-MTA Diagnostic-Code Last-Attempt-Date"
        );
        prop_assert_eq!(blocks.next(), None);
        let expected = format!("Subject: {subject}");
        prop_assert_eq!(returned.trim_end(), expected.trim_end());
    }

    #[test]
    fn no_original_makes_the_writer_panic(original: Vec<u8>, ret_full: bool) {
        let mut fixture = Fixture::new(&["you@there.example"]);
        fixture.original = original;
        fixture.envelope.ret = ret_full.then_some(DsnReturn::Full);
        let _ = fixture.failed(&refused("no"));
    }
}

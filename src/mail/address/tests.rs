use proptest::prelude::*;

use super::*;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn ordinary_addresses_print_as_they_were_written() {
    for text in [
        "a@b",
        "first.last+tag@Example.COM",
        "o'brien@example.com",
        "\"two words\"@example.com",
        "\"a@b\"@example.com",
        "\"a\\\"b\\\\c\"@example.com",
        "\"\"@example.com",
        "user@[192.0.2.1]",
        "user@[IPv6:2001:db8::1]",
        "żółw@żółw.example",
        "user@xn--fiqs8s.example",
    ] {
        assert_eq!(mailbox(text).to_string(), text);
    }
}

#[test]
fn needless_quotes_are_dropped() {
    assert_eq!(mailbox("\"plain\"@b.c").to_string(), "plain@b.c");
    assert_eq!(mailbox("\"plain\"@b.c"), mailbox("plain@b.c"));
}

#[test]
fn malformed_addresses_are_refused() {
    for text in [
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@@b",
        "a@b@c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a b@c",
        "a@b c",
        "a@b.",
        "a@.b",
        "a@b..c",
        "a@-b",
        "a@b-",
        "a@b_c",
        "a@[1.2.3]",
        "a@[IPv6:1.2.3.4]",
        "a@[x:y]",
        "a@[1.2.3.4",
        "\"a@b",
        "\"a\"b@c",
        "a\r\n@b",
        "a@b\r\n",
        "\"a\r\nb\"@c",
        "\"a\0b\"@c",
        "a\0@b",
        "(x)a@b",
        "a(x)@b",
        "a@b(x)",
        "<a@b>",
        "a@b>",
        "a@b,c@d",
        "a;b@c",
        "a:b@c",
    ] {
        assert!(Mailbox::parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn a_local_part_of_129_octets_is_refused() {
    assert!(Mailbox::parse(&format!("{}@b", "a".repeat(128))).is_ok());
    assert!(Mailbox::parse(&format!("{}@b", "a".repeat(129))).is_err());
}

/// Each of these is shown, or mapped by other software, as `example.com` or `user`.
#[test]
fn look_alikes_by_invisible_or_mapped_characters_are_refused() {
    for text in [
        "user@example。com",
        "user@ｅxample.com",
        "user@exam\u{ad}ple.com",
        "user@exam\u{200b}ple.com",
        "us\u{200b}er@example.com",
        "us\u{202e}er@example.com",
        "us\u{2028}er@example.com",
        "us\u{feff}er@example.com",
        "user@EXAMPLÉ.com",
        "user@xn--a.example",
    ] {
        assert!(Mailbox::parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn an_international_domain_equals_its_a_label() {
    let (unicode, ascii) = (
        mailbox("u@bücher.example"),
        mailbox("u@xn--bcher-kva.EXAMPLE"),
    );
    assert_eq!(unicode, ascii);
    assert_eq!(
        unicode.to_ascii().unwrap().to_string(),
        "u@xn--bcher-kva.example"
    );
    assert_eq!(mailbox("ü@b.example").to_ascii(), None);
}

#[test]
fn letter_case_does_not_make_another_mailbox() {
    assert!(mailbox("Info@Example.com").is_same_as(&mailbox("iNFO@eXAMPLE.COM")));
    assert!(mailbox("Żółw@b.c").is_same_as(&mailbox("żÓŁW@b.c")));
    assert!(!mailbox("info@example.com").is_same_as(&mailbox("inf0@example.com")));
}

#[test]
fn a_letter_that_only_lowers_to_ascii_makes_another_mailbox() {
    assert!(!mailbox("\u{212a}im@b.c").is_same_as(&mailbox("kim@b.c")));
    assert!(!mailbox("kim@b.c").is_same_as(&mailbox("\u{212a}im@b.c")));
}

#[test]
fn only_whole_labels_make_a_subdomain() {
    let parent = Domain::parse("example.com").unwrap();
    assert!(Domain::parse("a.b.EXAMPLE.com").unwrap().is_below(&parent));
    for other in ["example.com", "badexample.com", "example.com.evil", "com"] {
        assert!(!Domain::parse(other).unwrap().is_below(&parent), "{other}");
    }
}

#[test]
fn a_path_ends_at_its_own_bracket() {
    let (path, rest) = ReversePath::take("<\"a> SIZE=1\"@b.c> SIZE=2").unwrap();
    assert_eq!(path.to_string(), "<\"a> SIZE=1\"@b.c>");
    assert_eq!(rest, " SIZE=2");
    assert_eq!(
        ReversePath::take("<> X").unwrap(),
        (ReversePath::Null, " X")
    );
}

#[test]
fn a_source_route_is_dropped() {
    let (path, _) = ReversePath::take("<@one.example,@two.example:user@example.com>").unwrap();
    assert_eq!(path.to_string(), "<user@example.com>");
    assert!(ReversePath::take("<@one,two:user@example.com>").is_err());
}

#[test]
fn malformed_paths_are_refused() {
    for text in [
        "", "a@b", "<a@b", "<<a@b>>", "< a@b>", "<a@b >", "<a>", "<@b>",
    ] {
        assert!(ReversePath::take(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn the_postmaster_needs_no_domain() {
    let here = Domain::parse("relay.example").unwrap();
    let (path, rest) = ForwardPath::take("<PostMaster> NOTIFY=NEVER", &here).unwrap();
    assert_eq!(
        (path.to_string().as_str(), rest),
        ("<postmaster@relay.example>", " NOTIFY=NEVER")
    );
    assert!(ForwardPath::take("<>", &here).is_err());
}

#[test]
fn detail_is_cut_only_behind_something() {
    assert_eq!(
        mailbox("a+b+c@d")
            .local_part()
            .without_detail()
            .as_unquoted(),
        "a"
    );
    assert_eq!(
        mailbox("+b@d").local_part().without_detail().as_unquoted(),
        "+b"
    );
}

proptest! {
    #[test]
    fn what_parses_prints_to_what_parses_the_same(text in "[ -~żü\u{200b}]{0,12}@[a-zA-Z0-9ü.\\-\\[\\]:]{0,16}") {
        if let Ok(parsed) = Mailbox::parse(&text) {
            let printed = parsed.to_string();
            prop_assert_eq!(Mailbox::parse(&printed).unwrap(), parsed);
            prop_assert!(!printed.contains(['\r', '\n', '\0']));
        }
    }

    #[test]
    fn any_content_survives_quoting(content in "[ -~]{0,40}") {
        let quoted = format!("\"{}\"@b.c", content.replace('\\', "\\\\").replace('"', "\\\""));
        let parsed = mailbox(&quoted);
        prop_assert_eq!(parsed.local_part().as_unquoted(), content);
        let (again, rest) = ReversePath::take(&format!("<{parsed}> SIZE=1")).map(|(p, r)| (p, r.to_owned())).unwrap();
        prop_assert_eq!(again.mailbox(), Some(&parsed));
        prop_assert_eq!(rest, " SIZE=1");
    }
}

use proptest::prelude::*;

use super::AddressListError as E;
use super::*;

fn list(value: &str) -> Vec<String> {
    let list = AddressList::parse(value.as_bytes());
    let list = list.unwrap_or_else(|error| panic!("{value}: {error}"));
    list.mailboxes().iter().map(ToString::to_string).collect()
}

fn fault(value: &str) -> AddressListError {
    AddressList::parse(value.as_bytes()).expect_err(value)
}

fn senders(value: &str) -> Result<Senders, AddressListError> {
    AddressList::parse(value.as_bytes())?.into_senders()
}

fn shown(value: &str) -> Vec<String> {
    let senders = senders(value).unwrap_or_else(|error| panic!("{value}: {error}"));
    senders.shown.iter().map(ToString::to_string).collect()
}

#[test]
fn every_form_of_a_mailbox_gives_its_address() {
    for value in [
        "me@own.example",
        " me@own.example ",
        "<me@own.example>",
        "Me <me@own.example>",
        "Me<me@own.example>",
        "\"Me, Myself\" <me@own.example>",
        "\"a \\\"b\\\" c\" <me@own.example>",
        "John Q. Public <me@own.example>",
        "J.R.R. Tolkien <me@own.example>",
        "=?utf-8?Q?J=C3=BCrgen?= =?utf-8?Q?_M=2E?= <me@own.example>",
        "Jürgen Müller <me@own.example>",
        "me@own.example (My Name)",
        "(before) me@own.example",
        "Me (a (nested) comment) <me@own.example> (after)",
        "Me\r\n <me@own.example>",
        "\"Me\r\n Myself\" <me@own.example>",
        "Me < me@own.example >",
        "\"\" <me@own.example>",
        "Team: me@own.example;",
        "Team: Me <me@own.example> ; (c)",
    ] {
        assert_eq!(list(value), ["me@own.example"], "{value}");
    }
}

#[test]
fn a_list_keeps_its_order() {
    assert_eq!(
        list("a@b.c, \"x, y\" <d@e.f>,G: h@i.j,<k@l.m>;, Empty:;, n@o.p"),
        ["a@b.c", "d@e.f", "h@i.j", "k@l.m", "n@o.p"]
    );
}

#[test]
fn unusual_addresses_are_read_as_smtp_reads_them() {
    assert_eq!(list("\"two words\"@b.c"), ["\"two words\"@b.c"]);
    assert_eq!(list("\"a@b\"@c.d"), ["\"a@b\"@c.d"]);
    assert_eq!(list("<u@[192.0.2.1]>"), ["u@[192.0.2.1]"]);
    assert_eq!(list("u@[IPv6:2001:db8::1]"), ["u@[IPv6:2001:db8::1]"]);
    assert_eq!(list("Ż <żółw@żółw.example>"), ["żółw@żółw.example"]);
}

#[test]
fn a_group_may_be_empty_among_recipients() {
    let list = AddressList::parse(b"undisclosed-recipients:;").unwrap();
    assert!(list.mailboxes().is_empty());
    assert_eq!(list.into_senders(), Err(AddressListError::Group));
}

fn refuses(table: &[(&str, AddressListError)]) {
    for (value, error) in table {
        assert_eq!(fault(value), *error, "{value:?}");
    }
}

#[test]
fn missing_and_doubled_elements_are_refused() {
    refuses(&[
        ("", E::Empty),
        (" ", E::Empty),
        ("(only a comment)", E::Empty),
        (",a@b.c", E::Empty),
        ("a@b.c,", E::Empty),
        ("a@b.c,,d@e.f", E::Empty),
        ("G: a@b.c,;", E::Empty),
        ("Me", E::Address(AddressError::NoAt)),
        ("Me Myself", E::Separator),
        ("Me a@b.c", E::Separator),
        ("a@b.c d@e.f", E::Separator),
        ("a@b.c <d@e.f>", E::Separator),
        ("<a@b.c> <d@e.f>", E::Separator),
        ("<a@b.c> d@e.f", E::Separator),
        ("<a@b.c> x", E::Separator),
        ("<a@b.c x>", E::Separator),
        ("a @b.c", E::Separator),
        ("a@ b.c", E::Separator),
        ("a . b@c.d", E::Separator),
        ("a@b.c; d@e.f", E::Separator),
        ("a@b.c>", E::Separator),
        ("<a@b.c>>", E::Separator),
        ("G: a@b.c", E::Group),
        ("G: H: a@b.c;;", E::Group),
        (": a@b.c;", E::Group),
        ("a\r\n @b.c", E::Separator),
        ("\"a\"b@c.d", E::Separator),
        ("\"a\".b@c.d", E::Separator),
    ]);
}

#[test]
fn routes_and_odd_brackets_are_refused() {
    refuses(&[
        ("<a@b.c@d.e>", E::Address(AddressError::Trailing)),
        ("@b.c", E::Route),
        ("<>", E::Address(AddressError::LocalPart)),
        ("<a>", E::Address(AddressError::NoAt)),
        ("<@x.y:a@b.c>", E::Route),
        ("<@x.y,@z.w:a@b.c>", E::Route),
        ("<x.y:a@b.c>", E::Address(AddressError::NoAt)),
        ("<a@b.c:d@e.f>", E::Route),
        ("<a@b.c,d@e.f>", E::Route),
        ("<<a@b.c>>", E::Nested),
        ("<a@b.c", E::Nested),
        ("Me <x <a@b.c>", E::Address(AddressError::NoAt)),
        ("Me [x] <a@b.c>", E::Address(AddressError::NoAt)),
    ]);
}

#[test]
fn comments_and_quotes_must_end_and_stay_outside_addresses() {
    refuses(&[
        ("a(x)@b.c", E::Comment),
        ("a@(x)b.c", E::Comment),
        ("<(x)a@b.c>", E::Comment),
        ("<a@b.c(x)>", E::Comment),
        ("a@b.c (x", E::Comment),
        ("\"Me <a@b.c>", E::Quotes),
        ("\"Me\"\"Myself\" <a@b.c>", E::Quotes),
        ("Me\"Myself\" <a@b.c>", E::Quotes),
        ("a@b.c (\\", E::Quotes),
    ]);
}

#[test]
fn odd_characters_folds_and_addresses_are_refused() {
    refuses(&[
        ("a@b.c@d.e", E::Address(AddressError::Trailing)),
        ("a@@b.c", E::Address(AddressError::Domain)),
        ("a@", E::Address(AddressError::Domain)),
        ("a@b.c x)", E::Character),
        (".Me <a@b.c>", E::Character),
        ("Me\\ <a@b.c>", E::Character),
        ("a@b.c\0", E::Character),
        ("Me\0 <a@b.c>", E::Character),
        ("\"a\\\0\" <a@b.c>", E::Character),
        ("\"a\\\r\n b\" <a@b.c>", E::Fold),
        ("a@b.c,\r\n \r\n d@e.f", E::Fold),
        ("a@b.c\r\nd@e.f", E::Fold),
        ("a@b.c\rd@e.f", E::Character),
        ("a@b.c\n d@e.f", E::Character),
        ("Me\u{202e} <a@b.c>", E::Character),
        ("Me\u{2028} <a@b.c>", E::Character),
        ("a@exam\u{ad}ple.com", E::Address(AddressError::Domain)),
        ("a\u{200b}@b.c", E::Address(AddressError::NoAt)),
        (".a@b.c", E::Address(AddressError::LocalPart)),
        ("a..b@c.d", E::Address(AddressError::LocalPart)),
        ("a@b.c.", E::Address(AddressError::Domain)),
    ]);
}

#[test]
fn octets_that_are_not_utf_8_are_refused() {
    let list = AddressList::parse(b"J\xfcrgen <a@b.c>");
    assert_eq!(list, Err(AddressListError::Character));
}

#[test]
fn comments_may_be_nested_20_deep() {
    let nested = |depth| format!("a@b.c {}{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(list(&nested(20)), ["a@b.c"]);
    assert_eq!(fault(&nested(21)), AddressListError::Comment);
}

#[test]
fn a_name_may_show_the_address_it_belongs_to() {
    for value in [
        "\"me@own.example\" <me@own.example>",
        "\"'Me@Own.example'\" <me@own.example>",
        "\"Acme: me@own.example, Inc\" <me@own.example>",
        "=?utf-8?q?me=40own=2Eexample?= <me@own.example>",
        "me@own.example (me@own.example)",
        "\"John @ Acme, Inc\" <me@own.example>",
        "\"@john\" <me@own.example>",
        "\"john at work@\" <me@own.example>",
        "\"{me@own.example}\" <me@own.example>",
        "\"Me | me@own.example/office\" <me@own.example>",
        "\"“me@own.example”\" <me@own.example>",
        "\"«me@own.example» ‹me@own.example›\" <me@own.example>",
        "\"東京（me@own.example）：本社\" <me@own.example>",
        "\"me@own.example - Me\" <me@own.example>",
    ] {
        assert!(shown(value).is_empty(), "{value}");
    }
}

#[test]
fn another_address_in_a_name_is_told() {
    for value in [
        "\"ceo@corp.example\" <me@own.example>",
        "\"The boss 'ceo@corp.example'\" <me@own.example>",
        "=?utf-8?q?ceo=40corp=2Eexample?= <me@own.example>",
        "=?utf-8?b?Y2VvQGNvcnAuZXhhbXBsZQ==?= <me@own.example>",
        "\"=?utf-8?q?ceo=40corp=2Eexample?=\" <me@own.example>",
        "=?utf-8?q?ceo?= =?utf-8?q?=40corp=2Eexample?= <me@own.example>",
        "me@own.example (ceo@corp.example)",
        "\"ceo@corp.example\": me@own.example;",
        "\"ceo\u{ff20}corp.example\" <me@own.example>",
        "\"{ceo@corp.example}\" <me@own.example>",
        "\"ceo@corp.example/x\" <me@own.example>",
        "\"CEO|ceo@corp.example|\" <me@own.example>",
        "\"“ceo@corp.example”\" <me@own.example>",
        "\"«ceo@corp.example»\" <me@own.example>",
        "\"（ceo@corp.example）\" <me@own.example>",
    ] {
        assert_eq!(shown(value), ["ceo@corp.example"], "{value}");
    }
}

#[test]
fn a_name_that_hides_structure_around_an_address_is_no_sender() {
    for value in [
        "\"<ceo@corp.example>\" <me@own.example>",
        "\"ceo@corp.example,\" <me@own.example>",
        "\"ceo@corp.example, x\" <me@own.example>",
        "\"ceo@corp.example;\" <me@own.example>",
        "\"\\\"x\\\" ceo@corp.example\" <me@own.example>",
        "\"ceo@corp.example\r\n x\" <me@own.example>",
        "me@own.example (x\r\n ceo@corp.example)",
        "\"ceo@corp.example@,\" <me@own.example>",
        "=?utf-8?q?=3Cceo=40corp.example=3E?= <me@own.example>",
        "=?utf-8?q?ceo=40corp.example=2C?= <me@own.example>",
        "=?utf-8?q?=3Cceo=40corp.?= =?utf-8?q?example=3E?= <me@own.example>",
        "me@own.example (<ceo@corp.example>)",
        "\"<ceo@corp.example>\": me@own.example;",
        "\"<ceo@corp@corp.example>\" <me@own.example>",
        "\"＜ceo@corp.example＞\" <me@own.example>",
        "\"/@corp.example, x\" <me@own.example>",
        "\"﹤ceo@corp.example﹥\" <me@own.example>",
        "\"x, ceo\\\"@\\\"corp.example\" <me@own.example>",
    ] {
        assert_eq!(
            senders(value),
            Err(AddressListError::AddressInName),
            "{value}"
        );
    }
}

#[test]
fn what_looks_like_an_address_and_cannot_be_judged_is_no_sender() {
    for value in [
        "\"ceo\u{200b}@corp.example\" <me@own.example>",
        "\"ceo@\u{2060}corp.example\" <me@own.example>",
        "\"ceo@corp.example\u{200b}\" <me@own.example>",
        "\"ceo@corp。example\" <me@own.example>",
        "\"ceo@corp．example\" <me@own.example>",
        "\"ceo@ｃorp.example\" <me@own.example>",
        "\"ceo@corp@corp.example\" <me@own.example>",
        "\"ceo..x@corp.example\" <me@own.example>",
        "=?utf-8?q?ceo=E2=80=8B=40corp.example?= <me@own.example>",
        "=?iso-8859-1?q?c=E9o=40corp.example?= <me@own.example>",
        "me@own.example (ceo\u{200b}@corp.example)",
    ] {
        assert_eq!(
            senders(value),
            Err(AddressListError::AddressInName),
            "{value}"
        );
    }
}

#[test]
fn a_local_part_that_readers_split_is_no_sender() {
    for value in [
        "\"ceo@corp.example\"@own.example",
        "<\"ceo@corp.example>\"@own.example>",
        "\"x,ceo\"@own.example",
        "\"a;b\"@own.example",
        "=?utf-8?q?ceo=40corp.example=3e=00?=@own.example",
        "ceo＠corp.example＞@own.example",
    ] {
        assert_eq!(senders(value), Err(AddressListError::LocalPart), "{value}");
    }
    assert!(senders("\"two words\"@own.example").is_ok());
}

#[test]
fn a_name_in_a_charset_that_hides_ascii_is_no_sender() {
    assert_eq!(
        senders("=?utf-7?q?ceo+AEA-corp.example?= <me@own.example>"),
        Err(AddressListError::EncodedWord)
    );
    assert_eq!(
        senders("=?iso-2022-kr?B?GyQpQ2Nlb0Bjb3JwLmV4YW1wbGU=?= <me@own.example>"),
        Err(AddressListError::EncodedWord)
    );
}

#[test]
fn a_field_names_at_most_100_senders() {
    let value = vec!["a@b.c"; 100].join(",");
    assert!(senders(&value).is_ok());
    assert_eq!(
        senders(&format!("{value},a@b.c")),
        Err(AddressListError::TooMany)
    );
}

#[test]
fn large_and_twisted_values_are_read_in_linear_time() {
    for piece in [
        "@",
        "a@b.c,",
        "=?a?q?x",
        "=?utf-8?q?a",
        "=?",
        "\"a@b\" ",
        "(a@b)",
        "\\",
        "<",
        "\"",
        "(",
    ] {
        let _ = senders(&piece.repeat(200_000 / piece.len()));
        let _ = senders(&format!(
            "\"{}\" <a@b.c>",
            piece.replace('"', "").repeat(200_000 / piece.len())
        ));
    }
}

/// Ways in which careless readers look for the sender of a value that [`senders`] has accepted.
mod readers {
    pub(super) const ALL: [fn(&str) -> Vec<String>; 7] = [
        last_angle,
        first_angle,
        every_comma,
        decoded_first,
        without_quotes,
        narrowed,
        mail_parser,
    ];

    /// Takes what stands between the last `<` and the next `>`, else the whole.
    fn last_angle(value: &str) -> Vec<String> {
        let inner = value.rsplit_once('<').map_or(value, |(_, rest)| rest);
        vec![
            inner
                .split('>')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        ]
    }

    /// Takes what stands between the first `<` and the next `>`, else the whole.
    fn first_angle(value: &str) -> Vec<String> {
        let inner = value.split_once('<').map_or(value, |(_, rest)| rest);
        vec![
            inner
                .split('>')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        ]
    }

    /// Splits at every comma, whatever the quotes say, and takes the first `<…>` or the whole of each piece.
    fn every_comma(value: &str) -> Vec<String> {
        value.split(',').flat_map(first_angle).collect()
    }

    /// Decodes encoded words before it looks for brackets.
    fn decoded_first(value: &str) -> Vec<String> {
        every_comma(&super::encoded_word::decode(value).unwrap())
    }

    /// Reads with a parser that is made to make sense of anything.
    fn mail_parser(value: &str) -> Vec<String> {
        let line = format!("{value}\r\n");
        let parsed = mail_parser::parsers::MessageStream::new(line.as_bytes()).parse_address();
        let addresses = parsed.as_address().into_iter().flat_map(|list| list.iter());
        addresses
            .filter_map(|address| address.address().map(str::to_owned))
            .collect()
    }

    /// Takes full-width characters for ASCII and drops those that nobody sees, then reads as the next.
    fn narrowed(value: &str) -> Vec<String> {
        without_quotes(&super::seen(&super::encoded_word::decode(value).unwrap()))
    }

    /// Drops quotes, then decodes and splits.
    fn without_quotes(value: &str) -> Vec<String> {
        decoded_first(&value.replace(['"', '\\'], ""))
    }
}

/// Returns a text as people see it: without invisible characters, and with those that look like ASCII as ASCII.
fn seen(text: &str) -> String {
    let visible = text.chars().filter(|&c| c != '\u{200b}');
    let narrow = visible.map(|c| match c {
        '。' => '.',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap(),
        c => c,
    });
    narrow.collect()
}

/// Pieces of a name, joined in any order.
const PIECES: &str = "(<|>|,|;|:| |Me|x|=3C|=3E|=40|=2C|=22|@|\\\\\\\\|\\\\\"|ceo|corp\\.example|ceo@corp\\.example\
    |me@own\\.example|ceo=40corp=2Eexample|\u{200b}|=E2=80=8B|corp。example|ｃorp\\.example|ceo@ｃorp。example\
    |\\{|\\}|\\||/|“|”|«|»|＜|＞|＠|ceo＠corp\\.example){0,6}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn careless_readers_find_no_sender_that_was_not_judged(
        frame in prop::sample::select(&[
            "\"{}\" <me@own.example>", "=?utf-8?q?{}?= <me@own.example>", "me@own.example ({})",
            "\"{}\": me@own.example;", "{} <me@own.example>", "{}@own.example",
        ][..]),
        name in PIECES
    ) {
        let value = frame.replace("{}", &name);
        let Ok(senders) = senders(&value) else { return Ok(()) };
        let is_judged = |found: &str| {
            let found = Mailbox::parse(found).unwrap();
            senders.mailboxes.iter().any(|known| known.is_same_as(&found))
        };
        for reader in readers::ALL {
            for found in reader(&value) {
                prop_assert!(!found.contains("@corp") || Mailbox::parse(&found).is_err() || is_judged(&found), "{value:?} gave {found:?}");
            }
        }
    }

    #[test]
    fn people_see_no_address_that_was_not_judged(
        frame in prop::sample::select(&["\"{}\" <me@own.example>", "=?utf-8?q?{}?= <me@own.example>"][..]),
        name in PIECES
    ) {
        let value = frame.replace("{}", &name);
        let Ok(senders) = senders(&value) else { return Ok(()) };
        let name = value.replace(" <me@own.example>", "");
        let seen = seen(&encoded_word::decode(&name).unwrap()).replace(['"', '\\'], "");
        let is_judged = senders.shown.iter().any(|shown| shown.domain().as_ascii().starts_with("corp.example"));
        prop_assert!(is_judged || !seen.contains("ceo@corp.example"), "{value:?} shows {seen:?}");
    }

    #[test]
    fn no_text_makes_the_parser_panic(value in "[a@.<>(),:;\"\\\\\\[\\] \t\r\n=?é]{0,40}") {
        let _ = senders(&value);
    }

    #[test]
    fn what_is_accepted_holds_its_addresses_literally(value in "[a@.<>(),:; \"]{0,16}") {
        if let Ok(list) = AddressList::parse(value.as_bytes()) {
            for mailbox in list.mailboxes() {
                prop_assert!(value.contains(&mailbox.domain().to_string()));
            }
        }
    }
}

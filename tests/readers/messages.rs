//! Messages of what has deceived some reader before.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Who wants to be seen.
const FOREIGN: &str = "ceo@bank.example";

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(texts).prop_map(str::to_owned)
}

/// The octets of a message.
pub(crate) struct Message(pub(crate) Vec<u8>);

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// White space, folds and comments.
fn gap() -> BoxedStrategy<String> {
    prop_oneof![
        20 => one_of(&[" ", ""]),
        1 => one_of(&["\r\n ", "\r\n\t", "\t", "  ", "\r\n \r\n ", "\n ", "\r ", "\u{a0}", "\u{200b}", "\u{b}"]),
        1 => one_of(&["(c)", " (a (b) c) ", "(\\))", "(", ")", "(\"", "(=?utf-8?q?ceo=40bank.example?=)", "(\r\n ceo@bank.example)"]),
        1 => Just(format!("({FOREIGN})")),
        1 => Just(format!(" ( <{FOREIGN}> ) ")),
    ]
    .boxed()
}

fn encoded(text: &str, style: u8) -> String {
    let q = |octets: &[u8]| -> String {
        let coded: Vec<_> = octets.iter().map(|octet| format!("={octet:02X}")).collect();
        coded.concat()
    };
    let half = text.chars().count() / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(half).collect();
    match style {
        0 => format!(
            "=?utf-8?q?{}?=",
            text.replace('@', "=40")
                .replace(' ', "_")
                .replace('"', "=22")
        ),
        1 => format!("=?UTF-8?B?{}?=", base64(text.as_bytes())),
        2 => format!(
            "=?utf-8?Q?{}?= =?utf-8?Q?{}?=",
            q(head.as_bytes()),
            q(tail.as_bytes())
        ),
        3 => format!("=?us-ascii*en?q?{}?=", q(text.as_bytes())),
        4 => format!(
            "=?utf-8?b?{}?=\r\n =?iso-8859-1?q?{}?=",
            base64(head.as_bytes()),
            q(tail.as_bytes())
        ),
        5 => format!("x=?utf-8?q?{}?=y", q(text.as_bytes())),
        6 => format!("=?utf-8?q?{text}?="),
        _ => format!("=?utf-7?q?{}?=", text.replace('@', "+AEA-")),
    }
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in octets.chunks(3) {
        let bits = piece
            .iter()
            .fold(0_u32, |bits, octet| (bits << 8) | u32::from(*octet));
        let bits = bits << (8 * (3 - piece.len()));
        for place in 0..4 {
            let digit = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap();
            text.push(if place <= piece.len() {
                char::from(*DIGITS.get(digit).unwrap())
            } else {
                '='
            });
        }
    }
    text
}

/// What a name may say.
fn said() -> BoxedStrategy<String> {
    prop_oneof![
        9 => one_of(&["Ann", "Orders of own.example", "a@own.example", "me@partner.example", "J\u{fc}rgen", "R. D."]),
        3 => one_of(&[
            FOREIGN, "<ceo@bank.example>", "ceo@bank.example>", "\" <ceo@bank.example>", "x, ceo@bank.example",
            "ceo\u{ff20}bank.example", "ceo@bank.example\0", "ceo@bank.example\r\n", "ceo@bank.example <", "ceo @ bank.example",
            "ceo@bank\u{3002}example", "me@own.example ceo@bank.example", "mailto:ceo@bank.example", "ceo\u{200b}@bank.example",
            "ceo@bank.example'", "\u{201c}ceo@bank.example\u{201d}", "ceo@bank.example)", "\u{202e}elpmaxe.knab@oec", "@bank.example",
        ]),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        2 => Just(String::new()),
        3 => said().prop_map(|said| format!("\"{said}\"")),
        2 => said().prop_map(|said| format!("\"{}\"", said.replace('"', "\\\""))),
        2 => said(),
        3 => (said(), 0..8_u8).prop_map(|(said, style)| encoded(&said, style)),
        1 => (said(), 0..8_u8).prop_map(|(said, style)| format!("\"{}\"", encoded(&said, style))),
        1 => (said(), said()).prop_map(|(one, other)| format!("{one} \"{other}\"")),
        1 => said().prop_map(|said| format!("({said})")),
    ]
    .boxed()
}

fn address() -> BoxedStrategy<String> {
    prop_oneof![
        24 => one_of(&["a@own.example", "me@partner.example", "Info@OWN.example", "a.b+c@own.example"]),
        3 => one_of(&[FOREIGN, "you@partner.example", "a@sub.own.example", "a@own.example.bank.example"]),
        3 => one_of(&[
            "\"ceo@bank.example\"@own.example", "\"a b\"@own.example", "ceo@bank.example@own.example",
            "@own.example:ceo@bank.example", "@bank.example:a@own.example", "ceo@bank.example(a@own.example)",
            "a@own.example(ceo@bank.example)", "a@own.example,ceo@bank.example", "=?utf-8?q?ceo=40bank.example?=@own.example",
            "a@own.example ceo@bank.example", "ceo@bank.example\0a@own.example", "a@own.example\r\n ", "a@own.example\r<ceo@bank.example>",
            "a@own.example\n", "a\u{ff20}bank.example@own.example", "ceo@bank.example\u{2028}@own.example", "a@own.exampl\u{435}",
            "a@\u{43e}wn.example", "\"a\\\"@bank.example\"@own.example", "a@[own.example]", "ceo%bank.example@own.example",
            "bank.example!ceo@own.example", "a@own.example.", "\"a\r\n b\"@own.example", "a@bank.example\u{0}.own.example", "a@own(.bank).example",
            "\"<ceo@bank.example>\"@own.example", "<a@own.example", "a@own.example>", "a@own\u{3002}example", "\"ceo\u{ff20}bank.example\"@own.example",
        ]),
    ]
    .boxed()
}

fn sender() -> BoxedStrategy<String> {
    let angle = (name(), gap(), address(), gap())
        .prop_map(|(name, before, address, behind)| format!("{name}{before}<{address}>{behind}"));
    let nested = (name(), address(), address())
        .prop_map(|(name, one, other)| format!("{name} <{one}<{other}>>"));
    let two = (address(), address()).prop_map(|(one, other)| format!("<{one}> <{other}>"));
    prop_oneof![
        8 => angle,
        3 => (gap(), address(), gap()).prop_map(|(before, address, behind)| format!("{before}{address}{behind}")),
        1 => (name(), address()).prop_map(|(name, address)| format!("{address} ({name})")),
        1 => (name(), gap(), address()).prop_map(|(name, gap, address)| format!("{name}{gap}{address}")),
        1 => nested,
        1 => two,
    ]
    .boxed()
}

fn list() -> BoxedStrategy<String> {
    let separator = one_of(&[",", ", ", ",\r\n ", ";", " ", ",,", "\u{ff0c}", ",\t(c) "]);
    let several =
        (vec(sender(), 2..4), separator).prop_map(|(senders, separator)| senders.join(&separator));
    let group = (name(), vec(sender(), 0..3), one_of(&[";", "", ";,", "; "]))
        .prop_map(|(name, senders, end)| format!("{name}: {}{end}", senders.join(", ")));
    prop_oneof![6 => sender(), 2 => several, 1 => group].boxed()
}

fn field() -> BoxedStrategy<String> {
    let names = prop_oneof![
        6 => one_of(&["From"]),
        2 => one_of(&["from", "FROM", "Sender", "Resent-From", "Reply-To", "To", "X-From"]),
        1 => one_of(&["From ", "From\t", " From", "\tFrom", "F\0rom", "From\0", "From\u{200b}", "From: x\r\nFrom", "X: y\rFrom",
            "X: y\nFrom", "X:\r\n From", "=?utf-8?q?From?=", "From\r\n ", "\u{feff}From", "X: y\r\r\nFrom", "X: y\n\rFrom", "Fro\u{217f}"]),
    ];
    (
        names,
        one_of(&[":", ": ", ":\r\n ", ":\t", " : ", "::"]),
        list(),
        end(),
    )
        .prop_map(|(name, colon, list, end)| format!("{name}{colon}{list}{end}"))
        .boxed()
}

fn end() -> BoxedStrategy<String> {
    prop_oneof![
        20 => one_of(&["\r\n"]),
        1 => one_of(&["\n", "\r", "\r\r\n", "\r\n \r\n", "\r\n\r\n", "\n\n", "\0\r\n", "\r\n\t\r\n", " \r\n"]),
    ]
    .boxed()
}

/// A message with any number of fields.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    let other = one_of(&[
        "Subject: x\r\n",
        "X: \r\n\t\r\n",
        "Received: y\r\n",
        "",
        "\u{0}\r\n",
        "nonsense\r\n",
    ]);
    let others = prop_oneof![9 => Just(String::new()), 2 => other];
    let few = prop_oneof![6 => vec(field(), 1..2), 2 => vec(field(), 2..4)];
    (others.clone(), few, others).prop_map(|(before, fields, behind)| {
        let body = format!("\r\nFrom: {FOREIGN}\r\n\r\nHello.\r\n");
        Message(
            [before, fields.concat(), behind, body]
                .concat()
                .into_bytes(),
        )
    })
}

/// A message in which one to three things stand where none should.
pub(crate) fn damaged() -> impl Strategy<Value = Message> {
    let good = one_of(&[
        "From: Ann <a@own.example>\r\n",
        "From: \"Ann, B.\" <a@own.example>, me@partner.example\r\n",
        "From: =?utf-8?q?Ann?= (me) <a@own.example>\r\nSubject: x\r\n",
        "Subject: x\r\nFrom: Us: a@own.example, me@partner.example;\r\n",
        "From: \"a@own.example\"\r\n <a@own.example>\r\n",
    ]);
    let octets = one_of(&[
        "<",
        ">",
        "\"",
        "\\",
        "(",
        ")",
        ",",
        ";",
        ":",
        "@",
        "\r",
        "\n",
        "\r\n",
        "\r\n ",
        "\0",
        " ",
        "\t",
        "=?utf-8?q?",
        "?=",
        "=40",
    ])
    .prop_map(String::into_bytes);
    let texts = (
        one_of(&[
            "",
            "<",
            "\"",
            "(",
            ",",
            " ",
            "\r\nFrom: ",
            "\nFrom:",
            "\rFrom:",
            "@own.example:",
            "=?utf-8?q?",
        ]),
        one_of(&["", ">", "\"", ")", ",", " ", "\r\n", "?="]),
    )
        .prop_map(|(before, behind)| format!("{before}{FOREIGN}{behind}").into_bytes());
    let noise = vec(any::<u8>(), 1..3);
    let put = prop_oneof![4 => octets, 5 => texts, 1 => noise];
    (good, vec((any::<prop::sample::Index>(), put), 1..4)).prop_map(|(good, puts)| {
        let mut message = good.into_bytes();
        for (at, put) in puts {
            let at = at.index(message.len() + 1);
            message.splice(at..at, put);
        }
        message.extend_from_slice(b"\r\nHello.\r\n");
        Message(message)
    })
}

//! What an encoded word (RFC 2047) may show, as far as ASCII goes.
//!
//! This answers one question: which addresses could somebody read in a name? It therefore decodes more than the RFC
//! permits (inside quotes and comments, with broken padding, with spaces), as lenient readers do.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The charset of an encoded word cannot be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UnknownCharset;

/// Returns the text with its encoded words decoded. What is not ASCII in charsets other than UTF-8 becomes U+FFFD.
pub(super) fn decode(text: &str) -> Result<String, UnknownCharset> {
    // Behind the last `?=` no encoded word can end; without it, each search below would run to the end in vain.
    let end = text.rfind("?=").map_or(0, |place| place + 2);
    let (mut rest, tail) = text.split_at_checked(end).unwrap_or(("", text));
    let mut decoded = String::with_capacity(text.len());
    let mut is_behind_word = false;
    while let Some((before, word, after)) = split_at_word(rest) {
        // White space between two encoded words is not shown (RFC 2047 §6.2).
        if !(is_behind_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        decoded.push_str(&word.decode()?);
        is_behind_word = true;
        rest = after;
    }
    decoded.push_str(rest);
    decoded.push_str(tail);
    Ok(decoded)
}

struct EncodedWord<'a> {
    charset: &'a str,
    is_base64: bool,
    text: &'a str,
}

/// Finds the first `=?charset?B-or-Q?text?=`.
fn split_at_word(text: &str) -> Option<(&str, EncodedWord<'_>, &str)> {
    let mut searched = 0;
    loop {
        let start = searched + text.get(searched..)?.find("=?")?;
        let inner = text.get(start + 2..)?;
        if let Some((word, after)) = take_word(inner) {
            return Some((text.get(..start)?, word, after));
        }
        searched = start + 2;
    }
}

fn take_word(inner: &str) -> Option<(EncodedWord<'_>, &str)> {
    let (charset, rest) = inner.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let is_base64 = encoding.eq_ignore_ascii_case("b");
    if !is_base64 && !encoding.eq_ignore_ascii_case("q") {
        return None;
    }
    let (text, after) = rest.split_once("?=")?;
    let charset = charset.split('*').next().unwrap_or_default();
    let word = EncodedWord {
        charset,
        is_base64,
        text,
    };
    Some((word, after))
}

impl EncodedWord<'_> {
    fn decode(&self) -> Result<String, UnknownCharset> {
        let octets = if self.is_base64 {
            base64(self.text)
        } else {
            quoted(self.text)
        };
        Ok(match Charset::named(self.charset).ok_or(UnknownCharset)? {
            Charset::Utf8 => String::from_utf8_lossy(&octets).into_owned(),
            Charset::SingleByte => octets.iter().map(|&octet| ascii(octet)).collect(),
            Charset::DoubleByte => double_byte(&octets),
            Charset::Iso2022 => iso_2022(&octets),
        })
    }
}

fn ascii(octet: u8) -> char {
    if octet.is_ascii() {
        char::from(octet)
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// The second octet of a character may look like ASCII, `@` among it; it is not shown as such.
fn double_byte(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter();
    while let Some(&octet) = octets.next() {
        text.push(ascii(octet));
        if octet >= 0x81 {
            octets.next();
        }
    }
    text
}

/// Between `ESC $ …` and `ESC ( …` two octets make a character, whatever they look like.
fn iso_2022(octets: &[u8]) -> String {
    const ESCAPE: u8 = 0x1b;
    let mut text = String::with_capacity(octets.len());
    let mut is_double = false;
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        if octet != ESCAPE {
            text.push(if is_double {
                char::REPLACEMENT_CHARACTER
            } else {
                ascii(octet)
            });
            continue;
        }
        is_double = octets.next() == Some(b'$');
        // `ESC $ (` and `ESC $ )` are followed by the set's letter; all others are complete with one more octet.
        if matches!(octets.next(), Some(b'(' | b')')) && is_double {
            octets.next();
        }
    }
    text
}

/// How the octets of a charset relate to ASCII.
enum Charset {
    DoubleByte,
    Iso2022,
    SingleByte,
    Utf8,
}

impl Charset {
    /// Charsets that do not hold ASCII as it is, such as UTF-7, UTF-16 and EBCDIC, have no place in a name.
    fn named(name: &str) -> Option<Self> {
        const SINGLE_BYTE: [&str; 14] = [
            "ascii",
            "us-ascii",
            "latin1",
            "l1",
            "macintosh",
            "x-mac-",
            "tis-620",
            "koi8-",
            "iso-8859-",
            "iso8859-",
            "iso_8859-",
            "windows-125",
            "windows-874",
            "cp125",
        ];
        const DOUBLE_BYTE: [&str; 13] = [
            "shift_jis",
            "shift-jis",
            "sjis",
            "windows-31j",
            "cp932",
            "big5",
            "gb2312",
            "gbk",
            "gb18030",
            "euc-",
            "ks_c_5601",
            "cp949",
            "x-sjis",
        ];
        let name = name.to_ascii_lowercase();
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
        if name == "utf-8" || name == "utf8" {
            Some(Self::Utf8)
        } else if name == "iso-2022-jp" || name == "iso-2022-kr" {
            Some(Self::Iso2022)
        } else if is_one_of(&SINGLE_BYTE) {
            Some(Self::SingleByte)
        } else if is_one_of(&DOUBLE_BYTE) {
            Some(Self::DoubleByte)
        } else {
            None
        }
    }
}

fn quoted(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        let escaped = match (octet, after) {
            (b'=', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = if let Some((high, low)) = escaped {
            octets.push(high << 4 | low);
            after.get(2..).unwrap_or_default()
        } else {
            octets.push(if octet == b'_' { b' ' } else { octet });
            after
        };
    }
    octets
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn base64(text: &str) -> Vec<u8> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut digits: Vec<u8> = text
        .bytes()
        .filter(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
        .collect();
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> String {
        decode(text).unwrap()
    }

    #[test]
    fn both_encodings_are_read() {
        assert_eq!(decoded("=?utf-8?Q?J=C3=BCrgen_M?= x"), "Jürgen M x");
        assert_eq!(decoded("=?UTF-8?b?SsO8cmdlbg==?="), "Jürgen");
        assert_eq!(
            decoded("=?iso-8859-1*de?q?J=FCrgen=40x?="),
            "J\u{fffd}rgen@x"
        );
    }

    #[test]
    fn white_space_between_encoded_words_is_dropped() {
        assert_eq!(decoded("a =?utf-8?q?b?= \t=?utf-8?q?c?= d"), "a bc d");
    }

    #[test]
    fn broken_base64_is_read_as_far_as_it_goes() {
        assert_eq!(decoded("=?utf-8?b?Y2Vv QGNvcnA?="), "ceo@corp");
    }

    #[test]
    fn what_only_looks_like_an_encoded_word_is_text() {
        assert_eq!(decoded("=?utf-8?x?abc?="), "=?utf-8?x?abc?=");
        assert_eq!(decoded("=? =?utf-8?q?a"), "=? =?utf-8?q?a");
        assert_eq!(decoded("1 =? 2 =?utf-8?q?=40?="), "1 =? 2 @");
    }

    #[test]
    fn octets_inside_east_asian_characters_are_not_ascii() {
        assert_eq!(decoded("=?shift_jis?B?g0CDWA==?="), "\u{fffd}\u{fffd}");
        assert!(!decoded("=?iso-2022-jp?B?GyRAJUAbKEI=?=").contains('@'));
        assert_eq!(
            decoded("=?iso-2022-jp?Q?=1B$B%@=1B(Ba=40b?="),
            "\u{fffd}\u{fffd}a@b"
        );
    }

    #[test]
    fn charsets_that_hide_ascii_cannot_be_judged() {
        for charset in [
            "utf-7",
            "utf-16",
            "utf-16be",
            "utf-32",
            "cp037",
            "ibm500",
            "hz-gb-2312",
            "",
        ] {
            assert_eq!(
                decode(&format!("=?{charset}?q?a?=")),
                Err(UnknownCharset),
                "{charset}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(text in "[=?qQbButf8\\-_ A-F0-9é@]{0,60}") {
            let _ = decode(&text);
        }
    }
}

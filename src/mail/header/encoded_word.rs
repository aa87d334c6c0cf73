//! What encoded words (RFC 2047) show, as far as ASCII goes.
//!
//! This answers one question: which addresses could somebody read in a name? It therefore decodes encoded words inside
//! quotes and comments too, as many readers do, and refuses those that readers take apart in different ways: broken
//! ones, ones that touch other text, ones in charsets that hide ASCII.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// An encoded word that is broken, touches other text, or is in a charset that cannot be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Undecodable;

/// Returns the text with its encoded words decoded. What is not ASCII in charsets other than UTF-8 becomes U+FFFD.
pub(super) fn decode(text: &str) -> Result<String, Undecodable> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_behind_word = false;
    while let Some((before, inner)) = rest.split_once("=?") {
        let (word, after) = EncodedWord::take(inner).ok_or(Undecodable)?;
        let is_apart = before.is_empty() && !is_behind_word || before.ends_with(separates);
        if !is_apart || !(after.is_empty() || after.starts_with(separates)) {
            return Err(Undecodable);
        }
        // White space between two encoded words is not shown (RFC 2047 §6.2).
        if !(is_behind_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        decoded.push_str(&word.decode()?);
        is_behind_word = true;
        rest = after;
    }
    if rest.contains("?=") {
        return Err(Undecodable);
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// Returns whether an encoded word may stand next to a character.
fn separates(c: char) -> bool {
    matches!(c, ' ' | '\t' | '"' | '\'' | '(' | ')' | ',')
}

struct EncodedWord<'a> {
    charset: &'a str,
    is_base64: bool,
    text: &'a str,
}

impl<'a> EncodedWord<'a> {
    /// Takes `charset?B-or-Q?text?=` from the front; returns what follows.
    fn take(inner: &'a str) -> Option<(Self, &'a str)> {
        let (charset, rest) = inner.split_once('?')?;
        let (encoding, rest) = rest.split_once('?')?;
        let is_base64 = encoding.eq_ignore_ascii_case("b");
        if !is_base64 && !encoding.eq_ignore_ascii_case("q") {
            return None;
        }
        // The text holds no question mark, so its end is also the end of the search.
        let (text, rest) = rest.split_once('?')?;
        let after = rest.strip_prefix('=')?;
        let charset = charset.split('*').next().unwrap_or_default();
        let word = Self {
            charset,
            is_base64,
            text,
        };
        Some((word, after))
    }

    fn decode(&self) -> Result<String, Undecodable> {
        let octets = if self.is_base64 {
            BASE64.decode(self.text).ok()
        } else {
            quoted(self.text)
        };
        let octets = octets.ok_or(Undecodable)?;
        Ok(match Charset::named(self.charset).ok_or(Undecodable)? {
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

/// Decodes the encoding `Q` (RFC 2047 §4.2).
fn quoted(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'=' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'_' => b' ',
            b'!'..=b'~' => octet,
            _ => return None,
        });
    }
    Some(octets)
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Padding may be missing, as some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
        assert_eq!(decoded("=?UTF-8?B?SsO8cmdlbg?= (x)"), "Jürgen (x)");
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
    fn broken_encoded_words_are_refused() {
        for text in [
            "=?utf-8?b?Y2Vv QGNvcnA?=",
            "=?utf-8?b?Y2Vv=QGNv?=",
            "=?utf-8?b?Y?=",
            "=?utf-8?q?a b?=",
            "=?utf-8?q?=4?=",
            "=?utf-8?q?=4g?=",
            "=?utf-8?q?é?=",
            "=?utf-8?q?a?b?=",
            "=?utf-8?x?abc?=",
            "=?utf-8?q?a",
            "=?utf-8?q",
            "=?",
            "?=",
            "=?utf-8?q?a?=b",
            "b=?utf-8?q?a?=",
            "=?utf-8?q?a?==?utf-8?q?b?=",
        ] {
            assert_eq!(decode(text), Err(Undecodable), "{text}");
        }
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
                Err(Undecodable),
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

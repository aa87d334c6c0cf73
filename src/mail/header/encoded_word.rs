//! What encoded words (RFC 2047) show, as far as ASCII goes, and how they are written.
//!
//! Reading answers one question: which addresses could somebody read in a name? It therefore decodes encoded words inside
//! quotes and comments too, as many readers do, and refuses those that readers take apart in different ways: broken
//! ones, ones that touch other text, ones in charsets that hide ASCII.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Returns a text as encoded words of at most 75 characters (RFC 2047 §2), to be written with white space between them.
pub fn encoded_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > MAX_ENCODED {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded = words.iter();
    encoded
        .map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)))
        .collect()
}

/// How many octets go into one encoded word.
const MAX_ENCODED: usize = 45;

/// An encoded word that is broken, touches other text, or is in a charset that cannot be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Undecodable;

/// Returns the text with its encoded words decoded. What is not ASCII in charsets other than UTF-8 becomes U+FFFD.
pub(super) fn decode(text: &str) -> Result<String, Undecodable> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_behind_word = false;
    // Readers that join the words see a character whose octets two of them share.
    let mut shared = Vec::new();
    while let Some((before, inner)) = rest.split_once("=?") {
        let (word, after) = EncodedWord::take(inner).ok_or(Undecodable)?;
        let is_apart = before.is_empty() && !is_behind_word || before.ends_with(separates);
        if !is_apart || !(after.is_empty() || after.starts_with(separates)) {
            return Err(Undecodable);
        }
        // White space between two encoded words is not shown (RFC 2047 §6.2).
        if !(is_behind_word && before.trim().is_empty()) {
            end_shared(&mut shared, &mut decoded);
            decoded.push_str(before);
        }
        match word.decode()? {
            Decoded::Text(text) => {
                end_shared(&mut shared, &mut decoded);
                decoded.push_str(&text);
            }
            Decoded::Utf8(octets) => shared.extend_from_slice(&octets),
        }
        is_behind_word = true;
        rest = after;
    }
    if rest.contains("?=") {
        return Err(Undecodable);
    }
    end_shared(&mut shared, &mut decoded);
    decoded.push_str(rest);
    Ok(decoded)
}

fn end_shared(shared: &mut Vec<u8>, decoded: &mut String) {
    decoded.push_str(&String::from_utf8_lossy(shared));
    shared.clear();
}

/// What an encoded word holds.
enum Decoded {
    /// Text, as far as ASCII goes.
    Text(String),
    /// UTF-8, which may begin or end inside a character.
    Utf8(Vec<u8>),
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

    fn decode(&self) -> Result<Decoded, Undecodable> {
        let octets = if self.is_base64 {
            BASE64.decode(self.text).ok()
        } else {
            quoted(self.text)
        };
        let octets = octets.ok_or(Undecodable)?;
        let text = match Charset::named(self.charset).ok_or(Undecodable)? {
            Charset::Utf8 => return Ok(Decoded::Utf8(octets)),
            // Mislabelled: some readers show UTF-8 wherever it is some, and it may have a wide at sign.
            Charset::SingleByte if !octets.is_ascii() && str::from_utf8(&octets).is_ok() => {
                return Ok(Decoded::Utf8(octets));
            }
            Charset::SingleByte => Ok(octets.iter().map(|&octet| ascii(octet)).collect()),
            Charset::ShiftJis => double_byte(
                &octets,
                |lead| matches!(lead, 0x81..=0x9f | 0xe0..=0xfc),
                |trail| matches!(trail, 0x40..=0x7e | 0x80..=0xfc),
            ),
            // GB18030 has characters of four octets too: two pairs, each with a digit behind.
            Charset::BigFiveOrGbk => double_byte(
                &octets,
                |lead| matches!(lead, 0x81..=0xfe),
                |trail| matches!(trail, b'0'..=b'9' | 0x40..=0x7e | 0x80..=0xfe),
            ),
            Charset::Euc => double_byte(
                &octets,
                |lead| matches!(lead, 0x81..=0xfe),
                |trail| matches!(trail, 0x80..=0xff),
            ),
            Charset::Iso2022Jp => iso_2022_jp(&octets),
        };
        text.map(Decoded::Text)
    }
}

fn ascii(octet: u8) -> char {
    if octet.is_ascii() {
        char::from(octet)
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// Reads a charset of one and two octets to a character. The second one may look like ASCII, `@` among it; it is not
/// shown as such. One that no such character ends in is shown by some readers and swallowed by others.
fn double_byte(
    octets: &[u8],
    is_lead: fn(u8) -> bool,
    is_trail: fn(u8) -> bool,
) -> Result<String, Undecodable> {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        text.push(ascii(octet));
        if is_lead(octet) && !octets.next().is_some_and(is_trail) {
            return Err(Undecodable);
        }
    }
    Ok(text)
}

/// Reads ISO-2022-JP (RFC 1468): behind `ESC $ @` and `ESC $ B` two octets make a character, whatever they look like,
/// until `ESC ( B` or `ESC ( J`. Readers do not agree about other escapes and shifts, nor about half a character.
fn iso_2022_jp(octets: &[u8]) -> Result<String, Undecodable> {
    const ESCAPE: u8 = 0x1b;
    let mut text = String::with_capacity(octets.len());
    let mut is_double = false;
    let mut rest = octets;
    loop {
        rest = match rest {
            [] if is_double => return Err(Undecodable),
            [] => return Ok(text),
            [ESCAPE, b'$', b'@' | b'B', after @ ..] => {
                is_double = true;
                after
            }
            [ESCAPE, b'(', b'B' | b'J', after @ ..] => {
                is_double = false;
                after
            }
            [0x21..=0x7e, 0x21..=0x7e, after @ ..] if is_double => {
                text.push(char::REPLACEMENT_CHARACTER);
                after
            }
            [octet @ (b'\t' | b' '..=b'~'), after @ ..] if !is_double => {
                text.push(char::from(*octet));
                after
            }
            _ => return Err(Undecodable),
        };
    }
}

/// How the octets of a charset relate to ASCII.
enum Charset {
    BigFiveOrGbk,
    /// Second octets are never ASCII.
    Euc,
    Iso2022Jp,
    ShiftJis,
    SingleByte,
    Utf8,
}

impl Charset {
    /// Charsets that do not hold ASCII as it is, such as UTF-7, UTF-16 and EBCDIC, have no place in a name, nor have
    /// those that shift between sets in ways of their own, such as HZ and ISO-2022-KR.
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
        const SHIFT_JIS: [&str; 6] = [
            "shift_jis",
            "shift-jis",
            "sjis",
            "windows-31j",
            "cp932",
            "x-sjis",
        ];
        const BIG_FIVE_OR_GBK: [&str; 3] = ["big5", "gbk", "gb18030"];
        const EUC: [&str; 6] = ["euc-jp", "euc-kr", "euc-cn", "gb2312", "ks_c_5601", "cp949"];
        let name = name.to_ascii_lowercase();
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
        if name == "utf-8" || name == "utf8" {
            Some(Self::Utf8)
        } else if name == "iso-2022-jp" {
            Some(Self::Iso2022Jp)
        } else if is_one_of(&SINGLE_BYTE) {
            Some(Self::SingleByte)
        } else if is_one_of(&SHIFT_JIS) {
            Some(Self::ShiftJis)
        } else if is_one_of(&BIG_FIVE_OR_GBK) {
            Some(Self::BigFiveOrGbk)
        } else if is_one_of(&EUC) {
            Some(Self::Euc)
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
    fn a_character_that_two_words_share_is_seen() {
        let text = "=?utf-8?Q?ceo=EF?= =?utf-8?Q?=BC=A0corp.example?=";
        assert_eq!(decode(text).as_deref(), Ok("ceo\u{ff20}corp.example"));
        let apart = "=?utf-8?Q?a=EF?= b =?utf-8?Q?=BC=A0c?=";
        assert_eq!(
            decode(apart).as_deref(),
            Ok("a\u{fffd} b \u{fffd}\u{fffd}c")
        );
    }

    #[test]
    fn utf_8_is_seen_under_the_name_of_another_charset() {
        for charset in ["us-ascii", "iso-8859-1", "windows-1252"] {
            let text = format!("=?{charset}?Q?ceo=EF=BC=A0corp.example?=");
            assert_eq!(decode(&text).as_deref(), Ok("ceo\u{ff20}corp.example"));
        }
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
            "\u{fffd}a@b"
        );
        assert_eq!(
            decoded("=?gb18030?Q?=81=30=81=30a=40b?="),
            "\u{fffd}\u{fffd}a@b"
        );
        assert_eq!(decoded("=?euc-kr?B?sKGxuQ==?="), "\u{fffd}\u{fffd}");
        assert_eq!(decoded("=?big5?Q?=A7=40?="), "\u{fffd}");
    }

    #[test]
    fn a_single_octet_of_shift_jis_hides_no_ascii() {
        assert_eq!(decoded("=?shift_jis?Q?=B1=40b?="), "\u{fffd}@b");
        assert_eq!(decoded("=?shift_jis?Q?=FD=40b?="), "\u{fffd}@b");
    }

    #[test]
    fn a_half_character_cannot_be_judged() {
        for text in [
            "=?shift_jis?Q?=83?=",
            "=?shift_jis?Q?=83<?=",
            "=?gbk?Q?=B0?=",
            "=?big5?Q?=A7,?=",
            "=?euc-jp?Q?=B0=40?=",
            "=?gb2312?Q?ceo=B0=40corp.example?=",
            "=?euc-kr?Q?=B0a?=",
        ] {
            assert_eq!(decode(text), Err(Undecodable), "{text}");
        }
    }

    #[test]
    fn iso_2022_with_anything_but_the_escapes_of_rfc_1468_cannot_be_judged() {
        for text in [
            // ISO-2022-KR: `ESC $ ) C` designates a set; until SO the text is ASCII.
            "=?iso-2022-kr?B?GyQpQ2Nlb0Bjb3JwLmV4YW1wbGU=?=",
            "=?iso-2022-jp?B?GyQpQ2Nlb0Bjb3JwLmV4YW1wbGU=?=",
            "=?iso-2022-jp?Q?=1B$)Bceo=40corp.example?=",
            "=?iso-2022-jp?Q?=1B$(Dab=1B(B?=",
            "=?iso-2022-jp?Q?=1B(Iab=1B(B?=",
            "=?iso-2022-jp?Q?=1B.Aab?=",
            "=?iso-2022-jp?Q?=0Eab=0F?=",
            "=?iso-2022-jp?Q?=1B$Bab?=",
            "=?iso-2022-jp?Q?=1B$Babc=1B(B?=",
            "=?iso-2022-jp?Q?=1B$Ba=40=0D=0A?=",
            "=?iso-2022-jp?Q?=B1?=",
            "=?iso-2022-jp?Q?=1B?=",
            "=?iso-2022-jp?Q?=1B$?=",
        ] {
            assert_eq!(decode(text), Err(Undecodable), "{text}");
        }
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
            "iso-2022-kr",
            "euc-tw",
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

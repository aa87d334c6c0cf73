//! `Content-Type:` and `Content-Transfer-Encoding:` (RFC 2045 §5, §6).

/// What a `Content-Type:` says, as far as it matters here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ContentType {
    /// The type, in small letters.
    pub(super) kind: String,
    /// The subtype, in small letters.
    pub(super) subtype: String,
    /// The boundary, where exactly one is written in the plain form.
    pub(super) boundary: Option<Vec<u8>>,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    /// 8bit or binary: not at all.
    EightBit,
    /// Somehow: quoted-printable, base64, or in a way that is not known.
    Encoded,
    /// 7bit, or nothing is said: not at all.
    SevenBit,
}

impl Encoding {
    /// Reads the value of a field.
    pub(super) fn parse(value: &[u8]) -> Self {
        let mut reader = Reader { rest: value };
        reader.skip_space();
        let word = reader.token().to_ascii_lowercase();
        reader.skip_space();
        match word.as_slice() {
            b"7bit" if reader.rest.is_empty() => Self::SevenBit,
            b"8bit" | b"binary" if reader.rest.is_empty() => Self::EightBit,
            _ => Self::Encoded,
        }
    }
}

impl ContentType {
    /// Reads the value of a field; `None` where it has no type and subtype.
    ///
    /// Parameters are read up to the first that is malformed: a boundary behind it does not count.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: value };
        reader.skip_space();
        let kind = text(reader.token())?;
        reader.skip_space();
        reader.take(b'/')?;
        reader.skip_space();
        let subtype = text(reader.token())?;
        let mut boundaries = Vec::new();
        while let Some((name, value)) = reader.parameter() {
            if name.eq_ignore_ascii_case(b"boundary") {
                boundaries.push(value);
            } else if name
                .get(..9)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"boundary*"))
            {
                // RFC 2231 allows it, and hardly any reader understands it.
                boundaries.clear();
                break;
            }
        }
        let boundary = match (boundaries.pop(), boundaries.is_empty()) {
            (Some(only), true) => Some(only).filter(|value| is_boundary(value)),
            _ => None,
        };
        Some(Self {
            kind,
            subtype,
            boundary,
        })
    }
}

/// The longest boundary that is understood, in octets. RFC 2046 §5.1.1 allows 70.
pub(super) const MAX_BOUNDARY: usize = 200;

fn is_boundary(value: &[u8]) -> bool {
    let is_printable = value.iter().all(|octet| matches!(octet, b' '..=b'~'));
    is_printable && (1..=MAX_BOUNDARY).contains(&value.len()) && !value.ends_with(b" ")
}

fn text(token: &[u8]) -> Option<String> {
    let token = str::from_utf8(token).ok().filter(|token| !token.is_empty());
    token.map(str::to_ascii_lowercase)
}

/// The value of a structured field, from the front on.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Skips white space, folds and comments. A comment that does not end is left.
    fn skip_space(&mut self) {
        loop {
            self.rest = self.rest.trim_ascii_start();
            match after_comment(self.rest) {
                Some(rest) => self.rest = rest,
                None => return,
            }
        }
    }

    fn take(&mut self, octet: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == octet).then(|| self.rest = rest)
    }

    fn token(&mut self) -> &'a [u8] {
        let is_end = |octet: &u8| !is_token(*octet);
        let end = self.rest.iter().position(is_end);
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// Reads `;name=value`. Empty parameters are passed over.
    fn parameter(&mut self) -> Option<(&'a [u8], Vec<u8>)> {
        self.skip_space();
        self.take(b';')?;
        self.skip_space();
        while self.take(b';').is_some() {
            self.skip_space();
        }
        let name = self.token();
        self.skip_space();
        if name.is_empty() || self.take(b'=').is_none() {
            return None;
        }
        self.skip_space();
        let value = match self.take(b'"') {
            Some(()) => self.quoted()?,
            None => self.token().to_vec(),
        };
        Some((name, value)).filter(|(_, value)| !value.is_empty())
    }

    /// Reads up to the closing quote. A fold inside stands for the white space behind it.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        loop {
            let (octet, rest) = self.rest.split_first()?;
            self.rest = rest;
            match octet {
                b'"' => return Some(value),
                b'\\' => {
                    let (escaped, rest) = rest.split_first()?;
                    value.push(*escaped);
                    self.rest = rest;
                }
                b'\r' | b'\n' => {}
                octet => value.push(*octet),
            }
        }
    }
}

/// Returns what follows the comment at the front, if there is one.
fn after_comment(octets: &[u8]) -> Option<&[u8]> {
    if octets.first() != Some(&b'(') {
        return None;
    }
    let (mut depth, mut is_escaped) = (0_u32, false);
    for (place, octet) in octets.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return octets.get(place + 1..);
        }
    }
    None
}

/// RFC 2045 §5.1.
const fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(
            octet,
            b'(' | b')'
                | b'<'
                | b'>'
                | b'@'
                | b','
                | b';'
                | b':'
                | b'\\'
                | b'"'
                | b'/'
                | b'['
                | b']'
                | b'?'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(value: &str) -> Option<String> {
        let parsed = ContentType::parse(value.as_bytes()).unwrap();
        parsed
            .boundary
            .map(|boundary| String::from_utf8(boundary).unwrap())
    }

    #[test]
    fn type_and_boundary_are_read_in_every_form() {
        for value in [
            " multipart/mixed; boundary=b1",
            " Multipart/MIXED;\r\n\tboundary=\"b1\"",
            " multipart / mixed (a (b) \\) c); charset=utf-8; BOUNDARY = b1",
            "multipart/mixed;; boundary=\"b\\1\";",
            "multipart/mixed; boundary=b1 unquoted rest",
        ] {
            let parsed = ContentType::parse(value.as_bytes()).unwrap();
            assert_eq!((&*parsed.kind, &*parsed.subtype), ("multipart", "mixed"));
            assert_eq!(boundary(value).as_deref(), Some("b1"), "{value}");
        }
    }

    #[test]
    fn a_boundary_that_readers_disagree_about_is_none() {
        for value in [
            "multipart/mixed",
            "multipart/mixed; boundary=",
            "multipart/mixed; boundary=\"\"",
            "multipart/mixed; boundary=\"open",
            "multipart/mixed; boundary=\"ends with space \"",
            "multipart/mixed; boundary=a; boundary=b",
            "multipart/mixed; boundary*=us-ascii''a",
            "multipart/mixed; boundary=a; boundary*0=b",
            "multipart/mixed; name=two words; boundary=a",
            "multipart/mixed (open; boundary=a",
        ] {
            assert_eq!(boundary(value), None, "{value}");
        }
        let long = format!("multipart/mixed; boundary={}", "x".repeat(201));
        assert_eq!(boundary(&long), None);
    }

    #[test]
    fn a_value_without_type_and_subtype_is_none() {
        for value in ["", "text", "/plain", "text/", ";", "(comment)"] {
            assert_eq!(ContentType::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn an_encoding_that_is_not_known_counts_as_one() {
        for (value, encoding) in [
            (" 7bit", Encoding::SevenBit),
            (" 7BIT (really)", Encoding::SevenBit),
            ("\r\n 8bit", Encoding::EightBit),
            ("binary", Encoding::EightBit),
            ("quoted-printable", Encoding::Encoded),
            ("x-uuencode", Encoding::Encoded),
            ("7bit 8bit", Encoding::Encoded),
            ("", Encoding::Encoded),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()), encoding, "{value}");
        }
    }
}

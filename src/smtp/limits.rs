//! The limits that a server announces (LIMITS, RFC 9422), as a client reads them.

/// What a server announces of its limits. The default is none of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Announced {
    /// MAILMAX: MAIL commands of one session.
    pub mails: Option<u32>,
    /// RCPTMAX: RCPT commands of one transaction.
    pub recipients: Option<u32>,
    /// RCPTDOMAINMAX: different domains in the RCPT commands of one session.
    pub domains: Option<u32>,
}

impl Announced {
    /// Reads the words behind the keyword.
    ///
    /// Where one of them is no limit at all, none counts; where a value is none of its limit, that limit does not count
    /// (RFC 9422 §3.7). Limits that are not known are passed over. The last of two counts.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut announced = Self::default();
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            if !is_name(name) || !value.is_none_or(is_value) {
                return Self::default();
            }
            let place = match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => &mut announced.mails,
                "RCPTDOMAINMAX" => &mut announced.domains,
                "RCPTMAX" => &mut announced.recipients,
                _ => continue,
            };
            *place = value.and_then(number);
        }
        announced
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_letter)
}

fn is_value(value: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_graphic() && octet != b';';
    !value.is_empty() && value.bytes().all(is_letter)
}

/// Reads one to six digits, the first of them not zero (RFC 9422 §4).
fn number(value: &str) -> Option<u32> {
    let is_number = value.len() <= 6
        && !value.starts_with('0')
        && value.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| value.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Announced {
        Announced::parse(text.split_ascii_whitespace())
    }

    #[test]
    fn known_limits_are_read_and_others_passed_over() {
        let announced = Announced {
            mails: Some(5),
            recipients: Some(999_999),
            domains: Some(1),
        };
        let text = "RCPTMAX=999999 NEW MAILMAX=5 X_Y-1=a=b rcptdomainmax=1";
        assert_eq!(parse(text), announced);
        assert_eq!(parse(""), Announced::default());
    }

    #[test]
    fn a_value_that_is_none_of_its_limit_does_not_count() {
        for value in ["=0", "=05", "=1000000", "=x", "=-1", "=+1", ""] {
            let announced = parse(&format!("MAILMAX{value} RCPTMAX=7"));
            assert_eq!(announced.mails, None, "{value}");
            assert_eq!(announced.recipients, Some(7), "{value}");
        }
    }

    #[test]
    fn where_a_word_is_no_limit_none_counts() {
        for text in [
            "RCPTMAX=7 =3",
            "RCPTMAX=7 MAILMAX=",
            "RCPTMAX=7; A=1",
            "A.B RCPTMAX=7",
        ] {
            assert_eq!(parse(text), Announced::default(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(&text);
        }
    }
}

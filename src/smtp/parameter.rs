//! The parameters of MAIL and RCPT.

use crate::mail::{BodyType, DsnReturn, Hold, MtPriority, Notify, OriginalRecipient};

use super::timing::By;
use super::xtext;

/// The longest ENVID, in octets, as sent (RFC 3461 §4.4).
const MAX_ENVELOPE_ID: usize = 100;

/// The longest ORCPT, in octets, as sent (RFC 3461 §4.2).
const MAX_ORIGINAL_RECIPIENT: usize = 500;

/// Parameters of MAIL.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MailParameters {
    /// SIZE= (RFC 1870): the octets the client means to send.
    pub size: Option<u64>,
    /// BODY=.
    pub body: Option<BodyType>,
    /// SMTPUTF8.
    pub smtputf8: Option<()>,
    /// RET=.
    pub ret: Option<DsnReturn>,
    /// ENVID=, decoded.
    pub envelope_id: Option<Box<str>>,
    /// MT-PRIORITY= (RFC 6710).
    pub mt_priority: Option<MtPriority>,
    /// BY= (RFC 2852).
    pub by: Option<By>,
    /// HOLDFOR= or HOLDUNTIL= (RFC 4865); never both.
    pub hold: Option<Hold>,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: Option<()>,
    /// AUTH= (RFC 4954 §5) was given. Its value is not used: the identity is the session's own.
    pub auth: Option<()>,
}

/// Parameters of RCPT.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RcptParameters {
    /// NOTIFY=.
    pub notify: Option<Notify>,
    /// ORCPT=.
    pub original: Option<OriginalRecipient>,
}

/// Why a parameter was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParameterError {
    /// Given twice, or with a value that its extension does not allow.
    Invalid,
    /// Not a parameter of any extension offered.
    Unknown,
}

impl MailParameters {
    /// Parses what stands behind the reverse-path.
    ///
    /// # Errors
    /// [`ParameterError`] for the first parameter that is refused.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for (keyword, value) in split(text)? {
            match keyword.to_ascii_uppercase().as_str() {
                "SIZE" => set(&mut parameters.size, value.and_then(size)),
                "BODY" => set(&mut parameters.body, value.and_then(body)),
                "SMTPUTF8" => set(&mut parameters.smtputf8, value.is_none().then_some(())),
                "RET" => set(&mut parameters.ret, value.and_then(ret)),
                "ENVID" => set(&mut parameters.envelope_id, value.and_then(envelope_id)),
                "MT-PRIORITY" => set(
                    &mut parameters.mt_priority,
                    value.and_then(MtPriority::parse),
                ),
                "BY" => set(&mut parameters.by, value.and_then(By::parse)),
                // One place for both: together they are refused (RFC 4865 §4).
                "HOLDFOR" => set(&mut parameters.hold, value.and_then(Hold::parse_for)),
                "HOLDUNTIL" => set(&mut parameters.hold, value.and_then(Hold::parse_until)),
                "REQUIRETLS" => set(&mut parameters.require_tls, value.is_none().then_some(())),
                "AUTH" => set(
                    &mut parameters.auth,
                    value.and_then(xtext::decode).map(|_| ()),
                ),
                _ => Err(ParameterError::Unknown),
            }?;
        }
        Ok(parameters)
    }

    /// Returns whether no parameter was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RcptParameters {
    /// Parses what stands behind the forward-path.
    ///
    /// # Errors
    /// [`ParameterError`] for the first parameter that is refused.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for (keyword, value) in split(text)? {
            match keyword.to_ascii_uppercase().as_str() {
                "NOTIFY" => set(&mut parameters.notify, value.and_then(notify)),
                "ORCPT" => set(&mut parameters.original, value.and_then(original_recipient)),
                _ => Err(ParameterError::Unknown),
            }?;
        }
        Ok(parameters)
    }

    /// Returns whether no parameter was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Stores a value once; a second one, or one that did not parse, is an error.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), ParameterError> {
    match (place.is_none(), value) {
        (true, Some(value)) => {
            *place = Some(value);
            Ok(())
        }
        (true, None) | (false, _) => Err(ParameterError::Invalid),
    }
}

/// Splits ` KEYWORD=value KEYWORD` at its spaces. Spaces at the end are tolerated, as clients send them.
fn split(text: &str) -> Result<impl Iterator<Item = (&str, Option<&str>)>, ParameterError> {
    let text = text.trim_end_matches(' ');
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(ParameterError::Invalid);
    }
    let words = text.split(' ').filter(|word| !word.is_empty());
    Ok(words.map(|word| match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    }))
}

fn size(value: &str) -> Option<u64> {
    let is_number =
        (1..=20).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit());
    // Twenty digits may exceed 64 bits; such a message is too large whatever the limit.
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Option<BodyType> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(BodyType::SevenBit),
        "8BITMIME" => Some(BodyType::EightBitMime),
        // BINARYMIME is not offered: upstreams rarely take it, and a relay cannot convert it.
        _ => None,
    }
}

fn ret(value: &str) -> Option<DsnReturn> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" => Some(DsnReturn::Full),
        "HDRS" => Some(DsnReturn::Headers),
        _ => None,
    }
}

fn envelope_id(value: &str) -> Option<Box<str>> {
    (value.len() <= MAX_ENVELOPE_ID)
        .then(|| xtext::decode(value))
        .flatten()
}

fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for keyword in value.split(',') {
        let wish = match keyword.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return None,
        };
        *wish = true;
    }
    Some(notify)
}

fn original_recipient(value: &str) -> Option<OriginalRecipient> {
    if value.len() > MAX_ORIGINAL_RECIPIENT {
        return None;
    }
    let (address_type, address) = value.split_once(';')?;
    let is_atom = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    if address_type.is_empty() || address.is_empty() || !address_type.bytes().all(is_atom) {
        return None;
    }
    let address = if address_type.eq_ignore_ascii_case("utf-8") {
        xtext::decode_international(address)?
    } else {
        xtext::decode(address)?
    };
    Some(OriginalRecipient {
        address_type: address_type.into(),
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Result<MailParameters, ParameterError> {
        MailParameters::parse(text)
    }

    #[test]
    fn all_parameters_of_mail_are_read() {
        let parameters =
            mail(" size=5000 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=a+2Bb MT-PRIORITY=-9 AUTH=<> by=60;rt holdfor=5")
                .unwrap();
        assert_eq!(parameters.size, Some(5000));
        assert_eq!(parameters.body, Some(BodyType::EightBitMime));
        assert_eq!(parameters.smtputf8, Some(()));
        assert_eq!(parameters.ret, Some(DsnReturn::Headers));
        assert_eq!(parameters.envelope_id.as_deref(), Some("a+b"));
        assert_eq!(parameters.mt_priority, MtPriority::new(-9));
        assert_eq!(parameters.auth, Some(()));
        assert_eq!(parameters.by, By::parse("60;RT"));
        assert_eq!(parameters.hold, Hold::parse_for("5"));
    }

    #[test]
    fn a_size_beyond_64_bits_is_the_largest_size() {
        assert_eq!(
            mail(" SIZE=99999999999999999999").unwrap().size,
            Some(u64::MAX)
        );
    }

    #[test]
    fn values_outside_the_grammar_are_refused() {
        for text in [
            " SIZE",
            " SIZE=",
            " SIZE=-1",
            " SIZE=+1",
            " SIZE=1x",
            " SIZE=999999999999999999999",
            " SIZE=1 SIZE=2",
            " BODY=9BIT",
            " BODY=BINARYMIME",
            " SMTPUTF8=1",
            " RET=",
            " ENVID=a+0D+0Ab",
            " MT-PRIORITY=10",
            " MT-PRIORITY=+1",
            " MT-PRIORITY=--1",
            " BY",
            " BY=0;R",
            " BY=60;R BY=60;R",
            " HOLDFOR=0",
            " HOLDUNTIL=tomorrow",
            " HOLDFOR=60 HOLDUNTIL=2026-11-21T06:51:00Z",
            " HOLDUNTIL=2026-11-21T06:51:00Z HOLDFOR=60",
            "SIZE=1",
        ] {
            assert_eq!(mail(text), Err(ParameterError::Invalid), "{text}");
        }
        assert_eq!(mail(" X=1"), Err(ParameterError::Unknown));
    }

    #[test]
    fn notify_never_stands_alone() {
        let notify =
            |text| RcptParameters::parse(text).map(|parameters| parameters.notify.unwrap());
        assert_eq!(notify(" NOTIFY=NEVER"), Ok(Notify::NEVER));
        assert_eq!(
            notify(" NOTIFY=success,delay").unwrap().to_string(),
            "SUCCESS,DELAY"
        );
        assert_eq!(notify(" NOTIFY=NEVER,DELAY"), Err(ParameterError::Invalid));
        assert_eq!(notify(" NOTIFY="), Err(ParameterError::Invalid));
    }

    #[test]
    fn an_original_recipient_has_a_type_and_hides_no_line_break() {
        let original =
            |text| RcptParameters::parse(text).map(|parameters| parameters.original.unwrap());
        assert_eq!(
            &*original(" ORCPT=rfc822;a+2Bb@c").unwrap().address,
            "a+b@c"
        );
        assert!(original(" ORCPT=a@b").is_err());
        assert!(original(" ORCPT=rfc822;a+0Db").is_err());
        assert!(original(" ORCPT=;a").is_err());
    }

    #[test]
    fn an_original_recipient_is_international_where_its_type_says_so() {
        let original =
            |text| RcptParameters::parse(text).map(|parameters| parameters.original.unwrap());
        for sent in [" ORCPT=utf-8;żx@e.f", r" ORCPT=UTF-8;\x{17C}x@e.f"] {
            assert_eq!(&*original(sent).unwrap().address, r"\x{17C}x@e.f");
        }
        assert!(original(" ORCPT=rfc822;żx@e.f").is_err());
    }
}

//! The record of a key in DNS (RFC 6376 §3.6.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{Algorithm, Key};

/// The record that a key needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRecord(String);

/// The longest string of a TXT record, in octets (RFC 1035 §3.3).
const LONGEST_STRING: usize = 255;

impl KeyRecord {
    /// Returns the record of a key.
    pub fn of(key: &Key) -> Self {
        let kind = key.algorithm().key_type();
        Self(format!("v=DKIM1; k={kind}; p={}", key.public()))
    }

    /// Returns it in one piece, as web pages of providers take it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns it in strings of at most 255 octets, as zone files take it.
    pub fn strings(&self) -> Vec<&str> {
        let mut strings = Vec::new();
        let mut rest = self.0.as_str();
        while let Some((string, tail)) = rest.split_at_checked(rest.len().min(LONGEST_STRING))
            && !string.is_empty()
        {
            strings.push(string);
            rest = tail;
        }
        strings
    }
}

/// What DNS says of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The record has this key.
    Good,
    /// The record has this key and says that signatures are only tried out: failures count for nothing.
    Testing,
    /// There is a record, and it has another key.
    AnotherKey,
    /// The record says that keys there are of another kind.
    AnotherKind,
    /// There is a record that allows other hashes than SHA-256 only.
    AnotherHash,
    /// There is a record, and it is not one for mail.
    AnotherService,
    /// There is no record.
    Missing,
    /// There is something that is not a key.
    NotAKey,
    /// The record has no key: it has been revoked.
    Revoked,
    /// There are several records: which one counts is open (RFC 6376 §3.6.2.2).
    Several,
}

impl Finding {
    /// Returns whether signatures made with the key are found good.
    pub const fn is_good(self) -> bool {
        match self {
            Self::Good | Self::Testing => true,
            Self::AnotherHash
            | Self::AnotherKey
            | Self::AnotherKind
            | Self::AnotherService
            | Self::Missing
            | Self::NotAKey
            | Self::Revoked
            | Self::Several => false,
        }
    }

    /// Returns its name for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Testing => "testing",
            Self::AnotherKey => "another-key",
            Self::AnotherKind => "another-kind",
            Self::AnotherHash => "another-hash",
            Self::AnotherService => "another-service",
            Self::Missing => "missing",
            Self::NotAKey => "not-a-key",
            Self::Revoked => "revoked",
            Self::Several => "several",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "the record is there and has this key",
            Self::Testing => {
                "the record has this key, but says t=y: receivers ignore signatures that fail"
            }
            Self::AnotherKey => "the record has another key: signatures will fail",
            Self::AnotherKind => {
                "the record is for keys of another kind (k=): signatures will fail"
            }
            Self::AnotherHash => "the record does not allow SHA-256 (h=): signatures will fail",
            Self::AnotherService => "the record is not for mail (s=): signatures will fail",
            Self::Missing => "there is no record",
            Self::NotAKey => "what stands there is no DKIM key: it is malformed",
            Self::Revoked => "the record has no key (p=): it says that the key is revoked",
            Self::Several => "there are several records; which of them counts is left to chance",
        })
    }
}

/// Compares the TXT records at the name of a key with the key. The strings of a record have been joined.
pub fn judge(records: &[Box<str>], key: &Key) -> Finding {
    match records {
        [] => Finding::Missing,
        [only] => judge_one(only, key),
        [_, _, ..] => Finding::Several,
    }
}

fn judge_one(record: &str, key: &Key) -> Finding {
    let Some(tags) = tags(record) else {
        return Finding::NotAKey;
    };
    let tag = |name: &str| {
        let mut found = tags.iter().filter(|(tag, _)| *tag == name);
        found.next().map(|(_, value)| *value)
    };
    if tag("v").is_some_and(|version| version != "DKIM1") {
        return Finding::NotAKey;
    }
    let Some(public) = tag("p") else {
        return Finding::NotAKey;
    };
    let list = |name: &str, wanted: &[&str]| {
        tag(name).is_none_or(|value| value.split(':').any(|item| wanted.contains(&item.trim())))
    };
    let public: String = public.split_ascii_whitespace().collect();
    if public.is_empty() {
        return Finding::Revoked;
    }
    if tag("k").unwrap_or(Algorithm::Rsa.key_type()) != key.algorithm().key_type() {
        return Finding::AnotherKind;
    }
    match STANDARD.decode(&public) {
        Err(_) => Finding::NotAKey,
        Ok(octets) if !key.is_public(&octets) => Finding::AnotherKey,
        Ok(_) if !list("h", &["sha256"]) => Finding::AnotherHash,
        Ok(_) if !list("s", &["*", "email"]) => Finding::AnotherService,
        Ok(_) if tag("t").is_some() && list("t", &["y"]) => Finding::Testing,
        Ok(_) => Finding::Good,
    }
}

/// Reads a tag list (RFC 6376 §3.2); `None` where it is malformed, as with a tag that is there twice.
pub(super) fn tags(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    let text = text.trim_ascii_end();
    for tag in text.strip_suffix(';').unwrap_or(text).split(';') {
        let (name, value) = tag.split_once('=')?;
        let name = name.trim_ascii();
        if name.is_empty() || tags.iter().any(|(known, _)| *known == name) {
            return None;
        }
        tags.push((name, value.trim_ascii()));
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_good_in_its_own_record() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Rsa] {
            let key = Key::generate(algorithm).unwrap();
            let record = KeyRecord::of(&key);
            assert_eq!(judge(&[record.as_str().into()], &key), Finding::Good);
            assert_eq!(record.strings().concat(), record.as_str());
            assert!(record.strings().iter().all(|string| string.len() <= 255));
        }
    }

    #[test]
    fn what_is_wrong_with_a_record_is_told() {
        let (key, other) = (
            Key::generate(Algorithm::Ed25519).unwrap(),
            Key::generate(Algorithm::Ed25519).unwrap(),
        );
        let (own, another) = (key.public(), other.public());
        for (records, finding) in [
            (vec![], Finding::Missing),
            (vec![format!("k=ed25519;p={own};")], Finding::Good),
            (
                vec![format!(
                    " v = DKIM1 ; k=ed25519; t=s:x; s=email; h=sha1:sha256; p= {own}"
                )],
                Finding::Good,
            ),
            (
                vec![format!("v=DKIM1; k=ed25519; t=s:y; p={own}")],
                Finding::Testing,
            ),
            (
                vec![format!("v=DKIM1; k=ed25519; p={another}")],
                Finding::AnotherKey,
            ),
            (vec![format!("v=DKIM1; p={own}")], Finding::AnotherKind),
            (
                vec![format!("v=DKIM1; k=ed25519; h=sha1; p={own}")],
                Finding::AnotherHash,
            ),
            (
                vec![format!("v=DKIM1; k=ed25519; s=tlsrpt; p={own}")],
                Finding::AnotherService,
            ),
            (vec!["v=DKIM1; k=ed25519; p=".to_owned()], Finding::Revoked),
            (vec!["v=DKIM1; k=ed25519".to_owned()], Finding::NotAKey),
            (
                vec![format!("v=DKIM2; k=ed25519; p={own}")],
                Finding::NotAKey,
            ),
            (
                vec![format!("k=ed25519; p={own}; p={own}")],
                Finding::NotAKey,
            ),
            (vec!["v=DKIM1; k=ed25519; p=!".to_owned()], Finding::NotAKey),
            (
                vec!["v=spf1 -all".to_owned(), format!("k=ed25519; p={own}")],
                Finding::Several,
            ),
            (vec!["some text".to_owned()], Finding::NotAKey),
        ] {
            let records: Vec<Box<str>> = records.into_iter().map(Into::into).collect();
            assert_eq!(judge(&records, &key), finding, "{records:?}");
        }
    }

    #[test]
    fn an_rsa_key_without_its_wrapping_is_known_too() {
        let key = Key::generate(Algorithm::Rsa).unwrap();
        // RFC 6376 says RSAPublicKey, everybody writes SubjectPublicKeyInfo: the former stands inside the latter.
        let wrapped = STANDARD.decode(key.public()).unwrap();
        let bare = STANDARD.encode(&wrapped[24..]);
        assert_eq!(judge(&[format!("p={bare}").into()], &key), Finding::Good);
    }
}

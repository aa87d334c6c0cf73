//! Which fields of a header are signed (RFC 6376 §5.4).

use crate::mail::{Field, Header};

/// Whether a field's name is signed once more than it is there, so that one added later breaks the signature
/// (RFC 6376 §8.15).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sealed {
    /// Also where there is none.
    Always,
    /// Not: servers on the way add such fields.
    Never,
    /// Where there is one: a second is never right.
    WherePresent,
}

/// The names, as they are written in `h=`. What servers on the way write themselves is not among them.
const SIGNED: &[(&str, Sealed)] = &[
    ("From", Sealed::Always),
    ("To", Sealed::Always),
    ("Cc", Sealed::Always),
    ("Reply-To", Sealed::Always),
    ("Subject", Sealed::Always),
    ("Date", Sealed::Always),
    ("Sender", Sealed::WherePresent),
    ("Message-ID", Sealed::WherePresent),
    ("In-Reply-To", Sealed::WherePresent),
    ("References", Sealed::WherePresent),
    ("MIME-Version", Sealed::WherePresent),
    ("Content-Type", Sealed::WherePresent),
    ("Content-Transfer-Encoding", Sealed::WherePresent),
    ("Content-Disposition", Sealed::WherePresent),
    ("Content-ID", Sealed::WherePresent),
    ("Content-Description", Sealed::WherePresent),
    ("Auto-Submitted", Sealed::Never),
    ("Resent-From", Sealed::Never),
    ("Resent-Sender", Sealed::Never),
    ("Resent-To", Sealed::Never),
    ("Resent-Cc", Sealed::Never),
    ("Resent-Date", Sealed::Never),
    ("Resent-Message-ID", Sealed::Never),
    ("List-Id", Sealed::Never),
    ("List-Help", Sealed::Never),
    ("List-Unsubscribe", Sealed::WherePresent),
    ("List-Unsubscribe-Post", Sealed::WherePresent),
    ("List-Subscribe", Sealed::Never),
    ("List-Post", Sealed::Never),
    ("List-Owner", Sealed::Never),
    ("List-Archive", Sealed::Never),
];

/// The most fields of one name that are signed; a header with more of them is not from a mail program.
const MOST_OF_A_NAME: usize = 20;

/// Returns what is signed: each name as often as it stands in `h=`, with the field it means, or none where it seals.
/// Several fields of a name are taken from the last to the first (RFC 6376 §5.4.2).
pub(super) fn signed<'a>(header: &Header<'a>) -> Vec<(&'static str, Option<Field<'a>>)> {
    let mut signed = Vec::new();
    for (name, sealed) in SIGNED {
        let fields = header.fields().iter().rev();
        let found = fields.filter(|field| field.is_named(name));
        let before = signed.len();
        signed.extend(
            found
                .take(MOST_OF_A_NAME)
                .map(|field| (*name, Some(*field))),
        );
        let is_sealed = match sealed {
            Sealed::Always => true,
            Sealed::Never => false,
            Sealed::WherePresent => signed.len() > before,
        };
        if is_sealed {
            signed.push((*name, None));
        }
    }
    signed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &str) -> Vec<(&'static str, Option<String>)> {
        let header = header.replace('\n', "\r\n");
        let header = Header::parse(header.as_bytes()).unwrap();
        let value = |field: Field<'_>| String::from_utf8(field.value().to_vec()).unwrap();
        signed(&header)
            .into_iter()
            .map(|(name, field)| (name, field.map(value)))
            .collect()
    }

    #[test]
    fn what_people_see_is_sealed_even_where_it_is_missing() {
        let names: Vec<_> = names("From: a@b\nReceived: x\nX-Mailer: y\n")
            .into_iter()
            .collect();
        let from = ("From", Some(" a@b".to_owned()));
        let sealed = ["From", "To", "Cc", "Reply-To", "Subject", "Date"].map(|name| (name, None));
        assert_eq!(names, [&[from][..], &sealed].concat());
    }

    #[test]
    fn several_fields_of_a_name_are_taken_from_below() {
        let names = names("List-Id: 1\nTo: 1\nTo: 2\nList-Id: 2\n");
        let of = |wanted: &str| -> Vec<_> {
            let of = names.iter().filter(|(name, _)| *name == wanted);
            of.map(|(_, value)| value.as_deref()).collect()
        };
        assert_eq!(of("To"), [Some(" 2"), Some(" 1"), None]);
        assert_eq!(of("List-Id"), [Some(" 2"), Some(" 1")]);
    }

    #[test]
    fn a_signed_name_that_is_there_is_sealed_unless_servers_add_it() {
        let names = names("Content-Type: text/plain\nResent-From: a@b\nList-Unsubscribe: <x>\n");
        let count = |wanted| names.iter().filter(|(name, _)| *name == wanted).count();
        assert_eq!(
            (
                count("Content-Type"),
                count("Resent-From"),
                count("List-Unsubscribe")
            ),
            (2, 1, 2)
        );
    }
}

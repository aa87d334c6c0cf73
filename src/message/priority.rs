//! The priority that the fields of a message ask for.

use mail_parser::parsers::MessageStream;

use crate::mail::{Field, Header, MtPriority, Priority};

/// The field of RFC 6758, which servers write for servers.
pub(super) const MT_PRIORITY: &str = "MT-Priority";

/// The fields that carry a priority for people and their programs.
pub(super) const FIELDS: [&str; 4] = ["X-Priority", "Priority", "Importance", "X-MSMail-Priority"];

/// Returns the priority of a message's own fields, and the name of the field that decided.
///
/// The first of these that has a valid value decides: `MT-Priority` (RFC 6758), `X-Priority`, the higher of `Priority`
/// (RFC 2156) and `Importance`, `X-MSMail-Priority`. Of a field that stands several times the highest valid value
/// counts; values out of range and words that are not known count as absent.
pub(super) fn of_header(header: &Header<'_>) -> Option<(Priority, &'static str)> {
    let highest = |name: &'static str, read: fn(&str) -> Option<Priority>| {
        let values = header.find(name).map(text);
        let priority = values.filter_map(|value| read(&value)).min();
        priority.map(|priority| (priority, name))
    };
    mt_of_header(header)
        .map(|asked| (asked.priority(), MT_PRIORITY))
        .or_else(|| highest("X-Priority", x_priority))
        .or_else(|| {
            let (first, second) = (
                highest("Priority", urgency),
                highest("Importance", importance),
            );
            let both = first.into_iter().chain(second);
            both.min_by_key(|(priority, _)| *priority)
        })
        .or_else(|| highest("X-MSMail-Priority", importance))
}

/// Returns the highest valid value of the fields `MT-Priority:` (RFC 6758).
pub(super) fn mt_of_header(header: &Header<'_>) -> Option<MtPriority> {
    header
        .find(MT_PRIORITY)
        .filter_map(mt_of_field)
        .max_by_key(|priority| priority.value())
}

/// Returns the value of one field `MT-Priority:`, if it has a valid one.
pub(super) fn mt_of_field(field: &Field<'_>) -> Option<MtPriority> {
    MtPriority::parse(&text(field))
}

/// Returns a value without the white space around it, in lower case.
fn text(field: &Field<'_>) -> String {
    let value = field.value().get(..MAX_VALUE).unwrap_or(field.value());
    let value = MessageStream::new(value).parse_raw();
    value.as_text().unwrap_or_default().to_ascii_lowercase()
}

/// Reads `1` to `5`, alone or with a word behind it as in `1 (Highest)`.
fn x_priority(value: &str) -> Option<Priority> {
    let end = value.find([' ', '\t', '(']).unwrap_or(value.len());
    let number = value.get(..end)?;
    let is_digit = number.len() == 1;
    is_digit
        .then(|| number.parse().ok().and_then(Priority::from_number))
        .flatten()
}

fn urgency(value: &str) -> Option<Priority> {
    match value {
        "urgent" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        "non-urgent" => Some(Priority::Low),
        _ => None,
    }
}

fn importance(value: &str) -> Option<Priority> {
    match value {
        "high" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        "low" => Some(Priority::Low),
        _ => None,
    }
}

/// Returns what `Importance:` says of a priority.
pub(super) fn importance_word(priority: Priority) -> &'static str {
    match priority {
        Priority::VeryHigh | Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low | Priority::VeryLow => "low",
    }
}

/// Returns what `X-Priority:` says of a priority.
pub(super) fn x_priority_text(priority: Priority) -> &'static str {
    match priority {
        Priority::VeryHigh => "1 (Highest)",
        Priority::High => "2 (High)",
        Priority::Normal => "3 (Normal)",
        Priority::Low => "4 (Low)",
        Priority::VeryLow => "5 (Lowest)",
    }
}

/// How many octets of a value are read.
const MAX_VALUE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(fields: &str) -> Option<u8> {
        let block = fields.replace('|', "\r\n") + "\r\n";
        let decided = of_header(&Header::parse(block.as_bytes()).unwrap());
        decided.map(|(priority, _)| priority.number())
    }

    #[test]
    fn each_field_is_read_in_the_forms_that_clients_write() {
        for (fields, expected) in [
            ("X-Priority: 1 (Highest)", 1),
            ("X-Priority: 1", 1),
            ("x-priority:2(High)", 2),
            ("X-Priority:\r\n 5\t(Lowest)", 5),
            ("Importance: High", 2),
            ("Importance: low", 4),
            ("Priority: urgent", 2),
            ("Priority: Normal", 3),
            ("Priority: non-urgent", 4),
            ("X-MSMail-Priority: High", 2),
            ("MT-Priority: 9", 1),
            ("MT-Priority: -6", 5),
            ("MT-Priority: 1|MT-Priority: 6|MT-Priority: 10", 1),
        ] {
            assert_eq!(priority(fields), Some(expected), "{fields}");
        }
    }

    #[test]
    fn earlier_kinds_of_field_come_first() {
        assert_eq!(priority("X-MSMail-Priority: low|Importance: high"), Some(2));
        assert_eq!(priority("Importance: high|X-Priority: 5"), Some(5));
        assert_eq!(priority("X-Priority: 1|MT-Priority: -3"), Some(4));
        assert_eq!(priority("Priority: non-urgent|Importance: high"), Some(2));
    }

    #[test]
    fn the_field_that_decides_is_told() {
        let block = b"X-MSMail-Priority: low\r\nImportance: high\r\n";
        let decided = of_header(&Header::parse(block).unwrap());
        assert_eq!(decided, Some((Priority::High, "Importance")));
    }

    #[test]
    fn values_out_of_range_count_as_absent() {
        for value in [
            "-1", "0", "6", "99999", "NaN", "", "1.5", "1x", "+1", "٣", "01", "1,1", "highest",
        ] {
            assert_eq!(priority(&format!("X-Priority: {value}")), None, "{value}");
        }
        for fields in [
            "MT-Priority: 10",
            "MT-Priority: 300",
            "Importance: very",
            "Priority: 1",
        ] {
            assert_eq!(priority(fields), None, "{fields}");
        }
        assert_eq!(priority("X-Priority: 99|Importance: low"), Some(4));
    }

    #[test]
    fn the_highest_of_several_counts() {
        assert_eq!(
            priority("X-Priority: 4|X-Priority: x|X-Priority: 2|X-Priority: 3"),
            Some(2)
        );
        assert_eq!(priority("Subject: x"), None);
    }
}

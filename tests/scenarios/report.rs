//! Delivery status notifications, read as RFC 3464 and RFC 6522 describe them.

use mail_parser::{MessageParser, MimeHeaders as _, PartType};

/// A report as its reader understands it.
pub(crate) struct Report {
    /// Whether its reader must know international addresses (RFC 6533).
    pub(crate) is_global: bool,
    /// The subject.
    pub(crate) subject: String,
    /// What people read.
    pub(crate) text: String,
    /// The fields about the message.
    message: Vec<(String, String)>,
    /// The fields about each recipient.
    pub(crate) recipients: Vec<Vec<(String, String)>>,
    /// The message, or its header, that the report is about.
    pub(crate) returned: String,
}

impl Report {
    /// Reads a report.
    ///
    /// # Panics
    ///
    /// It is none: not a multipart/report of type delivery-status with its three parts.
    #[track_caller]
    pub(crate) fn parse(octets: &[u8]) -> Self {
        let message = MessageParser::default()
            .parse(octets)
            .expect("the report is a message");
        let kind = message.content_type().expect("it has a content type");
        assert_eq!(
            (kind.ctype(), kind.subtype()),
            ("multipart", Some("report"))
        );
        assert_eq!(kind.attribute("report-type"), Some("delivery-status"));
        assert_eq!(
            message.header_raw("Auto-Submitted").map(str::trim),
            Some("auto-replied")
        );
        let PartType::Multipart(parts) = &message.parts[0].body else {
            panic!("the report has no parts");
        };
        let [text, status, returned] = parts[..] else {
            panic!("the report has {} parts", parts.len());
        };
        let raw = |part: u32| {
            let part = &message.parts[usize::try_from(part).unwrap()];
            let octets = &octets[usize::try_from(part.raw_body_offset()).unwrap()
                ..usize::try_from(part.raw_end_offset()).unwrap()];
            let kind = part.content_type().expect("each part has a content type");
            let name = format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default());
            (name, String::from_utf8_lossy(octets).into_owned())
        };
        let (name, status) = raw(status);
        let is_global = name == "message/global-delivery-status";
        assert!(is_global || name == "message/delivery-status", "{name}");
        let mut groups = status.trim().split("\r\n\r\n").map(fields);
        Self {
            is_global,
            subject: message.subject().unwrap_or_default().to_owned(),
            text: raw(text).1.replace("\r\n    ", " "),
            message: groups.next().expect("the report tells of its message"),
            recipients: groups.collect(),
            returned: raw(returned).1,
        }
    }

    /// Returns a field about the message.
    #[track_caller]
    pub(crate) fn of_message(&self, name: &str) -> &str {
        find(&self.message, name)
    }

    /// Returns a field about the first recipient.
    #[track_caller]
    pub(crate) fn of_recipient(&self, name: &str) -> &str {
        find(&self.recipients[0], name)
    }
}

#[track_caller]
fn find<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let found = fields.iter().find(|(known, _)| known == name);
    found.map_or_else(|| panic!("no {name} in {fields:?}"), |(_, value)| value)
}

fn fields(group: &str) -> Vec<(String, String)> {
    let unfolded = group.replace("\r\n ", " ").replace("\r\n\t", " ");
    let field = |line: &str| {
        let (name, value) = line.split_once(':').expect("a field has a colon");
        (name.to_owned(), value.trim().to_owned())
    };
    unfolded.split("\r\n").map(field).collect()
}

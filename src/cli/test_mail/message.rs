//! The message that is sent as a test.

use bytes::Bytes;

use crate::body::{Body, InMemory};
use crate::clock::Timestamp;
use crate::mail::{Date, Domain, Envelope, ForwardPath, QueueId, Recipient, ReversePath};

use crate::cli::failure::{Code, Failure};

use super::command::Addresses;

/// A test message and its envelope.
pub(super) struct TestMessage {
    pub(super) envelope: Envelope,
    octets: Bytes,
}

impl TestMessage {
    pub(super) fn new(
        Addresses { from, to }: &Addresses,
        hostname: &Domain,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let path = format!("<{to}>");
        let (path, _) =
            ForwardPath::take(&path, hostname).map_err(|error| Failure::of(Code::Usage, &error))?;
        let host = hostname.as_ascii();
        let id = QueueId::first_at(now);
        let octets = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: Test of posthouse\r\nDate: {date}\r\n\
             Message-ID: <test.{id}@{host}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n\
             This is a test message. It was sent by posthouse test-mail on {host}.\r\n",
            date = Date::from(now),
        );
        Ok(Self {
            envelope: Envelope {
                smtputf8: !(from.is_ascii() && to.is_ascii()),
                recipients: vec![Recipient::new(path)],
                ..Envelope::new(ReversePath::Mailbox(from.clone()))
            },
            octets: octets.into(),
        })
    }

    /// Returns header and body.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }

    pub(super) fn body(&self) -> Box<dyn Body> {
        Box::new(InMemory::new(self.octets.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Header, Mailbox};

    #[test]
    fn the_message_has_a_header_that_parses() {
        let (from, to) = ("a@example.com", "b@example.net");
        let (from, to) = (Mailbox::parse(from).unwrap(), Mailbox::parse(to).unwrap());
        let host = Domain::parse("relay.example.com").unwrap();
        let addresses = Addresses { from, to };
        let message = TestMessage::new(&addresses, &host, Timestamp::default()).unwrap();
        let end = memchr::memmem::find(&message.octets, b"\r\n\r\n").unwrap() + 2;
        let header = Header::parse(&message.octets[..end]).unwrap();
        for name in ["From", "To", "Subject", "Date", "Message-ID"] {
            assert_eq!(header.find(name).count(), 1, "{name}");
        }
    }
}

//! What a client says about a message before it sends it (RFC 5321 §2.3.1), with the parameters of the extensions.

use std::fmt;

use super::address::{ForwardPath, ReversePath};
use super::deliver_by::DeliverBy;
use super::hold::Hold;
use super::priority::MtPriority;

/// The envelope of a message: reverse-path, parameters, recipients.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// BODY= (RFC 6152, RFC 3030); 8BITMIME also where the client did not say it and the message shows it.
    pub body: BodyType,
    /// How long the message's lines are.
    pub lines: Lines,
    /// SMTPUTF8 (RFC 6531): addresses or header may hold UTF-8.
    pub smtputf8: bool,
    /// RET= (RFC 3461 §4.3), if given.
    pub ret: Option<DsnReturn>,
    /// ENVID= (RFC 3461 §4.4), decoded from xtext, if given.
    pub envelope_id: Option<Box<str>>,
    /// HOLDFOR= or HOLDUNTIL= (RFC 4865), if given; reports repeat it.
    pub hold: Option<Hold>,
    /// BY= (RFC 2852), if given.
    pub deliver_by: Option<DeliverBy>,
    /// The MT-PRIORITY (RFC 6710) that the next server is told, where MAIL or the header asked for one.
    pub mt_priority: Option<MtPriority>,
    /// What the sender asks of TLS on the way (RFC 8689).
    pub tls: TlsRequest,
    /// The recipients in the order of RCPT.
    pub recipients: Vec<Recipient>,
}

impl Envelope {
    /// Returns whether a report of a failure returns the whole message. With REQUIRETLS, RET=FULL is disregarded
    /// (RFC 8689 §5).
    pub fn wants_whole_message(&self) -> bool {
        self.ret == Some(DsnReturn::Full) && self.tls != TlsRequest::Required
    }

    /// Makes an envelope without parameters and, as yet, without recipients.
    pub fn new(reverse_path: ReversePath) -> Self {
        Self {
            reverse_path,
            body: BodyType::SevenBit,
            lines: Lines::Unknown,
            smtputf8: false,
            ret: None,
            envelope_id: None,
            hold: None,
            deliver_by: None,
            mt_priority: None,
            tls: TlsRequest::Unsaid,
            recipients: Vec::new(),
        }
    }
}

/// What a sender asks of TLS on the way to the recipients (RFC 8689).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TlsRequest {
    /// The field `TLS-Required: No`: rather without the TLS that the recipients' domain asks for than not at all. What
    /// this relay's own configuration asks for is not waived.
    Optional,
    /// The parameter REQUIRETLS: over TLS with a server that proves who it is and passes the same on, or not at all.
    Required,
    /// Nothing: as the upstream's settings say.
    #[default]
    Unsaid,
}

/// One recipient with its parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// The address.
    pub forward_path: ForwardPath,
    /// NOTIFY= (RFC 3461 §4.1), if given.
    pub notify: Option<Notify>,
    /// ORCPT= (RFC 3461 §4.2), if given.
    pub original: Option<OriginalRecipient>,
}

impl Recipient {
    /// Makes a recipient without parameters.
    pub fn new(forward_path: ForwardPath) -> Self {
        Self {
            forward_path,
            notify: None,
            original: None,
        }
    }

    /// Returns whether the sender wants to hear of a failure; silence means yes (RFC 3461 §4.1).
    pub fn wants_failure_report(&self) -> bool {
        self.notify.is_none_or(|notify| notify.failure)
    }

    /// Returns whether the sender wants to hear of a delay; silence means yes (RFC 3461 §4.1).
    pub fn wants_delay_report(&self) -> bool {
        self.notify.is_none_or(|notify| notify.delay)
    }

    /// Returns whether the sender wants to hear that all went well; silence means no (RFC 3461 §4.1).
    pub fn wants_success_report(&self) -> bool {
        self.notify.is_some_and(|notify| notify.success)
    }

    /// Returns whether the sender wants to hear nothing at all: NOTIFY=NEVER.
    pub fn wants_silence(&self) -> bool {
        self.notify == Some(Notify::NEVER)
    }
}

/// How the octets of a message may look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyType {
    /// Not said, or BODY=7BIT.
    #[default]
    SevenBit,
    /// BODY=8BITMIME (RFC 6152).
    EightBitMime,
    /// BODY=BINARYMIME (RFC 3030).
    BinaryMime,
}

/// What is known of a message's lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lines {
    /// Some have more than 998 octets (RFC 5322 §2.1.1).
    Long,
    /// All have at most 998 octets.
    Short,
    /// Nothing: nobody has looked.
    #[default]
    Unknown,
}

/// How much of a message a failure report returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DsnReturn {
    /// RET=FULL.
    Full,
    /// RET=HDRS.
    Headers,
}

/// When the sender wants to hear of a recipient. All three false is NOTIFY=NEVER.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "three independent wishes, as RFC 3461 §4.1 lists them"
)]
pub struct Notify {
    /// NOTIFY=SUCCESS.
    pub success: bool,
    /// NOTIFY=FAILURE.
    pub failure: bool,
    /// NOTIFY=DELAY.
    pub delay: bool,
}

impl Notify {
    /// NOTIFY=NEVER.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };
}

impl fmt::Display for Notify {
    /// Writes the value as it stands behind `NOTIFY=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (is_wanted, keyword) in [
            (self.success, "SUCCESS"),
            (self.failure, "FAILURE"),
            (self.delay, "DELAY"),
        ] {
            if is_wanted {
                write!(f, "{separator}{keyword}")?;
                separator = ",";
            }
        }
        if separator.is_empty() {
            f.write_str("NEVER")
        } else {
            Ok(())
        }
    }
}

/// The address a message was first sent to: type and text, decoded from xtext.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginalRecipient {
    /// The address type, such as `rfc822`.
    pub address_type: Box<str>,
    /// The address.
    pub address: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_prints_as_it_is_written_in_rcpt() {
        assert_eq!(Notify::NEVER.to_string(), "NEVER");
        let notify = Notify {
            success: true,
            failure: false,
            delay: true,
        };
        assert_eq!(notify.to_string(), "SUCCESS,DELAY");
    }
}

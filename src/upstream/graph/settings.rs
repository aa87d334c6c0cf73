//! What a Graph upstream is told.

use std::time::Duration;

use url::Url;

use crate::identity::UpstreamName;
use crate::mail::Mailbox;

/// Settings of a Graph upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The configured name.
    pub name: UpstreamName,
    /// The address of Graph: scheme, host, port.
    pub endpoint: Url,
    /// The mailbox that sends everything; `None` for the mailbox of each message's sender.
    pub mailbox: Option<Mailbox>,
    /// What Graph takes in one request, in octets of the message before base64.
    pub message_size: u64,
    /// What becomes of addresses in `To:` and `Cc:` that are no recipients.
    pub foreign: Foreign,
    /// Requests at once, to all mailboxes together.
    pub connections: usize,
    /// Recipients of one request; a message with more takes several.
    pub recipients_per_message: usize,
    /// For a request: connection, upload and answer.
    pub timeout: Duration,
}

/// What becomes of a message whose `To:` or `Cc:` names somebody who is not to get it from here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Foreign {
    /// The address leaves `To:` and `Cc:`; what they were stands in `X-Header-To:` and `X-Header-Cc:`.
    #[default]
    Rewrite,
    /// The message goes by SMTP, as it is.
    Smtp,
}

/// Requests at once to one mailbox. Graph refuses the fifth (`ApplicationThrottled`).
pub const PER_MAILBOX: usize = 4;

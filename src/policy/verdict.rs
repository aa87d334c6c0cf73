//! What came of judging the senders of a message.

use std::fmt;

use crate::mail::Mailbox;

use super::rules::Grant;

/// Whether a message's senders are authorized.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// They are.
    Allow(Reason),
    /// At least one is not.
    Deny(Denial),
}

/// Why senders are authorized.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The account may send as anyone.
    Anyone,
    /// Each is granted, as these say.
    Granted(Vec<Decision>),
    /// The reverse-path is null, and nothing else was to be judged yet.
    NullReversePath,
}

impl Reason {
    /// Returns it in words, one text for each address that was judged, at most so many.
    pub fn describe(&self, at_most: usize) -> Vec<String> {
        match self {
            Self::Anyone => vec!["the account may send as anyone".to_owned()],
            Self::Granted(decisions) => decisions
                .iter()
                .take(at_most)
                .map(|decision| {
                    let (place, sender, grant) =
                        (decision.place, &decision.sender, &decision.grant);
                    format!("{place} {sender}: granted by {grant}")
                })
                .collect(),
            Self::NullReversePath => vec!["the reverse-path is null".to_owned()],
        }
    }
}

/// One address and the grant that covers it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Where the address stood.
    pub place: Place,
    /// The address.
    pub sender: Mailbox,
    /// The first grant that covers it.
    pub grant: Grant,
}

/// Where a sender is named.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Place {
    /// The argument of MAIL.
    ReversePath,
    /// `From:`.
    From,
    /// `Sender:`.
    Sender,
    /// `Resent-From:`.
    ResentFrom,
    /// `Resent-Sender:`.
    ResentSender,
    /// A name or comment in one of these fields.
    Name,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReversePath => "MAIL FROM",
            Self::From => "From",
            Self::Sender => "Sender",
            Self::ResentFrom => "Resent-From",
            Self::ResentSender => "Resent-Sender",
            Self::Name => "the name of a sender",
        })
    }
}

/// Which sender is not authorized, and what the account may use instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    place: Place,
    sender: Option<Mailbox>,
    granted: Vec<Grant>,
    more: usize,
}

impl Denial {
    pub(super) fn new(place: Place, sender: Option<&Mailbox>, grants: &[Grant]) -> Self {
        let granted: Vec<Grant> = grants.iter().take(GRANTS_SHOWN).cloned().collect();
        Self {
            place,
            sender: sender.cloned(),
            more: grants.len() - granted.len(),
            granted,
        }
    }

    /// Returns where the sender is named.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns the sender, or `None` where the place names nobody.
    pub fn sender(&self) -> Option<&Mailbox> {
        self.sender.as_ref()
    }
}

impl fmt::Display for Denial {
    /// Writes for the person who reads the client's error: which sender, where, and what is allowed instead.
    ///
    /// Printable ASCII where the local parts are; domains are A-labels, names of any kind are cut at 100 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sender {
            Some(sender) => write!(f, "{} in {} is not allowed", Short(sender), self.place)?,
            None => write!(f, "{} names no sender", self.place)?,
        }
        if self.granted.is_empty() {
            return f.write_str("; this account may not send as anyone");
        }
        f.write_str("; this account may send as ")?;
        for (index, grant) in self.granted.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{grant}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Grant {
    /// Writes the entry as an operator lists it, with domains as A-labels: `example.com`, `*.example.com`, an address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{:.100}", domain.as_ascii()),
            Self::Subdomains(domain) => write!(f, "*.{:.100}", domain.as_ascii()),
            Self::Mailbox(mailbox) => write!(f, "{}", Short(mailbox)),
        }
    }
}

/// A mailbox for a reply line: its domain as A-labels, and no longer than 100 characters.
struct Short<'a>(&'a Mailbox);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}@{}", self.0.local_part(), self.0.domain().as_ascii());
        write!(f, "{text:.100}")
    }
}

/// How many grants a denial lists. A reply line holds 512 octets.
const GRANTS_SHOWN: usize = 5;

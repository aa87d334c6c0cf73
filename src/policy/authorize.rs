//! The decision whether an account may send as the senders that a message claims.

use crate::mail::{Mailbox, ReversePath};

use super::rules::{Detail, Grant, Grants, Rules, Scope};
use super::verdict::{Decision, Denial, Place, Reason, Verdict};

/// All senders that a message claims.
#[derive(Clone, Copy, Debug)]
pub struct SenderClaim<'a> {
    /// The argument of MAIL.
    pub reverse_path: &'a ReversePath,
    /// Every mailbox of `From:`.
    pub from: &'a [Mailbox],
    /// The mailbox of `Sender:`, if the field is there.
    pub sender: Option<&'a Mailbox>,
    /// Every mailbox of every `Resent-From:`.
    pub resent_from: &'a [Mailbox],
    /// The mailbox of every `Resent-Sender:`.
    pub resent_sender: &'a [Mailbox],
    /// Other addresses that names and comments in these fields show. Leave it empty where only true senders count.
    pub shown: &'a [Mailbox],
}

impl<'a> SenderClaim<'a> {
    fn of_header(&self) -> impl Iterator<Item = (Place, &'a Mailbox)> {
        let at = |place| move |mailbox| (place, mailbox);
        let from = self.from.iter().map(at(Place::From));
        from.chain(self.sender.into_iter().map(at(Place::Sender)))
            .chain(self.resent_from.iter().map(at(Place::ResentFrom)))
            .chain(self.resent_sender.iter().map(at(Place::ResentSender)))
            .chain(self.shown.iter().map(at(Place::Name)))
    }
}

/// Judges all senders that a message claims; to be asked at the end of its data.
///
/// With [`Scope::EnvelopeAndHeader`] every address must be granted, and there must be one in `From:`; the null
/// reverse-path is then allowed since the header passes. With [`Scope::Envelope`] the header is not looked at.
///
/// The first address without a grant is named in the denial, in the order reverse-path, `From:`, `Sender:`,
/// `Resent-From:`, `Resent-Sender:`, names.
pub fn authorize(rules: &Rules, claim: &SenderClaim<'_>) -> Verdict {
    let header = match rules.scope {
        Scope::Envelope => return authorize_reverse_path(rules, claim.reverse_path),
        Scope::EnvelopeAndHeader => claim.of_header(),
    };
    let grants = match &rules.grants {
        Grants::Anyone => return Verdict::Allow(Reason::Anyone),
        Grants::Only(grants) => grants,
    };
    if claim.from.is_empty() {
        return Verdict::Deny(Denial::new(Place::From, None, grants));
    }
    let envelope = claim.reverse_path.mailbox();
    let claimed = envelope.map(|mailbox| (Place::ReversePath, mailbox));
    judge(grants, rules.detail, claimed.into_iter().chain(header))
}

/// Judges the reverse-path alone; to be asked at MAIL.
///
/// The null reverse-path is allowed here: where the scope includes the header, [`authorize`] judges that later.
pub fn authorize_reverse_path(rules: &Rules, reverse_path: &ReversePath) -> Verdict {
    match (&rules.grants, reverse_path) {
        (Grants::Anyone, _) => Verdict::Allow(Reason::Anyone),
        (Grants::Only(_), ReversePath::Null) => Verdict::Allow(Reason::NullReversePath),
        (Grants::Only(grants), ReversePath::Mailbox(mailbox)) => judge(
            grants,
            rules.detail,
            [(Place::ReversePath, mailbox)].into_iter(),
        ),
    }
}

fn judge<'a>(
    grants: &[Grant],
    detail: Detail,
    claimed: impl Iterator<Item = (Place, &'a Mailbox)>,
) -> Verdict {
    let mut decisions = Vec::new();
    for (place, mailbox) in claimed {
        match grants.iter().find(|grant| grant.covers(mailbox, detail)) {
            None => return Verdict::Deny(Denial::new(place, Some(mailbox), grants)),
            Some(grant) => decisions.push(Decision {
                place,
                sender: mailbox.clone(),
                grant: grant.clone(),
            }),
        }
    }
    Verdict::Allow(Reason::Granted(decisions))
}

impl Rules {
    /// Returns whether the account may send as this mailbox.
    pub fn may_use(&self, mailbox: &Mailbox) -> bool {
        match &self.grants {
            Grants::Anyone => true,
            Grants::Only(grants) => {
                let mut grants = grants.iter();
                grants.any(|grant| grant.covers(mailbox, self.detail))
            }
        }
    }
}

impl Grant {
    /// Returns whether a mailbox may be used by whoever has this grant.
    ///
    /// Domains compare as A-labels, local parts without regard to letter case. Where `detail` is ignored,
    /// `info+x@d` counts as `info@d`, and a grant for `info+x@d` covers that alone.
    pub fn covers(&self, mailbox: &Mailbox, detail: Detail) -> bool {
        match self {
            Self::Domain(domain) => mailbox.domain() == domain,
            Self::Subdomains(parent) => mailbox.domain().is_below(parent),
            Self::Mailbox(granted) => {
                mailbox.is_same_as(granted)
                    || match detail {
                        Detail::Significant => false,
                        Detail::Ignored => without_detail(mailbox).is_same_as(granted),
                    }
            }
        }
    }
}

fn without_detail(mailbox: &Mailbox) -> Mailbox {
    Mailbox::new(
        mailbox.local_part().without_detail(),
        mailbox.domain().clone(),
    )
}

#[cfg(test)]
mod tests;

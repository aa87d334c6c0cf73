//! Which recipients of a message one transaction may be for, by the limits that the upstream announces (RFC 9422 §4).

use std::borrow::Cow;
use std::collections::HashSet;

use crate::mail::{Domain, Envelope, RecipientIndex};
use crate::smtp::limits::Announced;

/// Recipients, divided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Portion<'a> {
    /// Those of the next transaction.
    pub(super) taken: Cow<'a, [RecipientIndex]>,
    /// Those of a later one, perhaps of another session.
    pub(super) left: Vec<RecipientIndex>,
}

/// The domains that a session has named to an upstream that limits their number.
#[derive(Debug, Default)]
pub(super) struct Named(HashSet<Domain>);

impl Named {
    /// Returns whether a recipient may be named in this session.
    pub(super) fn admits(
        &self,
        limits: Announced,
        envelope: &Envelope,
        recipient: RecipientIndex,
    ) -> bool {
        let Some(most) = limits.domains else {
            return true;
        };
        domain(envelope, recipient)
            .is_none_or(|domain| self.0.contains(domain) || (self.0.len() as u64) < u64::from(most))
    }

    /// Divides recipients, in their order, and takes note of the domains of those that are taken.
    ///
    /// At least one is taken where [`Named::admits`] the first.
    pub(super) fn divide<'a>(
        &mut self,
        limits: Announced,
        envelope: &Envelope,
        recipients: &'a [RecipientIndex],
    ) -> Portion<'a> {
        let most = limits.recipients.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        if limits.domains.is_none() {
            let (taken, left) = recipients.split_at(recipients.len().min(most));
            return Portion {
                taken: Cow::Borrowed(taken),
                left: left.to_vec(),
            };
        }
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for &recipient in recipients {
            if taken.len() < most && self.admits(limits, envelope, recipient) {
                self.0.extend(domain(envelope, recipient).cloned());
                taken.push(recipient);
            } else {
                left.push(recipient);
            }
        }
        Portion {
            taken: Cow::Owned(taken),
            left,
        }
    }
}

fn domain(envelope: &Envelope, recipient: RecipientIndex) -> Option<&Domain> {
    let recipient = envelope.recipients.get(usize::from(recipient.0))?;
    Some(recipient.forward_path.mailbox().domain())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{ForwardPath, Mailbox, Recipient, ReversePath};

    fn envelope(recipients: &[&str]) -> Envelope {
        let recipient =
            |text: &&str| Recipient::new(ForwardPath::from(Mailbox::parse(text).unwrap()));
        Envelope {
            recipients: recipients.iter().map(recipient).collect(),
            ..Envelope::new(ReversePath::Null)
        }
    }

    fn indices(numbers: &[u16]) -> Vec<RecipientIndex> {
        numbers.iter().copied().map(RecipientIndex).collect()
    }

    fn limits(recipients: Option<u32>, domains: Option<u32>) -> Announced {
        Announced {
            recipients,
            domains,
            ..Announced::default()
        }
    }

    #[test]
    fn without_limits_all_are_taken() {
        let envelope = envelope(&["a@b.example", "c@d.example"]);
        let recipients = indices(&[0, 1]);
        let portion = Named::default().divide(limits(None, None), &envelope, &recipients);
        assert_eq!((&*portion.taken, portion.left), (&*recipients, Vec::new()));
    }

    #[test]
    fn no_more_are_taken_than_a_transaction_may_have() {
        let envelope = envelope(&["a@b.example", "c@b.example", "d@b.example"]);
        let recipients = indices(&[0, 1, 2]);
        for limits in [limits(Some(2), None), limits(Some(2), Some(9))] {
            let portion = Named::default().divide(limits, &envelope, &recipients);
            assert_eq!(&*portion.taken, indices(&[0, 1]));
            assert_eq!(portion.left, indices(&[2]));
        }
    }

    #[test]
    fn domains_count_for_the_whole_session_in_any_letter_case() {
        let envelope = envelope(&["a@b.example", "c@d.example", "e@B.EXAMPLE", "f@g.example"]);
        let (mut named, limits) = (Named::default(), limits(None, Some(2)));
        let portion = named
            .divide(limits, &envelope, &indices(&[0, 2]))
            .taken
            .into_owned();
        assert_eq!(portion, indices(&[0, 2]));
        let all = indices(&[0, 1, 2, 3]);
        let portion = named.divide(limits, &envelope, &all);
        assert_eq!(&*portion.taken, indices(&[0, 1, 2]));
        assert_eq!(portion.left, indices(&[3]));
        assert!(named.admits(limits, &envelope, RecipientIndex(1)));
        assert!(!named.admits(limits, &envelope, RecipientIndex(3)));
    }
}

//! The truth about every message, written down beside the program: who was told what, which copies exist.

use std::collections::{BTreeMap, BTreeSet};

use posthouse::mail::QueueId;

/// A recipient of a message.
pub(crate) type Copy = (QueueId, u16);

/// What is known of all messages, and what happened in the order it happened.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) events: Vec<String>,
    /// The recipients of acknowledged messages.
    pub(crate) acknowledged: BTreeSet<Copy>,
    /// How each settled recipient ended.
    pub(crate) settled: BTreeMap<Copy, &'static str>,
    /// Messages that an operator removed.
    pub(crate) deleted: BTreeSet<QueueId>,
    /// Recipients that an upstream has refused for good.
    pub(crate) rejected: BTreeSet<Copy>,
    /// How often an upstream has taken the message for the recipient.
    accepted: BTreeMap<Copy, u32>,
    /// How often that was not known to the relay, or not recorded: the stated window.
    windows: BTreeMap<Copy, u32>,
    /// Taken by an upstream and not recorded yet.
    open: BTreeMap<Copy, u32>,
}

impl Ledger {
    /// An upstream has taken a message over; `is_known` says whether its reply arrives.
    pub(crate) fn accepted(&mut self, copy: Copy, is_known: bool) {
        *self.accepted.entry(copy).or_default() += 1;
        let of = if is_known {
            &mut self.open
        } else {
            &mut self.windows
        };
        *of.entry(copy).or_default() += 1;
        self.check(copy);
    }

    /// A settlement of a report has been recorded. Upstreams do not know whose copy they take there.
    pub(crate) fn report_settled(&mut self, copy: Copy, how: &'static str) {
        let before = self.settled.insert(copy, how);
        assert_eq!(before, None, "{copy:?} is settled twice, as {how}");
    }

    /// A settlement has been recorded.
    pub(crate) fn settled(&mut self, copy: Copy, how: &'static str) {
        self.report_settled(copy, how);
        if how == "relayed" {
            let open = self.open.remove(&copy).unwrap_or_default();
            assert!(open > 0, "{copy:?} is settled as relayed and was not");
            *self.windows.entry(copy).or_default() += open - 1;
        }
        assert!(
            how != "bounced" || self.rejected.contains(&copy),
            "{copy:?} bounced and nobody refused it"
        );
    }

    /// The process has ended: what was not recorded falls into the window.
    pub(crate) fn crashed(&mut self) {
        for (copy, open) in std::mem::take(&mut self.open) {
            *self.windows.entry(copy).or_default() += open;
        }
    }

    /// A recipient may have as many copies as fell into the window, and one more.
    fn check(&self, copy: Copy) {
        let (copies, windows) = (self.accepted[&copy], self.windows.get(&copy));
        let allowed = 1 + windows.copied().unwrap_or_default();
        assert!(
            copies <= allowed,
            "{copy:?} got {copies} copies, {allowed} allowed"
        );
        assert!(
            !self.settled.contains_key(&copy),
            "{copy:?} was sent although it is settled"
        );
    }

    /// Nothing acknowledged is missing at the end.
    pub(crate) fn check_end(&self) {
        for copy in &self.acknowledged {
            assert!(
                self.settled.contains_key(copy) || self.deleted.contains(&copy.0),
                "{copy:?} was acknowledged and is lost"
            );
        }
    }
}

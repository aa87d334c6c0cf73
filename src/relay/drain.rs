//! Upstreams that get no new attempts, since somebody works on them.

use std::collections::BTreeSet;

use crate::identity::UpstreamName;

use super::dispatcher::Relay;

impl Relay {
    /// Lets these upstreams, and no others, get no new attempts: their mail takes the next upstream of its route, or
    /// waits. Attempts that run go on to their end. Counts over [`Relay::replace`], not over a restart.
    pub fn set_drained(&self, upstreams: BTreeSet<UpstreamName>) {
        self.board().set_drained(upstreams);
        self.changed.notify_one();
    }
}

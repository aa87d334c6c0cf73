//! The part of the sample about the spool.

use super::{Sample, text};
use crate::config::raw;

/// Describes `[spool]`.
pub(super) fn spool(sample: &mut Sample, spool: &raw::Spool) {
    sample.table(
        "[spool]",
        "Where accepted messages are kept until they are relayed: in data_dir/spool.",
    );
    sample.shown(
        "segment_size",
        text(spool.segment_size),
        "The size of one file of the log.",
    );
    sample.shown(
        "memory_budget",
        text(spool.memory_budget),
        "Recent messages kept in memory, so that they need not be read back.",
    );
    sample.shown(
        "max_messages",
        spool.max_messages,
        "Messages that may wait. Clients hear 452 beyond that: with priority 5 from 80 % on, 4 from 90 %, 3 from 95 %.",
    );
    sample.shown(
        "max_size",
        text(spool.max_size),
        "Octets that may wait, likewise.",
    );
    sample.shown(
        "max_memory",
        text(spool.max_memory),
        "Memory that messages may take while they wait, likewise; estimated at 400 octets each.",
    );
    sample.shown(
        "min_free",
        text(spool.min_free),
        "What is left free on the disk; three times half of it for priority 4, twice as much for 5.",
    );
}

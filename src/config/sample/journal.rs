//! The section `[journal]` of the sample.

use super::{Sample, raw, text};

pub(super) fn journal(sample: &mut Sample, journal: &raw::Journal) {
    sample.table(
        "[journal]",
        "What happened to each message, for `posthouse trace`, also after it has left: in data_dir/journal.",
    );
    sample.shown(
        "keep",
        text(journal.keep),
        "How long it is kept; \"0s\" keeps nothing. What the oldest files say goes first.",
    );
    sample.shown(
        "max_size",
        text(journal.max_size),
        "Octets of all its files; at 15,000 messages a second a GiB is a minute.",
    );
}

//! Name look-ups of upstream hosts.

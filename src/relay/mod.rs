//! Handing messages to upstreams.

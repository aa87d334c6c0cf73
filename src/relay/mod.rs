//! Handing messages to upstreams: claim, attempt, settle, report.

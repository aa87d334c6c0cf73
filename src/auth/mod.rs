//! Accounts, password verification on a bounded pool, and the throttle of failures.

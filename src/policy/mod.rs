//! Who may send as whom: one pure function and the values it judges.
//!
//! [`authorize`] judges a whole message at the end of its data, [`authorize_reverse_path`] the argument of MAIL. What
//! they are given has been parsed strictly before; whatever is not granted is denied.

mod authorize;
mod rules;
mod verdict;
mod verified;

pub use authorize::{SenderClaim, authorize, authorize_reverse_path};
pub use rules::{Detail, Grant, Grants, OnUnauthorized, Rules, Scope};
pub use verdict::{Decision, Denial, Place, Reason, Verdict};
pub use verified::VerifiedSenders;

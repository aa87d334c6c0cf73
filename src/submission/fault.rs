//! What a person is told where the spool does not take mail.

use crate::alert::{Alert, Alerts, Kind};
use crate::mail::Priority;
use crate::spool::{Spool, SpoolError};
use crate::telemetry;

/// Raises an alert where the spool fails. That it is over one of its own limits is told otherwise.
pub(super) fn raise(error: &SpoolError, spool: &dyn Spool, alerts: &Alerts) {
    let text = match error {
        SpoolError::Full if spool.pressure(Priority::VeryLow).is_some() => return,
        SpoolError::Full => {
            "The disk takes no more mail, though it says that it has room: look after inodes and quotas. New mail is \
             refused with 452."
                .to_owned()
        }
        SpoolError::Corrupt(_) | SpoolError::LeaseLost(_) | SpoolError::Unavailable(_) => {
            let error = telemetry::chain(error);
            format!("New mail cannot be stored and is refused with 451: {error}.")
        }
    };
    alerts.raise(Alert::new(Kind::SystemError, text));
}

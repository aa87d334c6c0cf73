//! What the engines have in common beside the index.

use std::io;
use std::sync::Arc;

use crate::identity::Route;

use super::{Message, SpoolError};

/// Returns the message with the route it has now; the stored one is that of its acceptance.
pub(super) fn with_route(message: &Arc<Message>, route: &Route) -> Arc<Message> {
    if message.route == *route {
        return Arc::clone(message);
    }
    Arc::new(Message {
        route: route.clone(),
        ..Message::clone(message)
    })
}

/// Returns the error for a draft that another spool has made.
pub(super) fn foreign_draft() -> SpoolError {
    let kind = io::ErrorKind::InvalidInput;
    SpoolError::Unavailable(io::Error::new(kind, "the draft is of another spool"))
}

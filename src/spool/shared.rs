//! What the engines have in common beside the index.

use std::io;
use std::sync::Arc;

use crate::identity::Route;
use crate::mail::QueueId;

use super::{Message, Page, SpoolError, VerbError};

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

/// Gathers a page of at most `limit` from portions, each of which is taken with a lock of its own.
pub(super) async fn gather<T: Send>(
    after: Option<QueueId>,
    limit: usize,
    mut portion: impl FnMut(Option<QueueId>, usize) -> Page<T> + Send,
) -> Page<T> {
    let mut page = Page {
        items: Vec::new(),
        next: after,
    };
    for _ in 0..PORTIONS {
        let more = portion(page.next, limit.saturating_sub(page.items.len()));
        page.items.extend(more.items);
        page.next = more.next;
        if page.next.is_none() || page.items.len() >= limit {
            break;
        }
        tokio::task::yield_now().await;
    }
    page
}

/// How many portions of the index one call looks through: 100,000 messages.
const PORTIONS: usize = 50;

/// Returns how a change of one message went.
pub(super) fn only(id: QueueId, results: Vec<Result<(), VerbError>>) -> Result<(), VerbError> {
    let result = results.into_iter().next();
    result.unwrap_or(Err(VerbError::Missing(id)))
}

/// Returns the error for a draft that another spool has made.
pub(super) fn foreign_draft() -> SpoolError {
    let kind = io::ErrorKind::InvalidInput;
    SpoolError::Unavailable(io::Error::new(kind, "the draft is of another spool"))
}

//! The life of one message, from the journal and the queue.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::journal::{Event, Record};
use crate::mail::QueueId;
use crate::telemetry;

use super::protocol::{Reason, Response};
use super::queue::Desk;
use super::view::{Id, MessageView, Time};

/// All that is known of a message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TraceView {
    /// Its id.
    pub queue_id: Id,
    /// Its events, the oldest first.
    pub events: Vec<Record>,
    /// What it does now; `None` where it is not in the queue.
    pub message: Option<MessageView>,
    /// How long events are kept, in seconds; 0 where they are not.
    pub keep_seconds: u64,
    /// When the oldest events are from that are kept.
    pub since: Option<Time>,
    /// Files of the journal that a newer posthouse has written, which were not read.
    pub unread: usize,
}

/// Answers what is known of a message.
pub async fn answer(desk: &Desk<'_>, id: QueueId) -> Response {
    let message = match desk.spool.show(id).await {
        Ok(entry) => entry.as_ref().map(MessageView::whole),
        Err(error) => return Response::failed(Reason::Spool, telemetry::chain(&error)),
    };
    let journal = Arc::clone(desk.journal);
    let found = tokio::task::spawn_blocking(move || journal.find(id)).await;
    let found = match found.map_err(io::Error::other).and_then(|found| found) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("the journal cannot be read: {error}");
            return Response::failed(Reason::Journal, message);
        }
    };
    let mut events = found.records;
    // A message may leave before it is noted that it came.
    events.sort_by_key(|record| (!is_beginning(&record.event), record.time));
    let keep = desk.journal.settings().keep;
    Response::Trace(Box::new(TraceView {
        queue_id: Id(id),
        events,
        message,
        keep_seconds: keep.max(least(keep)).as_secs(),
        since: found.since.map(Time),
        unread: found.unread,
    }))
}

/// A journal that keeps anything is not told as one that keeps nothing.
fn least(keep: Duration) -> Duration {
    Duration::from_secs(u64::from(!keep.is_zero()))
}

fn is_beginning(event: &Event) -> bool {
    match event {
        Event::Accepted(_) | Event::Report(_) => true,
        Event::Attempt(_)
        | Event::Damaged
        | Event::Expired { .. }
        | Event::Operator { .. }
        | Event::Reported { .. } => false,
    }
}

//! Answers about the queue, from any spool.

use crate::mail::QueueId;
use crate::spool::{Entry, SpoolAdmin, SpoolError, VerbError};
use crate::telemetry;

use super::protocol::{Filter, MAX_LIST, QueueRequest, Reason, Response};
use super::view::{Id, MessageView};

/// How many messages one request may look through; a filter that few pass must not keep the spool busy.
const LOOKED_THROUGH: usize = 10_000;

/// Answers a request. Changes are durable when it returns.
pub async fn answer(spool: &dyn SpoolAdmin, request: QueueRequest) -> Response {
    match request {
        QueueRequest::Delete { id: Id(id) } => done(spool.delete(id).await),
        QueueRequest::Hold { id: Id(id) } => done(spool.hold(id).await),
        QueueRequest::List {
            after,
            limit,
            filter,
        } => list(spool, after.map(|id| id.0), limit, &filter)
            .await
            .unwrap_or_else(|error| spool_failed(&error)),
        QueueRequest::Release { id: Id(id) } => done(spool.release(id).await),
        QueueRequest::Retry { id: Id(id) } => done(spool.retry(id).await),
        QueueRequest::Show { id: Id(id) } => match spool.show(id).await {
            Ok(Some(entry)) => Response::Message(Box::new(MessageView::whole(&entry))),
            Ok(None) => done(Err(VerbError::Missing(id))),
            Err(error) => spool_failed(&error),
        },
        QueueRequest::Stats => Response::Stats(spool.stats().await.into()),
    }
}

async fn list(
    spool: &dyn SpoolAdmin,
    mut after: Option<QueueId>,
    limit: usize,
    filter: &Filter,
) -> Result<Response, SpoolError> {
    let limit = limit.clamp(1, MAX_LIST);
    let filter = filter.lower_case();
    let mut messages = Vec::new();
    for _ in 0..LOOKED_THROUGH / MAX_LIST {
        let entries = spool.list(after, MAX_LIST).await?;
        let is_end = entries.len() < MAX_LIST;
        for entry in entries {
            after = Some(entry.id);
            if !filter.takes(&entry) {
                continue;
            }
            messages.push(MessageView::listed(&entry));
            if messages.len() == limit {
                let next = after.map(Id);
                return Ok(Response::Messages { messages, next });
            }
        }
        if is_end {
            after = None;
            break;
        }
    }
    let next = after.map(Id);
    Ok(Response::Messages { messages, next })
}

impl Filter {
    fn lower_case(&self) -> Self {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        Self {
            state: self.state,
            account: lower(&self.account),
            tenant: lower(&self.tenant),
            upstream: lower(&self.upstream),
            sender: lower(&self.sender),
            recipient: lower(&self.recipient),
        }
    }

    /// Returns whether a message is meant. The filter is in lower case.
    fn takes(&self, entry: &Entry) -> bool {
        let view = || MessageView::whole(entry);
        // Most lists have no filter; a view of every message costs more than the list.
        if *self == Self::default() {
            return true;
        }
        let view = view();
        let is = |wanted: &Option<String>, name: Option<&String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| name.is_some_and(|name| name.to_lowercase() == *wanted))
        };
        let is_upstream =
            |wanted: &String| view.route.iter().any(|name| name.to_lowercase() == *wanted);
        let is_recipient = |wanted: &String| {
            let mut recipients = view.recipients.iter();
            recipients.any(|recipient| recipient.address.to_lowercase().contains(wanted))
        };
        let is_sender = |wanted: &String| {
            let sender = view.sender.as_deref().unwrap_or("<>");
            sender.to_lowercase().contains(wanted)
        };
        self.state.is_none_or(|state| state == view.state)
            && is(&self.account, view.account.as_ref())
            && is(&self.tenant, view.tenant.as_ref())
            && self.upstream.as_ref().is_none_or(is_upstream)
            && self.sender.as_ref().is_none_or(is_sender)
            && self.recipient.as_ref().is_none_or(is_recipient)
    }
}

fn done(result: Result<(), VerbError>) -> Response {
    let Err(error) = result else {
        return Response::Done;
    };
    let reason = match error {
        VerbError::Busy(_) => Reason::Busy,
        VerbError::Missing(_) => Reason::Missing,
        VerbError::Spool(_) => Reason::Spool,
    };
    Response::failed(reason, telemetry::chain(&error))
}

fn spool_failed(error: &SpoolError) -> Response {
    Response::failed(Reason::Spool, telemetry::chain(error))
}

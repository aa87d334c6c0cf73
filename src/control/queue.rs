//! Answers about the queue, from any spool.

use std::sync::Arc;

use crate::identity::{Route, UpstreamName, nearest};
use crate::journal::{Deed, Event, Journal};
use crate::mail::{Priority, QueueId};
use crate::spool::{Change, Entry, EntryState, Page, Selection, SpoolAdmin, SpoolError, VerbError};
use crate::telemetry;

use super::protocol::{
    Changed, Filter, MAX_CHANGE, MAX_IDS, MAX_LIST, QueueRequest, Reason, Response, Verb,
};
use super::sums::CensusView;
use super::view::{Id, MessageView, State};

/// How many messages one request may read from the disk; a filter that few pass must not keep the spool busy.
const READ: usize = 5_000;

/// What is configured, as far as the queue needs it.
pub trait Configured: Send + Sync {
    /// Returns the route that a message has by its account and its pending recipients, if there is one.
    fn route_of(&self, entry: &Entry) -> Option<Route>;

    /// Returns the names of all upstreams, in their order.
    fn upstreams(&self) -> Vec<UpstreamName>;
}

/// What the queue is asked of, and by whom.
#[derive(Clone)]
pub struct Desk<'a> {
    /// The messages.
    pub spool: &'a dyn SpoolAdmin,
    /// Who is told what operators do.
    pub journal: &'a Arc<Journal>,
    /// Routes and upstreams.
    pub configured: &'a dyn Configured,
    /// Who asks, for the journal.
    pub by: String,
}

/// Answers a request. Changes are durable when it returns.
pub async fn answer(desk: &Desk<'_>, request: QueueRequest) -> Response {
    match request {
        QueueRequest::Change { ids, verb } => change(desk, &ids, verb).await,
        QueueRequest::Ids { after, filter } => ids(desk.spool, after.map(|id| id.0), &filter)
            .await
            .unwrap_or_else(|error| spool_failed(&error)),
        QueueRequest::List {
            after,
            limit,
            filter,
        } => list(desk.spool, after.map(|id| id.0), limit, &filter)
            .await
            .unwrap_or_else(|error| spool_failed(&error)),
        QueueRequest::Show { id: Id(id) } => match desk.spool.show(id).await {
            Ok(Some(entry)) => Response::Message(Box::new(MessageView::whole(&entry))),
            Ok(None) => missing(id),
            Err(error) => spool_failed(&error),
        },
        QueueRequest::Stats { top } => {
            let (stats, census) = (desk.spool.stats().await, desk.spool.census().await);
            let view = CensusView::new(stats, &census, top);
            Response::Stats(Box::new(view))
        }
    }
}

async fn change(desk: &Desk<'_>, ids: &[Id], verb: Verb) -> Response {
    if ids.len() > MAX_CHANGE {
        let message = format!("at most {MAX_CHANGE} messages can be changed at once");
        return Response::failed(Reason::Request, message);
    }
    let (change, deed) = match meant(desk.configured, verb) {
        Ok(meant) => meant,
        Err(response) => return response,
    };
    let ids: Vec<QueueId> = ids.iter().map(|id| id.0).collect();
    let results = desk.spool.change(&ids, &change).await;
    if change == Change::RouteOfAccount {
        give_back_routes(desk, &ids).await;
    }
    let mut changed = Changed::default();
    for (id, result) in ids.into_iter().zip(results) {
        match result {
            Ok(()) => {
                changed.done += 1;
                desk.journal.record(id, || Event::Operator {
                    verb: deed,
                    by: desk.by.clone(),
                    route: match &change {
                        Change::Route(route) => names(route),
                        Change::Delete
                        | Change::Hold
                        | Change::Release
                        | Change::Retry
                        | Change::RouteOfAccount => Vec::new(),
                    },
                });
            }
            Err(VerbError::Busy(_)) => changed.busy.push(Id(id)),
            Err(VerbError::Missing(_)) => changed.missing.push(Id(id)),
            Err(error @ VerbError::Spool(_)) => {
                changed.failed.push(Id(id));
                changed.reason = Some(telemetry::chain(&error));
            }
        }
    }
    tracing::info!(
        verb = deed.word(),
        by = desk.by,
        messages = changed.done,
        "operator changed messages"
    );
    Response::Changed(changed)
}

/// Gives messages the routes of the configuration again.
async fn give_back_routes(desk: &Desk<'_>, ids: &[QueueId]) {
    for id in ids {
        let entry = match desk.spool.show(*id).await {
            Ok(entry) => entry,
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::warn!(queue_id = %id, error, "message keeps its route until the next reload");
                continue;
            }
        };
        let route = entry.and_then(|entry| desk.configured.route_of(&entry));
        if let Some(route) = route {
            desk.spool
                .reroute_some(&[*id], &|_| Some(route.clone()))
                .await;
        }
    }
}

fn names(route: &Route) -> Vec<String> {
    route.upstreams().iter().map(ToString::to_string).collect()
}

/// Returns what is done to each message, and what it is called.
fn meant(configured: &dyn Configured, verb: Verb) -> Result<(Change, Deed), Response> {
    Ok(match verb {
        Verb::Delete => (Change::Delete, Deed::Delete),
        Verb::Hold => (Change::Hold, Deed::Hold),
        Verb::Release => (Change::Release, Deed::Release),
        Verb::Reroute { to } => {
            let known = configured.upstreams();
            let named = to.iter().map(|name| find_upstream(&known, name));
            let named = named.collect::<Result<Vec<_>, _>>()?;
            let Some(route) = Route::new(named) else {
                let message = "a route has at least one upstream";
                return Err(Response::failed(Reason::Request, message));
            };
            (Change::Route(route), Deed::Reroute)
        }
        Verb::ResetRoute => (Change::RouteOfAccount, Deed::Reroute),
        Verb::Retry => (Change::Retry, Deed::Retry),
    })
}

/// Finds an upstream by its name.
pub(super) fn find_upstream(known: &[UpstreamName], name: &str) -> Result<UpstreamName, Response> {
    let found = known.iter().find(|upstream| upstream.as_str() == name);
    found
        .cloned()
        .ok_or_else(|| Response::failed(Reason::Upstream, unknown_upstream(known, name)))
}

/// Says that there is no upstream of this name, and which was probably meant.
pub fn unknown_upstream(known: &[UpstreamName], name: &str) -> String {
    let names: Vec<_> = known.iter().map(UpstreamName::as_str).collect();
    let defined = match names.as_slice() {
        [] => "none is defined".to_owned(),
        names => format!("defined are: {}", names.join(", ")),
    };
    match nearest(name, &names) {
        Some(meant) => format!("there is no upstream `{name}`; did you mean `{meant}`? {defined}"),
        None => format!("there is no upstream `{name}`; {defined}"),
    }
}

async fn list(
    spool: &dyn SpoolAdmin,
    after: Option<QueueId>,
    limit: usize,
    filter: &Filter,
) -> Result<Response, SpoolError> {
    let filter = filter.lower_case();
    let limit = limit.clamp(1, MAX_LIST);
    let Page { items, next } = find(spool, after, limit, &filter).await?;
    let messages = items.iter().map(MessageView::listed).collect();
    let next = next.map(Id);
    Ok(Response::Messages { messages, next })
}

async fn ids(
    spool: &dyn SpoolAdmin,
    after: Option<QueueId>,
    filter: &Filter,
) -> Result<Response, SpoolError> {
    let filter = filter.lower_case();
    let page = if filter.needs_envelope() {
        let Page { items, next } = find(spool, after, MAX_LIST, &filter).await?;
        let items = items.iter().map(|entry| entry.id).collect();
        Page { items, next }
    } else {
        spool.ids(after, MAX_IDS, &filter.selection()).await
    };
    Ok(Response::Ids {
        ids: page.items.into_iter().map(Id).collect(),
        next: page.next.map(Id),
    })
}

/// Finds messages of a filter, which is in lower case. Only what the index cannot tell is read from the disk.
async fn find(
    spool: &dyn SpoolAdmin,
    after: Option<QueueId>,
    limit: usize,
    filter: &Filter,
) -> Result<Page<Entry>, SpoolError> {
    let selection = filter.selection();
    if !filter.needs_envelope() {
        return spool.select(after, limit, &selection).await;
    }
    let mut found = Page {
        items: Vec::new(),
        next: after,
    };
    for _ in 0..READ / MAX_LIST {
        let page = spool.select(found.next, MAX_LIST, &selection).await?;
        found.next = page.next;
        for entry in page.items {
            if !filter.takes(&entry) {
                continue;
            }
            let id = entry.id;
            found.items.push(entry);
            if found.items.len() == limit {
                found.next = Some(id);
                return Ok(found);
            }
        }
        if found.next.is_none() {
            break;
        }
    }
    Ok(found)
}

impl Filter {
    fn lower_case(&self) -> Self {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        Self {
            account: lower(&self.account),
            tenant: lower(&self.tenant),
            upstream: lower(&self.upstream),
            sender: lower(&self.sender),
            recipient: lower(&self.recipient),
            reply: lower(&self.reply),
            ..self.clone()
        }
    }

    /// Returns what of the filter the index can tell.
    fn selection(&self) -> Selection {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let priorities = self.priority.map(|(highest, lowest)| {
            let priority = |number| Priority::from_number(number).unwrap_or_default();
            priority(highest)..=priority(lowest)
        });
        Selection {
            state: self.state.map(|state| match state {
                State::Held => EntryState::Held,
                State::Leased => EntryState::Leased,
                State::Pending => EntryState::Pending,
            }),
            priorities,
            account: text(&self.account),
            tenant: text(&self.tenant),
            upstream: text(&self.upstream),
            reply: text(&self.reply),
            from: self.accepted_from.map(|time| QueueId::first_at(time.0)),
            before: self.accepted_before.map(|time| QueueId::first_at(time.0)),
        }
    }

    /// Returns whether a message must be read to see if it is meant.
    fn needs_envelope(&self) -> bool {
        self.sender.is_some() || self.recipient.is_some()
    }

    /// Returns whether a message is meant, as far as its envelope tells. The filter is in lower case.
    fn takes(&self, entry: &Entry) -> bool {
        let envelope = &entry.message.envelope;
        let has_sender = |wanted: &String| {
            let sender = envelope.reverse_path.mailbox();
            let sender = sender.map_or_else(|| "<>".to_owned(), ToString::to_string);
            sender.to_lowercase().contains(wanted)
        };
        let has_recipient = |wanted: &String| {
            let mut pending = entry.pending.iter();
            pending.any(|(index, _)| {
                let recipient = envelope.recipients.get(usize::from(index.0));
                recipient.is_some_and(|recipient| {
                    let address = recipient.forward_path.mailbox().to_string();
                    address.to_lowercase().contains(wanted)
                })
            })
        };
        self.sender.as_ref().is_none_or(has_sender)
            && self.recipient.as_ref().is_none_or(has_recipient)
    }
}

fn missing(id: QueueId) -> Response {
    Response::failed(Reason::Missing, VerbError::Missing(id).to_string())
}

fn spool_failed(error: &SpoolError) -> Response {
    Response::failed(Reason::Spool, telemetry::chain(error))
}

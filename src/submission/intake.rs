//! A message on its way in: its header is gathered, judged and rewritten, then everything goes to a draft.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::alert::Alerts;
use crate::clock::Timestamp;
use crate::identity::{Identity, Label, Route};
use crate::mail::{
    BodyType, Date, Domain, Envelope, Header, Lines, MtPriority, Priority, QueueId, TlsRequest,
};
use crate::message::{
    Collected, Facts, Greeting, HeaderCollector, Inspected, MAX_HOPS, ShownPriority, Tls, Trace,
    own_message_id,
};
use crate::mime::{Gauge, Shape};
use crate::policy::Reason;
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::smtp::server;
use crate::spool::{Draft, Message, Spool, SpoolError};
use crate::telemetry;

use super::counts::Counts;
use super::decide::spool_reply;
use super::fault;
use super::senders::{Judgement, Rewritten, judge};
use super::settings::Profile;
use super::story::{self, Claimed, Grounds, Story};
use super::unauthorized::Notice;

/// Why a message is not taken: told to the client at its end.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reply: Reply,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(reply: Reply, detail: &dyn Display) -> Self {
        Self {
            reply,
            detail: detail.to_string(),
        }
    }

    pub(super) fn of_spool(error: &SpoolError) -> Self {
        Self::new(spool_reply(error), &"")
    }
}

/// Who sends a message, from where, and what is done for it.
pub(super) struct Origin {
    pub(super) identity: Identity,
    /// The name of the application password that it has logged in with.
    pub(super) app_password: Option<Label>,
    pub(super) profile: Profile,
    pub(super) hostname: Domain,
    pub(super) peer: IpAddr,
    pub(super) session: u64,
    pub(super) client: server::Client,
    pub(super) tls: Option<server::TlsFacts>,
    pub(super) counts: Arc<Counts>,
    pub(super) alerts: Alerts,
    pub(super) spool: Arc<dyn Spool>,
}

impl Origin {
    /// Tells of a draft that takes no more octets; returns what the client hears at the end of the message.
    fn fault(&self, error: &SpoolError) -> Refusal {
        tracing::error!(error = telemetry::chain(error), "cannot store a message");
        fault::raise(error, &*self.spool, &self.alerts);
        Refusal::of_spool(error)
    }
}

/// A message on its way in.
pub(super) struct Intake {
    origin: Origin,
    envelope: Envelope,
    /// When it may first be relayed.
    due: Timestamp,
    accepted: Timestamp,
    /// One for each route; never empty.
    parts: Vec<Part>,
    /// What the octets look like that are stored.
    gauge: Gauge,
    stage: Stage,
}

/// What one route takes of a message: the same octets for other recipients, but for what tells of them in the header.
pub(super) struct Part {
    pub(super) draft: Box<dyn Draft>,
    pub(super) route: Route,
    /// The places of its recipients in the envelope.
    pub(super) recipients: Vec<usize>,
}

enum Stage {
    /// The header has been judged and written; the body follows.
    Body(Judged),
    /// The header is not complete.
    Header(HeaderCollector),
    /// The message will be refused at its end; the rest of it is not kept.
    Refused(Refusal),
}

/// What was found in an authorized header.
#[derive(Clone, Debug)]
struct Judged {
    priority: Priority,
    /// What the next server is told of it.
    mt_priority: Option<MtPriority>,
    message_id: Option<Box<str>>,
    needs_smtputf8: bool,
    waives_tls: bool,
    grounds: Grounds,
    claimed: Option<Claimed>,
}

/// A whole message, ready to be committed: one for each route of its recipients.
pub(super) struct Complete {
    pub(super) parts: Vec<(Box<dyn Draft>, Message)>,
    pub(super) story: Story,
}

impl Intake {
    pub(super) fn new(
        origin: Origin,
        transaction: server::Transaction,
        parts: Vec<Part>,
        accepted: Timestamp,
    ) -> Self {
        Self {
            origin,
            envelope: transaction.envelope,
            due: transaction.release.unwrap_or(accepted).max(accepted),
            accepted,
            parts,
            gauge: Gauge::default(),
            stage: Stage::Header(HeaderCollector::default()),
        }
    }

    /// Returns when the message began.
    pub(super) fn accepted(&self) -> Timestamp {
        self.accepted
    }

    /// Takes the next octets. What goes wrong is told at the end of the message.
    pub(super) async fn push(&mut self, octets: Bytes) {
        let refused = match &mut self.stage {
            Stage::Body(_) => {
                self.gauge.push(&octets);
                let written = write(&mut self.parts, octets).await;
                written.map_err(|error| self.origin.fault(&error))
            }
            Stage::Header(collector) => match collector.push(octets) {
                Collected::Complete { header, rest } => self.header(&header, rest).await,
                Collected::NeedMore => Ok(()),
                Collected::TooLarge => Err(Refusal::new(
                    replies::MESSAGE_MALFORMED,
                    &"the header is larger than 256 KiB",
                )),
            },
            Stage::Refused(_) => Ok(()),
        };
        if let Err(refusal) = refused {
            self.stage = Stage::Refused(refusal);
        }
    }

    /// Ends the message.
    pub(super) async fn finish(mut self) -> Result<Complete, Refusal> {
        if let Stage::Header(collector) = &mut self.stage {
            let header = std::mem::take(collector).finish();
            self.header(&header, Bytes::new()).await?;
        }
        match self.stage {
            Stage::Body(judged) => {
                let story = Story {
                    session: self.origin.session,
                    peer: self.origin.peer,
                    tls: self.origin.tls,
                    identity: self.origin.identity.clone(),
                    app_password: self.origin.app_password,
                    grounds: judged.grounds,
                    own_priority: self.origin.profile.priority,
                    claimed: judged.claimed,
                };
                let mut envelope = self.envelope;
                envelope.smtputf8 |= judged.needs_smtputf8;
                envelope.mt_priority = judged.mt_priority;
                note_shape(&mut envelope, self.gauge.shape());
                envelope.tls = tls_request(envelope.tls, judged.waives_tls);
                let whole = Message {
                    envelope,
                    account: Some(self.origin.identity.account),
                    tenant: self.origin.identity.tenant,
                    route: first_route(&self.parts)?,
                    priority: judged.priority,
                    accepted: self.accepted,
                    due: self.due,
                    peer: Some(self.origin.peer),
                    message_id: judged.message_id,
                    held: story.grounds.hold(),
                };
                let parts = divided(whole, self.parts);
                Ok(Complete { parts, story })
            }
            Stage::Refused(refusal) => Err(refusal),
            Stage::Header(_) => Err(Refusal::new(replies::INTERNAL_ERROR, &"")),
        }
    }

    /// Judges the header, writes it as it is to be stored, and what came behind it.
    async fn header(&mut self, octets: &[u8], rest: Bytes) -> Result<(), Refusal> {
        let header = Header::parse(octets).map_err(malformed)?;
        let rule = self.origin.profile.address_rule;
        let inspected = crate::message::inspect(&header, rule).map_err(malformed)?;
        if inspected.hops > MAX_HOPS {
            return Err(Refusal::new(replies::MAIL_LOOP, &""));
        }
        let (grounds, substitute) = self.authorize(&header, &inspected)?;
        let needs_smtputf8 = inspected.needs_smtputf8;
        let (octets, inspected) = match &substitute {
            Some(rewritten) => (&rewritten.header[..], &rewritten.inspected),
            None => (octets, &inspected),
        };
        let header = Header::parse(octets).map_err(malformed)?;
        let claimed = story::claim(
            self.asked(inspected).map(MtPriority::priority),
            inspected.priority,
            inspected.priority_field,
        );
        let shown = self.priority(inspected);
        if self.origin.spool.pressure(shown.priority).is_some() {
            return Err(Refusal::of_spool(&SpoolError::Full));
        }
        let headers = self.headers(&header, shown);
        let message_id = if header.has("Message-ID") {
            inspected.message_id.clone()
        } else {
            Some(own_message_id(self.first_id()?, &self.origin.hostname).into())
        };
        let needs_smtputf8 = needs_smtputf8 || inspected.needs_smtputf8;
        let waives_tls = inspected.waives_tls;
        if let Some(rewritten) = substitute {
            self.envelope.reverse_path = rewritten.reverse_path;
        }
        self.stage = Stage::Body(Judged {
            priority: shown.priority,
            mt_priority: shown.mt_priority,
            message_id,
            needs_smtputf8,
            waives_tls,
            grounds,
            claimed,
        });
        for (part, header) in self.parts.iter_mut().zip(headers) {
            self.gauge.push(&header);
            let written = part.draft.write(header).await;
            written.map_err(|error| self.origin.fault(&error))?;
        }
        self.gauge.push(&rest);
        let written = write(&mut self.parts, rest).await;
        written.map_err(|error| self.origin.fault(&error))
    }

    /// Returns the header of each part as it is stored.
    fn headers(&self, header: &Header<'_>, shown: ShownPriority) -> Vec<Bytes> {
        let identity = &self.origin.identity;
        let first_id = self.parts.first().map(|first| first.draft.id());
        let stored = |part: &Part| {
            let facts = Facts {
                account: &identity.account,
                tenant: identity.tenant.as_ref(),
                client_address: self.origin.peer,
                queue_id: part.draft.id(),
            };
            let trace = self.trace(part, first_id.unwrap_or(part.draft.id()));
            let added = &*self.origin.profile.added_fields;
            crate::message::rewrite(header, &trace, shown, (added, facts))
        };
        self.parts.iter().map(stored).collect()
    }

    fn first_id(&self) -> Result<QueueId, Refusal> {
        let first = self.parts.first().ok_or_else(nothing)?;
        Ok(first.draft.id())
    }

    /// Judges every sender that the message claims, also in names: many readers show people nothing but the name.
    fn authorize(
        &self,
        header: &Header<'_>,
        inspected: &Inspected,
    ) -> Result<(Grounds, Option<Rewritten>), Refusal> {
        let origin = &self.origin;
        let notice = Notice {
            counts: &origin.counts,
            alerts: &origin.alerts,
            identity: &origin.identity,
        };
        let reverse_path = &self.envelope.reverse_path;
        Ok(
            match judge(&origin.profile, reverse_path, header, inspected) {
                Judgement::Allowed(reason) => {
                    log_allowed(&reason);
                    (Grounds::Allowed(reason), None)
                }
                // Told once it is stored: a message that is not taken needs nobody to release it.
                Judgement::Held(denial) => (Grounds::Held(denial), None),
                Judgement::Refused(denial) => {
                    notice.refused(&denial);
                    return Err(Refusal::new(replies::SENDER_NOT_AUTHORIZED, &denial));
                }
                Judgement::Rewritten(mut rewritten) => {
                    log_allowed(&rewritten.reason);
                    let changes = std::mem::take(&mut rewritten.changes);
                    notice.rewritten(&changes);
                    let grounds = Grounds::Rewritten(changes, rewritten.reason.clone());
                    (grounds, Some(*rewritten))
                }
                Judgement::Tolerated(denial) => {
                    notice.relayed(&denial);
                    (Grounds::Unauthorized(denial), None)
                }
            },
        )
    }

    /// Returns the effective priority, and what is told of it. What MAIL claims counts before the header.
    fn priority(&self, inspected: &Inspected) -> ShownPriority {
        let profile = &self.origin.profile;
        let asked = self.asked(inspected);
        let claimed = asked.map(MtPriority::priority).or(inspected.priority);
        let priority = profile.effective_priority(claimed);
        ShownPriority {
            fields: profile.priority_header,
            priority,
            mt_priority: asked.map(|asked| asked.within(priority)),
        }
    }

    fn asked(&self, inspected: &Inspected) -> Option<MtPriority> {
        self.envelope.mt_priority.or(inspected.mt_priority)
    }

    fn trace(&self, part: &Part, first_id: QueueId) -> Trace<'_> {
        let helo = &self.origin.client.helo;
        let only_recipient = match part.recipients.as_slice() {
            [only] => self.envelope.recipients.get(*only),
            _ => None,
        };
        Trace {
            greeting: match self.origin.client.greeting {
                server::Greeting::Extended => Greeting::Ehlo(helo),
                server::Greeting::None | server::Greeting::Plain => Greeting::Helo(helo),
            },
            peer: self.origin.peer,
            hostname: &self.origin.hostname,
            tls: self.origin.tls.as_ref().map(|tls| Tls {
                version: tls.version,
                cipher: tls.cipher,
            }),
            authenticated: self.origin.identity.has_logged_in(),
            smtputf8: self.envelope.smtputf8,
            queue_id: part.draft.id(),
            first_id,
            only_recipient: only_recipient.map(|recipient| &recipient.forward_path),
            date: Date::from(self.accepted),
        }
    }
}

/// Returns what is asked of TLS: the field of the header counts only where MAIL says nothing (RFC 8689 §4.1).
fn tls_request(asked: TlsRequest, is_waived: bool) -> TlsRequest {
    match asked {
        TlsRequest::Unsaid if is_waived => TlsRequest::Optional,
        TlsRequest::Optional | TlsRequest::Required | TlsRequest::Unsaid => asked,
    }
}

/// Notes what a message looks like, so that whoever relays it need not read it to know. Clients say BODY=8BITMIME less
/// often than they should; one that says it in vain is believed.
fn note_shape(envelope: &mut Envelope, shape: Shape) {
    if shape.is_eight_bit && envelope.body == BodyType::SevenBit {
        envelope.body = BodyType::EightBitMime;
    }
    envelope.lines = if shape.has_long_lines {
        Lines::Long
    } else {
        Lines::Short
    };
}

fn malformed(error: impl Display) -> Refusal {
    Refusal::new(replies::MESSAGE_MALFORMED, &error)
}

fn log_allowed(reason: &Reason) {
    if let Reason::Granted(decisions) = reason {
        for decision in decisions {
            tracing::debug!(place = %decision.place, sender = %decision.sender, grant = %decision.grant, "sender granted");
        }
    }
}

/// Writes octets to all parts.
async fn write(parts: &mut [Part], octets: Bytes) -> Result<(), SpoolError> {
    for part in parts {
        part.draft.write(octets.clone()).await?;
    }
    Ok(())
}

fn first_route(parts: &[Part]) -> Result<Route, Refusal> {
    let first = parts.first().ok_or_else(nothing)?;
    Ok(first.route.clone())
}

/// An invariant of ours: a message has a recipient, and so a part.
fn nothing() -> Refusal {
    Refusal::new(replies::INTERNAL_ERROR, &"")
}

/// Divides a message by its routes. What concerns the whole transaction stays with each part.
fn divided(whole: Message, parts: Vec<Part>) -> Vec<(Box<dyn Draft>, Message)> {
    if parts.len() < 2 {
        let mut drafts = parts.into_iter().map(|part| part.draft);
        return drafts
            .next()
            .map(|draft| (draft, whole))
            .into_iter()
            .collect();
    }
    let part = |part: Part| {
        let all = &whole.envelope.recipients;
        let recipients = part.recipients.iter().filter_map(|place| all.get(*place));
        let message = Message {
            envelope: Envelope {
                recipients: recipients.cloned().collect(),
                ..whole.envelope.clone()
            },
            route: part.route,
            ..whole.clone()
        };
        (part.draft, message)
    };
    parts.into_iter().map(part).collect()
}

//! A message on its way in: its header is gathered, judged and rewritten, then everything goes to a draft.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::identity::{Identity, Route};
use crate::mail::{
    BodyType, Date, Domain, Envelope, Header, Lines, MtPriority, Priority, TlsRequest,
};
use crate::message::{
    Collected, Greeting, HeaderCollector, Inspected, MAX_HOPS, ShownPriority, Tls, Trace,
    own_message_id,
};
use crate::mime::{Gauge, Shape};
use crate::policy::{Denial, OnUnauthorized, Reason, SenderClaim, Verdict, authorize};
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::smtp::server;
use crate::spool::{Draft, Message, Spool, SpoolError};

use super::counts::{Counts, Event};
use super::decide::spool_reply;
use super::settings::Profile;
use super::story::{self, Claimed, Grounds, Story};

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
    pub(super) profile: Profile,
    pub(super) route: Route,
    pub(super) hostname: Domain,
    pub(super) peer: IpAddr,
    pub(super) session: u64,
    pub(super) client: server::Client,
    pub(super) tls: Option<server::TlsFacts>,
    pub(super) counts: Arc<Counts>,
    pub(super) spool: Arc<dyn Spool>,
}

/// A message on its way in.
pub(super) struct Intake {
    origin: Origin,
    envelope: Envelope,
    /// When it may first be relayed.
    due: Timestamp,
    accepted: Timestamp,
    draft: Box<dyn Draft>,
    /// What the octets look like that are stored.
    gauge: Gauge,
    stage: Stage,
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

/// A whole message, ready to be committed.
pub(super) struct Complete {
    pub(super) draft: Box<dyn Draft>,
    pub(super) message: Message,
    pub(super) story: Story,
}

impl Intake {
    pub(super) fn new(
        origin: Origin,
        transaction: server::Transaction,
        draft: Box<dyn Draft>,
        accepted: Timestamp,
    ) -> Self {
        Self {
            origin,
            envelope: transaction.envelope,
            due: transaction.release.unwrap_or(accepted).max(accepted),
            accepted,
            draft,
            gauge: Gauge::default(),
            stage: Stage::Header(HeaderCollector::default()),
        }
    }

    /// Takes the next octets. What goes wrong is told at the end of the message.
    pub(super) async fn push(&mut self, octets: Bytes) {
        let refused = match &mut self.stage {
            Stage::Body(_) => self.write(octets).await,
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
                let mut envelope = self.envelope;
                envelope.smtputf8 |= judged.needs_smtputf8;
                note_shape(&mut envelope, self.gauge.shape());
                let story = Story {
                    session: self.origin.session,
                    peer: self.origin.peer,
                    tls: self.origin.tls,
                    identity: self.origin.identity.clone(),
                    grounds: judged.grounds,
                    own_priority: self.origin.profile.priority,
                    claimed: judged.claimed,
                };
                envelope.mt_priority = judged.mt_priority;
                envelope.tls = tls_request(envelope.tls, judged.waives_tls);
                let message = Message {
                    envelope,
                    account: Some(self.origin.identity.account),
                    tenant: self.origin.identity.tenant,
                    route: self.origin.route,
                    priority: judged.priority,
                    accepted: self.accepted,
                    due: self.due,
                    peer: Some(self.origin.peer),
                    message_id: judged.message_id,
                };
                Ok(Complete {
                    draft: self.draft,
                    message,
                    story,
                })
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
        let grounds = self.authorize(&inspected)?;
        let claimed = story::claim(
            self.asked(&inspected).map(MtPriority::priority),
            inspected.priority,
            inspected.priority_field,
        );
        let shown = self.priority(&inspected);
        if self.origin.spool.pressure(shown.priority).is_some() {
            return Err(Refusal::of_spool(&SpoolError::Full));
        }
        let rewritten = crate::message::rewrite(&header, &self.trace(), shown);
        let message_id = if header.has("Message-ID") {
            inspected.message_id
        } else {
            Some(own_message_id(self.draft.id(), &self.origin.hostname).into())
        };
        self.stage = Stage::Body(Judged {
            priority: shown.priority,
            mt_priority: shown.mt_priority,
            message_id,
            needs_smtputf8: inspected.needs_smtputf8,
            waives_tls: inspected.waives_tls,
            grounds,
            claimed,
        });
        for piece in [rewritten, rest] {
            self.write(piece).await?;
        }
        Ok(())
    }

    async fn write(&mut self, octets: Bytes) -> Result<(), Refusal> {
        self.gauge.push(&octets);
        let written = self.draft.write(octets).await;
        written.map_err(|error| Refusal::of_spool(&error))
    }

    /// Judges every sender that the message claims, also in names: many readers show people nothing but the name.
    fn authorize(&self, inspected: &Inspected) -> Result<Grounds, Refusal> {
        let rules = &self.origin.profile.rules;
        let verdict = authorize(
            rules,
            &SenderClaim {
                reverse_path: &self.envelope.reverse_path,
                from: &inspected.from,
                sender: inspected.sender.as_ref(),
                resent_from: &inspected.resent_from,
                resent_sender: &inspected.resent_sender,
                shown: &inspected.shown,
            },
        );
        match (verdict, rules.on_unauthorized) {
            (Verdict::Allow(reason), _) => {
                log_allowed(&reason);
                Ok(Grounds::Allowed(reason))
            }
            (Verdict::Deny(denial), OnUnauthorized::Alert) => {
                note_denied(
                    &self.origin.counts,
                    &self.origin.identity,
                    &denial,
                    rules.on_unauthorized,
                );
                Ok(Grounds::Unauthorized(denial))
            }
            (Verdict::Deny(denial), OnUnauthorized::Reject) => {
                note_denied(
                    &self.origin.counts,
                    &self.origin.identity,
                    &denial,
                    rules.on_unauthorized,
                );
                Err(Refusal::new(replies::SENDER_NOT_AUTHORIZED, &denial))
            }
        }
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

    fn trace(&self) -> Trace<'_> {
        let helo = &self.origin.client.helo;
        let recipients = self.envelope.recipients.as_slice();
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
            queue_id: self.draft.id(),
            only_recipient: match recipients {
                [only] => Some(&only.forward_path),
                _ => None,
            },
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

/// One event for each message whose sender is not authorized; it is what alerts are made of.
pub(super) fn note_denied(
    counts: &Counts,
    identity: &Identity,
    denial: &Denial,
    outcome: OnUnauthorized,
) {
    let (account, reason) = (&identity.account, denial.to_string());
    match outcome {
        OnUnauthorized::Alert => {
            counts.count(Event::UnauthorizedRelayed);
            tracing::warn!(%account, reason, "unauthorized sender relayed");
        }
        OnUnauthorized::Reject => {
            counts.count(Event::Denied);
            tracing::warn!(%account, reason, "denied");
        }
    }
}

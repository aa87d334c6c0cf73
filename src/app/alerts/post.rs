//! Sends alerts: as mail through the spool, and to webhooks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::alert::{
    Errand, Letter, SIGNATURE, Settings, Target, Tried, Webhook, payload, signature,
};
use crate::clock::Clock;
use crate::config::SystemMail;
use crate::dial::Dialer;
use crate::dns::Resolver;
use crate::http::header::{HeaderName, HeaderValue};
use crate::http::{self, Client, Request, Trust};
use crate::identity::{Route, UpstreamName};
use crate::mail::{Domain, Envelope, Lines, Mailbox, Notify, Priority, Recipient, ReversePath};
use crate::relay::{Relay, State};
use crate::schedule::TroubleKind;
use crate::spool::{Message, Spool, SpoolError};
use crate::submission::ServerParts;
use crate::telemetry;
use crate::tls::client::ClientTlsError;

/// How long a webhook may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What alerts are sent with.
pub(in crate::app) struct Post {
    pub(in crate::app) relay: Arc<Relay>,
    pub(in crate::app) parts: Arc<ServerParts>,
    pub(in crate::app) spool: Arc<dyn Spool>,
    pub(in crate::app) clock: Arc<dyn Clock>,
    pub(in crate::app) resolver: Arc<dyn Resolver>,
    pub(in crate::app) hostname: Domain,
    pub(in crate::app) system_mail: SystemMail,
    /// The client for webhooks that any authority may vouch for, once it is needed.
    pub(in crate::app) client: Mutex<Option<Client>>,
}

impl Post {
    /// Runs an errand; whatever comes of it is logged.
    pub(super) async fn run(&self, errand: &Errand, settings: &Settings) -> Tried {
        match &errand.target {
            Target::Mail(address) => match Mailbox::parse(address) {
                Ok(mailbox) => self.mail(errand, &mailbox, settings).await,
                Err(_) => Tried::Gone,
            },
            Target::Webhook | Target::WebhookOfTenant(_) => {
                match settings.webhook(&errand.target) {
                    Some(webhook) => self.call(errand, webhook).await,
                    None => Tried::Gone,
                }
            }
        }
    }

    async fn mail(&self, errand: &Errand, to: &Mailbox, settings: &Settings) -> Tried {
        let Some(way) = self.way(errand, settings) else {
            tracing::warn!(%to, "there is no upstream for an alert mail");
            return Tried::Failed;
        };
        if way.is_failing {
            tracing::warn!(route = %way.route, "an alert mail goes by the upstream that fails: there is no other");
        }
        let letter = Letter {
            hostname: &self.hostname,
            from: &self.system_mail.sender,
            from_name: &self.system_mail.name,
            to,
            errand,
            now: self.clock.now(),
        };
        match self.commit(&letter, way.route).await {
            Ok(queue_id) => {
                tracing::info!(%queue_id, %to, alerts = errand.items.len(), "alert mail queued");
                Tried::Done
            }
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::warn!(error, %to, "alert mail not queued; it is tried again");
                Tried::Failed
            }
        }
    }

    /// Puts a mail into the spool. It belongs to no account, and nobody is told what becomes of it: an alert must not
    /// make another one.
    async fn commit(
        &self,
        letter: &Letter<'_>,
        route: Route,
    ) -> Result<crate::mail::QueueId, SpoolError> {
        let composed = letter.write();
        let envelope = Envelope {
            smtputf8: composed.smtputf8,
            lines: Lines::Short,
            recipients: vec![Recipient {
                notify: Some(Notify::NEVER),
                ..Recipient::new(letter.to.clone().into())
            }],
            ..Envelope::new(ReversePath::Null)
        };
        let message = Message {
            envelope,
            account: None,
            tenant: None,
            route,
            priority: Priority::High,
            accepted: letter.now,
            due: letter.now,
            peer: None,
            message_id: Some(composed.message_id.into()),
            held: None,
        };
        let mut draft = self.spool.draft().await?;
        draft.write(Bytes::clone(&composed.octets)).await?;
        self.spool.commit(draft, message).await
    }

    fn way(&self, errand: &Errand, settings: &Settings) -> Option<Way> {
        let directory = self.parts.directory();
        let preferred = settings.route.as_ref().or(directory.routes.global());
        let standings = self.relay.upstreams();
        let mut failing: BTreeSet<String> = standings
            .iter()
            .filter(|standing| is_unusable(&standing.state))
            .map(|standing| standing.name.to_string())
            .collect();
        failing.extend(errand.items.iter().filter_map(|item| item.upstream.clone()));
        let all: Vec<_> = standings
            .into_iter()
            .map(|standing| standing.name)
            .collect();
        way(preferred, &all, &failing)
    }

    async fn call(&self, errand: &Errand, webhook: &Webhook) -> Tried {
        let host = webhook.host();
        let client = match self.client_for(webhook) {
            Ok(client) => client,
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::warn!(error, host, "webhook of alerts cannot be called");
                return Tried::Failed;
            }
        };
        let body = payload(errand, self.hostname.as_ascii());
        let signature = signature(&webhook.secret, self.clock.now(), &body);
        let Ok(signature) = HeaderValue::from_str(&signature) else {
            return Tried::Gone;
        };
        let request = Request::post(
            webhook.url.clone(),
            "application/json",
            Zeroizing::new(body),
        )
        .with(HeaderName::from_static(SIGNATURE), signature);
        match client.send(request, PATIENCE).await {
            Ok(answer) if answer.is_success() => {
                let alerts = errand.items.len();
                tracing::info!(host, alerts, "webhook of alerts called");
                Tried::Done
            }
            Ok(answer) => {
                let tries = errand.tries + 1;
                tracing::warn!(
                    host,
                    status = answer.status,
                    tries,
                    "webhook of alerts refuses"
                );
                Tried::Failed
            }
            Err(error) => {
                let (error, tries) = (telemetry::chain(&error), errand.tries + 1);
                tracing::warn!(host, error, tries, "webhook of alerts not reached");
                Tried::Failed
            }
        }
    }

    fn client_for(&self, webhook: &Webhook) -> Result<Client, ClientTlsError> {
        let make = |trust| {
            let settings = http::Settings {
                trust,
                largest_answer: 64 << 10,
                ..http::Settings::default()
            };
            let dialer = Dialer::new(Arc::clone(&self.resolver), None);
            Client::new(&settings, Arc::new(dialer))
        };
        if let Some(file) = &webhook.ca_file {
            return make(Trust::Authority(file.clone()));
        }
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let client = make(Trust::SystemRoots)?;
        *kept = Some(client.clone());
        Ok(client)
    }
}

fn is_unusable(state: &State) -> bool {
    match state {
        State::Drained | State::ParkedByOperator(_) => true,
        State::Good => false,
        State::Troubled(troubled) => troubled.kind == TroubleKind::Parked,
    }
}

/// The way of an alert mail.
#[derive(Debug, Eq, PartialEq)]
struct Way {
    route: Route,
    /// Whether it is that of the upstream that the alert is about, or of others that are parked.
    is_failing: bool,
}

/// Chooses the way: the preferred upstreams without those that fail, else any other that does not, else the preferred
/// ones all the same.
fn way(preferred: Option<&Route>, all: &[UpstreamName], failing: &BTreeSet<String>) -> Option<Way> {
    let exists = |name: &&UpstreamName| all.contains(name);
    let is_well = |name: &&UpstreamName| !failing.contains(name.as_str());
    let preferred = preferred.map(Route::upstreams).unwrap_or_default();
    let best = preferred.iter().filter(exists).filter(is_well);
    let others = all.iter().filter(is_well);
    let well =
        Route::new(best.cloned().collect()).or_else(|| Route::new(others.cloned().collect()));
    if let Some(route) = well {
        return Some(Way {
            route,
            is_failing: false,
        });
    }
    let last = preferred.iter().filter(exists).cloned().collect();
    let route = Route::new(last).or_else(|| Route::new(all.to_vec()))?;
    Some(Way {
        route,
        is_failing: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[&str]) -> Vec<UpstreamName> {
        let name = |text: &&str| UpstreamName::parse(text).unwrap();
        text.iter().map(name).collect()
    }

    fn chosen(preferred: &[&str], all: &[&str], failing: &[&str]) -> Option<(String, bool)> {
        let failing = failing.iter().map(|name| (*name).to_owned()).collect();
        let way = way(Route::new(names(preferred)).as_ref(), &names(all), &failing)?;
        Some((way.route.to_string(), way.is_failing))
    }

    #[test]
    fn an_alert_goes_round_what_it_is_about() {
        let all = ["acme", "main", "spare"];
        let well = |route: &str| Some((route.to_owned(), false));
        assert_eq!(chosen(&["main", "spare"], &all, &[]), well("main,spare"));
        assert_eq!(chosen(&["main", "spare"], &all, &["main"]), well("spare"));
        assert_eq!(chosen(&["main"], &all, &["main"]), well("acme,spare"));
        assert_eq!(chosen(&[], &all, &["main"]), well("acme,spare"));
        assert_eq!(chosen(&["gone"], &["main"], &[]), well("main"));
    }

    #[test]
    fn where_there_is_no_other_way_it_takes_the_one_there_is() {
        let failing = Some(("main".to_owned(), true));
        assert_eq!(chosen(&["main"], &["main"], &["main"]), failing);
        assert_eq!(chosen(&[], &["main"], &["main"]), failing);
        assert_eq!(chosen(&["main"], &[], &[]), None);
    }
}

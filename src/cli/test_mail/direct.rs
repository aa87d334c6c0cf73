//! Straight to the upstreams, without server and queue.

use std::sync::Arc;

use serde::Serialize;
use tokio::runtime::{self, Runtime};

use crate::clock::{Clock, SystemClock};
use crate::config::{Checked, Engine};
use crate::dns::{Resolver, SystemResolver};
use crate::identity::UpstreamName;
use crate::mail::{self, Attempt, Health, Outcome, Priority, RecipientIndex};
use crate::mta_sts::Policies;
use crate::upstream::maildir::MaildirUpstream;
use crate::upstream::smtp::SmtpUpstream;
use crate::upstream::{Order, Upstream as _};

use crate::cli::configuration;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::probe::{FailureView, Show, StepView, Time, Watch, advice};

use super::command::{Addresses, Form};
use super::message::TestMessage;
use super::words;

/// A test of one or more upstreams.
pub(super) struct Test<'a> {
    config: &'a Checked,
    addresses: Addresses,
    message: TestMessage,
    form: Form,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Report {
    way: &'static str,
    from: String,
    to: String,
    outcome: &'static str,
    attempts: Vec<AttemptView>,
}

#[derive(Debug, Serialize)]
struct AttemptView {
    upstream: String,
    outcome: &'static str,
    took_ms: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    steps: Vec<StepView>,
    dialogue: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
}

impl<'a> Test<'a> {
    pub(super) fn new(
        config: &'a Checked,
        addresses: &Addresses,
        form: Form,
    ) -> Result<Self, Failure> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self {
            config,
            addresses: addresses.clone(),
            message: TestMessage::new(addresses, &config.server.hostname, clock.now())?,
            form,
            runtime: runtime.map_err(|error| Failure::of(Code::Unavailable, &error))?,
            clock,
        })
    }

    /// Tries the upstreams in order until one takes the message.
    pub(super) fn run(&self, route: &[UpstreamName], output: &mut Output) -> Result<(), Failure> {
        let mut last = Err(Failure::new(Code::NoInput, "there is no upstream to test"));
        let mut attempts = Vec::new();
        for name in route {
            let (outcome, view) = self.test(name, output)?;
            last = outcome;
            attempts.push(view);
            if last.is_ok() {
                break;
            }
        }
        if self.form == Form::Json {
            output.json(&Report {
                way: "direct",
                from: self.addresses.from.to_string(),
                to: self.addresses.to.to_string(),
                outcome: attempts.last().map_or("none", |last| last.outcome),
                attempts,
            })?;
        }
        last
    }

    /// Tries one upstream. The outer result is about the test, the inner one about its outcome.
    fn test(
        &self,
        name: &UpstreamName,
        output: &mut Output,
    ) -> Result<(Result<(), Failure>, AttemptView), Failure> {
        let upstream = configuration::upstream(self.config, name)?;
        let show = match self.form {
            Form::Json => Show::Nothing,
            Form::Text => Show::Dialogue,
        };
        if self.form == Form::Text {
            output.field("upstream", name)?;
        }
        let watch = Arc::new(Watch::new(Arc::clone(&self.clock), show));
        let begin = self.clock.instant();
        let watching = Arc::<Watch>::clone(&watch);
        let attempt = self
            .runtime
            .block_on(self.attempt(&upstream.engine, watching))?;
        let took = self.clock.instant().duration_since(begin);
        let Some((_, outcome)) = attempt.outcomes.first() else {
            return Err(Failure::new(
                Code::Unavailable,
                "the upstream gave no outcome",
            ));
        };
        if self.form == Form::Text {
            let (style, text) = words::outcome(outcome, took);
            output.styled(style, text)?;
        }
        let (steps, dialogue) = watch.kept();
        let view = AttemptView {
            upstream: name.to_string(),
            outcome: words::word(outcome),
            took_ms: took.into(),
            reply: reply(outcome),
            steps,
            dialogue,
            failure: failure_of(outcome)
                .map(|failure| FailureView::new(failure, &attempt.health, name, &[])),
        };
        Ok((verdict(name, outcome, &attempt.health), view))
    }

    async fn attempt(&self, engine: &Engine, watch: Arc<Watch>) -> Result<Attempt, Failure> {
        let order = Order {
            envelope: &self.message.envelope,
            recipients: &[RecipientIndex(0)],
            priority: Priority::Normal,
            body: self.message.body(),
        };
        let clock = Arc::clone(&self.clock);
        match engine {
            Engine::Graph(setup) => {
                let upstream = setup.as_ref().clone().start(&resolver()?, &clock);
                let upstream =
                    upstream.map_err(|error| Failure::of(Code::Configuration, &error))?;
                Ok(upstream.attempt(order).await)
            }
            Engine::Maildir(settings) => Ok(MaildirUpstream::new(settings.clone(), clock)
                .attempt(order)
                .await),
            Engine::Smtp(settings) => {
                let resolver = resolver()?;
                let policies = Policies::direct(Arc::clone(&resolver), Arc::clone(&clock));
                let upstream = SmtpUpstream::new(settings.as_ref().clone(), resolver, clock)
                    .map_err(|error| Failure::of(Code::Configuration, &error))?
                    .with_policies(policies);
                Ok(upstream.attempt_observed(order, watch).await)
            }
        }
    }
}

fn resolver() -> Result<Arc<dyn Resolver>, Failure> {
    let resolver = SystemResolver::new();
    let resolver = resolver.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    Ok(Arc::new(resolver))
}

fn failure_of(outcome: &Outcome) -> Option<&mail::Failure> {
    match outcome {
        Outcome::Relayed(..) => None,
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            Some(failure)
        }
    }
}

fn reply(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Relayed(response, _) => Some(response.to_string()),
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            failure.cause.response().map(ToString::to_string)
        }
    }
}

fn verdict(name: &UpstreamName, outcome: &Outcome, health: &Health) -> Result<(), Failure> {
    let Some(failure) = failure_of(outcome) else {
        return Ok(());
    };
    let code = match health {
        Health::Unusable => Code::Configuration,
        Health::Good | Health::Throttled { .. } | Health::Unreachable => Code::Unavailable,
    };
    let message = format!("the test message was not relayed by `{name}`");
    Err(Failure::new(code, message).with_hint(advice(failure, name)))
}

//! What is tested, and what comes of it.

use std::sync::Arc;

use tokio::runtime::{self, Runtime};

use crate::clock::{Clock, SystemClock};
use crate::config::{Checked, Engine};
use crate::dns::{Resolver, SystemResolver};
use crate::identity::{AccountName, Route, UpstreamName};
use crate::mail::{Attempt, Mailbox, Outcome, Priority, RecipientIndex, ReversePath};
use crate::mta_sts::Policies;
use crate::policy::{Rules, SenderClaim, Verdict, authorize};
use crate::route::Sending;
use crate::upstream::maildir::MaildirUpstream;
use crate::upstream::smtp::SmtpUpstream;
use crate::upstream::{Order, Upstream as _};

use crate::cli::configuration::{self, ConfigurationOption};
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};

use super::dialogue::Dialogue;
use super::message::TestMessage;
use super::words;

/// Send a test message, and show the whole dialogue with the upstream
///
/// With --upstream the message goes there, whoever could use it. With --account it is judged and routed as mail of
/// that account would be, and the upstreams of the route are tried in order. The message does not pass through the
/// queue, no server needs to run, and passwords are not shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse test-mail --upstream main --from info@example.com --to you@example.net
  posthouse test-mail --account shop --from shop@example.com --to you@example.net")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The sender, in the envelope and in From:
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    from: Mailbox,
    /// The recipient
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    to: Mailbox,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The upstream to test
    #[arg(long, value_name = "NAME", value_parser = UpstreamName::parse)]
    upstream: Option<UpstreamName>,
    /// The account whose rules and route to test
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).map_err(|error| error.to_string())
}

pub(in crate::cli) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let upstreams = match (&arguments.target.account, &arguments.target.upstream) {
        (Some(account), _) => route_of(&config, account, arguments, output)?
            .upstreams()
            .to_vec(),
        (None, upstream) => upstream.iter().cloned().collect(),
    };
    let tester = Tester::new(&config, arguments)?;
    let mut last = Err(Failure::new(Code::NoInput, "there is no upstream to test"));
    for name in upstreams {
        last = tester.test(&name, output)?;
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Shows how mail of the account is judged and where it goes.
fn route_of(
    config: &Checked,
    name: &AccountName,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<Route, Failure> {
    let account = config.accounts.find(name.as_str());
    let profile = account.and_then(|account| config.profiles.get(&account.name));
    let (Some(account), Some(profile)) = (account, profile) else {
        let failure = Failure::new(Code::NoInput, format!("there is no account `{name}`"));
        return Err(failure.with_hint("`posthouse account list` shows all"));
    };
    if !account.active {
        output.styled(
            Style::Yellow,
            "The account is disabled: it could not log in.",
        )?;
    }
    judge(&profile.rules, &arguments.from, output)?;
    let Some(choice) = config.routes.route_to(&account.name, &arguments.to) else {
        return Err(Failure::new(
            Code::Configuration,
            "no upstream takes mail of this account to this recipient",
        )
        .with_hint("name one as `upstream` under [relay], its tenant or the account"));
    };
    let route = choice.route.clone();
    if config.routes.sending() == Sending::Disabled {
        let text =
            "Sending is switched off ([relay] enabled): clients are refused, this test is not.";
        output.styled(Style::Yellow, text)?;
    }
    output.field("route", &route)?;
    Ok(route)
}

fn judge(rules: &Rules, from: &Mailbox, output: &mut Output) -> Result<(), Failure> {
    let claim = SenderClaim {
        reverse_path: &ReversePath::Mailbox(from.clone()),
        from: std::slice::from_ref(from),
        sender: None,
        resent_from: &[],
        resent_sender: &[],
        shown: &[],
    };
    match authorize(rules, &claim) {
        Verdict::Allow(_) => output.field("authorization", format_args!("{from} is allowed")),
        Verdict::Deny(denial) => {
            output.field("authorization", "refused")?;
            Err(Failure::new(Code::NoPermission, denial.to_string()).with_hint(
                "add it to authorized_senders or authorized_domains of the account, or use another --from",
            ))
        }
    }
}

struct Tester<'a> {
    config: &'a Checked,
    message: TestMessage,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
}

impl<'a> Tester<'a> {
    fn new(config: &'a Checked, arguments: &Arguments) -> Result<Self, Failure> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (from, to) = (&arguments.from, &arguments.to);
        Ok(Self {
            config,
            message: TestMessage::new(from, to, &config.server.hostname, clock.now())?,
            runtime: runtime.map_err(|error| Failure::of(Code::Unavailable, &error))?,
            clock,
        })
    }

    /// Tries one upstream. The outer result is about the test, the inner one about its outcome.
    fn test(
        &self,
        name: &UpstreamName,
        output: &mut Output,
    ) -> Result<Result<(), Failure>, Failure> {
        let upstream = configuration::upstream(self.config, name)?;
        output.field("upstream", name)?;
        let begin = self.clock.instant();
        let attempt = self.runtime.block_on(self.attempt(&upstream.engine))?;
        let took = self.clock.instant().duration_since(begin);
        let Some((_, outcome)) = attempt.outcomes.first() else {
            return Err(Failure::new(
                Code::Unavailable,
                "the upstream gave no outcome",
            ));
        };
        let (style, text) = words::outcome(outcome, took);
        output.styled(style, text)?;
        Ok(match outcome {
            Outcome::Relayed(..) => Ok(()),
            Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
                let message = format!("the test message was not relayed by `{name}`");
                Err(Failure::new(Code::Unavailable, message).with_hint(words::advice(failure)))
            }
        })
    }

    async fn attempt(&self, engine: &Engine) -> Result<Attempt, Failure> {
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
                let dialogue = Arc::new(Dialogue::new(Arc::clone(&clock)));
                let resolver = resolver()?;
                let policies = Policies::direct(Arc::clone(&resolver), Arc::clone(&clock));
                let upstream = SmtpUpstream::new(settings.as_ref().clone(), resolver, clock)
                    .map_err(|error| Failure::of(Code::Configuration, &error))?
                    .with_policies(policies);
                Ok(upstream.attempt_observed(order, dialogue).await)
            }
        }
    }
}

fn resolver() -> Result<Arc<dyn Resolver>, Failure> {
    let resolver = SystemResolver::new();
    let resolver = resolver.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    Ok(Arc::new(resolver))
}

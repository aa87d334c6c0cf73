//! `posthouse upstream test`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::{self, Runtime};

use crate::clock::{Clock, SystemClock};
use crate::config::{Engine, Span};
use crate::dns::{Resolver, SystemResolver};
use crate::identity::UpstreamName;
use crate::mail::Health;
use crate::mta_sts::Policies;
use crate::telemetry;
use crate::upstream::graph::Setup;
use crate::upstream::probe::Trouble;
use crate::upstream::smtp::{Settings, SmtpUpstream, Timeouts, Transcript};

use crate::cli::configuration::{self, ConfigurationOption};
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::cli::probe::{FailureView, Show, StepView, Watch, advice};

/// Go all the way to an upstream without sending anything, and say what is wrong
///
/// Look-up, connection, TLS with the certificate, what the server offers, login: each with its time. Passwords are not
/// shown. No server needs to run.
///
/// The exit code is 0 if mail would be taken, 69 if the upstream cannot be reached or is busy, 78 if somebody must
/// repair something first: credentials, certificate, settings.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse upstream test main
  posthouse upstream test main --dialogue
  posthouse upstream test main --json")]
pub(super) struct Arguments {
    /// The upstream to test
    #[arg(value_name = "NAME", value_parser = UpstreamName::parse)]
    name: UpstreamName,
    /// Show every line that is said, too
    #[arg(long)]
    dialogue: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// How long an answer is awaited, at most
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = limit)]
    timeout: Duration,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

fn limit(text: &str) -> Result<Duration, String> {
    let span = Span::<1>::parse(text).map_err(|error| error.to_string())?;
    Ok(span.get())
}

/// What came of a test, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    upstream: &'a str,
    outcome: Outcome,
    steps: Vec<StepView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dialogue: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Failed,
    Good,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let engine = &configuration::upstream(&config, &arguments.name)?.engine;
    match engine {
        Engine::Graph(setup) => graph(arguments, setup, output),
        Engine::Maildir(_) => {
            let text = "keeps mail in a local folder: there is nothing to connect to";
            output.field(arguments.name.as_str(), text)
        }
        Engine::Smtp(settings) => smtp(arguments, settings, output),
    }
}

/// Gets a token for Graph; where one mailbox sends everything and large messages go by SMTP, logs in there too.
fn graph(arguments: &Arguments, setup: &Setup, output: &mut Output) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watch = Arc::new(Watch::new(Arc::clone(&clock), show(arguments)));
    let runtime = started()?;
    let upstream = setup.clone().start(&resolver()?, &clock);
    let upstream = upstream.map_err(|error| Failure::of(Code::Configuration, &error))?;
    let begin = clock.instant();
    let mut tested = runtime.block_on(upstream.probe());
    if tested.is_ok() {
        if !arguments.json {
            let took = clock.instant().saturating_duration_since(begin).as_millis();
            output.field(
                "token",
                format_args!("there is one for Graph, after {took} ms"),
            )?;
            if let (Some(mailbox), Some(_)) = (&setup.settings.mailbox, &setup.submission) {
                let text = format_args!("by SMTP as {mailbox}, for what Graph does not take");
                output.field("submission", text)?;
            }
        }
        tested = runtime.block_on(upstream.probe_submission(Arc::<Watch>::clone(&watch) as _));
    }
    tell(arguments, &tested, &watch, output)
}

fn smtp(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watch = Arc::new(Watch::new(Arc::clone(&clock), show(arguments)));
    let settings = Settings {
        timeouts: within(&settings.timeouts, arguments.timeout),
        ..settings.clone()
    };
    let tested = probe(settings, clock, Arc::<Watch>::clone(&watch))?;
    tell(arguments, &tested, &watch, output)
}

const fn show(arguments: &Arguments) -> Show {
    match (arguments.json, arguments.dialogue) {
        (true, _) => Show::Nothing,
        (false, true) => Show::Dialogue,
        (false, false) => Show::Steps,
    }
}

fn tell(
    arguments: &Arguments,
    tested: &Result<(), Box<Trouble>>,
    watch: &Watch,
    output: &mut Output,
) -> Result<(), Failure> {
    if arguments.json {
        let (steps, mut dialogue) = watch.kept();
        if !arguments.dialogue {
            dialogue.clear();
        }
        output.json(&report(&arguments.name, tested, steps, dialogue))?;
    }
    match tested {
        Ok(()) if arguments.json => Ok(()),
        Ok(()) => output.styled(Style::Green, "Good. No mail was sent."),
        Err(trouble) => {
            watch.failed(&trouble.failure, &trouble.shown);
            Err(failure(&arguments.name, trouble))
        }
    }
}

/// Shows the way to an upstream step by step; an error says what is wrong with it.
pub(in crate::cli) fn look_at(name: &UpstreamName, settings: &Settings) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watch = Arc::new(Watch::new(Arc::clone(&clock), Show::Steps));
    let settings = Settings {
        timeouts: within(&settings.timeouts, LOOK),
        ..settings.clone()
    };
    probe(settings, clock, Arc::<Watch>::clone(&watch))?.map_err(|trouble| {
        watch.failed(&trouble.failure, &trouble.shown);
        failure(name, &trouble)
    })
}

/// How long an answer is awaited then.
const LOOK: Duration = Duration::from_secs(30);

fn started() -> Result<Runtime, Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::of(Code::Unavailable, &error))
}

fn resolver() -> Result<Arc<dyn Resolver>, Failure> {
    let resolver = SystemResolver::new();
    let resolver = resolver.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    Ok(Arc::new(resolver))
}

fn probe(
    settings: Settings,
    clock: Arc<dyn Clock>,
    transcript: Arc<dyn Transcript>,
) -> Result<Result<(), Box<Trouble>>, Failure> {
    let (runtime, resolver) = (started()?, resolver()?);
    runtime.block_on(async {
        let policies = Policies::direct(Arc::clone(&resolver), Arc::clone(&clock));
        let upstream = SmtpUpstream::new(settings, resolver, clock)
            .map_err(|error| Failure::of(Code::Configuration, &error))?
            .with_policies(policies);
        Ok(upstream.probe(transcript).await)
    })
}

/// Whoever waits in front of a terminal does not wait for five minutes.
fn within(timeouts: &Timeouts, limit: Duration) -> Timeouts {
    Timeouts {
        connect: timeouts.connect.min(limit),
        command: timeouts.command.min(limit),
        data: timeouts.data.min(limit),
        final_reply: timeouts.final_reply.min(limit),
    }
}

fn report<'a>(
    name: &'a UpstreamName,
    tested: &Result<(), Box<Trouble>>,
    steps: Vec<StepView>,
    dialogue: Vec<String>,
) -> Report<'a> {
    let failure = tested.as_ref().err();
    Report {
        upstream: name.as_str(),
        outcome: match failure {
            Some(_) => Outcome::Failed,
            None => Outcome::Good,
        },
        steps,
        dialogue,
        failure: failure.map(|trouble| {
            FailureView::new(&trouble.failure, &trouble.health, name, &trouble.shown)
        }),
    }
}

fn failure(name: &UpstreamName, trouble: &Trouble) -> Failure {
    let code = match trouble.health {
        Health::Unusable => Code::Configuration,
        Health::Good | Health::Throttled { .. } | Health::Unreachable => Code::Unavailable,
    };
    let text = telemetry::printable(&trouble.failure.to_string());
    Failure::new(
        code,
        format!("upstream `{name}` would not take mail now: {text}"),
    )
    .with_hint(advice(&trouble.failure, name))
}

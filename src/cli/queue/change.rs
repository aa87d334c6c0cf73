//! `posthouse queue retry`, `hold`, `release`, `delete` and `reroute`.

use std::thread;
use std::time::Duration;

use crate::control::protocol::{Changed, MAX_CHANGE, QueueRequest, Response, Verb};
use crate::control::view::Id;

use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style, messages};

use super::source::Source;
use super::target::{Meant, Target};

/// How often messages that are being attempted are tried again, and how long after.
const AGAIN: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse queue hold 06F2QHJ2C0000 06F2QHJ2C0001
  posthouse queue retry --upstream main --reply \"451 4.7.1\"
  posthouse queue delete --account shop --recipient @typo.example")]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse queue reroute 06F2QHJ2C0000 --to spare
  posthouse queue reroute --upstream main --older 1h --to spare,backup
  posthouse queue reroute --all --reset")]
pub(super) struct RerouteArguments {
    /// The upstreams in failover order
    #[arg(
        long,
        value_name = "UPSTREAM",
        value_delimiter = ',',
        required_unless_present = "reset",
        conflicts_with = "reset"
    )]
    to: Vec<String>,
    /// Give the messages the upstreams of their accounts again
    #[arg(long, visible_alias = "to-account-route")]
    reset: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(verb: &Verb, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    change(verb, arguments.target, output)
}

pub(super) fn reroute(arguments: RerouteArguments, output: &mut Output) -> Result<(), Failure> {
    let verb = if arguments.reset {
        Verb::ResetRoute
    } else {
        Verb::Reroute { to: arguments.to }
    };
    change(&verb, arguments.target, output)
}

fn change(verb: &Verb, target: Target, output: &mut Output) -> Result<(), Failure> {
    target.check()?;
    let mut source = Source::open(&target.configuration)?;
    let meant = target.find(&mut source, action(verb))?;
    let (ids, is_set) = match meant {
        Meant::Named(ids) => (ids, false),
        Meant::Nothing => return output.line("Nothing is changed."),
        Meant::Set(ids) => (ids, true),
    };
    let changed = work(&mut source, verb, ids, output)?;
    let done = format_args!("{} {}", messages(changed.done), past(verb));
    output.line(done)?;
    report(verb, changed, is_set, output)
}

/// Changes messages in portions. Those that are being attempted get some more chances.
fn work(
    source: &mut Source,
    verb: &Verb,
    ids: Vec<Id>,
    output: &mut Output,
) -> Result<Changed, Failure> {
    let (mut all, mut ids) = (Changed::default(), ids);
    let total = ids.len();
    for round in 0..=AGAIN {
        for portion in ids.chunks(MAX_CHANGE) {
            let request = QueueRequest::Change {
                ids: portion.to_vec(),
                verb: verb.clone(),
            };
            let Response::Changed(changed) = source.ask(request)?.accepted()? else {
                return Err(Failure::unexpected_answer());
            };
            all.done += changed.done;
            all.busy.extend(changed.busy);
            all.missing.extend(changed.missing);
            all.failed.extend(changed.failed);
            all.reason = changed.reason.or(all.reason);
            if total > 10 * MAX_CHANGE {
                output.progress(format_args!("{} of {total}", all.done))?;
            }
        }
        // An attempt that runs is what a retry is to bring about.
        if all.busy.is_empty() || *verb == Verb::Retry || round == AGAIN {
            break;
        }
        ids = std::mem::take(&mut all.busy);
        thread::sleep(PAUSE);
    }
    Ok(all)
}

/// Tells what has not been changed. What was named and is not there is an error; of a set it has merely left.
fn report(verb: &Verb, changed: Changed, is_set: bool, output: &mut Output) -> Result<(), Failure> {
    let mut failure = None;
    if *verb == Verb::Retry && !changed.busy.is_empty() {
        let busy = messages(changed.busy.len());
        output.line(format_args!("{busy} being attempted at this moment"))?;
    } else if !changed.busy.is_empty() {
        let message = format!(
            "{} being attempted now and as before; try again in a moment",
            messages(changed.busy.len())
        );
        failure = Some(Failure::new(Code::Unavailable, message));
    }
    if is_set && !changed.missing.is_empty() {
        let gone = messages(changed.missing.len());
        output.line(format_args!("{gone} had left the queue meanwhile"))?;
    } else {
        for Id(id) in changed.missing {
            let message = format!("there is no message {id} in the queue");
            let missing = Failure::new(Code::NoInput, message).with_hint(
                "`posthouse queue list` shows what waits, `posthouse trace` what became of others",
            );
            tell_earlier(failure.replace(missing), output)?;
        }
    }
    if let Some(reason) = changed.reason {
        let count = messages(changed.failed.len());
        let failed = Failure::new(Code::Unavailable, format!("{count} not changed: {reason}"));
        tell_earlier(failure.replace(failed), output)?;
    }
    failure.map_or(Ok(()), Err)
}

/// The last failure ends the command; those before are told in the output.
fn tell_earlier(failure: Option<Failure>, output: &mut Output) -> Result<(), Failure> {
    failure.map_or(Ok(()), |failure| {
        output.styled(Style::Yellow, failure.message)
    })
}

fn action(verb: &Verb) -> &'static str {
    match verb {
        Verb::Delete => "Delete",
        Verb::Hold => "Hold",
        Verb::Release => "Release",
        Verb::Reroute { .. } | Verb::ResetRoute => "Reroute",
        Verb::Retry => "Retry",
    }
}

fn past(verb: &Verb) -> &'static str {
    match verb {
        Verb::Delete => "deleted",
        Verb::Hold => "held",
        Verb::Release => "released",
        Verb::Reroute { .. } => "rerouted",
        Verb::ResetRoute => "on the route of their account again",
        Verb::Retry => "due now",
    }
}

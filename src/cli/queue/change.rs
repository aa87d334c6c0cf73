//! `posthouse queue retry`, `hold`, `release` and `delete`.

use crate::control::protocol::{Filter, QueueRequest};
use crate::control::view::Id;
use crate::mail::QueueId;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};

use super::filter::{FilterOptions, Pages, queue_id};
use super::source::Source;

/// What is done to a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    Delete,
    Hold,
    Release,
    Retry,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse queue hold 1MQFVGGTVR001 1MQFVGGTVR002
  posthouse queue retry --all
  posthouse queue delete --all --account shop --recipient @typo.example")]
pub(super) struct Arguments {
    /// The queue ids
    #[arg(value_name = "QUEUE_ID", value_parser = queue_id, required_unless_present = "all")]
    ids: Vec<QueueId>,
    /// Every message, or every one that the other options name
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

impl Verb {
    fn request(self, id: Id) -> QueueRequest {
        match self {
            Self::Delete => QueueRequest::Delete { id },
            Self::Hold => QueueRequest::Hold { id },
            Self::Release => QueueRequest::Release { id },
            Self::Retry => QueueRequest::Retry { id },
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Delete => "deleted",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Retry => "due now",
        }
    }
}

pub(super) fn run(verb: Verb, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let filter = Filter::from(arguments.filter);
    if filter != Filter::default() && !arguments.all {
        let message = "options such as --account choose messages only together with --all";
        return Err(Failure::new(Code::Usage, message)
            .with_hint("name queue ids, or add --all to mean every message the options name"));
    }
    let mut source = Source::open(&arguments.configuration)?;
    let mut work = Work {
        verb,
        done: 0,
        failure: None,
    };
    for id in arguments.ids {
        work.change(&mut source, Id(id), output)?;
    }
    if arguments.all {
        let mut pages = Pages::new(filter, usize::MAX);
        while let Some(messages) = pages.next(&mut source)? {
            for message in messages {
                work.change(&mut source, message.id, output)?;
            }
        }
    }
    let plural = if work.done == 1 { "" } else { "s" };
    output.line(format_args!(
        "{} message{plural} {}",
        work.done,
        verb.done()
    ))?;
    work.failure.map_or(Ok(()), Err)
}

/// What has been done so far. One message that cannot be changed does not keep the others from it.
struct Work {
    verb: Verb,
    done: usize,
    failure: Option<Failure>,
}

impl Work {
    fn change(&mut self, source: &mut Source, id: Id, output: &mut Output) -> Result<(), Failure> {
        match source.ask(self.verb.request(id))?.accepted() {
            Ok(_) => {
                self.done += 1;
                Ok(())
            }
            Err(refusal) => {
                let earlier = self.failure.replace(refusal.into());
                earlier.map_or(Ok(()), |failure| {
                    output.styled(Style::Yellow, failure.message)
                })
            }
        }
    }
}

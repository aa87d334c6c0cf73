//! The messages that a verb means: some that are named, or a set that is asked about first.

use crate::control::protocol::Filter;
use crate::control::view::Id;
use crate::mail::QueueId;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Answer, ask, messages};

use super::filter::{self, FilterOptions, queue_id};
use super::source::Source;

/// Which messages are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The queue ids
    #[arg(value_name = "QUEUE_ID", value_parser = queue_id)]
    ids: Vec<QueueId>,
    /// Every message of the queue; not needed where other options say which
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    pub(super) configuration: ConfigurationOption,
}

/// Messages that have been found and, where it is a set, agreed to.
pub(super) enum Meant {
    /// They were named one by one.
    Named(Vec<Id>),
    /// They are all that options name.
    Set(Vec<Id>),
    /// A person has said no.
    Nothing,
}

impl Target {
    /// Finds the messages. A set is asked about: `action` is what would be done, such as `Hold`.
    pub(super) fn find(self, source: &mut Source, action: &str) -> Result<Meant, Failure> {
        let named: Vec<Id> = self.ids.into_iter().map(Id).collect();
        if !named.is_empty() {
            return Ok(Meant::Named(named));
        }
        let ids = filter::ids(source, &Filter::from(self.filter))?;
        if self.yes || ids.is_empty() {
            return Ok(Meant::Set(ids));
        }
        let question = format!("{action} {}?", messages(ids.len()));
        match ask(&question)? {
            Answer::No => Ok(Meant::Nothing),
            Answer::Nobody => {
                let message = format!(
                    "{} would be changed, and nobody can be asked: standard input is no terminal",
                    messages(ids.len())
                );
                Err(Failure::new(Code::Usage, message).with_hint("--yes does it without asking"))
            }
            Answer::Yes => Ok(Meant::Set(ids)),
        }
    }

    /// Makes sure that it is said which messages are meant.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let has_filter = Filter::from(self.filter.clone()) != Filter::default();
        if !self.ids.is_empty() && has_filter {
            let message = "queue ids and options such as --account exclude each other";
            return Err(Failure::new(Code::Usage, message)
                .with_hint("name the messages, or say which with options"));
        }
        if self.ids.is_empty() && !has_filter && !self.all {
            let message = "it is not said which messages are meant";
            return Err(Failure::new(Code::Usage, message).with_hint(
                "name queue ids, choose with options such as --account NAME, or mean every message with --all",
            ));
        }
        Ok(())
    }
}

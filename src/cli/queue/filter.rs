//! Which messages are meant.

use clap::ValueEnum;

use crate::control::protocol::{Filter, MAX_LIST, QueueRequest, Response};
use crate::control::view::{Id, MessageView, State};
use crate::mail::QueueId;

use crate::cli::failure::Failure;

use super::source::Source;

/// Which messages are meant; all that is given must hold.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FilterOptions {
    /// Only messages in this state
    #[arg(long, value_name = "STATE")]
    state: Option<StateOption>,
    /// Only messages of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only messages of this tenant's accounts
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only messages that may take this upstream
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Only messages whose sender has this text in it
    #[arg(long, value_name = "TEXT")]
    sender: Option<String>,
    /// Only messages with a waiting recipient that has this text in it
    #[arg(long, value_name = "TEXT")]
    recipient: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateOption {
    /// Waits for its due time or a free connection
    Pending,
    /// Is being attempted
    Leased,
    /// Waits for an operator
    Held,
}

impl From<FilterOptions> for Filter {
    fn from(options: FilterOptions) -> Self {
        Self {
            state: options.state.map(|state| match state {
                StateOption::Held => State::Held,
                StateOption::Leased => State::Leased,
                StateOption::Pending => State::Pending,
            }),
            account: options.account,
            tenant: options.tenant,
            upstream: options.upstream,
            sender: options.sender,
            recipient: options.recipient,
        }
    }
}

/// Goes through the messages that a filter takes, a page at a time.
pub(super) struct Pages {
    filter: Filter,
    after: Option<Id>,
    is_over: bool,
    /// How many more are wanted.
    wanted: usize,
}

impl Pages {
    pub(super) fn new(filter: Filter, at_most: usize) -> Self {
        Self {
            filter,
            after: None,
            is_over: at_most == 0,
            wanted: at_most,
        }
    }

    /// Returns the next page, perhaps an empty one, or `None` after the last.
    pub(super) fn next(
        &mut self,
        source: &mut Source,
    ) -> Result<Option<Vec<MessageView>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let request = QueueRequest::List {
            after: self.after,
            limit: self.wanted.min(MAX_LIST),
            filter: self.filter.clone(),
        };
        let answer = source.ask(request)?.accepted()?;
        let Response::Messages { messages, next } = answer else {
            return Err(Failure::unexpected_answer());
        };
        self.after = next;
        self.wanted = self.wanted.saturating_sub(messages.len());
        self.is_over = next.is_none() || self.wanted == 0;
        Ok(Some(messages))
    }
}

/// Parses a queue id as people type it.
pub(super) fn queue_id(text: &str) -> Result<QueueId, &'static str> {
    QueueId::parse(text)
        .ok_or("a queue id has 13 letters and digits; `posthouse queue list` shows them")
}

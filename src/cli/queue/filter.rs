//! Which messages are meant.

use std::time::Duration;

use clap::ValueEnum;

use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::config::Span;
use crate::control::protocol::{Filter, MAX_LIST, QueueRequest, Response};
use crate::control::view::{Id, MessageView, State, Time};
use crate::mail::{Priority, QueueId};

use crate::cli::failure::Failure;

use super::source::Source;

/// Which messages are meant; all that is given must hold.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which messages")]
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
    /// Only messages of this priority, or of a range such as 1-2
    #[arg(long, value_name = "PRIORITY", value_parser = priorities)]
    priority: Option<(u8, u8)>,
    /// Only messages accepted longer ago than this, such as 1h
    #[arg(long, value_name = "TIME", value_parser = age)]
    older: Option<Duration>,
    /// Only messages accepted less long ago than this, such as 10m
    #[arg(long, value_name = "TIME", value_parser = age)]
    newer: Option<Duration>,
    /// Only messages whose last failure has this text in it, such as "451 4.7.1"
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
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
        let ago = |age: Duration| {
            let now = SystemClock.now().unix_millis();
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            Time(Timestamp::from_unix_millis(now.saturating_sub(age)))
        };
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
            reply: options.reply,
            priority: options.priority,
            accepted_before: options.older.map(ago),
            accepted_from: options.newer.map(ago),
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
    /// Begins behind `after`.
    pub(super) fn new(filter: Filter, after: Option<Id>, at_most: usize) -> Self {
        Self {
            filter,
            after,
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

    /// Returns behind which message others follow, if they do.
    pub(super) fn rest(&self) -> Option<Id> {
        self.after
    }
}

/// Returns the ids of all messages that a filter takes.
pub(super) fn ids(source: &mut Source, filter: &Filter) -> Result<Vec<Id>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let filter = filter.clone();
        let answer = source.ask(QueueRequest::Ids { after, filter })?;
        let Response::Ids { ids, next } = answer.accepted()? else {
            return Err(Failure::unexpected_answer());
        };
        all.extend(ids);
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Parses a queue id as people type it.
pub(in crate::cli) fn queue_id(text: &str) -> Result<QueueId, &'static str> {
    QueueId::parse(text)
        .ok_or("a queue id has 13 letters and digits; `posthouse queue list` shows them")
}

/// Parses `2` or `1-2`.
fn priorities(text: &str) -> Result<(u8, u8), &'static str> {
    const FORM: &str =
        "a priority is a number from 1 (very high) to 5 (very low), or a range of two: 1-2";
    let number = |text: &str| {
        let number = text.trim().parse().ok().and_then(Priority::from_number);
        number.map(Priority::number).ok_or(FORM)
    };
    let (highest, lowest) = match text.split_once('-') {
        Some((highest, lowest)) => (number(highest)?, number(lowest)?),
        None => (number(text)?, number(text)?),
    };
    if highest > lowest {
        return Err("the range ends before it begins; write the smaller number first");
    }
    Ok((highest, lowest))
}

fn age(text: &str) -> Result<Duration, String> {
    let span = Span::<1>::parse(text).map(Span::get);
    span.map_err(|error| format!("{error}; write for example 90s, 10m, 1h or 2d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_a_number_or_a_range() {
        assert_eq!(priorities("2"), Ok((2, 2)));
        assert_eq!(priorities("1-2"), Ok((1, 2)));
        for wrong in ["", "0", "6", "2-1", "1-", "-1", "1-2-3", "high", "257"] {
            assert!(priorities(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!(age("10m"), Ok(Duration::from_mins(10)));
        assert!(age("10").unwrap_err().contains("it has no unit"));
    }
}

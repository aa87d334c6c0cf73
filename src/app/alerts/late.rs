//! Messages that are not delivered in the time they should be.
//!
//! Each message is told of once: when it has waited for `[alerts] delivery_time`, counted from when it might first be
//! sent. The ledger keeps up to when messages have been looked at, so that a restart tells of none again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::alert::{Alert, Kind};
use crate::clock::Timestamp;
use crate::identity::AccountName;
use crate::mail::QueueId;
use crate::spool::{Entry, EntryState, Selection, SpoolAdmin, SpoolError};

/// How many messages are read at once.
const PORTION: usize = 500;

/// How much earlier a message may have got its id than it was accepted: it came slowly.
const SLOW: Duration = Duration::from_mins(10);

/// How many messages are remembered that will be late later.
const MAX_SCHEDULED: usize = 100_000;

/// What is known between two looks.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Whether the queue that the process before left has been looked through.
    has_begun: bool,
    /// Messages that began to wait later than their ids say.
    scheduled: BTreeMap<QueueId, Timestamp>,
}

/// From when to when messages began to wait that are late now, and for how long that is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) allowed: Duration,
}

/// The late messages of one account.
struct OfAccount {
    count: usize,
    oldest: Entry,
}

impl Late {
    /// Looks for messages that have become late; returns an alert for each account that has any.
    ///
    /// # Errors
    /// [`SpoolError`]: it is looked again from where the last look ended.
    pub(super) async fn look(
        &mut self,
        spool: &dyn SpoolAdmin,
        span: Span,
    ) -> Result<Vec<Alert>, SpoolError> {
        let mut late = BTreeMap::new();
        let from = if self.has_begun {
            QueueId::first_at(span.from.before(SLOW))
        } else {
            QueueId::from_number(0)
        };
        let selection = Selection {
            from: Some(from),
            before: Some(QueueId::first_at(
                span.until.after(Duration::from_millis(1)),
            )),
            ..Selection::default()
        };
        let mut after = None;
        loop {
            let page = spool.select(after, PORTION, &selection).await?;
            for entry in page.items {
                self.judge(entry, span, &mut late);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let due = self
            .scheduled
            .iter()
            .filter(|(_, begins)| **begins <= span.until);
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.scheduled.remove(&id);
            if let Some(entry) = spool.show(id).await? {
                self.judge(entry, span, &mut late);
            }
        }
        self.has_begun = true;
        let late = late.into_iter();
        Ok(late
            .map(|(account, late)| alert(account, &late, span.allowed))
            .collect())
    }

    fn judge(&mut self, entry: Entry, span: Span, late: &mut BTreeMap<AccountName, OfAccount>) {
        // Alerts about alerts would run in circles; what an operator holds is held on purpose.
        let Some(account) = entry.message.account.clone() else {
            return;
        };
        let begins = entry.message.begins();
        if begins > span.until {
            if self.scheduled.len() < MAX_SCHEDULED {
                self.scheduled.insert(entry.id, begins);
            }
            return;
        }
        if begins <= span.from || entry.state == EntryState::Held {
            return;
        }
        let found = late.entry(account).or_insert_with(|| OfAccount {
            count: 0,
            oldest: entry.clone(),
        });
        found.count += 1;
        if begins < found.oldest.message.begins() {
            found.oldest = entry;
        }
    }
}

fn alert(account: AccountName, late: &OfAccount, allowed: Duration) -> Alert {
    let OfAccount { count, oldest } = late;
    let message = &oldest.message;
    let pending = oldest.pending.first();
    let recipient = pending
        .and_then(|(index, _)| message.envelope.recipients.get(usize::from(index.0)))
        .map(|recipient| format!(" to {}", recipient.forward_path.mailbox()))
        .unwrap_or_default();
    let why = pending
        .and_then(|(_, failure)| failure.as_ref())
        .map(|failure| format!(" The last attempt: {failure}."))
        .unwrap_or_default();
    let (messages, have) = match count {
        1 => ("1 message".to_owned(), "has"),
        count => (format!("{count} messages"), "have"),
    };
    let text = format!(
        "{messages} of account {account} {have} not been delivered within {}. The oldest is {}{recipient}, of {}.{why} \
         `posthouse queue list --account {account}` lists them, `posthouse upstream list` tells how the upstreams fare.",
        in_words(allowed),
        oldest.id,
        message.begins().to_second(),
    );
    Alert {
        account: Some(account),
        tenant: message.tenant.clone(),
        upstream: message.route.upstreams().first().cloned(),
        ..Alert::new(Kind::DeliveryTimeExceeded, text)
    }
}

/// Writes a length of time in the largest unit that it is a whole number of: `90 min`.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        _ if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds > 0 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::identity::{Route, UpstreamName};
    use crate::mail::{Envelope, ForwardPath, Mailbox, Priority, Recipient, ReversePath};
    use crate::spool::memory::MemorySpool;
    use crate::spool::{Message, Spool as _};

    const T0: Timestamp = Timestamp::from_unix_millis(1_795_600_000_000);

    const HOUR: Duration = Duration::from_hours(1);

    async fn commit(spool: &MemorySpool, account: Option<&str>, held: Option<&str>) {
        let to = Mailbox::parse("to@example.com").unwrap();
        let message = Message {
            envelope: Envelope {
                recipients: vec![Recipient::new(ForwardPath::from(to))],
                ..Envelope::new(ReversePath::Null)
            },
            account: account.map(|name| AccountName::parse(name).unwrap()),
            tenant: None,
            route: Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap(),
            priority: Priority::Normal,
            accepted: T0,
            due: T0,
            peer: None,
            message_id: None,
            held: held.map(Into::into),
        };
        let draft = spool.draft().await.unwrap();
        spool.commit(draft, message).await.unwrap();
    }

    fn span(from: Timestamp, now: Timestamp) -> Span {
        Span {
            from,
            until: now.before(HOUR),
            allowed: HOUR,
        }
    }

    #[tokio::test]
    async fn each_message_of_an_account_is_late_once_and_others_never() {
        let clock = Arc::new(ManualClock::new(T0));
        let spool = MemorySpool::new(Arc::clone(&clock) as _);
        commit(&spool, Some("shop"), None).await;
        commit(&spool, Some("shop"), None).await;
        commit(&spool, Some("shop"), Some("its sender")).await;
        // The mail of an alert: if it made another one there would be no end.
        commit(&spool, None, None).await;
        let mut late = Late::default();
        let start = Timestamp::default();
        let early = late.look(&spool, span(start, T0.after(HOUR / 2))).await;
        assert_eq!(early.unwrap(), []);
        clock.advance(HOUR);
        let now = clock.now();
        let alerts = late.look(&spool, span(start, now)).await.unwrap();
        let [alert] = &alerts[..] else {
            panic!("{alerts:?}")
        };
        assert!(
            alert.text.starts_with("2 messages of account shop"),
            "{}",
            alert.text
        );
        // Another process goes on where this one has ended.
        let later = span(now.before(HOUR), now.after(HOUR));
        for mut late in [late, Late::default()] {
            assert_eq!(late.look(&spool, later).await.unwrap(), []);
        }
    }
}

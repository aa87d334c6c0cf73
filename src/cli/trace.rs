//! `posthouse trace`: the life of one message, in words.

use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::control::protocol::Response;
use crate::control::trace::TraceView;
use crate::control::view::{Id, MessageView};
use crate::journal::{
    Accepted, Attempt, Channel, Deed, Encryption, Event, PriorityBasis, PriorityNote,
    RecipientFate, RecipientNote, Record, Report,
};
use crate::mail::QueueId;

use super::configuration::ConfigurationOption;
use super::failure::{Code, Failure};
use super::output::{Output, Style, octets, printable, span};
use super::queue::{Source, due, queue_id, state};

/// Tell the whole life of one message, also after it has left the queue
///
/// From where it came, as whom, why it was allowed, how urgent it is and why; every attempt with the upstream's address,
/// TLS, reply and duration; what operators did to it; what it does now. `[journal] keep` says for how long this is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse trace 06F2QHJ2C0000
  posthouse trace 06F2QHJ2C0000 --json")]
pub(super) struct Arguments {
    /// The queue id, which the client was told and the log has
    #[arg(value_name = "QUEUE_ID", value_parser = queue_id)]
    id: QueueId,
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut source = Source::open(&arguments.configuration)?;
    let answer = source.trace(Id(arguments.id))?.accepted()?;
    let Response::Trace(trace) = answer else {
        return Err(Failure::unexpected_answer());
    };
    if trace.events.is_empty() && trace.message.is_none() {
        return Err(unknown(&trace));
    }
    if arguments.json {
        output.json(&trace)
    } else {
        print(&trace, output)
    }
}

/// Says why nothing is known of a message.
fn unknown(trace: &TraceView) -> Failure {
    let Id(id) = trace.queue_id;
    let made = Timestamp::from_unix_millis(id.number() >> 16);
    let why = if trace.keep_seconds == 0 {
        "the journal, which would tell what became of it, is off ([journal] keep)".to_owned()
    } else if made > SystemClock.now() {
        "its id is one of the future".to_owned()
    } else if trace.since.is_none_or(|since| made < since.0) {
        let keep = span(std::time::Duration::from_secs(trace.keep_seconds));
        let since = trace.since.map_or_else(
            || "has nothing yet".to_owned(),
            |since| format!("goes back to {}", since.0),
        );
        format!("it would be of {made}; the journal keeps {keep} and {since}")
    } else {
        "there has been none of this id, or what happened to it was not noted".to_owned()
    };
    let message = format!("nothing is known of message {id}: it is not in the queue, and {why}");
    let failure = Failure::new(Code::NoInput, message);
    if trace.unread > 0 {
        return failure.with_hint("a newer posthouse has written files of the journal");
    }
    failure.with_hint("the log has every message too, under its queue id")
}

fn print(trace: &TraceView, output: &mut Output) -> Result<(), Failure> {
    let Id(id) = trace.queue_id;
    output.styled(Style::Bold, format_args!("Message {id}"))?;
    if trace.events.is_empty() {
        output.line("The journal has nothing of it.")?;
    }
    for record in &trace.events {
        row(record).print(output)?;
    }
    now(trace.message.as_ref()).print(output)
}

/// Prints one thing that happened.
pub(super) fn show(record: &Record, output: &mut Output) -> Result<(), Failure> {
    row(record).print(output)
}

/// One thing that happened: when, what in a word or two, and the rest in lines.
struct Row {
    time: String,
    what: String,
    style: Style,
    lines: Vec<String>,
}

impl Row {
    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if !output.is_terminal {
            return self
                .lines
                .iter()
                .try_for_each(|line| output.line([&*self.time, &self.what, line].join("\t")));
        }
        let time = &self.time;
        let what = output.paint(self.style, &format!("{:<12}", self.what));
        let mut lines = self.lines.iter().map(|line| printable(line));
        let first = lines.next().unwrap_or_default();
        output.text(&format!("{time:<24}  {what}  {first}\n"))?;
        lines.try_for_each(|line| output.text(&format!("{:40}{line}\n", "")))
    }
}

fn row(record: &Record) -> Row {
    let (what, style, lines) = match &record.event {
        Event::Accepted(accepted) => (
            "accepted".to_owned(),
            Style::Green,
            accepted_lines(accepted),
        ),
        Event::Attempt(attempt) => (
            format!("attempt {}", attempt.number),
            style_of(&attempt.recipients),
            attempt_lines(attempt),
        ),
        Event::Damaged => (
            "damaged".to_owned(),
            Style::Red,
            vec!["what is stored of it is damaged; it was set aside, see spool/damaged".to_owned()],
        ),
        Event::Expired {
            recipients,
            left_out,
        } => {
            let mut lines = vec!["its lifetime ended, and no upstream could be tried".to_owned()];
            lines.extend(recipient_lines(recipients, *left_out));
            ("expired".to_owned(), Style::Red, lines)
        }
        Event::Operator { verb, by, route } => {
            let line = format!("by {by}{}", route_words(*verb, route));
            (deed(*verb).to_owned(), Style::Yellow, vec![line])
        }
        Event::Report(report) => ("report".to_owned(), Style::Green, report_lines(report)),
        Event::Reported { report } => (
            "reported".to_owned(),
            Style::Plain,
            vec![format!("to its sender, with message {report}")],
        ),
    };
    Row {
        time: record.time.to_string(),
        what,
        style,
        lines,
    }
}

fn accepted_lines(accepted: &Accepted) -> Vec<String> {
    let tenant = accepted
        .tenant
        .as_ref()
        .map_or_else(String::new, |tenant| format!(" of tenant {tenant}"));
    let mut lines = vec![
        format!(
            "from {} in session {}, {}",
            accepted.peer,
            accepted.session,
            encryption(accepted.tls.as_ref())
        ),
        format!(
            "as account {}{tenant}, {}",
            accepted.account,
            proof(accepted)
        ),
        format!("sender {}", accepted.reverse_path),
        format!(
            "for {}{}",
            accepted.recipients.join(", "),
            more(accepted.recipients_left_out)
        ),
        format!(
            "{}, Message-ID {}",
            octets(accepted.size),
            accepted.message_id.as_deref().unwrap_or("unknown")
        ),
    ];
    let allowed = accepted.allowed.iter();
    lines.extend(allowed.map(|reason| format!("allowed: {reason}")));
    if let Some(denial) = &accepted.unauthorized {
        let words = if accepted.is_held {
            "held until it is released, since it is not allowed"
        } else {
            "taken although not allowed"
        };
        lines.push(format!("{words}: {denial}"));
    }
    let rewritten = accepted.rewritten.iter();
    lines.extend(rewritten.map(|change| format!("sender rewritten: {change}")));
    lines.push(priority(accepted.priority));
    lines.push(format!("by upstream {}", accepted.route.join(", then ")));
    if !accepted.siblings.is_empty() {
        let siblings = accepted.siblings.join(", ");
        lines.push(format!("other recipients of the transaction: {siblings}"));
    }
    if let Some(due) = accepted.due {
        lines.push(format!("scheduled: not before {due}"));
    }
    lines
}

fn proof(accepted: &Accepted) -> String {
    match (accepted.proof.as_str(), &accepted.app_password) {
        ("operator", _) => "sent by an operator".to_owned(),
        (_, Some(name)) => format!("known by its application password {name}"),
        (other, None) => format!("known by its {other}"),
    }
}

fn priority(note: PriorityNote) -> String {
    let PriorityNote {
        value,
        basis,
        claimed,
        own,
    } = note;
    let claimed = claimed.map_or_else(String::new, |claimed| claimed.to_string());
    let why = match basis {
        PriorityBasis::Account if claimed.is_empty() => "the account's own".to_owned(),
        PriorityBasis::Account => {
            format!("the account's own is {own}; the message asked for {claimed}")
        }
        PriorityBasis::Capped => {
            format!("the message asked for {claimed}, more than the account may claim")
        }
        PriorityBasis::Importance => "Importance: of the message".to_owned(),
        PriorityBasis::MtPriority => "MT-PRIORITY".to_owned(),
        PriorityBasis::Priority => "Priority: of the message".to_owned(),
        PriorityBasis::XMsmailPriority => "X-MSMail-Priority: of the message".to_owned(),
        PriorityBasis::XPriority => "X-Priority: of the message".to_owned(),
    };
    format!("priority {value}: {why}")
}

fn attempt_lines(attempt: &Attempt) -> Vec<String> {
    let place = match (attempt.address, attempt.channel) {
        (Some(address), Channel::Failed) => format!(" at {address}, no connection"),
        (Some(address), Channel::Plain | Channel::Tls) => {
            format!(" at {address}, {}", encryption(attempt.tls.as_ref()))
        }
        (None, _) => String::new(),
    };
    let mut lines = vec![format!(
        "upstream {}{place}, {}.{:03} s",
        attempt.upstream,
        attempt.duration_ms / 1000,
        attempt.duration_ms % 1000
    )];
    lines.extend(recipient_lines(
        &attempt.recipients,
        attempt.recipients_left_out,
    ));
    lines
}

fn recipient_lines(recipients: &[RecipientNote], left_out: usize) -> Vec<String> {
    let line = |note: &RecipientNote| {
        let due = note
            .due
            .map_or_else(String::new, |due| format!("; again at {due}"));
        format!("{} {}: {}{due}", fate(note.fate), note.address, note.text)
    };
    let mut lines: Vec<_> = recipients.iter().map(line).collect();
    if left_out > 0 {
        lines.push(format!("and {left_out} recipients more, see the log"));
    }
    lines
}

fn report_lines(report: &Report) -> Vec<String> {
    vec![
        format!("written by posthouse about message {}", report.of),
        format!("for {}", report.recipient),
        octets(report.size),
        format!("by upstream {}", report.route.join(", then ")),
    ]
}

/// Says what the message does now.
fn now(message: Option<&MessageView>) -> Row {
    let Some(message) = message else {
        return Row {
            time: "now".to_owned(),
            what: "left".to_owned(),
            style: Style::Bold,
            lines: vec!["it is no longer in the queue".to_owned()],
        };
    };
    let mut lines = vec![
        format!(
            "next attempt {}, {} counted so far, by upstream {}",
            due(message, SystemClock.now()),
            message.attempts,
            message.route.join(", then ")
        ),
        format!("priority {}", message.priority),
    ];
    if message.recipients_done > 0 {
        lines.push(format!("{} recipients done", message.recipients_done));
    }
    let recipients = message.recipients.iter().take(SHOWN).map(|recipient| {
        let failure = recipient.last_failure.as_ref();
        let failure = failure.map_or_else(String::new, |failure| format!(": {failure}"));
        format!("waits: {}{failure}", recipient.address)
    });
    lines.extend(recipients);
    if message.recipients.len() > SHOWN {
        let count = message.recipients.len() - SHOWN;
        lines.push(format!("and {count} recipients more, see `queue show`"));
    }
    Row {
        time: "now".to_owned(),
        what: state(message.state).to_owned(),
        style: Style::Bold,
        lines,
    }
}

/// How many waiting recipients are shown.
const SHOWN: usize = 20;

fn style_of(recipients: &[RecipientNote]) -> Style {
    let has = |wanted| recipients.iter().any(|note| note.fate == wanted);
    if has(RecipientFate::Bounced) || has(RecipientFate::Expired) {
        Style::Red
    } else if has(RecipientFate::Deferred) {
        Style::Yellow
    } else {
        Style::Green
    }
}

fn fate(fate: RecipientFate) -> &'static str {
    match fate {
        RecipientFate::Bounced => "bounced",
        RecipientFate::Deferred => "deferred",
        RecipientFate::Expired => "expired",
        RecipientFate::Relayed => "relayed",
    }
}

fn deed(deed: Deed) -> &'static str {
    match deed {
        Deed::Delete => "deleted",
        Deed::Hold => "held",
        Deed::Release => "released",
        Deed::Reroute => "rerouted",
        Deed::Retry => "made due",
    }
}

fn route_words(verb: Deed, route: &[String]) -> String {
    match verb {
        Deed::Reroute if route.is_empty() => ": by the account's upstreams again".to_owned(),
        Deed::Reroute => format!(": by upstream {}", route.join(", then ")),
        Deed::Delete | Deed::Hold | Deed::Release | Deed::Retry => String::new(),
    }
}

fn encryption(tls: Option<&Encryption>) -> String {
    tls.map_or_else(
        || "plain text".to_owned(),
        |tls| format!("{} with {}", tls.version, tls.cipher),
    )
}

fn more(left_out: usize) -> String {
    if left_out > 0 {
        format!(" and {left_out} more")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferral_tells_where_why_and_when_again() {
        let attempt = Attempt {
            number: 2,
            upstream: "main".to_owned(),
            address: Some(([192, 0, 2, 1], 587).into()),
            channel: Channel::Plain,
            tls: None,
            duration_ms: 1042,
            recipients: vec![RecipientNote {
                address: "b@example.net".to_owned(),
                fate: RecipientFate::Deferred,
                text: "giving the recipient: the upstream answered 451 4.7.1 later".to_owned(),
                due: Some(Timestamp::from_unix_millis(1_795_243_860_123)),
            }],
            recipients_left_out: 0,
        };
        assert_eq!(
            attempt_lines(&attempt),
            [
                "upstream main at 192.0.2.1:587, plain text, 1.042 s",
                "deferred b@example.net: giving the recipient: the upstream answered 451 4.7.1 later; \
                 again at 2026-11-21T06:51:00.123Z"
            ]
        );
    }

    #[test]
    fn a_capped_priority_says_so() {
        let note = PriorityNote {
            value: 2,
            basis: PriorityBasis::Capped,
            claimed: Some(1),
            own: 3,
        };
        assert_eq!(
            priority(note),
            "priority 2: the message asked for 1, more than the account may claim"
        );
    }

    #[test]
    fn what_is_not_known_is_explained() {
        let view = |keep_seconds, since: Option<u64>, made: u64| TraceView {
            queue_id: Id(QueueId::first_at(Timestamp::from_unix_millis(made))),
            events: Vec::new(),
            message: None,
            keep_seconds,
            since: since
                .map(|millis| crate::control::view::Time(Timestamp::from_unix_millis(millis))),
            unread: 0,
        };
        for (trace, words) in [
            (view(0, None, 5), "is off"),
            (view(604_800, None, 5), "keeps 7 d and has nothing yet"),
            (
                view(604_800, Some(9), 5),
                "goes back to 1970-01-01T00:00:00.009Z",
            ),
            (view(604_800, Some(5), 9), "there has been none of this id"),
            (view(604_800, Some(5), 1 << 46), "one of the future"),
        ] {
            let failure = unknown(&trace);
            assert!(failure.message.contains(words), "{}", failure.message);
            assert_eq!(failure.code.number(), 66);
        }
    }
}

//! What may be limited.

use std::fmt;
use std::num::NonZeroU32;

use crate::schedule::Rate;

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    /// Messages.
    Messages,
    /// Octets of messages: header and body as they are stored.
    Octets,
    /// Recipients: a message to three counts three.
    Recipients,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Octets, Self::Recipients];

    /// Returns a rate of it as a person says it: `100 messages a minute`, `1 GiB a day`.
    pub fn in_words(self, rate: Rate) -> String {
        let (count, span) = (rate.count().get(), rate.span_in_words());
        match self {
            Self::Messages => format!("{count} message{} {span}", plural(count)),
            Self::Octets => format!("{} {span}", Octets(count)),
            Self::Recipients => format!("{count} recipient{} {span}", plural(count)),
        }
    }
}

/// What one message is, or several are, in each measure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Amounts {
    /// How many messages.
    pub messages: u64,
    /// How many octets they have.
    pub octets: u64,
    /// How many recipients they have.
    pub recipients: u64,
}

impl Amounts {
    /// Returns the amount in one measure.
    pub const fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Messages => self.messages,
            Measure::Octets => self.octets,
            Measure::Recipients => self.recipients,
        }
    }

    /// Returns the sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            octets: self.octets.saturating_add(other.octets),
            recipients: self.recipients.saturating_add(other.recipients),
        }
    }

    /// Returns what is left without `other`; nothing where there is less.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            octets: self.octets.saturating_sub(other.octets),
            recipients: self.recipients.saturating_sub(other.recipients),
        }
    }
}

/// The limits of one account or tenant. All of them hold; none of them means no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Rates of messages.
    pub messages: Vec<Rate>,
    /// Rates of octets.
    pub octets: Vec<Rate>,
    /// Rates of recipients.
    pub recipients: Vec<Rate>,
    /// Sessions at once.
    pub sessions: Option<NonZeroU32>,
}

impl Limits {
    /// Returns all rates, each with what it counts.
    pub fn rates(&self) -> impl Iterator<Item = (Measure, Rate)> + '_ {
        Measure::ALL.into_iter().flat_map(|measure| {
            let rates = match measure {
                Measure::Messages => &self.messages,
                Measure::Octets => &self.octets,
                Measure::Recipients => &self.recipients,
            };
            rates.iter().map(move |rate| (measure, *rate))
        })
    }
}

impl Limits {
    /// Returns all limits in words.
    pub(super) fn describe(&self) -> Vec<String> {
        let rates = self.rates().map(|(measure, rate)| measure.in_words(rate));
        let sessions = self.sessions.map(|count| {
            let count = count.get();
            format!("{count} session{} at once", plural(count.into()))
        });
        rates.chain(sessions).collect()
    }
}

/// What is done with a message over a limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OverQuota {
    /// It is accepted, and waits in the queue until its limits allow it to leave.
    Queue,
    /// It is refused for the time being.
    #[default]
    Refuse,
}

/// A number of octets, in the largest binary unit that needs no fraction.
struct Octets(u64);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = [
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ]
        .into_iter()
        .find(|(size, _)| self.0.is_multiple_of(*size))
        .map_or((self.0, "octets"), |(size, unit)| (self.0 / size, unit));
        write!(f, "{count} {unit}")
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

//! Which parts of a message are written anew.

use crate::mail::Header;

use super::content_type::Encoding;
use super::entity::{Ambiguous, Entity, Kind, VERSION};
use super::fold;
use super::gauge::LONGEST_LINE;
use super::walker::{Visitor, Walker};

/// What the next server does not take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Demands {
    /// Octets above 127 are to be encoded: it does not offer 8BITMIME.
    pub seven_bit: bool,
    /// Long lines are to be encoded or folded.
    pub short_lines: bool,
}

/// What becomes of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stays as it is, octet for octet.
    AsIs(AsIs),
    /// It is written anew.
    Recode(Plan),
}

/// Why a message stays as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AsIs {
    /// What should change may not: it is signed, sealed, encoded already, or stands in a header.
    Fixed,
    /// It has nothing that should change.
    Fits,
    /// Its structure is malformed, or seen differently by different readers.
    Malformed,
    /// It carries a signature of the whole (RFC 6376, RFC 8617).
    Signed,
}

impl AsIs {
    /// Says it in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "the parts concerned are signed, encrypted or headers",
            Self::Fits => "nothing has to change",
            Self::Malformed => "its structure is ambiguous",
            Self::Signed => "it is signed",
        }
    }
}

/// What is done to each part, in the order of their headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub(super) treatments: Vec<Treatment>,
    /// Whether long lines of headers are folded.
    pub(super) folds: bool,
}

/// What is done to one part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Treatment {
    pub(super) coding: Coding,
    /// The charset of a `Content-Type:` that is added.
    pub(super) charset: Option<&'static str>,
    /// Whether `MIME-Version:` is added.
    pub(super) adds_version: bool,
}

/// What the content of a part becomes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Coding {
    Base64,
    /// It stays.
    #[default]
    Keep,
    QuotedPrintable,
    /// It stays; the header says 7bit, now that this is true.
    SevenBit,
}

/// Walks over a message to find out what becomes of it.
#[derive(Debug)]
pub struct Survey {
    walker: Walker,
    parts: Parts,
    demands: Demands,
    is_malformed: bool,
}

impl Survey {
    /// Begins a message.
    pub fn new(demands: Demands) -> Self {
        Self {
            walker: Walker::new(),
            parts: Parts::default(),
            demands,
            is_malformed: false,
        }
    }

    /// Takes the next octets; lines end with CRLF.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.is_malformed {
            self.is_malformed = self.walker.push(octets, &mut self.parts).is_err();
        }
    }

    /// Returns what becomes of the message.
    pub fn finish(mut self) -> Verdict {
        if self.is_malformed || self.walker.finish(&mut self.parts) == Err(Ambiguous) {
            return Verdict::AsIs(AsIs::Malformed);
        }
        self.parts.verdict(self.demands)
    }
}

/// What is known of the parts.
#[derive(Debug, Default)]
struct Parts {
    found: Vec<Part>,
    /// Those that are open, by their place; the innermost last.
    open: Vec<usize>,
    /// Octets of the line that has begun.
    line: usize,
    /// Of the leaf that is open, where it says nothing of its charset.
    utf8: Utf8,
    has_version: bool,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "findings, each by itself")]
struct Part {
    kind: Leaf,
    encoding: Encoding,
    is_signed: bool,
    has_type: bool,
    has_long_header: bool,
    may_fold: bool,
    /// Octets above 127 that cannot be encoded: in its header, or between its parts.
    has_stray_octets: bool,
    is_eight_bit: bool,
    has_long_lines: bool,
    is_utf8: bool,
    parent: Option<usize>,
}

/// What a part is for its encoding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaf {
    Composite,
    Fixed,
    Other,
    Text,
}

impl Visitor for Parts {
    fn open(&mut self, entity: &Entity, header: &Header<'_>) {
        if self.found.is_empty() {
            self.has_version = header.has(VERSION);
        }
        self.found.push(Part {
            kind: match entity.kind {
                Kind::Fixed => Leaf::Fixed,
                Kind::Message | Kind::Multipart { .. } => Leaf::Composite,
                Kind::Other => Leaf::Other,
                Kind::Text => Leaf::Text,
            },
            encoding: entity.encoding,
            is_signed: entity.is_signed,
            has_type: entity.has_type,
            has_long_header: fold::is_long(header.octets()),
            may_fold: !entity.is_signed && fold::is_effective(header),
            has_stray_octets: !header.octets().is_ascii(),
            is_eight_bit: false,
            has_long_lines: false,
            is_utf8: true,
            parent: self.open.last().copied(),
        });
        self.open.push(self.found.len() - 1);
        self.line = 0;
        self.utf8 = Utf8::default();
    }

    fn blank(&mut self) {}

    fn text(&mut self, octets: &[u8]) {
        self.line += octets.len();
        let (is_long, is_eight_bit) = (self.line > LONGEST_LINE, !octets.is_ascii());
        let Some(part) = self
            .open
            .last()
            .and_then(|place| self.found.get_mut(*place))
        else {
            return;
        };
        part.has_long_lines |= is_long;
        part.is_eight_bit |= is_eight_bit;
        if !part.has_type && (is_eight_bit || self.utf8.is_within()) {
            self.utf8.push(octets);
        }
    }

    fn line_end(&mut self) {
        self.line = 0;
        self.utf8.line_end();
    }

    fn close(&mut self) {
        let utf8 = std::mem::take(&mut self.utf8);
        self.line = 0;
        if let Some(part) = self.open.pop().and_then(|place| self.found.get_mut(place)) {
            part.is_utf8 = utf8.is_valid();
        }
    }

    fn between(&mut self, octets: &[u8]) {
        if let Some(part) = self
            .open
            .last()
            .and_then(|place| self.found.get_mut(*place))
        {
            part.has_stray_octets |= !octets.is_ascii();
        }
    }
}

impl Parts {
    fn verdict(&self, demands: Demands) -> Verdict {
        let is_eight_bit = |part: &Part| part.is_eight_bit || part.has_stray_octets;
        let is_long = |part: &Part| part.has_long_lines || part.has_long_header;
        let is_wanted = |part: &Part| {
            (demands.seven_bit && is_eight_bit(part)) || (demands.short_lines && is_long(part))
        };
        if !self.found.iter().any(is_wanted) {
            return Verdict::AsIs(AsIs::Fits);
        }
        if self.found.first().is_some_and(|message| message.is_signed) {
            return Verdict::AsIs(AsIs::Signed);
        }
        let treatments = self.treatments(demands);
        let folds = demands.short_lines && self.found.iter().any(|part| part.may_fold);
        let recodes = |treatment: &Treatment| treatment.coding.is_encoding();
        if !folds && !treatments.iter().any(recodes) {
            return Verdict::AsIs(AsIs::Fixed);
        }
        Verdict::Recode(Plan { treatments, folds })
    }

    fn treatments(&self, demands: Demands) -> Vec<Treatment> {
        let coding = |part: &Part| part.coding(demands);
        let mut treatments: Vec<Treatment> = self
            .found
            .iter()
            .map(|part| Treatment {
                coding: coding(part),
                charset: part.charset(demands),
                adds_version: false,
            })
            .collect();
        let is_any = treatments
            .iter()
            .any(|treatment| treatment.coding.is_encoding());
        if let Some(message) = treatments.first_mut() {
            message.adds_version = is_any && !self.has_version;
        }
        if is_any && demands.seven_bit {
            self.relabel(&mut treatments);
        }
        treatments
    }

    /// Lets what has become 7bit say so, from the inside out (RFC 2045 §6.4).
    fn relabel(&self, treatments: &mut [Treatment]) {
        let mut stays_eight_bit = vec![false; self.found.len()];
        for (place, part) in self.found.iter().enumerate().rev() {
            let Some(treatment) = treatments.get_mut(place) else {
                continue;
            };
            let is_encoded = treatment.coding.is_encoding();
            let has_inside = stays_eight_bit.get(place).copied().unwrap_or_default();
            let stays = has_inside
                || part.has_stray_octets
                || (part.is_eight_bit && !is_encoded)
                || (part.kind == Leaf::Fixed && part.encoding == Encoding::EightBit);
            if let Some(parent) = part
                .parent
                .and_then(|parent| stays_eight_bit.get_mut(parent))
            {
                *parent |= stays;
            }
            if !stays && !is_encoded && part.may_be_relabelled() {
                treatment.coding = Coding::SevenBit;
            }
        }
    }
}

impl Part {
    fn coding(&self, demands: Demands) -> Coding {
        let is_wanted = (demands.seven_bit && self.is_eight_bit)
            || (demands.short_lines && self.has_long_lines);
        match (self.kind, self.encoding) {
            (_, Encoding::Encoded) | (Leaf::Composite | Leaf::Fixed, _) => Coding::Keep,
            (Leaf::Other | Leaf::Text, _) if !is_wanted => Coding::Keep,
            (Leaf::Other, _) => Coding::Base64,
            (Leaf::Text, _) => Coding::QuotedPrintable,
        }
    }

    /// RFC 1428 §3: text that says nothing of itself has a charset all the same, once it is encoded.
    fn charset(&self, demands: Demands) -> Option<&'static str> {
        let is_nameless = !self.has_type && self.is_eight_bit;
        if !is_nameless || !self.coding(demands).is_encoding() {
            return None;
        }
        Some(if self.is_utf8 {
            "utf-8"
        } else {
            "unknown-8bit"
        })
    }

    fn may_be_relabelled(&self) -> bool {
        match self.kind {
            Leaf::Fixed => false,
            Leaf::Composite | Leaf::Other | Leaf::Text => self.encoding == Encoding::EightBit,
        }
    }
}

impl Coding {
    fn is_encoding(self) -> bool {
        match self {
            Self::Base64 | Self::QuotedPrintable => true,
            Self::Keep | Self::SevenBit => false,
        }
    }
}

/// Finds out whether octets that come in pieces are UTF-8.
#[derive(Debug, Default)]
struct Utf8 {
    /// The beginning of a character, at most three octets.
    begun: Vec<u8>,
    is_broken: bool,
}

impl Utf8 {
    fn is_within(&self) -> bool {
        !self.begun.is_empty()
    }

    fn push(&mut self, octets: &[u8]) {
        if self.is_broken {
            return;
        }
        let mut rest = octets;
        while self.is_within()
            && let Some((octet, tail)) = rest.split_first()
        {
            self.begun.push(*octet);
            rest = tail;
            match str::from_utf8(&self.begun) {
                Ok(_) => self.begun.clear(),
                Err(error) if error.error_len().is_some() => {
                    self.is_broken = true;
                    return;
                }
                Err(_) => {}
            }
        }
        if let Err(error) = str::from_utf8(rest) {
            self.is_broken = error.error_len().is_some();
            self.begun = rest.get(error.valid_up_to()..).unwrap_or_default().to_vec();
        }
    }

    /// No character goes over a line end.
    fn line_end(&mut self) {
        self.is_broken |= self.is_within();
        self.begun.clear();
    }

    fn is_valid(&self) -> bool {
        !self.is_broken && !self.is_within()
    }
}

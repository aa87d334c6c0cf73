//! The structure of a message, found line by line (RFC 2046 §5.1).
//!
//! Nothing is kept but the header that is being read and the first octets of a line, so a message of any size costs the
//! same. The walk gives up where readers may differ: a boundary inside a part that is not closed, one that is the
//! beginning of another line, parts without an end, headers that are none. It is bounded in depth and number.

use crate::mail::Header;
use crate::mail::header::MAX_HEADER;

use super::content_type::MAX_BOUNDARY;
use super::entity::{Ambiguous, Entity, Kind, Untyped};

/// The deepest nesting of parts and messages.
const MAX_DEPTH: usize = 100;

/// The most parts, the message itself among them.
const MAX_PARTS: usize = 1000;

/// So much of a line says whether it is a boundary.
const TELLING: usize = MAX_BOUNDARY + 56;

/// What is told of a message's structure. Written one after the other, the octets of all calls are the message.
pub(super) trait Visitor {
    /// A message or part begins; this is its header, with all line ends.
    fn open(&mut self, entity: &Entity, header: &Header<'_>);
    /// The empty line behind the header, with its end.
    fn blank(&mut self);
    /// Octets of one line of the content of a leaf, without its end.
    fn text(&mut self, octets: &[u8]);
    /// The end of a line of a leaf.
    fn line_end(&mut self);
    /// The innermost message or part ends.
    fn close(&mut self);
    /// What stands between parts, before and behind them: boundaries, preamble, epilogue; with line ends.
    fn between(&mut self, octets: &[u8]);
}

/// Finds the structure of a message that comes in pieces.
#[derive(Debug)]
pub(super) struct Walker {
    /// The line that has begun, as far as it is undecided.
    line: Vec<u8>,
    /// Whether part of the line has been given out.
    is_in_line: bool,
    /// The line end that is content, unless a boundary follows.
    is_end_due: bool,
    header: Vec<u8>,
    place: Place,
    /// What is open, the innermost last.
    open: Vec<Open>,
    parts: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// In a header.
    Header(Untyped),
    /// In the content of a leaf.
    Leaf,
    /// Before the first part or behind the last.
    Outside,
}

/// A message or part that has begun.
#[derive(Debug)]
enum Open {
    Leaf,
    Message,
    Multipart {
        boundary: Vec<u8>,
        default: Untyped,
        phase: Phase,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Closed,
    Parts,
    Preamble,
}

/// What a line is for the boundary of a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    Boundary,
    Last,
    /// It begins like the boundary and goes on: some readers take it for one.
    Like,
    Other,
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            line: Vec::new(),
            is_in_line: false,
            is_end_due: false,
            header: Vec::new(),
            place: Place::Header(Untyped::Text),
            open: Vec::new(),
            parts: 0,
        }
    }

    /// Takes the next octets. Lines end with CRLF.
    pub(super) fn push(
        &mut self,
        octets: &[u8],
        visitor: &mut impl Visitor,
    ) -> Result<(), Ambiguous> {
        let mut rest = octets;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end + 1);
            rest = tail;
            if self.line.is_empty() {
                self.whole_line(line, visitor)?;
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.whole_line(&line, visitor)?;
                self.line = line;
                self.line.clear();
            }
        }
        self.line.extend_from_slice(rest);
        self.part_of_line(visitor)
    }

    /// Ends the message.
    pub(super) fn finish(&mut self, visitor: &mut impl Visitor) -> Result<(), Ambiguous> {
        if !self.line.is_empty() {
            self.line.extend_from_slice(b"\r\n");
            let line = std::mem::take(&mut self.line);
            self.whole_line(&line, visitor)?;
        }
        if matches!(self.place, Place::Header(_)) {
            self.header_ends(visitor)?;
        }
        self.settle_end(visitor);
        while let Some(open) = self.open.pop() {
            match open {
                Open::Multipart {
                    phase: Phase::Parts | Phase::Preamble,
                    ..
                } => return Err(Ambiguous),
                Open::Leaf | Open::Message | Open::Multipart { .. } => visitor.close(),
            }
        }
        Ok(())
    }

    /// Gives out the beginning of a line that is known to be no boundary, but for a CR that may belong to its end.
    fn part_of_line(&mut self, visitor: &mut impl Visitor) -> Result<(), Ambiguous> {
        let is_header = matches!(self.place, Place::Header(_));
        if is_header {
            return self.check_header(self.line.len());
        }
        if self.line.len() < TELLING && !self.is_in_line {
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.line);
        let cr = if line.ends_with(b"\r") {
            line.pop()
        } else {
            None
        };
        if !self.is_in_line {
            self.expect_no_boundary(&line)?;
        }
        self.give(&line, visitor);
        self.is_in_line = true;
        line.clear();
        line.extend(cr);
        self.line = line;
        Ok(())
    }

    /// Takes a line with its end, or what is left of one.
    fn whole_line(&mut self, line: &[u8], visitor: &mut impl Visitor) -> Result<(), Ambiguous> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let goes_on = std::mem::take(&mut self.is_in_line);
        if !goes_on && text.starts_with(b"--") && self.boundary(text, line, visitor)? {
            return Ok(());
        }
        match self.place {
            Place::Header(_) if text.is_empty() => {
                self.header_ends(visitor)?;
                visitor.blank();
                Ok(())
            }
            Place::Header(_) => {
                self.header.extend_from_slice(line);
                self.check_header(0)
            }
            Place::Leaf | Place::Outside => {
                self.give(text, visitor);
                self.is_end_due = true;
                Ok(())
            }
        }
    }

    fn check_header(&self, more: usize) -> Result<(), Ambiguous> {
        if self.header.len() + more > MAX_HEADER {
            return Err(Ambiguous);
        }
        Ok(())
    }

    /// Gives out octets of a line, after the line end that is due.
    fn give(&mut self, text: &[u8], visitor: &mut impl Visitor) {
        self.settle_end(visitor);
        match self.place {
            Place::Leaf => visitor.text(text),
            Place::Header(_) | Place::Outside => visitor.between(text),
        }
    }

    fn settle_end(&mut self, visitor: &mut impl Visitor) {
        if std::mem::take(&mut self.is_end_due) {
            match self.place {
                Place::Leaf => visitor.line_end(),
                Place::Header(_) | Place::Outside => visitor.between(b"\r\n"),
            }
        }
    }

    /// The header is complete: finds out what follows.
    fn header_ends(&mut self, visitor: &mut impl Visitor) -> Result<(), Ambiguous> {
        let Place::Header(default) = self.place else {
            return Ok(());
        };
        self.parts += 1;
        if self.parts > MAX_PARTS || self.open.len() >= MAX_DEPTH {
            return Err(Ambiguous);
        }
        let octets = std::mem::take(&mut self.header);
        let header = Header::parse(&octets).map_err(|_| Ambiguous)?;
        let mut entity = Entity::of(&header, default)?;
        // A message inside another one that is signed is left as it is, like one that stands alone.
        if entity.is_signed && !self.open.is_empty() {
            entity.kind = Kind::Fixed;
        }
        visitor.open(&entity, &header);
        let (open, place) = match entity.kind {
            Kind::Fixed | Kind::Other | Kind::Text => (Open::Leaf, Place::Leaf),
            Kind::Message => (Open::Message, Place::Header(Untyped::Text)),
            Kind::Multipart {
                boundary,
                is_digest,
            } => {
                if self.boundaries().any(|open| open == boundary) {
                    return Err(Ambiguous);
                }
                let multipart = Open::Multipart {
                    boundary,
                    default: if is_digest {
                        Untyped::Message
                    } else {
                        Untyped::Text
                    },
                    phase: Phase::Preamble,
                };
                (multipart, Place::Outside)
            }
        };
        self.open.push(open);
        self.place = place;
        Ok(())
    }

    fn boundaries(&self) -> impl Iterator<Item = &[u8]> {
        self.open.iter().filter_map(|open| match open {
            Open::Multipart { boundary, .. } => Some(boundary.as_slice()),
            Open::Leaf | Open::Message => None,
        })
    }

    /// Takes a line that begins with two dashes; returns whether it is a boundary.
    fn boundary(
        &mut self,
        text: &[u8],
        line: &[u8],
        visitor: &mut impl Visitor,
    ) -> Result<bool, Ambiguous> {
        let mut is_like_one = false;
        let mut found = None;
        for (level, open) in self.open.iter().enumerate().rev() {
            let Open::Multipart {
                boundary, phase, ..
            } = open
            else {
                continue;
            };
            match judge(text, boundary) {
                Line::Other => {}
                Line::Like => is_like_one = true,
                kind @ (Line::Boundary | Line::Last) if *phase != Phase::Closed => {
                    found = Some((level, kind));
                    break;
                }
                // A boundary behind the last one: readers differ.
                Line::Boundary | Line::Last => return Err(Ambiguous),
            }
        }
        match found {
            Some((level, kind)) => self.at_boundary(level, kind, line, visitor).map(|()| true),
            None if is_like_one => Err(Ambiguous),
            None => Ok(false),
        }
    }

    fn at_boundary(
        &mut self,
        level: usize,
        kind: Line,
        line: &[u8],
        visitor: &mut impl Visitor,
    ) -> Result<(), Ambiguous> {
        if matches!(self.place, Place::Header(_)) {
            self.header_ends(visitor)?;
        }
        if self.open.len() > level + 1 && matches!(self.place, Place::Header(_)) {
            // A message inside has no header at all.
            self.header_ends(visitor)?;
        }
        let is_after_line = std::mem::take(&mut self.is_end_due);
        while self.open.len() > level + 1
            && let Some(inner) = self.open.pop()
        {
            match inner {
                Open::Multipart {
                    phase: Phase::Parts | Phase::Preamble,
                    ..
                } => return Err(Ambiguous),
                Open::Leaf | Open::Message | Open::Multipart { .. } => visitor.close(),
            }
        }
        if is_after_line {
            visitor.between(b"\r\n");
        }
        visitor.between(line);
        if let Some(Open::Multipart { default, phase, .. }) = self.open.last_mut() {
            (self.place, *phase) = match kind {
                Line::Boundary => (Place::Header(*default), Phase::Parts),
                Line::Last | Line::Like | Line::Other => (Place::Outside, Phase::Closed),
            };
        }
        Ok(())
    }

    /// A long line that begins like a boundary is one for some readers.
    fn expect_no_boundary(&self, text: &[u8]) -> Result<(), Ambiguous> {
        let is_any = |boundary| judge(text, boundary) != Line::Other;
        if text.starts_with(b"--") && self.boundaries().any(is_any) {
            return Err(Ambiguous);
        }
        Ok(())
    }
}

/// Says what a line that begins with two dashes is for a boundary.
fn judge(text: &[u8], boundary: &[u8]) -> Line {
    let Some(rest) = text.get(2..).and_then(|rest| rest.strip_prefix(boundary)) else {
        return Line::Other;
    };
    let is_blank = |octets: &[u8]| octets.iter().all(|octet| matches!(octet, b' ' | b'\t'));
    match rest.strip_prefix(b"--") {
        _ if is_blank(rest) => Line::Boundary,
        Some(rest) if is_blank(rest) => Line::Last,
        Some(_) | None => Line::Like,
    }
}

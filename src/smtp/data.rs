//! The octets of a message: dot-unstuffing, end of data, repair of newlines (RFC 5321 §4.5.2, RFC 3030).
//!
//! The data ends at `<CRLF>.<CRLF>` and at nothing else. A bare CR or a bare LF becomes CRLF (or makes the message
//! refused), but the line it begins is not one at whose front a dot means anything. What comes out has only CRLF,
//! and no NUL, so no next hop can find an end of data in it that this one has not seen.

use bytes::{Bytes, BytesMut};

use super::server::BareNewlines;

/// How the end of the octets is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// By the number in BDAT.
    Counted,
    /// By a line with a dot alone, after DATA.
    Dots,
}

/// Bounds of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataLimits {
    /// Octets in all, after unstuffing and repair.
    pub size: u64,
    /// Octets of a line.
    pub line: usize,
    /// What is done with a bare CR or LF.
    pub bare_newlines: BareNewlines,
}

/// Why a message cannot be taken. The octets are read to their end all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DataFault {
    /// A bare CR or LF, where that is refused.
    BareNewline,
    /// A line is longer than the limit.
    LineTooLong,
    /// A NUL: not allowed in 7BIT or 8BITMIME (RFC 6152 §3), and dropped by some hops.
    Nul,
    /// More octets than the limit.
    TooLarge,
}

/// Whether the end of data has been seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The end; what is left in the input follows the message.
    End,
    /// All input has been taken.
    More,
}

/// Decodes the octets of one message as they come, in pieces of any size.
#[derive(Debug)]
pub struct DataDecoder {
    framing: Framing,
    limits: DataLimits,
    place: Place,
    line_length: usize,
    /// Octets that came out, or would have without a defect.
    size: u64,
    /// What was first found wrong with the octets themselves.
    defect: Option<DataFault>,
}

/// Where in a line the next octet stands. Octets named here have been read and not yet given out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Behind a CR.
    Cr,
    /// Behind a dot at the start of a line.
    Dot,
    /// Behind a dot at the start of a line and a CR.
    DotCr,
    /// At the start of a line: behind CRLF, or at the very beginning.
    LineStart,
    /// Anywhere else, also behind a repaired newline.
    Text,
}

const CRLF: &[u8] = b"\r\n";

/// A piece of output: a range of the input, or a newline put in place of a bare or held back one.
enum Piece {
    Newline,
    Range(usize, usize),
}

/// How many pieces of one read are given out as they are; more are copied into one.
const MAX_PIECES: usize = 8;

fn joined(octets: &[u8], pieces: &[Piece]) -> Bytes {
    let mut joined = BytesMut::with_capacity(octets.len() + CRLF.len() * pieces.len());
    for piece in pieces {
        joined.extend_from_slice(match piece {
            Piece::Newline => CRLF,
            Piece::Range(from, to) => octets.get(*from..*to).unwrap_or_default(),
        });
    }
    joined.freeze()
}

impl DataDecoder {
    /// Makes a decoder for one message.
    pub fn new(framing: Framing, limits: DataLimits) -> Self {
        Self {
            framing,
            limits,
            place: Place::LineStart,
            line_length: 0,
            size: 0,
            defect: None,
        }
    }

    /// Returns how the end of the octets is told.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns what is wrong: that there are too many octets, else what was first found wrong with them. The same for the
    /// same octets, however they were cut.
    pub fn fault(&self) -> Option<DataFault> {
        if self.size > self.limits.size {
            return Some(DataFault::TooLarge);
        }
        self.defect
    }

    /// Takes octets off the front of `input`, at most `at_most`, and gives the message's octets to `output`.
    ///
    /// After a fault nothing more is given out.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        at_most: usize,
        mut output: impl FnMut(Bytes),
    ) -> Progress {
        let length = input.len().min(at_most);
        let (mut pieces, mut taken) = (Vec::new(), 0);
        let mut progress = Progress::More;
        if let Some(octets) = input.get(..length) {
            (taken, progress) = self.scan(octets, &mut pieces);
        }
        let octets = input.split_to(taken).freeze();
        if pieces.len() > MAX_PIECES {
            // Thousands of repaired newlines must not become thousands of writes.
            self.give(joined(&octets, &pieces), &mut output);
            return progress;
        }
        for piece in pieces {
            let piece = match piece {
                Piece::Newline => Bytes::from_static(CRLF),
                Piece::Range(from, to) => octets.slice(from..to),
            };
            self.give(piece, &mut output);
        }
        progress
    }

    /// Ends counted octets: a CR at their very end is bare.
    pub fn finish(&mut self, mut output: impl FnMut(Bytes)) {
        if self.place == Place::Cr {
            self.bare_newline();
            self.give(Bytes::from_static(CRLF), &mut output);
        }
    }

    fn give(&mut self, piece: Bytes, output: &mut impl FnMut(Bytes)) {
        self.size = self.size.saturating_add(piece.len() as u64);
        if self.fault().is_none() {
            output(piece);
        }
    }

    fn note(&mut self, defect: DataFault) {
        self.defect.get_or_insert(defect);
    }

    fn bare_newline(&mut self) {
        self.line_length = 0;
        self.place = Place::Text;
        if self.limits.bare_newlines == BareNewlines::Refuse {
            self.note(DataFault::BareNewline);
        }
    }

    fn full_newline(&mut self) {
        self.line_length = 0;
        self.place = match self.framing {
            Framing::Counted => Place::Text,
            Framing::Dots => Place::LineStart,
        };
    }

    /// Walks over the octets; returns how many were taken and whether the end was among them.
    fn scan(&mut self, octets: &[u8], pieces: &mut Vec<Piece>) -> (usize, Progress) {
        let mut run = Run { start: 0, pieces };
        let mut at = 0;
        while let Some(&octet) = octets.get(at) {
            match (self.place, octet) {
                (Place::LineStart, b'.') if self.framing == Framing::Dots => {
                    run.cut(at, at + 1);
                    at += 1;
                    self.place = Place::Dot;
                }
                (Place::Dot, b'\r') => {
                    run.start = at + 1;
                    at += 1;
                    self.place = Place::DotCr;
                }
                (Place::DotCr, b'\n') => return (at + 1, Progress::End),
                (Place::Cr, b'\n') => {
                    run.newline(at + 1);
                    at += 1;
                    self.full_newline();
                }
                (Place::Cr | Place::DotCr, _) => {
                    run.newline(at);
                    self.bare_newline();
                }
                (Place::Dot | Place::LineStart | Place::Text, _) => {
                    at = self.scan_text(octets, at, &mut run);
                }
            }
        }
        run.cut(octets.len(), octets.len());
        (octets.len(), Progress::More)
    }

    /// Goes on to behind the next newline or NUL, or to the end; returns where it stands then.
    fn scan_text(&mut self, octets: &[u8], from: usize, run: &mut Run<'_>) -> usize {
        self.place = Place::Text;
        let rest = octets.get(from..).unwrap_or_default();
        let found = memchr::memchr3(b'\r', b'\n', 0, rest);
        self.line_length += found.unwrap_or(rest.len());
        if self.line_length > self.limits.line {
            self.note(DataFault::LineTooLong);
        }
        let Some(found) = found else {
            return octets.len();
        };
        let at = from + found;
        match (octets.get(at), octets.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => {
                self.full_newline();
                at + 2
            }
            (Some(b'\r'), None) => {
                run.cut(at, at + 1);
                self.place = Place::Cr;
                at + 1
            }
            (Some(b'\r' | b'\n'), _) => {
                run.cut(at, at + 1);
                run.newline(at + 1);
                self.bare_newline();
                at + 1
            }
            _ => {
                self.note(DataFault::Nul);
                at + 1
            }
        }
    }
}

/// Octets that are given out as they are, from `start` on.
struct Run<'a> {
    start: usize,
    pieces: &'a mut Vec<Piece>,
}

impl Run<'_> {
    /// Gives out what came before `end` and goes on at `next`.
    fn cut(&mut self, end: usize, next: usize) {
        if self.start < end {
            self.pieces.push(Piece::Range(self.start, end));
        }
        self.start = next;
    }

    /// Gives out a newline and goes on at `next`.
    fn newline(&mut self, next: usize) {
        self.pieces.push(Piece::Newline);
        self.start = next;
    }
}

#[cfg(test)]
mod tests;

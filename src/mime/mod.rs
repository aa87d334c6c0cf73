//! What a message's octets look like, and how they are changed where the next server could not take them.
//!
//! Two things are in the way of an old server: octets above 127, where it does not offer 8BITMIME (RFC 6152), and lines
//! of more than 998 octets (RFC 5322 §2.1.1). [`Gauge`] finds out whether a message has any. [`Survey`] walks over its
//! structure and says which parts are written anew; [`Recoder`] writes it. Both take the octets in pieces and keep
//! little: the header of the part they are in, and a word about each part.
//!
//! Decoded, every part stays what it was. Not touched is what would stop being true: what carries a signature
//! (DKIM, ARC, PGP, S/MIME), what is encrypted, what is encoded already; and every message whose structure two
//! readers could see differently.

mod base64;
mod content_type;
mod entity;
mod fold;
mod gauge;
mod quoted_printable;
mod recoder;
mod survey;
mod walker;

pub use gauge::{Gauge, LONGEST_LINE, Shape};
pub use recoder::{Changed, Recoder};
pub use survey::{AsIs, Demands, Plan, Survey, Verdict};

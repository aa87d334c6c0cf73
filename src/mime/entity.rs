//! What the header of a message or of a part says about what follows (RFC 2045, RFC 2046).

use crate::mail::{Field, Header};

use super::content_type::{ContentType, Encoding};

/// What follows a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// What is left alone, whatever it holds: signed, encrypted, or of a type whose encoding is not free.
    Fixed,
    /// Another message (RFC 2046 §5.2.1).
    Message,
    /// Parts.
    Multipart {
        boundary: Vec<u8>,
        /// Whether parts without a type are messages (RFC 2046 §5.1.5).
        is_digest: bool,
    },
    /// Anything but text.
    Other,
    /// Lines of text.
    Text,
}

/// A message or a part, by its header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    /// Whether the header has a signature of the whole (RFC 6376, RFC 8617).
    pub(super) is_signed: bool,
    /// Whether there is a `Content-Type:`.
    pub(super) has_type: bool,
}

/// What a part is that says nothing of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Untyped {
    Message,
    Text,
}

/// The structure is not one that all readers see in the same way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ambiguous;

pub(super) const CONTENT_TYPE: &str = "Content-Type";
pub(super) const ENCODING: &str = "Content-Transfer-Encoding";
pub(super) const VERSION: &str = "MIME-Version";

impl Entity {
    pub(super) fn of(header: &Header<'_>, default: Untyped) -> Result<Self, Ambiguous> {
        let content_type = only(header, CONTENT_TYPE)?;
        let encoding = only(header, ENCODING)?;
        let encoding = encoding.map_or(Encoding::SevenBit, |field| Encoding::parse(field.value()));
        let kind = match content_type {
            None => match default {
                Untyped::Message => Kind::Message,
                Untyped::Text => Kind::Text,
            },
            Some(field) => kind(ContentType::parse(field.value()))?,
        };
        let kind = match (kind, encoding) {
            // RFC 2045 §6.4: what has parts is not encoded itself.
            (Kind::Multipart { .. }, Encoding::Encoded) => return Err(Ambiguous),
            (Kind::Message, Encoding::Encoded) => Kind::Fixed,
            (kind, _) => kind,
        };
        Ok(Self {
            kind,
            encoding,
            is_signed: header.fields().iter().any(is_signature),
            has_type: content_type.is_some(),
        })
    }
}

fn only<'h>(header: &'h Header<'_>, name: &'h str) -> Result<Option<&'h Field<'h>>, Ambiguous> {
    let mut found = header.find(name);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Ambiguous),
    }
}

fn kind(content_type: Option<ContentType>) -> Result<Kind, Ambiguous> {
    let Some(content_type) = content_type else {
        return Ok(Kind::Fixed);
    };
    let subtype = content_type.subtype.as_str();
    Ok(match content_type.kind.as_str() {
        "text" => Kind::Text,
        "multipart" if matches!(subtype, "encrypted" | "signed") => Kind::Fixed,
        "multipart" => Kind::Multipart {
            is_digest: subtype == "digest",
            boundary: content_type.boundary.ok_or(Ambiguous)?,
        },
        "message" if subtype == "rfc822" => Kind::Message,
        // RFC 2046 §5.2: these are not encoded either.
        "message" => Kind::Fixed,
        "application" if is_sealed(subtype) => Kind::Fixed,
        _ => Kind::Other,
    })
}

/// Signatures and what they or a cipher cover: S/MIME (RFC 8551), PGP (RFC 3156).
fn is_sealed(subtype: &str) -> bool {
    ["pkcs7-", "x-pkcs7-", "pgp-"]
        .iter()
        .any(|start| subtype.starts_with(start))
}

fn is_signature(field: &Field<'_>) -> bool {
    [
        "DKIM-Signature",
        "DomainKey-Signature",
        "ARC-Seal",
        "ARC-Message-Signature",
    ]
    .iter()
    .any(|name| field.is_named(name))
}

//! The field `DKIM-Signature:` (RFC 6376 §3.5).

use std::fmt::Write as _;

use aws_lc_rs::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Timestamp;
use crate::mail::Header;

use super::fields::signed;
use super::signers::Signer;

/// The library of the operating system or of the cipher does not work.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature could not be made")]
pub struct SigningError;

/// Returns the field that signs a message with this header and body, folded, with its CRLF.
pub(super) fn signature(
    signer: &Signer,
    header: &Header<'_>,
    body: &Digest,
    now: Timestamp,
) -> Result<String, SigningError> {
    let chosen = signed(header);
    let names: Vec<&str> = chosen.iter().map(|(name, _)| *name).collect();
    let mut field = unsigned(signer, &names, body, now);
    let form = signer.canonicalization.header;
    let mut data = Vec::with_capacity(header.octets().len().min(16 << 10));
    for (_, found) in &chosen {
        if let Some(found) = found {
            form.field(found.octets(), &mut data);
        }
    }
    // The field itself comes last, without the signature and without its line end (RFC 6376 §3.7).
    let mut own = Vec::new();
    form.field(format!("{field}\r\n").as_bytes(), &mut own);
    data.extend_from_slice(own.strip_suffix(b"\r\n").unwrap_or(&own));
    let value = signer.key.sign(&data).ok_or(SigningError)?;
    let value = STANDARD.encode(value);
    let mut rest = value.as_str();
    while let Some((line, tail)) = rest.split_at_checked(rest.len().min(WIDTH)) {
        field.push_str(line);
        field.push_str("\r\n");
        rest = tail;
        if rest.is_empty() {
            break;
        }
        field.push_str("\t ");
    }
    Ok(field)
}

/// Characters of a signature in one line.
const WIDTH: usize = 70;

/// Returns the field up to `b=`.
fn unsigned(signer: &Signer, names: &[&str], body: &Digest, now: Timestamp) -> String {
    let forms = signer.canonicalization;
    let mut field = format!(
        "DKIM-Signature: v=1; a={}; c={}/{};\r\n\td={};\r\n\ts={}; t={}",
        signer.key.algorithm().as_str(),
        forms.header.as_str(),
        forms.body.as_str(),
        signer.domain.as_ascii(),
        signer.selector,
        now.unix_seconds(),
    );
    if let Some(span) = signer.valid_for {
        let until = now.after(span).unix_seconds();
        // Writing into a string cannot fail.
        let _ = write!(field, "; x={until}");
    }
    field.push_str(";\r\n\th=");
    let mut column = 10;
    for (place, name) in names.iter().enumerate() {
        if place > 0 {
            field.push(':');
        }
        if place > 0 && column + name.len() > WIDTH {
            field.push_str("\r\n\t ");
            column = 9;
        }
        field.push_str(name);
        column += name.len() + 1;
    }
    let hash = STANDARD.encode(body.as_ref());
    let _ = write!(field, ";\r\n\tbh={hash};\r\n\tb=");
    field
}

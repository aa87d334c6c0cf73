//! A message as the fields of a record's head.

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::{AccountName, Route, TenantName, UpstreamName};
use crate::mail::{
    BodyType, DeliverBy, DeliverByMode, DeliverByTrace, DsnReturn, Envelope, ForwardPath, Hold,
    Lines, Mailbox, MtPriority, Notify, OriginalRecipient, Priority, QueueId, Recipient,
    ReversePath, TlsRequest,
};
use crate::spool::Message;
use crate::spool::standing::Standing;
use crate::spool::times::Times;

use super::change;
use super::fields::{Fields, Malformed, Reader, number, octet, text};

/// The octets of a chunk of a body file; each has its own checksum.
pub(super) const CHUNK: usize = 64 << 10;

/// Where a message's octets are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum BodyPlace {
    /// In a file of their own, in chunks with these checksums.
    File { crcs: Vec<u32> },
    /// In the body of the record, from this offset on.
    Inline { offset: u32, crc: u32 },
}

/// A message as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stored {
    pub(super) id: QueueId,
    pub(super) size: u64,
    pub(super) body: BodyPlace,
    pub(super) message: Message,
}

/// What the index needs of a message.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) id: QueueId,
    pub(super) size: u64,
    pub(super) has_file: bool,
    pub(super) priority: Priority,
    pub(super) route: Route,
    pub(super) account: Option<AccountName>,
    pub(super) tenant: Option<TenantName>,
    pub(super) times: Times,
    pub(super) standing: Standing,
}

/// Writes the fields of a message.
pub(super) fn write(
    fields: &mut Fields,
    (id, size): (QueueId, u64),
    body: &BodyPlace,
    message: &Message,
) {
    fields.number(ID, id.number());
    fields.number(SIZE, size);
    write_body_place(fields, body);
    fields.octet(PRIORITY, message.priority.number());
    fields.number(ACCEPTED, message.accepted.unix_millis());
    fields.number(DUE, message.due.unix_millis());
    fields.nested(ROUTE, |fields| write_route(fields, &message.route));
    if let Some(account) = &message.account {
        fields.text(ACCOUNT, account);
    }
    if let Some(tenant) = &message.tenant {
        fields.text(TENANT, tenant);
    }
    match message.peer {
        Some(IpAddr::V4(address)) => fields.octets(PEER, &address.octets()),
        Some(IpAddr::V6(address)) => fields.octets(PEER, &address.octets()),
        None => {}
    }
    if let Some(message_id) = &message.message_id {
        fields.text(MESSAGE_ID, message_id);
    }
    write_envelope(fields, &message.envelope);
    if let Some(reason) = &message.held {
        fields.text(HELD, reason);
        // In the same record, and in the words that every version knows: nobody can claim it before it is released.
        write_standing(fields, &Standing::of(message));
    }
}

/// Writes the upstreams of a route.
pub(super) fn write_route(fields: &mut Fields, route: &Route) {
    for name in route.upstreams() {
        fields.text(ITEM, name);
    }
}

fn write_envelope(fields: &mut Fields, envelope: &Envelope) {
    match &envelope.reverse_path {
        ReversePath::Mailbox(mailbox) => fields.text(REVERSE_PATH, mailbox),
        ReversePath::Null => fields.octets(REVERSE_PATH, &[]),
    }
    let body = match envelope.body {
        BodyType::SevenBit => 0,
        BodyType::EightBitMime => 1,
        BodyType::BinaryMime => 2,
    };
    fields.octet(BODY_TYPE, body);
    match envelope.lines {
        Lines::Short => fields.octet(LINES, 0),
        Lines::Long => fields.octet(LINES, 1),
        Lines::Unknown => {}
    }
    if envelope.smtputf8 {
        fields.octet(SMTPUTF8, 1);
    }
    match envelope.ret {
        Some(DsnReturn::Full) => fields.octet(RET, 1),
        Some(DsnReturn::Headers) => fields.octet(RET, 2),
        None => {}
    }
    if let Some(id) = &envelope.envelope_id {
        fields.text(ENVELOPE_ID, id);
    }
    match envelope.hold {
        Some(Hold::For(span)) => fields.number(HOLD_FOR, span.as_secs()),
        Some(Hold::Until(time)) => fields.number(HOLD_UNTIL, time.unix_millis()),
        None => {}
    }
    if let Some(deliver_by) = &envelope.deliver_by {
        fields.nested(DELIVER_BY, |fields| write_deliver_by(fields, deliver_by));
    }
    if let Some(priority) = envelope.mt_priority {
        fields.octet(
            MT_PRIORITY,
            priority.value().wrapping_add(MT_ZERO).unsigned_abs(),
        );
    }
    match envelope.tls {
        TlsRequest::Required => fields.octet(TLS, 1),
        TlsRequest::Optional => fields.octet(TLS, 2),
        TlsRequest::Unsaid => {}
    }
    for recipient in &envelope.recipients {
        fields.nested(RECIPIENT, |fields| write_recipient(fields, recipient));
    }
}

fn write_deliver_by(fields: &mut Fields, deliver_by: &DeliverBy) {
    fields.number(DEADLINE, deliver_by.deadline.unix_millis());
    let mode = match deliver_by.mode {
        DeliverByMode::Notify => 1,
        DeliverByMode::Return => 2,
    };
    fields.octet(MODE, mode);
    match deliver_by.trace {
        DeliverByTrace::Off => {}
        DeliverByTrace::On => fields.octet(TRACE, 1),
    }
}

fn write_recipient(fields: &mut Fields, recipient: &Recipient) {
    fields.text(FORWARD_PATH, recipient.forward_path.mailbox());
    if let Some(notify) = recipient.notify {
        let bits = u8::from(notify.success)
            | (u8::from(notify.failure) << 1)
            | (u8::from(notify.delay) << 2);
        fields.octet(NOTIFY, bits);
    }
    if let Some(original) = &recipient.original {
        fields.text(ORIGINAL_TYPE, &original.address_type);
        fields.text(ORIGINAL, &original.address);
    }
}

/// Appends the standing that a message has when its record is copied, or has from the first.
pub(super) fn write_standing(fields: &mut Fields, standing: &Standing) {
    fields.nested(STANDING, |fields| change::write_standing(fields, standing));
}

/// Returns the fields of a message without those that say where its octets are and what its standing is: the rest
/// can be copied as it is.
pub(super) fn copy_constant(head: &[u8], fields: &mut Fields) -> Result<(), Malformed> {
    for field in Reader::new(head) {
        let (tag, content) = field?;
        if !matches!(tag, FILE | INLINE | STANDING) {
            fields.octets(tag, content);
        }
    }
    Ok(())
}

/// Writes where a message's octets are.
pub(super) fn write_body_place(fields: &mut Fields, body: &BodyPlace) {
    match body {
        BodyPlace::File { crcs } => fields.nested(FILE, |fields| {
            for crc in crcs {
                fields.raw(&crc.to_le_bytes());
            }
        }),
        BodyPlace::Inline { offset, crc } => {
            fields.number(INLINE, (u64::from(*offset) << 32) | u64::from(*crc));
        }
    }
}

/// Reads the id alone.
pub(super) fn read_id(head: &[u8]) -> Option<QueueId> {
    let mut fields = Reader::new(head).filter_map(Result::ok);
    let (_, content) = fields.find(|(tag, _)| *tag == ID)?;
    number(content).ok().map(QueueId::from_number)
}

/// Reads size and place of the octets alone.
pub(super) fn read_body_place(head: &[u8]) -> Result<(u64, BodyPlace), Malformed> {
    let (mut size, mut body) = (None, None);
    for field in Reader::new(head) {
        match field? {
            (SIZE, content) => size = Some(number(content)?),
            (FILE, content) => body = Some(read_file(content)?),
            (INLINE, content) => body = Some(read_inline(content)?),
            _ => {}
        }
    }
    size.zip(body).ok_or(Malformed)
}

fn read_file(content: &[u8]) -> Result<BodyPlace, Malformed> {
    let (crcs, rest) = content.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Malformed);
    }
    Ok(BodyPlace::File {
        crcs: crcs.iter().map(|crc| u32::from_le_bytes(*crc)).collect(),
    })
}

fn read_inline(content: &[u8]) -> Result<BodyPlace, Malformed> {
    let both = number(content)?;
    Ok(BodyPlace::Inline {
        offset: u32::try_from(both >> 32).map_err(|_| Malformed)?,
        crc: u32::try_from(both & u64::from(u32::MAX)).map_err(|_| Malformed)?,
    })
}

/// Reads what the index needs.
pub(super) fn summarize(head: &[u8]) -> Result<Summary, Malformed> {
    let (mut id, mut size, mut priority, mut route) = (None, None, None, None);
    let (mut account, mut tenant, mut standing) = (None, None, None);
    let (mut has_file, mut recipients) = (false, 0);
    let (mut accepted, mut due) = (Timestamp::default(), Timestamp::default());
    let mut deadline = None;
    for field in Reader::new(head) {
        match field? {
            (ID, content) => id = Some(QueueId::from_number(number(content)?)),
            (SIZE, content) => size = Some(number(content)?),
            (FILE, _) => has_file = true,
            (PRIORITY, content) => priority = Priority::from_number(octet(content)?),
            (ACCEPTED, content) => accepted = Timestamp::from_unix_millis(number(content)?),
            (DUE, content) => due = Timestamp::from_unix_millis(number(content)?),
            (DELIVER_BY, content) => deadline = Some(read_deliver_by(content)?.deadline),
            (ROUTE, content) => route = Some(read_route(content)?),
            (ACCOUNT, content) => account = Some(read_name(content, AccountName::parse)?),
            (TENANT, content) => tenant = Some(read_name(content, TenantName::parse)?),
            (RECIPIENT, _) => recipients += 1,
            (STANDING, content) => standing = Some(change::read_standing(content)?),
            _ => {}
        }
    }
    Ok(Summary {
        id: id.ok_or(Malformed)?,
        size: size.ok_or(Malformed)?,
        has_file,
        priority: priority.ok_or(Malformed)?,
        route: route.ok_or(Malformed)?,
        account,
        tenant,
        times: Times::new(accepted, due, deadline),
        standing: standing.unwrap_or_else(|| Standing::fresh(recipients, due)),
    })
}

/// Reads a whole message.
pub(super) fn read(head: &[u8]) -> Result<Stored, Malformed> {
    let summary = summarize(head)?;
    let (size, body) = read_body_place(head)?;
    let mut message = Message {
        envelope: read_envelope(head)?,
        account: summary.account,
        tenant: summary.tenant,
        route: summary.route,
        priority: summary.priority,
        accepted: Timestamp::default(),
        due: Timestamp::default(),
        peer: None,
        message_id: None,
        held: None,
    };
    for field in Reader::new(head) {
        match field? {
            (ACCEPTED, content) => {
                message.accepted = Timestamp::from_unix_millis(number(content)?);
            }
            (DUE, content) => message.due = Timestamp::from_unix_millis(number(content)?),
            (PEER, content) => message.peer = Some(read_address(content)?),
            (MESSAGE_ID, content) => message.message_id = Some(text(content)?.into()),
            (HELD, content) => message.held = Some(text(content)?.into()),
            _ => {}
        }
    }
    Ok(Stored {
        id: summary.id,
        size,
        body,
        message,
    })
}

fn read_envelope(head: &[u8]) -> Result<Envelope, Malformed> {
    let mut envelope = Envelope::new(ReversePath::Null);
    let mut has_reverse_path = false;
    for field in Reader::new(head) {
        match field? {
            (REVERSE_PATH, content) => {
                has_reverse_path = true;
                if !content.is_empty() {
                    envelope.reverse_path = ReversePath::Mailbox(read_mailbox(content)?);
                }
            }
            (BODY_TYPE, content) => envelope.body = read_body_type(octet(content)?)?,
            (LINES, content) => envelope.lines = read_lines(octet(content)?),
            (SMTPUTF8, _) => envelope.smtputf8 = true,
            (RET, content) => envelope.ret = Some(read_ret(octet(content)?)?),
            (ENVELOPE_ID, content) => envelope.envelope_id = Some(text(content)?.into()),
            (DELIVER_BY, content) => envelope.deliver_by = Some(read_deliver_by(content)?),
            (HOLD_FOR, content) => {
                let span = Duration::from_secs(number(content)?);
                envelope.hold = Some(Hold::For(span));
            }
            (HOLD_UNTIL, content) => {
                let time = Timestamp::from_unix_millis(number(content)?);
                envelope.hold = Some(Hold::Until(time));
            }
            (MT_PRIORITY, content) => envelope.mt_priority = Some(read_mt_priority(content)?),
            (TLS, content) => envelope.tls = read_tls(octet(content)?)?,
            (RECIPIENT, content) => envelope.recipients.push(read_recipient(content)?),
            _ => {}
        }
    }
    has_reverse_path.then_some(envelope).ok_or(Malformed)
}

/// A word that a later version may have is none here: then somebody looks again.
fn read_lines(number: u8) -> Lines {
    match number {
        0 => Lines::Short,
        1 => Lines::Long,
        _ => Lines::Unknown,
    }
}

fn read_deliver_by(fields: &[u8]) -> Result<DeliverBy, Malformed> {
    let (mut deadline, mut mode, mut trace) = (None, None, DeliverByTrace::Off);
    for field in Reader::new(fields) {
        match field? {
            (DEADLINE, content) => deadline = Some(Timestamp::from_unix_millis(number(content)?)),
            (MODE, content) => mode = Some(read_mode(octet(content)?)?),
            (TRACE, _) => trace = DeliverByTrace::On,
            _ => {}
        }
    }
    Ok(DeliverBy {
        deadline: deadline.ok_or(Malformed)?,
        mode: mode.ok_or(Malformed)?,
        trace,
    })
}

fn read_mt_priority(content: &[u8]) -> Result<MtPriority, Malformed> {
    let value = i8::try_from(octet(content)?).map_err(|_| Malformed)?;
    MtPriority::new(value.wrapping_sub(MT_ZERO)).ok_or(Malformed)
}

fn read_mode(number: u8) -> Result<DeliverByMode, Malformed> {
    match number {
        1 => Ok(DeliverByMode::Notify),
        2 => Ok(DeliverByMode::Return),
        _ => Err(Malformed),
    }
}

fn read_recipient(fields: &[u8]) -> Result<Recipient, Malformed> {
    let (mut forward_path, mut notify, mut kind, mut original) = (None, None, None, None);
    for field in Reader::new(fields) {
        match field? {
            (FORWARD_PATH, content) => {
                forward_path = Some(ForwardPath::from(read_mailbox(content)?));
            }
            (NOTIFY, content) => {
                let bits = octet(content)?;
                notify = Some(Notify {
                    success: bits & 1 != 0,
                    failure: bits & 2 != 0,
                    delay: bits & 4 != 0,
                });
            }
            (ORIGINAL_TYPE, content) => kind = Some(text(content)?.into()),
            (ORIGINAL, content) => original = Some(text(content)?.into()),
            _ => {}
        }
    }
    Ok(Recipient {
        forward_path: forward_path.ok_or(Malformed)?,
        notify,
        original: kind
            .zip(original)
            .map(|(address_type, address)| OriginalRecipient {
                address_type,
                address,
            }),
    })
}

fn read_mailbox(content: &[u8]) -> Result<Mailbox, Malformed> {
    Mailbox::parse(text(content)?).map_err(|_| Malformed)
}

fn read_body_type(number: u8) -> Result<BodyType, Malformed> {
    match number {
        0 => Ok(BodyType::SevenBit),
        1 => Ok(BodyType::EightBitMime),
        2 => Ok(BodyType::BinaryMime),
        _ => Err(Malformed),
    }
}

fn read_ret(number: u8) -> Result<DsnReturn, Malformed> {
    match number {
        1 => Ok(DsnReturn::Full),
        2 => Ok(DsnReturn::Headers),
        _ => Err(Malformed),
    }
}

fn read_tls(number: u8) -> Result<TlsRequest, Malformed> {
    match number {
        1 => Ok(TlsRequest::Required),
        2 => Ok(TlsRequest::Optional),
        _ => Err(Malformed),
    }
}

/// Reads what [`write_route`] writes.
pub(super) fn read_route(fields: &[u8]) -> Result<Route, Malformed> {
    let names: Result<Vec<_>, _> = Reader::new(fields)
        .map(|field| read_name(field?.1, UpstreamName::parse))
        .collect();
    Route::new(names?).ok_or(Malformed)
}

fn read_name<N, E>(content: &[u8], parse: fn(&str) -> Result<N, E>) -> Result<N, Malformed> {
    parse(text(content)?).map_err(|_| Malformed)
}

fn read_address(content: &[u8]) -> Result<IpAddr, Malformed> {
    if let Ok(octets) = <[u8; 4]>::try_from(content) {
        return Ok(IpAddr::from(octets));
    }
    let octets = <[u8; 16]>::try_from(content).map_err(|_| Malformed)?;
    Ok(IpAddr::from(octets))
}

/// The tag of the id in every record that is about one message.
pub(super) const ID: u8 = 1;
const SIZE: u8 = 2;
const INLINE: u8 = 3;
const FILE: u8 = 4;
const PRIORITY: u8 = 5;
const ACCEPTED: u8 = 6;
const DUE: u8 = 7;
const ROUTE: u8 = 8;
const ACCOUNT: u8 = 9;
const TENANT: u8 = 10;
const PEER: u8 = 11;
const MESSAGE_ID: u8 = 12;
const REVERSE_PATH: u8 = 13;
const BODY_TYPE: u8 = 14;
const SMTPUTF8: u8 = 15;
const RET: u8 = 16;
const ENVELOPE_ID: u8 = 17;
const RECIPIENT: u8 = 18;
/// The tag of the standing in every record that has one.
pub(super) const STANDING: u8 = 19;
const DELIVER_BY: u8 = 20;
const MT_PRIORITY: u8 = 21;
const TLS: u8 = 22;
const LINES: u8 = 24;
const HELD: u8 = 25;
const HOLD_FOR: u8 = 26;
const HOLD_UNTIL: u8 = 27;

/// How an MT-PRIORITY of 0 is stored, so that −9 is 0.
const MT_ZERO: i8 = 9;

/// Inside a route.
const ITEM: u8 = 1;

/// Inside a recipient.
const FORWARD_PATH: u8 = 1;
const NOTIFY: u8 = 2;
const ORIGINAL_TYPE: u8 = 3;
const ORIGINAL: u8 = 4;

/// Inside what DELIVERBY asks for.
const DEADLINE: u8 = 1;
const MODE: u8 = 2;
const TRACE: u8 = 3;

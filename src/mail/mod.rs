//! Values of the mail world: addresses, envelopes, status codes, outcomes, message identity.
//!
//! Nothing here performs I/O, waits, or reads a clock. Every value is parsed once at the edge; a value that exists
//! is valid, and printing it gives text that parses to the same value.

pub mod address;
pub mod date;
pub mod defect;
pub mod deliver_by;
pub mod dsn;
pub mod envelope;
pub mod header;
pub mod hold;
pub mod outcome;
pub mod priority;
pub mod queue_id;
pub mod status;

pub use address::{AddressError, Domain, ForwardPath, LocalPart, Mailbox, ReversePath};
pub use date::Date;
pub use defect::{Defect, Unusable};
pub use deliver_by::{DeliverBy, DeliverByMode, DeliverByTrace};
pub use envelope::{
    BodyType, DsnReturn, Envelope, Lines, Notify, OriginalRecipient, Recipient, TlsRequest,
};
pub use header::{
    AddressList, AddressListError, Edited, Field, Header, HeaderError, Keep, Senders,
    edit_addresses,
};
pub use hold::Hold;
pub use outcome::{
    Attempt, Cause, Channel, Duty, Failure, Handover, Health, Outcome, RecipientIndex, Response,
    Stage, TlsVia, VERIFIED_TLS, Via,
};
pub use priority::{ByPriority, MtPriority, Priority};
pub use queue_id::QueueId;
pub use status::EnhancedStatusCode;

//! Numbered messages: made by the generator, recognised by the sink.

use memchr::memmem;

/// Makes messages of one size that differ in their number.
pub(crate) struct Template {
    head: Vec<u8>,
    places: Vec<usize>,
    filler: Vec<u8>,
    size: usize,
}

impl Template {
    /// Messages of `size` octets, at least the header's, with an `X-Priority:` field where `priority` is given.
    pub(crate) fn new(size: usize, priority: Option<u8>) -> Self {
        let priority =
            priority.map_or_else(String::new, |value| format!("X-Priority: {value}\r\n"));
        let head = format!(
            "From: Load <load@sender.example>\r\nTo: <n{SLOT}@sink.example>\r\n\
             Subject: message {SLOT}\r\nDate: Sat, 21 Nov 2026 07:00:00 +0000\r\n\
             Message-ID: <{SLOT}@load.example>\r\n{priority}X-Number: {SLOT}\r\n\r\n"
        )
        .into_bytes();
        let places = memmem::find_iter(&head, SLOT).collect();
        let line =
            b"The quick brown fox jumps over the lazy dog, and then it does so once again.\r\n";
        let filler = line.repeat(FILLER / line.len());
        Self {
            head,
            places,
            filler,
            size,
        }
    }

    /// Octets of a message, without the final dot.
    pub(crate) fn octets(&self) -> usize {
        self.head.len() + self.body().next_multiple_of(LINE)
    }

    /// Appends the header of message `number`. Returns the octets of the body that are still to come.
    pub(crate) fn begin(&self, number: u64, output: &mut Vec<u8>) -> usize {
        let start = output.len();
        output.extend_from_slice(&self.head);
        let digits = digits(number);
        for &place in &self.places {
            output[start + place..][..digits.len()].copy_from_slice(&digits);
        }
        self.body().next_multiple_of(LINE)
    }

    /// Appends as much of `left` octets of body as one step takes. Returns what is left then.
    pub(crate) fn go_on(&self, left: usize, output: &mut Vec<u8>) -> usize {
        let now = left.min(self.filler.len());
        output.extend_from_slice(&self.filler[..now]);
        left - now
    }

    fn body(&self) -> usize {
        self.size.saturating_sub(self.head.len())
    }
}

/// Appends `MAIL` and `RCPT` of message `number`, each a line.
pub(crate) fn envelope(number: u64, output: &mut Vec<u8>) {
    mail(output);
    recipient(number, output);
}

/// Appends `MAIL`.
pub(crate) fn mail(output: &mut Vec<u8>) {
    output.extend_from_slice(b"MAIL FROM:<load@sender.example>\r\n");
}

/// Appends `RCPT` of message `number`.
pub(crate) fn recipient(number: u64, output: &mut Vec<u8>) {
    output.extend_from_slice(b"RCPT TO:<n");
    output.extend_from_slice(&digits(number));
    output.extend_from_slice(b"@sink.example>\r\n");
}

/// Returns the number in the argument of RCPT.
pub(crate) fn number_of_recipient(line: &[u8]) -> Option<u64> {
    let start = memmem::find(line, b":<n")? + 3;
    parse(line.get(start..start + SLOT.len())?)
}

/// Returns the number in the header of a message, if that part of it is there.
pub(crate) fn number_inside(octets: &[u8]) -> Option<u64> {
    let start = memmem::find(octets, b"\r\nX-Number: ")? + 12;
    parse(octets.get(start..start + SLOT.len())?)
}

fn digits(number: u64) -> [u8; 10] {
    let mut digits = [b'0'; 10];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Stands where the number goes; ten characters.
const SLOT: &str = "##########";

/// One line of the body; bodies are whole lines.
const LINE: usize = 78;

/// About this much of the body is made at once; whole lines.
const FILLER: usize = 128 << 10;

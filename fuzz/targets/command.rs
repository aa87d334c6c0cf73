//! Command lines: whatever a client sends is one command or one error, and no address of it carries a line end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use posthouse::mail::Domain;
use posthouse::smtp::command::Command;

fuzz_target!(|line: &[u8]| {
    let here = Domain::parse("relay.example").expect("it is a domain");
    let is_sound = |text: &str| !text.contains(['\r', '\n', '\0']);
    match Command::parse(line, &here) {
        Ok(Command::Mail(reverse_path, _)) => {
            assert!(
                reverse_path
                    .mailbox()
                    .is_none_or(|mailbox| is_sound(&mailbox.to_string()))
            );
        }
        Ok(Command::Rcpt(recipient)) => {
            assert!(is_sound(&recipient.forward_path.mailbox().to_string()));
        }
        Ok(_) | Err(_) => {}
    }
});

//! Records of the spool: whatever a damaged disk gives is a message or damage, never a panic or a huge allocation.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| posthouse::spool::embedded::fuzzing::read_record(octets));

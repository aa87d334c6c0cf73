//! Access tokens, keys and claims: no token counts that the issuer has not signed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| posthouse::token::fuzzing::read_token(octets));

//! What a webhook is told, and the signature that proves who says it.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use serde::Serialize;

use super::stored::{Errand, Item};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// The field with the signature.
pub const SIGNATURE: &str = "x-posthouse-signature";

/// The content of a request.
#[derive(Serialize)]
struct Payload<'a> {
    /// Of this format.
    version: u32,
    /// The same at every try, so that a program can tell a second one.
    id: String,
    /// The name of the relay.
    server: &'a str,
    alerts: &'a [Item],
    /// How many more there are.
    left_out: u64,
}

/// Writes what is posted: JSON.
pub fn payload(errand: &Errand, hostname: &str) -> Vec<u8> {
    let payload = Payload {
        version: 1,
        id: format!("{}-{}", errand.made.unix_millis(), errand.id),
        server: hostname,
        alerts: &errand.items,
        left_out: errand.left_out,
    };
    // Fails only where a map has keys that are no text; there is none.
    serde_json::to_vec(&payload).unwrap_or_default()
}

/// Returns the value of the field: `t=SECONDS,v1=HEX`. The HMAC-SHA256 is of the seconds, a dot and the content, so that
/// nobody can replay it at another time.
pub fn signature(secret: &Secret, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.unix_seconds();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(seconds.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let mut value = format!("t={seconds},v1=");
    for octet in context.sign().as_ref() {
        // Writing to a string cannot fail.
        let _written = write!(value, "{octet:02x}");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Kind, Target};

    #[test]
    fn the_signature_is_what_any_other_program_computes() {
        // printf '1764061200.{"a":1}' | openssl dgst -sha256 -hmac s3cret
        let secret = Secret::new("s3cret".to_owned());
        let now = Timestamp::from_unix_millis(1_764_061_200_999);
        assert_eq!(signature(&secret, now, br#"{"a":1}"#), EXPECTED);
    }

    const EXPECTED: &str =
        "t=1764061200,v1=1848459eb56e1e8ed68a23460ee5ebe8348522612d4ee0e849ffc90ab513627d";

    #[test]
    fn the_content_names_server_alerts_and_a_number_of_its_own() {
        let item = Item {
            id: 3,
            kind: Kind::UpstreamParked,
            account: None,
            tenant: None,
            upstream: Some("main".to_owned()),
            text: "login refused".to_owned(),
            first: Timestamp::from_unix_millis(1000),
            last: Timestamp::from_unix_millis(2000),
            count: 2,
        };
        let errand = Errand {
            id: 4,
            target: Target::Webhook,
            made: Timestamp::from_unix_millis(5),
            items: vec![item],
            left_out: 1,
            tries: 3,
            next: Timestamp::from_unix_millis(9),
        };
        let payload: serde_json::Value =
            serde_json::from_slice(&payload(&errand, "relay.example")).unwrap();
        assert_eq!(payload["version"], 1);
        assert_eq!(payload["id"], "5-4");
        assert_eq!(payload["server"], "relay.example");
        assert_eq!(payload["left_out"], 1);
        let alert = &payload["alerts"][0];
        assert_eq!(alert["kind"], "upstream_parked");
        assert_eq!(alert["upstream"], "main");
        assert_eq!(alert["first"], "1970-01-01T00:00:01.000Z");
        assert_eq!(alert["count"], 2);
    }
}

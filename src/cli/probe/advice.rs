//! What to do about a failure, in plain words.

use crate::identity::UpstreamName;
use crate::mail::{Cause, Failure, Stage};
use crate::upstream::repair::repair;

/// Says what to do, in whole sentences.
pub(in crate::cli) fn advice(failure: &Failure, upstream: &UpstreamName) -> String {
    let words = repair(failure).unwrap_or_else(|| of_stage(failure));
    words.replace("NAME", upstream.as_str())
}

/// What is known by how far it came.
fn of_stage(failure: &Failure) -> &'static str {
    match (failure.stage, &failure.cause) {
        (Stage::Resolve, Cause::Timeout) => {
            "No name server answers. Check /etc/resolv.conf and the network of this machine."
        }
        (Stage::Resolve, _) => {
            "Check the spelling of `host` of the upstream, and the name server of this machine."
        }
        (Stage::Connect, Cause::Timeout) => {
            "Nothing answers there. Check `host` and `port` of the upstream, and firewalls on the way: many networks and \
             hosting companies block port 25; ask for 587 or 465 then."
        }
        (Stage::Connect, _) => {
            "Check `host` and `port` of the upstream (587 for STARTTLS, 465 for TLS at once), and firewalls on the way."
        }
        (Stage::Greeting, Cause::Timeout) => {
            "It takes the connection and says nothing. If it is port 465, write tls = \"implicit\"; else something on the way \
             may hold the connection."
        }
        (Stage::Greeting, Cause::Response(response)) if response.code >= 500 => {
            "The upstream does not want to talk to this machine. Is its address on a block list, or must it be let in there?"
        }
        (Stage::Greeting, Cause::Response(_)) => {
            "The upstream is busy, or limits how often this machine connects. Try again later."
        }
        (Stage::Greeting, _) => {
            "Is it a mail server, and the right `port`? If it is port 465, write tls = \"implicit\"."
        }
        (Stage::Tls, Cause::Response(_)) => {
            "The upstream cannot begin TLS at the moment. Try again later."
        }
        (Stage::Tls, _) => {
            "Check `tls` and `port`: 465 wants tls = \"implicit\", 587 wants \"required\". Does something on the way look into \
             the connection?"
        }
        (Stage::Authenticate, Cause::Response(_)) => {
            "The upstream cannot check the login at the moment, or has seen too many. Try again later."
        }
        (Stage::Authenticate, _) => {
            "The upstream broke the login off. Check `username` and the password or token settings; some servers close the \
             connection after too many wrong logins."
        }
        (Stage::Sender, Cause::Response(response)) if response.code >= 500 => {
            "The upstream does not let this login send as that sender. Use an address that belongs to it, or have the sender \
             allowed there."
        }
        (Stage::Sender, _) => {
            "The upstream does not take mail of that sender now. Its words above say why."
        }
        (Stage::Recipient, Cause::Response(response)) if response.code >= 500 => {
            "The upstream does not take mail for that recipient: the address is wrong there, or this machine may not send to \
             others through it."
        }
        (Stage::Recipient, _) => {
            "The upstream does not take mail for that recipient now. Greylisting ends by itself after some minutes."
        }
        (Stage::Content | Stage::Final, _) => "The upstream's answer above says why.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Defect, Unusable};

    fn main() -> UpstreamName {
        UpstreamName::parse("main").unwrap()
    }

    #[test]
    fn what_has_a_repair_is_told_with_the_name_of_the_upstream() {
        let unusable = Unusable::new(Defect::CertificateName, "another name");
        let failure = Failure::new(Stage::Tls, Cause::Unusable(unusable));
        let words = advice(&failure, &main());
        assert!(words.contains("posthouse upstream test main"), "{words}");
    }

    #[test]
    fn every_stage_has_words_that_say_what_to_do() {
        for stage in [
            Stage::Resolve,
            Stage::Connect,
            Stage::Greeting,
            Stage::Tls,
            Stage::Authenticate,
            Stage::Sender,
            Stage::Recipient,
            Stage::Content,
            Stage::Final,
        ] {
            for cause in [Cause::Timeout, Cause::Broken("it broke".into())] {
                let words = advice(&Failure::new(stage, cause), &main());
                assert!(words.ends_with(['.', '?']), "{stage:?}: {words}");
            }
        }
    }
}

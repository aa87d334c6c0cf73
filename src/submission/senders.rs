//! What becomes of the senders that a message claims: the same decision for a session and for `posthouse explain`.

use bytes::Bytes;

use crate::mail::{Header, Mailbox, ReversePath};
use crate::message::{Change, Fault, Inspected, Names, inspect, substitute};
use crate::policy::{Denial, OnUnauthorized, Reason, SenderClaim, Verdict, authorize};

use super::settings::Profile;

/// What came of judging the senders of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Judgement {
    /// They are authorized.
    Allowed(Reason),
    /// They are not, and the message waits until an operator releases it (`on_unauthorized = "hold"`).
    Held(Denial),
    /// They are not: the message is refused.
    Refused(Denial),
    /// They are not, and the message is relayed as it is (`on_unauthorized = "alert"`).
    Tolerated(Denial),
    /// They were not, and others stand in their place (`on_unauthorized = "rewrite"`).
    Rewritten(Box<Rewritten>),
}

/// A message with other senders than it came with; these are authorized.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rewritten {
    /// The reverse-path from now on.
    pub reverse_path: ReversePath,
    /// The header from now on, without the empty line behind it.
    pub header: Bytes,
    /// What stands in it.
    pub inspected: Inspected,
    /// What was wrong.
    pub denial: Denial,
    /// Why it is right now.
    pub reason: Reason,
    /// What was changed.
    pub changes: Vec<Change>,
}

/// Judges a whole message. `inspected` is what stands in `header`.
pub fn judge(
    profile: &Profile,
    reverse_path: &ReversePath,
    header: &Header<'_>,
    inspected: &Inspected,
) -> Judgement {
    let rules = &profile.rules;
    let denial = match authorize(rules, &claim(reverse_path, inspected)) {
        Verdict::Allow(reason) => return Judgement::Allowed(reason),
        Verdict::Deny(denial) => denial,
    };
    let sender = match &rules.on_unauthorized {
        OnUnauthorized::Alert => return Judgement::Tolerated(denial),
        OnUnauthorized::Hold => return Judgement::Held(denial),
        OnUnauthorized::Reject => return Judgement::Refused(denial),
        OnUnauthorized::Rewrite(sender) => sender,
    };
    // A name may show another address than the one it stood beside; then it goes too.
    let rewritten = [Names::Kept, Names::Removed]
        .into_iter()
        .find_map(|names| rewrite(profile, (sender, names), (reverse_path, header), &denial));
    rewritten.map_or(Judgement::Refused(denial), |rewritten| {
        Judgement::Rewritten(Box::new(rewritten))
    })
}

/// Puts the sender in the place of whatever is not authorized; `None` where that does not suffice. What comes of it is read
/// and judged like any other message.
fn rewrite(
    profile: &Profile,
    (sender, names): (&Mailbox, Names),
    (reverse_path, header): (&ReversePath, &Header<'_>),
    denial: &Denial,
) -> Option<Rewritten> {
    let rules = &profile.rules;
    let mut changes = Vec::new();
    let reverse_path = match reverse_path {
        ReversePath::Mailbox(mailbox) if !rules.may_use(mailbox) => {
            changes.push(Change {
                place: "MAIL FROM",
                from: mailbox.to_string(),
                to: sender.to_string(),
            });
            ReversePath::Mailbox(sender.clone())
        }
        ReversePath::Mailbox(_) | ReversePath::Null => reverse_path.clone(),
    };
    let octets = match rules.scope {
        crate::policy::Scope::Envelope => Bytes::copy_from_slice(header.octets()),
        crate::policy::Scope::EnvelopeAndHeader => {
            let may_use = |mailbox: &Mailbox| rules.may_use(mailbox);
            let substituted = substitute(header, sender, &may_use, names);
            changes.extend(substituted.changes);
            substituted.header
        }
    };
    let inspected = reread(&octets, profile).ok()?;
    match authorize(rules, &claim(&reverse_path, &inspected)) {
        Verdict::Allow(reason) => Some(Rewritten {
            reverse_path,
            header: octets,
            inspected,
            denial: denial.clone(),
            reason,
            changes,
        }),
        Verdict::Deny(_) => None,
    }
}

fn reread(octets: &[u8], profile: &Profile) -> Result<Inspected, Option<Fault>> {
    let header = Header::parse(octets).map_err(|_| None)?;
    inspect(&header, profile.address_rule).map_err(Some)
}

fn claim<'a>(reverse_path: &'a ReversePath, inspected: &'a Inspected) -> SenderClaim<'a> {
    SenderClaim {
        reverse_path,
        from: &inspected.from,
        sender: inspected.sender.as_ref(),
        resent_from: &inspected.resent_from,
        resent_sender: &inspected.resent_sender,
        shown: &inspected.shown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::AddressRule;
    use crate::policy::{Detail, Grant, Grants, Rules, Scope};
    use crate::submission::settings::tests::profile;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    /// An account that may send as `example.com` and `me@own.example`, and as whose default sender.
    fn rewriting(scope: Scope) -> Profile {
        Profile {
            rules: Rules {
                grants: Grants::Only(vec![
                    Grant::Domain(crate::mail::Domain::parse("example.com").unwrap()),
                    Grant::Mailbox(mailbox("me@own.example")),
                ]),
                scope,
                detail: Detail::default(),
                on_unauthorized: OnUnauthorized::Rewrite(mailbox("shop@example.com")),
            },
            ..profile()
        }
    }

    fn judged(profile: &Profile, reverse_path: &ReversePath, header: &str) -> Judgement {
        let header = Header::parse(header.as_bytes()).unwrap();
        let inspected = inspect(&header, profile.address_rule).unwrap();
        judge(profile, reverse_path, &header, &inspected)
    }

    fn rewritten(reverse_path: &str, header: &str) -> Rewritten {
        let reverse_path = ReversePath::Mailbox(mailbox(reverse_path));
        match judged(&rewriting(Scope::EnvelopeAndHeader), &reverse_path, header) {
            Judgement::Rewritten(rewritten) => *rewritten,
            other @ (Judgement::Allowed(_)
            | Judgement::Held(_)
            | Judgement::Refused(_)
            | Judgement::Tolerated(_)) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn envelope_and_header_are_rewritten_each_for_itself() {
        let shop = ReversePath::Mailbox(mailbox("shop@example.com"));
        let header = "From: me@example.com\r\n";
        let envelope = rewritten("v@mail.example", header);
        assert_eq!(
            (&envelope.reverse_path, &envelope.header[..]),
            (&shop, header.as_bytes())
        );
        let both = rewritten("v@mail.example", "From: v@mail.example\r\n");
        assert_eq!(both.changes.len(), 2);
        let header = rewritten("me@own.example", "From: v@mail.example\r\n");
        assert_eq!(
            header.reverse_path,
            ReversePath::Mailbox(mailbox("me@own.example"))
        );
        assert!(
            header
                .header
                .starts_with(b"From: <shop@example.com>\r\nReply-To: v@mail.example")
        );
    }

    #[test]
    fn the_null_reverse_path_stays() {
        let profile = rewriting(Scope::EnvelopeAndHeader);
        let judged = judged(&profile, &ReversePath::Null, "From: v@mail.example\r\n");
        let Judgement::Rewritten(rewritten) = judged else {
            panic!("{judged:?}")
        };
        assert_eq!(rewritten.reverse_path, ReversePath::Null);
    }

    #[test]
    fn where_the_header_is_not_judged_it_is_not_rewritten() {
        let profile = rewriting(Scope::Envelope);
        let reverse_path = ReversePath::Mailbox(mailbox("v@mail.example"));
        let header = "From: v@mail.example\r\n";
        let judged = judged(&profile, &reverse_path, header);
        let Judgement::Rewritten(rewritten) = judged else {
            panic!("{judged:?}")
        };
        assert_eq!(&rewritten.header[..], header.as_bytes());
        assert_eq!(rewritten.changes.len(), 1);
    }

    #[test]
    fn a_name_that_shows_the_old_address_does_not_stay_beside_the_new_one() {
        let rewritten = rewritten(
            "shop@example.com",
            "From: \"v@mail.example\" <v@mail.example>\r\nReply-To: a@b.example\r\n",
        );
        assert_eq!(
            &rewritten.header[..],
            b"From: <shop@example.com>\r\nReply-To: a@b.example\r\n"
        );
    }

    fn name() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "",
            "V",
            "\"V, W\"",
            "\"ceo@corp.example\"",
            "ceo=?utf-8?q?=40?=corp",
            "=?utf-8?q?v=40mail.example?=",
            "\"me@own.example\"",
            "V (a@b.example)",
            "\"x <y@z.example>\"",
            "J\u{fc}rgen",
        ])
    }

    fn address() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "v@mail.example",
            "me@own.example",
            "ME@own.example",
            "a@example.com",
            "a@b.example.com",
            "\"a b\"@example.com",
            "v+x@mail.example",
            "\u{fc}@mail.example",
        ])
    }

    fn header() -> impl Strategy<Value = String> {
        let one = (name(), address()).prop_map(|(name, address)| format!("{name} <{address}>"));
        let list = prop::collection::vec(one, 1..4)
            .prop_map(|list| list.join(",\r\n "))
            .boxed();
        let field = prop::sample::select(vec![
            "Sender",
            "Resent-From",
            "Resent-Sender",
            "Reply-To",
            "X",
        ]);
        let others = prop::collection::vec((field, list.clone()), 0..4);
        (list, others, any::<bool>()).prop_map(|(from, others, is_first)| {
            let from = format!("From: {from}\r\n");
            let others: Vec<_> = others
                .iter()
                .map(|(name, value)| [*name, ": ", value, "\r\n"].concat())
                .collect();
            let others = others.concat();
            if is_first {
                from + &others
            } else {
                others + &from
            }
        })
    }

    proptest! {
        /// Nothing that is rewritten leaves as somebody whom the account may not use, and nobody is lost on the way.
        #[test]
        fn what_has_been_rewritten_is_authorized(header in header(), sender in address(), is_null in any::<bool>()) {
            let profile = rewriting(Scope::EnvelopeAndHeader);
            let reverse_path = if is_null { ReversePath::Null } else { ReversePath::Mailbox(mailbox(sender)) };
            let parsed = Header::parse(header.as_bytes()).unwrap();
            let Ok(inspected) = inspect(&parsed, AddressRule::All) else { return Ok(()) };
            match judge(&profile, &reverse_path, &parsed, &inspected) {
                Judgement::Allowed(_) => {}
                Judgement::Rewritten(rewritten) => {
                    let written = Header::parse(&rewritten.header).unwrap();
                    let again = inspect(&written, AddressRule::All).unwrap();
                    let verdict = authorize(&profile.rules, &claim(&rewritten.reverse_path, &again));
                    prop_assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
                    prop_assert!(!rewritten.changes.is_empty());
                    let is_null_now = rewritten.reverse_path == ReversePath::Null;
                    prop_assert_eq!(is_null_now, is_null);
                    // Other fields are there, octet for octet.
                    for field in parsed.find("X").chain(parsed.find("Reply-To")) {
                        prop_assert!(written.fields().iter().any(|kept| kept.octets() == field.octets()));
                    }
                    if !parsed.has("Reply-To") && rewritten.changes.iter().any(|c| c.place == "From" && c.to == "shop@example.com") {
                        prop_assert!(written.has("Reply-To"));
                    }
                }
                // A field of senders that could not be rewritten.
                other @ (Judgement::Held(_) | Judgement::Refused(_) | Judgement::Tolerated(_)) => prop_assert!(false, "{other:?}\n{header}"),
            }
        }
    }
}

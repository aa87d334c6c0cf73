//! What addresses that somebody has proved change in the rules of an account.

use super::rules::{Grant, Grants, OnUnauthorized, Rules};

/// Whether an account may send as what has been verified (`verified_senders`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum VerifiedSenders {
    /// As what is configured, and as what is verified besides.
    #[default]
    Additional,
    /// As what is configured; nothing is verified.
    Off,
    /// As what is verified, and nothing else, whatever is configured.
    Required,
}

impl VerifiedSenders {
    /// Returns the word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Additional => "additional",
            Self::Off => "off",
            Self::Required => "required",
        }
    }
}

impl Rules {
    /// Returns these rules with what has been verified. What waits for its proof must not be in `verified`.
    ///
    /// Where senders are rewritten to one that the account may not use then, they are refused.
    #[must_use]
    pub fn with_verified(&self, how: VerifiedSenders, verified: &[Grant]) -> Self {
        let grants = match (how, &self.grants) {
            (VerifiedSenders::Off, grants) => grants.clone(),
            (VerifiedSenders::Additional, Grants::Anyone) => Grants::Anyone,
            (VerifiedSenders::Additional, Grants::Only(configured)) => {
                Grants::Only(configured.iter().chain(verified).cloned().collect())
            }
            // `Anyone` with no proof at all becomes nobody.
            (VerifiedSenders::Required, _) => Grants::Only(verified.to_vec()),
        };
        let mut rules = Self {
            grants,
            ..self.clone()
        };
        if let OnUnauthorized::Rewrite(sender) = &rules.on_unauthorized
            && !rules.may_use(sender)
        {
            rules.on_unauthorized = OnUnauthorized::Reject;
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::{Domain, Mailbox, ReversePath};
    use crate::policy::{Detail, Scope, SenderClaim, Verdict, authorize};

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    fn rules(grants: Grants, on_unauthorized: OnUnauthorized) -> Rules {
        Rules {
            grants,
            scope: Scope::EnvelopeAndHeader,
            detail: Detail::Significant,
            on_unauthorized,
        }
    }

    #[test]
    fn what_is_verified_counts_besides_or_alone_or_not_at_all() {
        let configured = Grant::Domain(Domain::parse("a.example").unwrap());
        let verified = Grant::Mailbox(mailbox("me@b.example"));
        let only = rules(
            Grants::Only(vec![configured.clone()]),
            OnUnauthorized::Reject,
        );
        let with = |how| {
            only.with_verified(how, std::slice::from_ref(&verified))
                .grants
        };
        assert_eq!(
            with(VerifiedSenders::Additional),
            Grants::Only(vec![configured.clone(), verified.clone()])
        );
        assert_eq!(
            with(VerifiedSenders::Off),
            Grants::Only(vec![configured.clone()])
        );
        assert_eq!(
            with(VerifiedSenders::Required),
            Grants::Only(vec![verified.clone()])
        );
        let anyone = rules(Grants::Anyone, OnUnauthorized::Reject);
        let none = anyone.with_verified(VerifiedSenders::Required, &[]);
        assert_eq!(none.grants, Grants::Only(Vec::new()), "nobody, not anybody");
        let still = anyone.with_verified(VerifiedSenders::Additional, &[verified]);
        assert_eq!(still.grants, Grants::Anyone);
    }

    #[test]
    fn nothing_is_rewritten_to_a_sender_that_is_not_verified() {
        let sender = mailbox("shop@a.example");
        let rewriting = rules(Grants::Anyone, OnUnauthorized::Rewrite(sender.clone()));
        let without = rewriting.with_verified(VerifiedSenders::Required, &[]);
        assert_eq!(without.on_unauthorized, OnUnauthorized::Reject);
        let proved = [Grant::Mailbox(sender.clone())];
        let with = rewriting.with_verified(VerifiedSenders::Required, &proved);
        assert_eq!(with.on_unauthorized, OnUnauthorized::Rewrite(sender));
    }

    fn any_grant() -> impl Strategy<Value = Grant> {
        let domain = || prop_oneof![Just("a.example"), Just("b.a.example"), Just("c.example")];
        prop_oneof![
            domain().prop_map(|name| Grant::Domain(Domain::parse(name).unwrap())),
            domain().prop_map(|name| Grant::Subdomains(Domain::parse(name).unwrap())),
            (prop_oneof![Just("x"), Just("y")], domain())
                .prop_map(|(local, name)| Grant::Mailbox(mailbox(&format!("{local}@{name}")))),
        ]
    }

    fn any_mailbox() -> impl Strategy<Value = Mailbox> {
        let local = prop_oneof![Just("x"), Just("y"), Just("z")];
        let domain = prop_oneof![Just("a.example"), Just("b.a.example"), Just("c.example")];
        (local, domain).prop_map(|(local, domain)| mailbox(&format!("{local}@{domain}")))
    }

    proptest! {
        #[test]
        fn where_proof_is_required_nothing_unverified_authorizes(
            configured in proptest::option::of(proptest::collection::vec(any_grant(), 0..4)),
            verified in proptest::collection::vec(any_grant(), 0..4),
            path in any_mailbox(),
            from in proptest::collection::vec(any_mailbox(), 0..3),
        ) {
            let configured = configured.map_or(Grants::Anyone, Grants::Only);
            let rules = rules(configured, OnUnauthorized::Reject)
                .with_verified(VerifiedSenders::Required, &verified);
            let reverse_path = ReversePath::Mailbox(path.clone());
            let claim = SenderClaim {
                reverse_path: &reverse_path,
                from: &from,
                sender: None,
                resent_from: &[],
                resent_sender: &[],
                shown: &[],
            };
            let is_covered = |mailbox: &Mailbox| {
                verified.iter().any(|grant| grant.covers(mailbox, Detail::Significant))
            };
            let all_covered = !from.is_empty() && from.iter().chain([&path]).all(is_covered);
            let is_allowed = matches!(authorize(&rules, &claim), Verdict::Allow(_));
            prop_assert_eq!(is_allowed, all_covered);
        }
    }
}

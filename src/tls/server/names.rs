//! Which certificate a client gets: by the name that it asks for (RFC 6066 §3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates of a server: one for everybody, and those of some names.
#[derive(Debug)]
pub(super) struct Certificates {
    names: Names<Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl Certificates {
    pub(super) fn new(
        default: Arc<CertifiedKey>,
        names: impl IntoIterator<Item = (String, Arc<CertifiedKey>)>,
    ) -> Self {
        Self {
            names: names.into_iter().collect(),
            default,
        }
    }
}

impl ResolvesServerCert for Certificates {
    /// A name that is not known gets the default certificate: the client then judges it, and says why it goes. Old
    /// devices send no name at all.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = hello.server_name().and_then(|name| self.names.find(name));
        Some(Arc::clone(own.unwrap_or(&self.default)))
    }
}

/// Something for each of several host names. Letter case does not count; an exact name goes before `*.domain`, which
/// stands for one label (RFC 9525 §6.3).
#[derive(Clone, Debug)]
pub struct Names<T> {
    exact: HashMap<String, T>,
    /// By what follows `*.`.
    wildcards: HashMap<String, T>,
}

impl<T> Names<T> {
    /// Returns what belongs to a name that a client asks for.
    pub fn find(&self, name: &str) -> Option<&T> {
        let name = normal(name);
        self.exact.get(&name).or_else(|| {
            let (label, parent) = name.split_once('.')?;
            let is_label = !label.is_empty() && label != "*";
            is_label.then(|| self.wildcards.get(parent))?
        })
    }
}

impl<T> FromIterator<(String, T)> for Names<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(named: I) -> Self {
        let mut all = Self {
            exact: HashMap::new(),
            wildcards: HashMap::new(),
        };
        for (name, value) in named {
            let name = normal(&name);
            match name.strip_prefix("*.") {
                Some(parent) => all.wildcards.insert(parent.to_owned(), value),
                None => all.exact.insert(name, value),
            };
        }
        all
    }
}

/// Returns whether a certificate for `covered` is good for `name`, each a host name or `*.domain`.
pub fn covers(covered: &str, name: &str) -> bool {
    let (covered, name) = (normal(covered), normal(name));
    if covered == name {
        return true;
    }
    let Some((label, parent)) = name.split_once('.') else {
        return false;
    };
    label != "*" && !label.is_empty() && covered.strip_prefix("*.") == Some(parent)
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names<String> {
        let named = list
            .iter()
            .map(|name| ((*name).to_owned(), (*name).to_owned()));
        named.collect()
    }

    fn found(list: &[&str], name: &str) -> Option<String> {
        names(list).find(name).cloned()
    }

    #[test]
    fn an_exact_name_goes_before_a_wildcard() {
        let list = ["*.example.com", "mail.example.com"];
        assert_eq!(
            found(&list, "mail.example.com").unwrap(),
            "mail.example.com"
        );
        assert_eq!(found(&list, "smtp.example.com").unwrap(), "*.example.com");
    }

    #[test]
    fn letter_case_and_a_final_dot_do_not_count() {
        assert!(found(&["Mail.Example.com"], "mAIL.eXAMPLE.com.").is_some());
        assert!(found(&["*.EXAMPLE.com"], "mail.example.COM").is_some());
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        for other in [
            "example.com",
            "a.b.example.com",
            ".example.com",
            "mail.example.org",
            "",
        ] {
            assert_eq!(found(&["*.example.com"], other), None, "{other}");
            assert!(!covers("*.example.com", other), "{other}");
        }
        assert!(covers("*.example.com", "mail.example.com"));
    }

    #[test]
    fn a_certificate_covers_its_own_names_only() {
        assert!(covers("mail.example.com", "MAIL.example.com"));
        assert!(covers("*.example.com", "*.example.com"));
        assert!(!covers("*.example.com", "*.b.example.com"));
        assert!(!covers("mail.example.com", "*.example.com"));
        assert!(!covers("mail.example.com", "example.com"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_found_covers_the_name(
            list in proptest::collection::vec("(\\*\\.)?[ab]{1,2}(\\.[ab]{1,2}){0,2}", 0..6),
            name in "[abAB]{1,2}(\\.[ab]{1,2}){0,3}",
        ) {
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            let covering = list.iter().any(|covered| covers(covered, &name));
            let found = found(&list, &name);
            proptest::prop_assert_eq!(covering, found.is_some());
            if let Some(found) = found {
                proptest::prop_assert!(covers(&found, &name));
            }
        }
    }
}

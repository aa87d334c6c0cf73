//! Values that serde has no type for.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::config::units::HINT;
use crate::secret::Secret;

/// A list: a TOML array of strings, or one string with `;` between the entries.
#[derive(Clone, Debug)]
pub(in crate::config) enum List {
    Array(Vec<Spanned<String>>),
    Text(String),
}

/// A list of rates. By default there is none.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct Rates(pub(in crate::config) Spanned<List>);

/// A text that is not shown by `Debug`.
#[derive(Clone)]
pub(in crate::config) struct Hidden(pub(in crate::config) Secret);

impl List {
    pub(super) fn of(entries: &[&str]) -> Self {
        Self::Array(
            entries
                .iter()
                .map(|entry| Spanned::new(0..0, (*entry).to_owned()))
                .collect(),
        )
    }
}

impl Rates {
    /// Takes rates that stand in no file.
    pub(in crate::config) fn of(rates: &[&str]) -> Self {
        Self(Spanned::new(0..0, List::of(rates)))
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl fmt::Debug for Rates {
    /// Writes the rates without their places.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get_ref() {
            List::Array(entries) => f
                .debug_list()
                .entries(entries.iter().map(Spanned::get_ref))
                .finish(),
            List::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<List, E> {
        Ok(List::Text(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<List, E> {
        Err(E::custom(format!(
            "`{number}` is a bare number{HINT}write it as text: \"{number}\""
        )))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<List, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element::<Spanned<Entry>>()? {
            let span = entry.span();
            list.push(Spanned::new(span, entry.into_inner().0));
        }
        Ok(List::Array(list))
    }
}

struct Entry(String);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor).map(Self)
    }
}

struct EntryVisitor;

impl Visitor<'_> for EntryVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Err(E::custom(format!(
            "`{number}` is a bare number{HINT}write it as text: \"{number}\""
        )))
    }
}

//! Values that may come from the table of an upstream, from its profile, or from nowhere.

use std::ops::Range;

use toml::Spanned;

/// A value that is in force, and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Picked<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// Nobody has said anything.
    Default,
    /// It stands at this place of the file.
    File(Range<usize>),
    /// The profile of this name has it.
    Profile(&'static str),
}

impl<T> Picked<T> {
    pub(super) fn default(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    pub(super) fn written(value: T, place: Range<usize>) -> Self {
        Self {
            value,
            origin: Origin::File(place),
        }
    }

    /// Returns what is written, else what the profile has, else `default`.
    pub(super) fn of(written: Option<&Spanned<T>>, profile: Option<Self>, default: T) -> Self
    where
        T: Clone,
    {
        match (written, profile) {
            (Some(written), _) => Self::written(written.get_ref().clone(), written.span()),
            (None, Some(profile)) => profile,
            (None, None) => Self::default(default),
        }
    }

    /// Returns the place in the file; an empty one for what is not there.
    pub(super) fn place(&self) -> Range<usize> {
        match &self.origin {
            Origin::File(place) => place.clone(),
            Origin::Default | Origin::Profile(_) => Range::default(),
        }
    }
}

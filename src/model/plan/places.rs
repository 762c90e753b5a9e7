//! Sets of a queue's requests, by place: the first in turn has place 0.

use std::fmt;

/// The most requests that are planned, and stacked, at once; the others wait behind them.
pub const STACK_MAX: usize = 64;

/// A set of places of one queue. It means nothing without that queue.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Places(u64);

impl Places {
    /// No place: as a stack, the bare target.
    pub const NONE: Self = Self(0);

    /// The places before `length`: as a stack, the prefix of that length. What is past [`STACK_MAX`] is left out.
    #[must_use]
    pub const fn first(length: usize) -> Self {
        if length >= STACK_MAX { Self(u64::MAX) } else { Self((1 << length) - 1) }
    }

    /// The one `place`; none when it is past [`STACK_MAX`].
    #[must_use]
    pub const fn of(place: usize) -> Self {
        if place >= STACK_MAX { Self(0) } else { Self(1 << place) }
    }

    /// Whether `place` is in it.
    #[must_use]
    pub const fn contains(self, place: usize) -> bool {
        Self::of(place).0 & self.0 != 0
    }

    /// Those in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn shared(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of them are in `other` too.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether any of them is in `other`.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// How many they are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The place that is first in turn.
    #[must_use]
    pub fn head(self) -> Option<usize> {
        self.iter().next()
    }

    /// The places, in turn.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let place = rest.trailing_zeros() as usize;
            (rest != 0).then(|| {
                rest &= rest - 1;
                place
            })
        })
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        places.into_iter().fold(Self::NONE, |all, place| all.with(Self::of(place)))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_do_what_sets_do_up_to_the_last_place() {
        let (low, high): (Places, Places) = ([0, 1, 5].into_iter().collect(), [5, 63].into_iter().collect());
        assert_eq!(low.with(high).iter().collect::<Vec<_>>(), [0, 1, 5, 63]);
        assert_eq!((low.shared(high), low.without(high)), (Places::of(5), Places::first(2)));
        assert!(low.meets(high) && !low.is_within(high) && Places::of(63).is_within(high));
        assert_eq!((Places::first(64).len(), Places::first(65).len(), Places::of(64).len()), (64, 64, 0));
        assert_eq!((Places::NONE.head(), high.head()), (None, Some(5)));
        assert_eq!(format!("{low:?}"), "{0, 1, 5}");
    }
}

//! How a request comes to stand on its target: as one commit, as a merge, commit by commit, or as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The form in which a request lands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One commit with all of it
    #[default]
    Squash,
    /// A merge commit: the target first, the branch second
    Merge,
    /// Each commit of the branch again, on top of the target
    Rebase,
    /// The branch's commits as they are, when they stand on the target's tip
    Ff,
}

impl Mode {
    /// The words for all of them, as configuration has them.
    pub const WORDS: &'static [&'static str] = &["squash", "merge", "rebase", "ff"];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Squash => "squash",
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::Ff => "ff",
        }
    }

    /// The mode that `word` names.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Squash, Self::Merge, Self::Rebase, Self::Ff].into_iter().find(|mode| mode.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_the_mode_that_it_is_the_word_of() {
        for word in Mode::WORDS {
            assert_eq!(Mode::named(word).map(Mode::word), Some(*word));
        }
        assert_eq!(Mode::named("fast"), None);
    }
}

//! Wrappers: programs that run agents or gates inside of something, such as bubblewrap or a container.
//!
//! A wrapper is a list of words, never a line for a shell. `{dir}`, `{build}`, `{repo}` and `{town}` in them stand for the
//! directory that the command runs in, the one that a gate builds in, the git directory that both belong to, and the town;
//! nothing else is replaced.

use std::path::Path;

use crate::error::{Error, Result};

/// Where a wrapped command runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// Its directory.
    pub dir: &'p Path,
    /// Where a gate builds; the same for agents.
    pub build: &'p Path,
    /// The git directory that this is a worktree of.
    pub repo: &'p Path,
    /// The town.
    pub town: &'p Path,
}

/// The words of a wrapper for `place`.
///
/// # Errors
/// Refused, when a path that is asked for is no text: half a sandbox is none.
pub fn words(wrapper: &[String], place: Place<'_>) -> Result<Vec<String>> {
    let paths = [("{dir}", place.dir), ("{build}", place.build), ("{repo}", place.repo), ("{town}", place.town)];
    let mut words = Vec::with_capacity(wrapper.len());
    for word in wrapper {
        let mut filled = word.clone();
        for (name, path) in paths.iter().filter(|(name, _)| word.contains(name)) {
            let path = path
                .to_str()
                .ok_or_else(|| Error::refused(format!("the path {} is no text that a wrapper can be given", path.display())))?;
            filled = filled.replace(name, path);
        }
        words.push(filled);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_and_nothing_else_is() {
        let wrapper: Vec<String> = ["box", "--bind={dir}", "{repo}", "$HOME", "{other}"].map(str::to_owned).into();
        let place = Place {
            dir: Path::new("/t/w/p/a b"),
            build: Path::new("/b"),
            repo: Path::new("/t/w/.repo.git"),
            town: Path::new("/t"),
        };
        assert_eq!(words(&wrapper, place).unwrap(), ["box", "--bind=/t/w/p/a b", "/t/w/.repo.git", "$HOME", "{other}"]);
    }
}

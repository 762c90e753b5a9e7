//! The part of a project that a sparse worktree shows: whole directories, with the files beside the way to them.
//!
//! This is git's cone mode (git-sparse-checkout(1)): a directory named here is there with all below it, its parents with
//! the files that lie directly in them, and the top likewise.

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// The directories of a sparse worktree, none below another; none at all: the whole project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cone(BTreeSet<String>);

/// How much of a directory is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Everything,
    /// The files directly in it, and what the directories below it show.
    Files,
    /// Nothing.
    Nothing,
}

/// The word for the whole project, where its directories are named.
pub const WHOLE: &str = ".";
/// The longest name of a directory.
const DIR_BYTES_MAX: usize = 4096;

impl Cone {
    /// The cone of the directories `dirs`, each named from the top of the project; [`WHOLE`] alone stands for everything.
    ///
    /// # Errors
    /// Usage, when one of them can be no directory of a project.
    pub fn of<D: AsRef<str>>(dirs: &[D]) -> Result<Self> {
        let mut cone = BTreeSet::new();
        for dir in dirs {
            cone.insert(cleaned(dir.as_ref())?);
        }
        if cone.contains(WHOLE) {
            if cone.len() > 1 {
                return Err(Error::usage("'.' is the whole project, and other directories are named beside it")
                    .hint("name either '.' or directories"));
            }
            return Ok(Self::default());
        }
        let is_below = |dir: &str| dir.match_indices('/').any(|(at, _)| cone.contains(&dir[..at]));
        Ok(Self(cone.iter().filter(|dir| !is_below(dir)).cloned().collect()))
    }

    /// Whether it is the whole project.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The directories, sorted.
    pub fn dirs(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How much of the directory `path` of the project is there; the top is the empty path.
    #[must_use]
    pub fn extent(&self, path: &[u8]) -> Extent {
        let is_at_or_below = |upper: &[u8], lower: &[u8]| {
            upper.is_empty() || lower.strip_prefix(upper).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        if self.is_whole() || self.0.iter().any(|dir| is_at_or_below(dir.as_bytes(), path)) {
            return Extent::Everything;
        }
        let is_on_the_way = self.0.iter().any(|dir| is_at_or_below(path, dir.as_bytes()));
        if is_on_the_way { Extent::Files } else { Extent::Nothing }
    }

    /// The lines of `info/sparse-checkout` for it, as git writes them.
    #[must_use]
    pub fn patterns(&self) -> String {
        let parents: BTreeSet<&str> = self.0.iter().flat_map(|dir| dir.match_indices('/').map(|(at, _)| &dir[..at])).collect();
        let mut lines = "/*\n!/*/\n".to_owned();
        for parent in parents.iter().map(|dir| escaped(dir)) {
            lines.push_str(&format!("/{parent}/\n!/{parent}/*/\n"));
        }
        for dir in self.0.iter().map(|dir| escaped(dir)) {
            lines.push_str(&format!("/{dir}/\n"));
        }
        lines
    }
}

/// `dir` as a pattern that means just that: see gitignore(5).
fn escaped(dir: &str) -> String {
    dir.chars().flat_map(|c| "*?[\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// `dir` without what changes nothing about it.
fn cleaned(dir: &str) -> Result<String> {
    let refused = |why: &str| {
        Err(Error::usage(format!("'{}' is no directory of a project: {why}", dir.escape_debug()))
            .hint("name it from the top of the project, as in: --sparse docs/guide"))
    };
    if dir.starts_with('/') {
        return refused("it starts at the root of the disk");
    }
    if dir.chars().any(char::is_control) {
        return refused("it has a control character");
    }
    let parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return refused("'..' leads out of it");
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return refused("'.git' is git's own");
    }
    if dir.is_empty() || dir.len() > DIR_BYTES_MAX {
        return refused("its name is empty or too long");
    }
    Ok(if parts.is_empty() { WHOLE.to_owned() } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_cone_has_each_directory_once_and_none_below_another() {
        let cone = Cone::of(&["b/c/", "./a", "b/c/d", "a", "bc", "b//c"]).unwrap();
        assert_eq!(cone.dirs().collect::<Vec<_>>(), ["a", "b/c", "bc"]);
        assert!(Cone::of(&["."]).unwrap().is_whole() && Cone::of(&["./"]).unwrap().is_whole());
        assert!(Cone::of::<&str>(&[]).unwrap().is_whole());
        for bad in ["", "/a", "..", "a/../b", "a\nb", "a\u{9b}", ".git", "a/.GIT/x"] {
            assert_eq!(Cone::of(&[bad]).unwrap_err().kind, Kind::Usage, "{bad:?}");
        }
        assert_eq!(Cone::of(&[".", "a"]).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn what_is_shown_are_the_directories_and_the_files_on_the_way() {
        let cone = Cone::of(&["b/c", "x"]).unwrap();
        for (path, extent) in [
            ("", Extent::Files),
            ("b", Extent::Files),
            ("b/c", Extent::Everything),
            ("b/c/d", Extent::Everything),
            ("b/cc", Extent::Nothing),
            ("bb", Extent::Nothing),
            ("x", Extent::Everything),
            ("y", Extent::Nothing),
        ] {
            assert_eq!(cone.extent(path.as_bytes()), extent, "{path}");
        }
        assert_eq!(Cone::default().extent(b"any/where"), Extent::Everything);
    }

    #[test]
    fn the_patterns_are_those_that_git_writes() {
        let cone = Cone::of(&["a", "b/c", "b/d", "st*r [x]", "back\\slash", "q\"t", "ä"]).unwrap();
        let expected = "/*\n!/*/\n/b/\n!/b/*/\n/a/\n/b/c/\n/b/d/\n/back\\\\slash/\n/q\"t/\n/st\\*r \\[x]/\n/ä/\n";
        assert_eq!(cone.patterns(), expected);
    }
}

//! Which files of a tree a gate reads: globs as in `.gitignore`, the last that fits a path decides.
//!
//! A glob that fits a directory fits all below it; one that begins with `!` takes out again. Where the first takes
//! out, all else is in.

use gix::bstr::{BStr, ByteSlice};
use gix::glob::Pattern;
use gix::glob::pattern::Case;
use gix::glob::wildmatch::Mode;

/// The files that a gate reads.
#[derive(Clone, Debug)]
pub struct Inputs(Vec<Pattern>);

/// What is known of all paths below a directory: which globs fit the directory itself.
#[derive(Clone, Debug)]
pub struct Reach(Vec<bool>);

impl Inputs {
    /// The files that `globs` name; `None` when there is no glob, which means the whole tree.
    #[must_use]
    pub fn of(globs: &[String]) -> Option<Self> {
        let patterns: Vec<Pattern> = globs.iter().filter_map(|glob| Pattern::from_bytes(glob.as_bytes())).collect();
        (!patterns.is_empty()).then_some(Self(patterns))
    }

    /// What is known at the top of a tree.
    #[must_use]
    pub fn top(&self) -> Reach {
        Reach(vec![false; self.0.len()])
    }

    /// What is known below the directory `path`, which lies in one of which `above` is known.
    #[must_use]
    pub fn enter(&self, above: &Reach, path: &BStr) -> Reach {
        Reach(self.0.iter().zip(&above.0).map(|(pattern, is_above)| *is_above || fits(pattern, path, true)).collect())
    }

    /// Whether the gate reads the file at `path`, which lies in a directory of which `above` is known.
    #[must_use]
    pub fn takes(&self, above: &Reach, path: &BStr) -> bool {
        let last = self.0.iter().zip(&above.0).rfind(|(pattern, is_above)| **is_above || fits(pattern, path, false));
        match last {
            Some((pattern, _)) => !pattern.is_negative(),
            None => self.0.first().is_some_and(Pattern::is_negative),
        }
    }
}

fn fits(pattern: &Pattern, path: &BStr, is_dir: bool) -> bool {
    let name_at = path.rfind_byte(b'/').map(|slash| slash + 1);
    pattern.matches_repo_relative_path(path, name_at, Some(is_dir), Case::Sensitive, Mode::NO_MATCH_SLASH_LITERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(globs: &[&str], path: &str) -> bool {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let inputs = Inputs::of(&globs).unwrap();
        let mut reach = inputs.top();
        for (slash, _) in path.match_indices('/') {
            reach = inputs.enter(&reach, path[..slash].into());
        }
        inputs.takes(&reach, path.into())
    }

    #[test]
    fn globs_are_read_as_in_gitignore() {
        for (globs, inside, outside) in [
            (&["src/**/*.rs"][..], &["src/lib.rs", "src/a/b/c.rs"][..], &["src/a.txt", "x/src/lib.rs"][..]),
            (&["*.rs"], &["a.rs", "deep/down/b.rs"], &["a.rss", "rs"]),
            (&["/*.rs"], &["a.rs"], &["deep/b.rs"]),
            (&["docs/"], &["docs/a", "docs/b/c", "x/docs/d"], &["docs"]),
            (&["docs"], &["docs", "docs/a"], &["adocs/b", "docs2"]),
            (&["**/test"], &["test", "a/test/b"], &["a/tests"]),
            (&["src/", "!src/gen/"], &["src/a"], &["src/gen/a", "lib"]),
            (&["src/", "!src/gen/", "src/gen/keep.rs"], &["src/a", "src/gen/keep.rs"], &["src/gen/a"]),
            (&["!docs/", "!*.md"], &["src/a", "docs2"], &["docs/a", "README.md", "src/x.md"]),
            (&["Cargo.toml"], &["Cargo.toml", "sub/Cargo.toml"], &["Cargo.lock"]),
            (&["a b/*.c", "[xy].h"], &["a b/1.c", "x.h"], &["a b/c/1.c", "z.h"]),
        ] {
            for path in inside {
                assert!(takes(globs, path), "{globs:?} {path}");
            }
            for path in outside {
                assert!(!takes(globs, path), "{globs:?} {path}");
            }
        }
        assert!(Inputs::of(&[]).is_none(), "no glob is the whole tree");
    }
}

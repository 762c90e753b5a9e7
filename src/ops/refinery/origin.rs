//! Where what lands goes: to the rig's own branch, which nobody pushes, or to that of origin; and how far the two are
//! apart, by what was last seen of origin.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::git::commits;
use crate::town::RigPlace;

/// A target here beside the branch of that name at origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Origin {
    /// Whether what lands is pushed there (`gt rig add … --land origin`).
    pub is_pushed: bool,
    /// Commits here that it lacked when it was last seen; `null`: it was never seen, or is pushed anyway.
    pub ahead: Option<usize>,
    /// Commits there that are not here, as it was last seen; `null` likewise.
    pub behind: Option<usize>,
}

/// How `target` of the rig at `place` stands to the branch of that name at origin. Nobody is asked.
///
/// # Errors
/// Corrupt, when a ref cannot be read; external, when git cannot count.
pub fn origin(place: &RigPlace, target: &str) -> Result<Origin> {
    let is_pushed = place.rig.land_remote;
    let store = &place.ledger.store;
    let unknown = Origin { is_pushed, ahead: None, behind: None };
    if is_pushed {
        return Ok(unknown);
    }
    let here = store.read_ref(&format!("refs/heads/{target}"))?;
    let there = store.read_ref(&format!("refs/remotes/origin/{target}"))?;
    let (Some(here), Some(there)) = (here, there) else { return Ok(unknown) };
    let (ahead, behind) = commits::apart(store, here, there)?;
    Ok(Origin { ahead: Some(ahead), behind: Some(behind), ..unknown })
}

impl Origin {
    /// The same in words, of the branch `target`.
    #[must_use]
    pub fn words(&self, target: &str) -> String {
        let commits = |count: usize| if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") };
        let there = format!("origin/{target}");
        if self.is_pushed {
            return format!("what lands is pushed to {there}");
        }
        match (self.ahead, self.behind) {
            (Some(0), Some(0)) => format!("not pushed to origin; {there}, as last fetched, is the same"),
            (Some(ahead), Some(0)) => format!("not pushed to origin; {} ahead of {there}, as last fetched", commits(ahead)),
            (Some(0), Some(behind)) => format!("not pushed to origin; {} behind {there}, as last fetched", commits(behind)),
            (Some(ahead), Some(behind)) => {
                let apart = format!("{} only here, {} only there", commits(ahead), commits(behind));
                format!("not pushed to origin; gone apart from {there}, as last fetched: {apart}")
            }
            _ => format!("not pushed to origin, of which no branch {target} is known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_pushed_is_told_with_how_far_it_is_apart() {
        let words = |ahead, behind| Origin { is_pushed: false, ahead, behind }.words("main");
        assert!(words(Some(1), Some(0)).contains("not pushed to origin; 1 commit ahead of origin/main"));
        assert!(
            words(Some(2), Some(1)).contains("gone apart from origin/main, as last fetched: 2 commits only here, 1 commit only")
        );
        assert!(words(Some(0), Some(3)).contains("3 commits behind") && words(Some(0), Some(0)).contains("the same"));
        assert!(words(None, None).contains("no branch main is known"));
        assert!(Origin { is_pushed: true, ahead: None, behind: None }.words("main").starts_with("what lands is pushed"));
    }
}

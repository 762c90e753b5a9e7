//! Whether a sandbox may go: what it would cost, decided from what was seen of it.

use schemars::JsonSchema;
use serde::Serialize;

/// What is to be done before a sandbox goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing: all that it holds is kept elsewhere.
    SafeToNuke,
    /// Its commits are on its branch only and were never handed in.
    NeedsSubmit,
    /// It holds something that nothing else does, or is being worked in.
    NeedsRecovery,
}

impl Verdict {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SafeToNuke => "safe to nuke",
            Self::NeedsSubmit => "needs to be handed in",
            Self::NeedsRecovery => "needs recovery",
        }
    }
}

/// What was seen of a sandbox.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What nothing else keeps, in lines.
    pub unsaved: Vec<String>,
    /// The bead on the hook.
    pub bead: Option<String>,
    /// Whether a session runs in it.
    pub has_session: bool,
    /// How many commits its branch has that neither the target nor a merge request has.
    pub own_commits: usize,
}

/// The verdict, with the reasons for it.
#[must_use]
pub fn judge(seen: &Seen) -> (Verdict, Vec<String>) {
    let mut reasons = seen.unsaved.clone();
    reasons.extend(seen.bead.as_ref().map(|bead| format!("{bead} is on its hook")));
    reasons.extend(seen.has_session.then(|| "its session runs".to_owned()));
    let needs_recovery = !reasons.is_empty();
    if seen.own_commits > 0 {
        let word = if seen.own_commits == 1 { "commit" } else { "commits" };
        reasons.push(format!("{} {word} on its branch that nobody handed in", seen.own_commits));
    }
    let verdict = match (needs_recovery, seen.own_commits) {
        (true, _) => Verdict::NeedsRecovery,
        (false, 0) => Verdict::SafeToNuke,
        (false, _) => Verdict::NeedsSubmit,
    };
    (verdict, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_holds_nothing_and_nobody_is_safe() {
        assert_eq!(judge(&Seen::default()), (Verdict::SafeToNuke, vec![]));
        let dirty = Seen { unsaved: vec!["1 untracked: a".into()], own_commits: 2, ..Seen::default() };
        let reasons = vec!["1 untracked: a".to_owned(), "2 commits on its branch that nobody handed in".to_owned()];
        assert_eq!(judge(&dirty), (Verdict::NeedsRecovery, reasons));
        assert_eq!(judge(&Seen { own_commits: 1, ..Seen::default() }).0, Verdict::NeedsSubmit);
        assert_eq!(judge(&Seen { bead: Some("wi-1".into()), ..Seen::default() }).0, Verdict::NeedsRecovery);
        assert_eq!(judge(&Seen { has_session: true, ..Seen::default() }).0, Verdict::NeedsRecovery);
    }
}

//! How one polecat, the state of its sandbox, and collected sandboxes look.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Page, Show, escape};
use crate::model::recovery::Verdict;
use crate::ops::polecat::look::{Collected, GitState, Recovery, Status};

/// Most paths of one kind that a person is shown.
const PATHS_MAX: usize = 10;

impl Show for Status {
    fn show(&self, page: &mut Page) {
        let one = &self.listed;
        page.line(format!("{} is {}", one.address, one.state.word()));
        if let Some(bead) = &one.bead {
            page.line(format!("on its hook: {bead}"));
        }
        if let Some(pid) = one.pid {
            page.line(format!("its session runs as process {pid}: gt peek {}", one.address));
        }
        if let Some(slot) = self.slot {
            page.line(format!("its slot is {slot}"));
        }
        self.git.show(page);
    }
}

impl Show for GitState {
    fn show(&self, page: &mut Page) {
        if !self.is_there {
            return page.line(format!("{} has no sandbox", self.address));
        }
        page.line(format!("its sandbox is {}", escape(&self.dir.display().to_string())));
        let (branch, head) = (self.branch.as_deref().unwrap_or("no branch"), self.head.as_deref().unwrap_or("no commit"));
        page.line(format!("on {} at {head}", escape(branch)));
        page.line(format!("{} ahead of {} and {} behind it", self.ahead, escape(&self.target), self.behind));
        if self.own_commits > 0 {
            page.line(format!("{} of them were never handed in", self.own_commits));
        }
        for (word, paths) in [("staged", &self.staged), ("unstaged", &self.unstaged), ("untracked", &self.untracked)] {
            if !paths.is_empty() {
                let names: Vec<String> = paths.iter().take(PATHS_MAX).map(|path| escape(path)).collect();
                let more = if paths.len() > PATHS_MAX { ", …" } else { "" };
                page.line(format!("{} {word}: {}{more}", paths.len(), names.join(", ")));
            }
        }
        page.line(if self.unsaved.is_empty() { "it holds nothing that is not kept elsewhere" } else { "nothing else keeps:" });
        page.block(2, &self.unsaved.join("\n"));
    }
}

impl Show for Recovery {
    fn show(&self, page: &mut Page) {
        page.line(format!("{}: {}", self.address, self.verdict.word()));
        page.block(2, &self.reasons.join("\n"));
        match self.verdict {
            Verdict::SafeToNuke => {}
            Verdict::NeedsSubmit => page.line("the branch stays when the sandbox goes; hand it in with gt done from there"),
            Verdict::NeedsRecovery => {
                page.line("what is unsaved is salvaged before the sandbox goes: gt salvage list shows it then");
            }
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.verdict != Verdict::SafeToNuke)
    }
}

/// Sandboxes that were collected, or would be.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub(super) struct AllCollected(pub(super) Vec<Collected>);

impl Show for AllCollected {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no sandbox is idle");
        }
        for one in &self.0 {
            match (&one.why, &one.salvage) {
                (Some(why), _) => page.line(format!("{} stays: {}", one.address, escape(why))),
                (None, Some(salvage)) => page.line(format!("{} is gone; what it held is kept at {salvage}", one.address)),
                (None, None) if one.is_removed => page.line(format!("{} is gone", one.address)),
                (None, None) => page.line(format!("{} would go", one.address)),
            }
            page.block(2, &one.unsaved.join("\n"));
        }
    }
}

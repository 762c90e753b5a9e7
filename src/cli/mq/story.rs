//! `gt mq why`: the whole story of a request.

use super::rows::state_style;
use crate::cli::out::ago::minute;
use crate::cli::out::{Page, Show, escape};
use crate::model::merge_request::Blame;
use crate::model::search_tree::branches;
use crate::name::BeadId;
use crate::ops::refinery::Story;

impl Show for Story {
    fn show(&self, page: &mut Page) {
        let listed = &self.listed;
        let beads: Vec<&str> = listed.beads.iter().map(BeadId::as_str).collect();
        page.line(format!("{} ({}): {}", listed.id, beads.join(" "), escape(&listed.title)));
        let place = listed.position.map(|position| format!(", number {position} in its queue")).unwrap_or_default();
        page.line(format!("state     {}{place}", page.paint(state_style(listed.state), listed.state.word())));
        page.line(format!("way       {} → {} by {}", escape(&listed.branch), escape(&listed.target), escape(&listed.author)));
        page.line(format!("mode      {}", listed.mode.word()));
        if !listed.after.is_empty() {
            let after: Vec<&str> = listed.after.iter().map(BeadId::as_str).collect();
            page.line(format!("stands on {}", after.join(" ")));
        }
        if let Some(reverts) = &listed.reverts {
            page.line(format!("takes back {reverts}"));
        }
        if let Some(by) = &listed.reverted_by {
            page.line(format!("taken back by {by}"));
        }
        page.line(format!("head      {}", self.head));
        page.line(format!("handed in {}, sent back {} times before", minute(listed.submitted_at), listed.attempts));
        if !listed.note.is_empty() && self.landed_commit.is_none() {
            page.line(format!("why       {}", escape(&listed.note)));
        }
        if let Some(commit) = &self.landed_commit {
            page.line(format!("landed as {commit}"));
        }
        if let Some(intent) = &self.intent {
            page.line(match &intent.pull_request {
                Some(reference) => format!("landing   {} waits for pull request {}", intent.id, escape(reference)),
                None => format!("landing   {} is open; the next gt mq run --once settles it", intent.id),
            });
        }
        if self.search.len() > 1 {
            page.line("search");
            for (branch, node) in branches(&self.search).iter().zip(&self.search) {
                let stack: Vec<&str> = node.step.stack.iter().map(BeadId::as_str).collect();
                page.line(format!("  {branch}{}: {} ({})", stack.join(" + "), node.step.verdict.word(), escape(&node.step.note)));
            }
        }
        if !self.runs.is_empty() {
            page.line("gate runs");
            for run in &self.runs {
                page.line(format!("  {}; gt gate log {}", escape(&run.line), escape(&run.run)));
            }
        }
        if let Some(blame) = &self.blame {
            show_blame(page, blame);
        }
    }
}

fn show_blame(page: &mut Page, blame: &Blame) {
    if !blame.note.is_empty() {
        page.line(if blame.by.is_empty() { "what was wrong".to_owned() } else { format!("{} said", escape(&blame.by)) });
        page.block(2, &blame.note);
    }
    if !blame.gate.is_empty() {
        page.line(format!(
            "gate {} on {}, {:.2} % sure; its last lines",
            escape(&blame.gate),
            blame.stack_commit,
            blame.posterior * 100.0
        ));
        page.block(2, &blame.log_tail);
    }
    if !blame.failing.is_empty() {
        page.line("tests that failed");
        page.block(2, &blame.failing.join("\n"));
    }
    if !blame.files.is_empty() {
        page.line(format!("conflicts with {} in", blame.base));
        page.block(2, &blame.files.join("\n"));
    }
    if let Some(task) = &blame.task {
        page.line(format!("{task} is to solve that"));
    }
    if !blame.theirs.is_empty() {
        page.line("commits of the other side there");
        page.block(2, &blame.theirs.join("\n"));
    }
    if !blame.landed_since.is_empty() {
        let landed: Vec<&str> = blame.landed_since.iter().map(BeadId::as_str).collect();
        page.line(format!("landed since it was handed in: {}", landed.join(" ")));
    }
    if !blame.reproduce.is_empty() {
        page.line("to see it again");
        page.block(2, &blame.reproduce);
    }
}

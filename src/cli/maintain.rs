//! `gt maintain`.

use clap::Args;

use crate::cli::out::{Page, Show, escape};
use crate::cli::scopes::ScopeArgs;
use crate::error::Result;
use crate::git::maintenance::{How, Packing, Sizes};
use crate::ops::maintain::{self, Maintained, Report};
use crate::runtime::background;
use crate::town::Town;

/// Archive old closed beads, pack objects and remove left-overs; safe beside everything else
///
/// Example: gt maintain --full
#[derive(Args)]
pub struct MaintainArgs {
    /// Pack everything anew, and prune objects that nothing refers to and that are older than 14 days
    #[arg(long)]
    full: bool,
    /// Only pack, and only what is many, at the lowest priority; commands start this by themselves after they have
    /// answered (off with: gt config set maintenance.auto false)
    #[arg(long, conflicts_with = "full")]
    auto: bool,
    #[command(flatten)]
    scopes: ScopeArgs,
}

impl MaintainArgs {
    /// Maintains.
    ///
    /// # Errors
    /// As [`maintain::maintain`].
    pub fn run(self, town: &Town) -> Result<Report> {
        let which = self.scopes.which();
        let how = match (self.full, self.auto) {
            (true, _) => How::Whole,
            (_, true) => How::Behind,
            _ => How::Usual,
        };
        if how == How::Behind {
            background::step_back();
        }
        maintain::maintain(town, &which, how)
    }
}

impl Show for Report {
    fn show(&self, page: &mut Page) {
        self.0.iter().for_each(|done| page.line(escape(&line(done))));
    }

    fn exit_code(&self) -> u8 {
        self.0.iter().find_map(|done| done.kind).map_or(0, crate::error::Kind::exit_code)
    }
}

fn line(done: &Maintained) -> String {
    let mut line = format!("{}: ", done.scope);
    line.push_str(match done.packing {
        _ if done.error.is_some() => "failed",
        None => "another maintenance is at it",
        Some(Packing::NotNeeded) => "nothing to pack",
        Some(Packing::Packed) => "packed loose objects",
        Some(Packing::Gathered) => "gathered packs",
        Some(Packing::PackedWhole) => "packed whole",
        Some(Packing::NoGit) => "not packed, since there is no git on this machine",
    });
    if done.pruned {
        line.push_str(", pruned");
    }
    if !done.mended.is_empty() {
        line.push_str(&format!(", linked {} worktrees again", done.mended.len()));
    }
    if !done.left_overs.is_empty() {
        line.push_str(&format!(", removed {} left-overs", done.left_overs.len()));
    }
    let decayed = done.decayed.clone().unwrap_or_default();
    let moved = [
        (decayed.given_back, "given back"),
        (decayed.archived, "archived"),
        (decayed.ephemeral, "ephemeral gone"),
        (decayed.letters, "letters gone"),
        (decayed.gate_runs, "gate runs gone"),
        (decayed.gate_logs, "logs of gates gone"),
    ];
    for (count, words) in moved.into_iter().filter(|(count, _)| *count > 0) {
        line.push_str(&format!(", {count} {words}"));
    }
    for scope in &decayed.unread {
        line.push_str(&format!(", nothing ephemeral gone, since this cannot be read: {scope}"));
    }
    if done.after != Sizes::default() {
        line.push_str(&format!("; {} → {}", told(&done.before), told(&done.after)));
    }
    for moved in &done.moved {
        line.push_str(&format!("; {} moved outside of gt: {}; what was there is at {}", moved.target, moved.what, moved.pin));
    }
    if let Some(reason) = &done.hooks {
        line.push_str(&format!("; {reason}"));
    }
    if let Some(error) = &done.error {
        line.push_str(&format!("; {error}"));
    }
    line
}

fn told(sizes: &Sizes) -> String {
    format!("{} loose, {} packs, {} KiB", sizes.loose, sizes.packs, sizes.disk_bytes / 1024)
}

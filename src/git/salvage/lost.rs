//! Commits that only this worktree knows: its HEAD, its reflog, its own refs, and what an operation under way names.

use std::collections::BTreeSet;
use std::path::Path;

use gix::ObjectId;

use crate::error::{Kind, OrFail, Result};
use crate::git::{commits, worktree};
use crate::store::Store;

/// Files of an operation that are larger hold patches, not ids.
const STATE_FILE_BYTES_MAX: u64 = 1 << 20;

/// Most lines of a reflog that are looked at, newest first.
const REFLOG_LINES_MAX: usize = 10_000;

/// The refs of ours that keep code. The others hold records: to walk those would take long and say nothing.
const KEEPERS: &[&str] = &["refs/gt/mr/", "refs/gt/salvage/"];

/// What the worktree's history holds.
pub(super) struct History {
    /// The commit of HEAD; `None` when its branch has none yet.
    pub(super) head: Option<ObjectId>,
    branch: Option<String>,
    /// Commits that nothing else keeps.
    pub(super) commits: Vec<ObjectId>,
    /// Those of them that none of the others and not HEAD reaches.
    pub(super) tips: Vec<ObjectId>,
    /// What other refs and the caller keep.
    pub(super) kept: Vec<ObjectId>,
}

impl History {
    /// A line about the commits.
    pub(super) fn what(&self) -> Vec<String> {
        let word = if self.commits.len() == 1 { "commit" } else { "commits" };
        if self.commits.is_empty() { Vec::new() } else { vec![format!("{} {word} kept nowhere else", self.commits.len())] }
    }

    /// The body of the salvage's message.
    pub(super) fn describe(&self, what: &[String]) -> String {
        let mut text = String::new();
        for line in what {
            text.push_str(&format!("- {}\n", line.replace(['\n', '\r'], " ")));
        }
        text.push_str(&format!("\nBranch: {}\n", self.branch.as_deref().unwrap_or("none (detached)")));
        text.push_str(&self.head.map_or_else(String::new, |head| format!("Head: {head}\n")));
        text
    }
}

/// Looks at the worktree whose private git directory is `private`. Of a clone (`private` is the store's own) all goes with
/// it that is not known to be elsewhere: what its remotes have stays.
pub(super) fn look(store: &Store, private: &Path, known: &[ObjectId]) -> Result<History> {
    let is_clone = private == store.dir();
    let path = private.join("HEAD");
    let text = std::fs::read_to_string(&path).or_fail(Kind::Corrupt, || format!("read {}", path.display()))?;
    let full = text.trim().strip_prefix("ref: ").map(str::to_owned);
    let head = match &full {
        Some(full) => store.read_ref(full)?,
        None => ObjectId::from_hex(text.trim().as_bytes()).ok(),
    };
    let head = head.filter(|id| commits::is_commit(store, *id));

    let mut candidates: Vec<ObjectId> = head.into_iter().collect();
    candidates.extend(in_reflog(&private.join("logs/HEAD")));
    candidates.extend(full.as_ref().map(|full| in_reflog(&store.dir().join("logs").join(full))).unwrap_or_default());
    for name in worktree::OPERATIONS.iter().chain(&["ORIG_HEAD", "refs"]) {
        candidates.extend(in_files(&private.join(name)));
    }
    if is_clone {
        candidates.extend(store.refs_below("refs/")?.into_iter().filter_map(|(_, id)| commit_of(store, id)));
        let logs = walkdir::WalkDir::new(private.join("logs")).into_iter().filter_map(std::result::Result::ok);
        logs.filter(|entry| entry.file_type().is_file()).for_each(|log| candidates.extend(in_reflog(log.path())));
    }
    let mut seen = BTreeSet::new();
    candidates.retain(|id| seen.insert(*id) && commits::is_commit(store, *id));

    let kept = kept_by_others(store, full.as_deref(), known, is_clone)?;
    let commits = commits::ahead_of_all(store, &candidates, &kept)?;
    let tips = tips_beside_head(store, head, &commits)?;
    let branch = full.map(|full| full.strip_prefix("refs/heads/").unwrap_or(&full).to_owned());
    Ok(History { head, branch, commits, tips, kept })
}

/// The commits that are kept whatever happens to the branch `own`.
fn kept_by_others(store: &Store, own: Option<&str>, known: &[ObjectId], is_clone: bool) -> Result<Vec<ObjectId>> {
    let refs = store.refs_below(if is_clone { "refs/remotes/" } else { "refs/" })?;
    let keeps_code = |name: &str| !name.starts_with("refs/gt") || KEEPERS.iter().any(|prefix| name.starts_with(prefix));
    let others = refs.into_iter().filter(|(name, _)| Some(name.as_str()) != own && keeps_code(name)).map(|(_, id)| id);
    let mut kept: BTreeSet<ObjectId> = others.chain(known.iter().copied()).collect();
    kept = kept.into_iter().filter_map(|id| commit_of(store, id)).collect();
    Ok(kept.into_iter().collect())
}

/// The commit that `id` is or, as a tag, stands for.
fn commit_of(store: &Store, id: ObjectId) -> Option<ObjectId> {
    Some(store.repo.find_object(id).ok()?.peel_to_commit().ok()?.id)
}

fn tips_beside_head(store: &Store, head: Option<ObjectId>, commits: &[ObjectId]) -> Result<Vec<ObjectId>> {
    let mut reached: BTreeSet<ObjectId> = head.into_iter().collect();
    for id in commits {
        let commit = store.repo.find_commit(*id).or_fail(Kind::Corrupt, || format!("read commit {id}"))?;
        reached.extend(commit.parent_ids().map(gix::Id::detach));
    }
    Ok(commits.iter().copied().filter(|id| !reached.contains(id)).collect())
}

/// The ids in a reflog, newest first.
fn in_reflog(path: &Path) -> Vec<ObjectId> {
    let text = std::fs::read(path).unwrap_or_default();
    let lines = text.rsplit(|byte| *byte == b'\n').take(REFLOG_LINES_MAX);
    lines.flat_map(|line| line.splitn(3, |byte| *byte == b' ').take(2)).filter_map(id_in).collect()
}

/// The ids that stand as words in the file at `path` or the files below it.
fn in_files(path: &Path) -> Vec<ObjectId> {
    let entries = walkdir::WalkDir::new(path).follow_root_links(false).into_iter().filter_map(std::result::Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    let small = files.filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() <= STATE_FILE_BYTES_MAX));
    let mut ids = Vec::new();
    for entry in small {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        ids.extend(text.split(u8::is_ascii_whitespace).filter_map(id_in));
    }
    ids
}

fn id_in(word: &[u8]) -> Option<ObjectId> {
    ObjectId::from_hex(word).ok().filter(|id| !id.is_null())
}

//! What is reachable from some commits but not from others: what to send, and whether nothing is missing.
//!
//! Work is in proportion to what is new: of each commit only what differs from its parents is looked at. Nothing
//! here trusts that an object is there because another refers to it.

use std::collections::{HashMap, HashSet};

use gix::ObjectId;
use gix::objs::tag::ref_iter::Token;
use gix::objs::{Find, FindExt, Kind as ObjectKind};
use gix::traverse::commit::Simple;

use crate::error::{Error, Kind, OrFail, Result};
use crate::store::Store;
use crate::store::objects::read_tree;

/// An object that is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// The object of the same path in a parent commit, when there is one.
    pub base: Option<ObjectId>,
}

/// All objects reachable from `tips` and not from the commits `known`, each once, parents before their children.
///
/// The order is what makes it complete: when a commit is looked at, all that its parents reach was taken or is
/// known, so what it shares with them may be passed over. Children first would lose what an earlier commit had,
/// a later one changed and the last one restored.
///
/// Trees and commits were read; whether a blob is there is not looked at. Some objects that `known` reaches by
/// another path may be among them.
///
/// # Errors
/// Corrupt, when an object on the way is missing or unreadable.
pub fn beyond(find: &dyn Find, tips: &[ObjectId], known: &[ObjectId]) -> Result<Vec<Found>> {
    let mut walk = Walk { find, seen: HashSet::new(), found: Vec::new() };
    let mut commits = Vec::new();
    for tip in tips {
        if let Some(commit) = walk.peel(*tip)? {
            commits.push(commit);
        }
    }
    let deed = || "walk the history";
    let order = gix::traverse::commit::simple::Sorting::ByCommitTime(gix::traverse::commit::simple::CommitTimeOrder::NewestFirst);
    let history = Simple::new(commits, Through(find))
        .sorting(order)
        .and_then(|history| history.hide(known.iter().copied()))
        .or_fail(Kind::Corrupt, deed)?;
    let mut parents = HashMap::new();
    let mut newest_first = Vec::new();
    for commit in history {
        let commit = commit.or_fail(Kind::Corrupt, deed)?;
        newest_first.push(commit.id);
        parents.insert(commit.id, commit.parent_ids.to_vec());
    }
    let mut trees = HashMap::new();
    for commit in parents_first(&newest_first, &parents) {
        walk.found.push(Found { id: commit, kind: ObjectKind::Commit, base: None });
        let tree = walk.tree_of(commit, &mut trees)?;
        let mut before = Vec::new();
        for parent in &parents[&commit] {
            before.push(walk.tree_of(*parent, &mut trees)?);
        }
        if before.is_empty() {
            before = nearest(&walk, tree, known, &mut trees);
        }
        walk.tree(tree, before)?;
    }
    Ok(walk.found)
}

/// The trees of `known` commits that share most with `tree`, of a commit without parents: a ledger that was flattened
/// has almost all of what it replaces. What cannot be read shares nothing.
fn nearest(walk: &Walk<'_>, tree: ObjectId, known: &[ObjectId], trees: &mut HashMap<ObjectId, ObjectId>) -> Vec<ObjectId> {
    let entries = |tree: ObjectId| -> HashSet<(Vec<u8>, ObjectId)> {
        let read = read_tree(walk.find, tree).map(|tree| tree.entries).unwrap_or_default();
        read.into_iter().map(|entry| (entry.filename.into(), entry.oid)).collect()
    };
    let ours = entries(tree);
    let known: HashSet<ObjectId> = known.iter().filter_map(|commit| walk.tree_of(*commit, trees).ok()).collect();
    let ranked = known.into_iter().map(|tree| (entries(tree).intersection(&ours).count(), tree));
    let mut near: Vec<(usize, ObjectId)> = ranked.filter(|(count, _)| *count > 0).collect();
    near.sort_by(|a, b| b.cmp(a));
    near.into_iter().take(NEAREST_MAX).map(|(_, tree)| tree).collect()
}

/// With so many trees that of a commit without parents is compared.
const NEAREST_MAX: usize = 4;

/// The commits so that each comes after its parents, whatever their clocks say.
fn parents_first(newest_first: &[ObjectId], parents: &HashMap<ObjectId, Vec<ObjectId>>) -> Vec<ObjectId> {
    let mut done = HashSet::new();
    let mut order = Vec::with_capacity(newest_first.len());
    // From the oldest on, so that mostly no way has to be walked twice.
    for start in newest_first.iter().rev() {
        let mut open = vec![(*start, false)];
        while let Some((commit, are_parents_done)) = open.pop() {
            if done.contains(&commit) {
                continue;
            }
            if are_parents_done {
                done.insert(commit);
                order.push(commit);
                continue;
            }
            open.push((commit, true));
            open.extend(
                parents[&commit]
                    .iter()
                    .filter(|parent| parents.contains_key(*parent) && !done.contains(*parent))
                    .map(|parent| (*parent, false)),
            );
        }
    }
    order
}

/// Makes sure that everything reachable from `tips` and not from `known` is there.
///
/// # Errors
/// Corrupt, naming the first object that is missing.
pub fn check_complete(find: &dyn Find, exists: &dyn Fn(ObjectId) -> bool, tips: &[ObjectId], known: &[ObjectId]) -> Result<()> {
    match absent(find, exists, tips, known)?.first() {
        None => Ok(()),
        Some(id) => Err(missing(*id)),
    }
}

/// The error that names an object that is not there.
pub(crate) fn missing(id: ObjectId) -> Error {
    Error::corrupt(format!("the object {id} is missing"))
}

/// The files reachable from `tips` and not from `known` that are not there.
///
/// # Errors
/// Corrupt, when a commit or tree is missing.
pub(crate) fn absent(
    find: &dyn Find,
    exists: &dyn Fn(ObjectId) -> bool,
    tips: &[ObjectId],
    known: &[ObjectId],
) -> Result<Vec<ObjectId>> {
    let all = beyond(find, tips, known)?.into_iter();
    Ok(all.filter(|one| one.kind == ObjectKind::Blob && !exists(one.id)).map(|one| one.id).collect())
}

/// Those of `wanted` that the commits just below `found`, which a walk named, have anywhere in their trees.
///
/// # Errors
/// Corrupt, when a commit or tree is missing.
pub(crate) fn held_below(find: &dyn Find, found: &[Found], wanted: &HashSet<ObjectId>) -> Result<HashSet<ObjectId>> {
    let mut walk = Walk { find, seen: HashSet::new(), found: Vec::new() };
    let (mut buffer, mut trees) = (Vec::new(), HashMap::new());
    let commits: HashSet<ObjectId> = found.iter().filter(|one| one.kind == ObjectKind::Commit).map(|one| one.id).collect();
    for commit in &commits {
        let deed = || format!("read the commit {commit}");
        let parents: Vec<ObjectId> =
            find.find_commit_iter(commit, &mut buffer).or_fail(Kind::Corrupt, deed)?.parent_ids().collect();
        for parent in parents.iter().filter(|parent| !commits.contains(*parent)) {
            let tree = walk.tree_of(*parent, &mut trees)?;
            walk.tree(tree, Vec::new())?;
        }
    }
    Ok(walk.found.iter().map(|one| one.id).filter(|id| wanted.contains(id)).collect())
}

/// The commits that local refs hold, whose history counts as complete; damaged refs are left out.
///
/// # Errors
/// Io, when the refs cannot be read.
pub fn local_tips(store: &Store) -> Result<Vec<ObjectId>> {
    let mut tips: Vec<ObjectId> = store.refs_below("refs/")?.into_iter().map(|(_, id)| id).collect();
    tips.sort();
    tips.dedup();
    Ok(commits_among(store, tips))
}

/// Those of `ids` that are here, tags followed to their commits.
pub(crate) fn commits_among(store: &Store, ids: impl IntoIterator<Item = ObjectId>) -> Vec<ObjectId> {
    let commit = |id: ObjectId| store.repo.find_object(id).ok()?.peel_to_kind(ObjectKind::Commit).ok().map(|found| found.id);
    let mut commits: Vec<ObjectId> = ids.into_iter().filter_map(commit).collect();
    commits.sort();
    commits.dedup();
    commits
}

/// A trait object as a value, which the walk over commits wants.
struct Through<'f>(&'f dyn Find);

impl Find for Through<'_> {
    fn try_find<'b>(&self, id: &gix::oid, buffer: &'b mut Vec<u8>) -> gix::Result<Option<gix::objs::Data<'b>>> {
        self.0.try_find(id, buffer)
    }
}

struct Walk<'f> {
    find: &'f dyn Find,
    seen: HashSet<ObjectId>,
    found: Vec<Found>,
}

/// Longest chain of tags that stand for tags.
const TAGS_MAX: usize = 20;

impl Walk<'_> {
    /// Follows tags from `id`; `None` when it leads to a tree or blob, which is then done.
    fn peel(&mut self, mut id: ObjectId) -> Result<Option<ObjectId>> {
        let mut buffer = Vec::new();
        for _ in 0..TAGS_MAX {
            let deed = || format!("read the object {id}");
            let object = self.find.find(&id, &mut buffer).or_fail(Kind::Corrupt, deed)?;
            match object.kind {
                ObjectKind::Commit => return Ok(Some(id)),
                ObjectKind::Tree => return self.tree(id, Vec::new()).map(|()| None),
                ObjectKind::Blob => {
                    self.take(id, ObjectKind::Blob, None);
                    return Ok(None);
                }
                ObjectKind::Tag => {
                    let mut tag = gix::objs::TagRefIter::from_bytes(object.data, gix::hash::Kind::Sha1);
                    let target = tag.target_id().or_fail(Kind::Corrupt, deed)?;
                    let is_file = tag.any(|part| matches!(part, Ok(Token::TargetKind(ObjectKind::Blob))));
                    self.take(id, ObjectKind::Tag, None);
                    if is_file {
                        // It may have been left out, and holds nothing more.
                        self.take(target, ObjectKind::Blob, None);
                        return Ok(None);
                    }
                    id = target;
                }
            }
        }
        Err(Error::corrupt(format!("the tag {id} stands behind too many tags")))
    }

    fn tree_of(&self, commit: ObjectId, trees: &mut HashMap<ObjectId, ObjectId>) -> Result<ObjectId> {
        if let Some(tree) = trees.get(&commit) {
            return Ok(*tree);
        }
        let mut buffer = Vec::new();
        let deed = || format!("read the commit {commit}");
        let tree = self
            .find
            .find_commit_iter(&commit, &mut buffer)
            .or_fail(Kind::Corrupt, deed)?
            .tree_id()
            .or_fail(Kind::Corrupt, deed)?;
        trees.insert(commit, tree);
        Ok(tree)
    }

    fn take(&mut self, id: ObjectId, kind: ObjectKind, base: Option<ObjectId>) -> bool {
        let is_new = self.seen.insert(id);
        if is_new {
            self.found.push(Found { id, kind, base });
        }
        is_new
    }

    /// Takes the tree `root` and what lies below it and not at the same path of a tree in `before`.
    ///
    /// A stack of our own: a hostile tree may be deeper than a thread's.
    fn tree(&mut self, root: ObjectId, before: Vec<ObjectId>) -> Result<()> {
        if before.contains(&root) || !self.take(root, ObjectKind::Tree, before.first().copied()) {
            return Ok(());
        }
        let mut open = vec![(root, before)];
        while let Some((id, before)) = open.pop() {
            let old: Vec<gix::objs::Tree> = before.iter().map(|old| read_tree(self.find, *old)).collect::<Result<_>>()?;
            let old: Vec<HashMap<&[u8], &gix::objs::tree::Entry>> =
                old.iter().map(|tree| tree.entries.iter().map(|entry| (entry.filename.as_slice(), entry)).collect()).collect();
            for entry in read_tree(self.find, id)?.entries {
                if entry.mode.is_commit() {
                    continue;
                }
                let same_path: Vec<_> = old.iter().filter_map(|tree| tree.get(entry.filename.as_slice())).collect();
                if same_path.iter().any(|old| old.oid == entry.oid) {
                    continue;
                }
                let is_tree = entry.mode.is_tree();
                let bases: Vec<ObjectId> = same_path
                    .iter()
                    .filter(|old| old.mode.is_tree() == is_tree && !old.mode.is_commit())
                    .map(|old| old.oid)
                    .collect();
                let kind = if is_tree { ObjectKind::Tree } else { ObjectKind::Blob };
                if self.take(entry.oid, kind, bases.first().copied()) && is_tree {
                    open.push((entry.oid, bases));
                }
            }
        }
        Ok(())
    }
}

//! Commits: made, counted, and pinned durably.
//!
//! A pin is a ref that keeps a commit from being collected; everything it reaches is on disk before it stands.

use std::collections::BTreeSet;

use gix::ObjectId;
use gix::bstr::BString;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{diff, program};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::refs::Swap;
use crate::time::Moment;

/// The commits reachable from `head` but from none of `hidden`, newest first, children before their parents.
///
/// Hidden ids that name no commit here hide nothing.
///
/// # Errors
/// Corrupt, when history cannot be read.
pub fn ahead(store: &Store, head: ObjectId, hidden: &[ObjectId]) -> Result<Vec<ObjectId>> {
    ahead_of_all(store, &[head], hidden)
}

/// As [`ahead`], from several heads.
pub(crate) fn ahead_of_all(store: &Store, heads: &[ObjectId], hidden: &[ObjectId]) -> Result<Vec<ObjectId>> {
    let deed = || "walk the history";
    let hidden = hidden.iter().copied().filter(|id| is_commit(store, *id));
    let walk = store.repo.rev_walk(heads.iter().copied()).with_hidden(hidden).all().or_fail(Kind::Corrupt, deed)?;
    let mut found = Vec::new();
    for step in walk {
        let step = step.or_fail(Kind::Corrupt, deed)?;
        found.push((step.id, step.parent_ids.to_vec()));
    }
    Ok(children_first(&found))
}

/// How many commits only `a` has, and how many only `b`. git counts, since it stops where the two meet.
///
/// # Errors
/// External, when git cannot.
pub fn apart(store: &Store, a: ObjectId, b: ObjectId) -> Result<(usize, usize)> {
    if a == b {
        return Ok((0, 0));
    }
    let output = program::bare(store.dir(), &["rev-list", "--left-right", "--count", &format!("{a}...{b}"), "--"])?;
    let text = output.text();
    let counts = text.split_whitespace().map(str::parse).collect::<Result<Vec<usize>, _>>();
    match counts.as_deref() {
        Ok([left, right]) if output.is_success() => Ok((*left, *right)),
        _ => Err(Error::external(format!("count the commits between {a} and {b}: {}", output.last_line()))),
    }
}

/// Orders commits so that none stands before one of its children; otherwise as they came.
fn children_first(found: &[(ObjectId, Vec<ObjectId>)]) -> Vec<ObjectId> {
    let place: std::collections::HashMap<_, _> = found.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let parents_of = |at: usize| found[at].1.iter().filter_map(|id| place.get(id).copied());
    let mut children_left = vec![0_usize; found.len()];
    for parent in (0..found.len()).flat_map(parents_of) {
        children_left[parent] += 1;
    }
    let mut ready: BTreeSet<usize> = (0..found.len()).filter(|at| children_left[*at] == 0).collect();
    let mut ordered = Vec::with_capacity(found.len());
    while let Some(at) = ready.pop_first() {
        ordered.push(found[at].0);
        for parent in parents_of(at) {
            children_left[parent] -= 1;
            if children_left[parent] == 0 {
                ready.insert(parent);
            }
        }
    }
    ordered
}

/// Adds a commit of `tree` to `batch` and tells its id; `author` and `committer` are (name, e-mail).
///
/// What git would refuse in names (line ends, angle brackets) is left out; the message ends with one line end.
pub fn create(
    batch: &mut Batch,
    tree: ObjectId,
    parents: Vec<ObjectId>,
    author: (&str, &str),
    committer: (&str, &str),
    message: &str,
    now: Moment,
) -> ObjectId {
    batch.add_value(&written(tree, parents, (signature(author, now), signature(committer, now)), message))
}

/// Adds the commit `original` once more to `batch`, now of `tree` on `parent` and with `message`: its author and when it
/// was written stay, so that the same on the same parent is the same commit.
///
/// # Errors
/// Corrupt, when the commit cannot be read.
pub fn again(
    store: &Store,
    batch: &mut Batch,
    original: ObjectId,
    (tree, parent): (ObjectId, ObjectId),
    committer: (&str, &str),
    message: &str,
    now: Moment,
) -> Result<ObjectId> {
    let deed = || format!("read commit {original}");
    let commit = store.repo.find_commit(original).or_fail(Kind::Corrupt, deed)?;
    let author = commit.author().or_fail(Kind::Corrupt, deed)?;
    let mut again = signature((&author.name.to_string(), &author.email.to_string()), now);
    // A time that git itself could not read is not handed on.
    if let Some(time) = author.time().ok().filter(|time| time.seconds >= 0) {
        again.time = time;
    }
    Ok(batch.add_value(&written(tree, vec![parent], (again, signature(committer, now)), message)))
}

fn written(
    tree: ObjectId,
    parents: Vec<ObjectId>,
    (author, committer): (gix::actor::Signature, gix::actor::Signature),
    message: &str,
) -> gix::objs::Commit {
    let message = format!("{}\n", message.replace('\0', " ").trim_end()).into();
    gix::objs::Commit { tree, parents: parents.into(), author, committer, encoding: None, message, extra_headers: Vec::new() }
}

/// The parents of commit `id`, in order.
///
/// # Errors
/// Corrupt, when the commit cannot be read.
pub fn parents(store: &Store, id: ObjectId) -> Result<Vec<ObjectId>> {
    let commit = store.repo.find_commit(id).or_fail(Kind::Corrupt, || format!("read commit {id}"))?;
    Ok(commit.parent_ids().map(gix::Id::detach).collect())
}

fn signature((name, email): (&str, &str), now: Moment) -> gix::actor::Signature {
    gix::actor::Signature {
        name: in_ident(name),
        email: in_ident(email),
        // git fsck refuses times before 1970.
        time: gix::date::Time { seconds: now.secs().max(0), offset: 0 },
    }
}

/// What may stand in the name or e-mail of a commit; git drops the same characters.
fn in_ident(text: &str) -> BString {
    let kept: String = text.chars().filter(|c| !matches!(c, '<' | '>') && !c.is_control()).collect();
    let kept = kept.trim_matches(|c: char| c.is_whitespace() || ".,:;\"\\'".contains(c));
    if kept.is_empty() { "unknown".into() } else { kept.into() }
}

/// The message of commit `id`, with what is not UTF-8 replaced.
///
/// # Errors
/// Corrupt, when the commit cannot be read.
pub fn message(store: &Store, id: ObjectId) -> Result<String> {
    let deed = || format!("read commit {id}");
    let commit = store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
    let text = commit.message_raw().or_fail(Kind::Corrupt, deed)?;
    Ok(text.to_string())
}

/// The name and e-mail of whoever wrote commit `id`, with what is not UTF-8 replaced.
///
/// # Errors
/// Corrupt, when the commit cannot be read.
pub fn author(store: &Store, id: ObjectId) -> Result<(String, String)> {
    let deed = || format!("read commit {id}");
    let commit = store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
    let author = commit.author().or_fail(Kind::Corrupt, deed)?;
    Ok((author.name.to_string(), author.email.to_string()))
}

/// When commit `id` was made, to the second.
///
/// # Errors
/// Corrupt, when the commit cannot be read.
pub fn committed_at(store: &Store, id: ObjectId) -> Result<Moment> {
    let deed = || format!("read commit {id}");
    let commit = store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
    let time = commit.time().or_fail(Kind::Corrupt, deed)?;
    Ok(Moment::from_millis(time.seconds.saturating_mul(1000)))
}

/// Keeps `commit` at `ref_name`: syncs every loose object that it reaches and `known` does not, then creates the ref.
///
/// # Errors
/// Conflict, when the ref has another value already; not found, when there is no such commit; io or corrupt otherwise.
pub fn pin(store: &Store, ref_name: &str, commit: ObjectId, known: &[ObjectId]) -> Result<()> {
    if !is_commit(store, commit) {
        return Err(Error::not_found(format!("there is no commit {commit} in {}", store.dir().display())));
    }
    if store.is_durable() {
        store.sync_objects(objects_beyond(store, commit, known)?)?;
    }
    match store.swap_ref(ref_name, None, commit)? {
        Swap::Moved => Ok(()),
        Swap::Lost(Some(actual)) if actual == commit => Ok(()),
        Swap::Lost(actual) => {
            let actual = actual.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
            Err(Error::conflict(format!("pin {commit} at {ref_name}: it holds {actual} already")))
        }
    }
}

/// The ids of all commits, trees and blobs that `commit` brings beyond `known`.
fn objects_beyond(store: &Store, commit: ObjectId, known: &[ObjectId]) -> Result<BTreeSet<ObjectId>> {
    let mut ids = BTreeSet::new();
    for id in ahead(store, commit, known)? {
        let deed = || format!("read commit {id}");
        let commit = store.repo.find_commit(id).or_fail(Kind::Corrupt, deed)?;
        let tree = commit.tree_id().or_fail(Kind::Corrupt, deed)?.detach();
        let base = match commit.parent_ids().next() {
            Some(parent) => store.tree_of(parent.detach())?,
            None => ObjectId::empty_tree(gix::hash::Kind::Sha1),
        };
        ids.extend([id, tree]);
        ids.extend(diff::objects_added(store, base, tree)?);
    }
    Ok(ids)
}

/// Whether `id` names a commit in `store`.
pub(crate) fn is_commit(store: &Store, id: ObjectId) -> bool {
    store.repo.find_header(id).is_ok_and(|header| header.kind() == gix::objs::Kind::Commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(n: u8) -> ObjectId {
        ObjectId::from_hex(format!("{n:040x}").as_bytes()).unwrap()
    }

    #[test]
    fn parents_never_stand_before_their_children() {
        let found = [(commit(1), vec![commit(2)]), (commit(2), vec![commit(3)]), (commit(4), vec![commit(2)])];
        assert_eq!(children_first(&found), [commit(1), commit(4), commit(2)]);
        assert!(children_first(&[]).is_empty());
    }

    #[test]
    fn a_name_that_git_would_refuse_is_made_fit() {
        assert_eq!(in_ident("a <b>\nc"), "a bc");
        assert_eq!(in_ident("<>"), "unknown");
        assert_eq!(in_ident("widgets/polecats/toast"), "widgets/polecats/toast");
    }
}

//! Flattening: a root commit takes the place of a history that has grown long.
//!
//! The root has the tree of the tip that it replaces, but for `ledger.json`, which counts the flattens (`epoch`) and
//! names every tip that was replaced (`flattened`). It is the one lawful commit that does not descend from what it
//! replaces, so everybody who meets one checks it against that tip. The old history is kept under a pin; what others
//! wrote on it meanwhile is carried over by [`crate::ledger::carry`].

use gix::ObjectId;
use gix::objs::Kind as ObjectKind;
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::commit::{commit_of, edit_tree, subject_line};
use crate::ledger::{Deed, Ledger, State, diff, history, tree};
use crate::model::record::{self, Class, Object, Rev};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::lock::KernelLock;
use crate::store::refs::Swap;
use crate::time::Moment;

/// Copies of the ledger as it was before it was replaced that are kept.
pub const BACKUPS_MAX: usize = 16;

/// A root that is ready to take the place of `replaced`; its objects are on disk, and nothing refers to it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The commit.
    pub commit: ObjectId,
    /// The tip whose place it takes.
    pub replaced: ObjectId,
    /// The epoch that begins with it.
    pub epoch: usize,
}

/// The tips that flattens replaced before `tip`, oldest first; their count is its epoch.
///
/// # Errors
/// Corrupt, when `ledger.json` cannot be read or names no commits.
pub fn epochs(store: &Store, tip: ObjectId) -> Result<Vec<ObjectId>> {
    let scope = State::at(store, Some(tip))?.scope()?;
    let ids = scope.flattened.iter().map(|hex| ObjectId::from_hex(hex.as_bytes()));
    ids.collect::<Result<_, _>>().or_fail(Kind::Corrupt, || format!("read which tips were flattened before {tip}"))
}

/// How many commits the history of `tip` has since the last flatten.
///
/// # Errors
/// Corrupt, when it cannot be read.
pub fn length(store: &Store, tip: ObjectId) -> Result<usize> {
    Ok(history::compare(store, &[tip], &[])?.only_ours)
}

/// The commit that began the history of `tip` when the tips `epochs` had been flattened.
///
/// # Errors
/// Refused, when that history did not begin with a flatten; corrupt, when it cannot be read.
pub fn root(store: &Store, tip: ObjectId, epochs: &[ObjectId]) -> Result<ObjectId> {
    let mut open = vec![tip];
    let mut seen = std::collections::HashSet::from([tip]);
    let mut roots = Vec::new();
    while let Some(id) = open.pop() {
        let parents = history::link(store, id)?.parents;
        if parents.is_empty() {
            roots.push(id);
        }
        open.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
    }
    roots.sort();
    for root in roots {
        // A history that was begun apart and joined has a root of its own.
        if self::epochs(store, root).is_ok_and(|of_root| of_root == epochs) {
            return Ok(root);
        }
    }
    Err(Error::refused(format!("the history of the ledger commit {tip} did not begin with the flatten that it names")))
}

/// Whether `root` is a lawful flatten of `tip`: parentless, the next clock, and the same records but for the one
/// that counts flattens.
///
/// # Errors
/// Refused, saying what is not as it must be; corrupt, when one cannot be read.
pub fn check(store: &Store, root: ObjectId, tip: ObjectId) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::refused(format!("the ledger commit {root} is no lawful flatten of {tip}: {why}"))
            .hint("nothing was taken over or sent; what is here stays as it is"))
    };
    let (new, old) = (history::link(store, root)?, history::link(store, tip)?);
    if !new.parents.is_empty() {
        return refused("it has parents");
    }
    if new.number != old.number + 1 {
        return refused("its clock is not the next one");
    }
    let changed = diff::changes(store.records()?, old.tree, new.tree)?;
    if changed.keys().ne([tree::SCOPE]) {
        return refused("it changes records");
    }
    let scope = |id| -> Result<Object> {
        let found = State::at(store, Some(id))?.object(tree::SCOPE)?;
        found.or_fail(Kind::Corrupt, || format!("read {} of {id}", tree::SCOPE))
    };
    let (before, mut after) = (scope(tip)?, scope(root)?);
    let mut expected = counted(before, tip)?;
    for clock in ["rev", "revs"] {
        expected.remove(clock);
        after.remove(clock);
    }
    if after == expected { Ok(()) } else { refused("it does not name exactly what it replaces") }
}

/// `ledger.json` with one flatten more, that of `tip`.
fn counted(mut scope: Object, tip: ObjectId) -> Result<Object> {
    let epoch = scope.get("epoch").and_then(Value::as_u64).unwrap_or(0) + 1;
    scope.insert("epoch".into(), epoch.into());
    let list = scope.entry("flattened").or_insert_with(|| Value::Array(Vec::new()));
    let list = list.as_array_mut().or_fail(Kind::Corrupt, || "read which tips were flattened")?;
    list.push(tip.to_string().into());
    Ok(scope)
}

/// Makes the root that may take the place of `tip`, on disk; no ref is moved.
///
/// # Errors
/// Refused, when there is no history to flatten; corrupt or io otherwise.
pub fn prepare(ledger: &Ledger, tip: ObjectId, deed: &Deed<'_>) -> Result<Root> {
    let (root, batch) = made(ledger, tip, deed)?;
    ledger.store.write(&batch)?;
    crate::env::crash_point("flatten.made");
    Ok(root)
}

fn made(ledger: &Ledger, tip: ObjectId, deed: &Deed<'_>) -> Result<(Root, Batch)> {
    let store = &ledger.store;
    let length = length(store, tip)?;
    if length < 2 {
        return Err(Error::refused("the ledger's history has one commit; there is nothing to flatten"));
    }
    let state = State::at(store, Some(tip))?;
    let old = state.object(tree::SCOPE)?.or_fail(Kind::Corrupt, || "the ledger has no ledger.json")?;
    record::check_writable(tree::SCOPE, &old)?;
    let epoch = epochs(store, tip)?.len() + 1;
    let rev = Rev { number: state.rev_number() + 1, machine: ledger.machine().to_owned() };
    let new = record::stamp(Class::Other, Some(&old), counted(old.clone(), tip)?, &rev);
    let mut batch = Batch::default();
    let blob = batch.add(ObjectKind::Blob, record::encode(&new));
    let tree = edit_tree(store, state.tree(), &[(tree::SCOPE, Some(blob))], &mut batch)?;
    let message = format!(
        "{}\n\nThe {length} commits before it are kept at {} where the ledger was flattened and at the hub.\n\n\
         Gt-Op: {}\nGt-Agent: {}\nGt-Machine: {}\nGt-Rev: {}\n",
        subject_line(deed),
        tree::flattened(epoch),
        deed.op,
        deed.actor.name,
        rev.machine,
        rev.number
    );
    let commit = batch.add_value(&commit_of(deed, tree, None, message));
    Ok((Root { commit, replaced: tip, epoch }, batch))
}

impl Ledger {
    /// Flattens a ledger that is exchanged with nobody: its tip is replaced by a root, durably, before answering.
    ///
    /// # Errors
    /// Refused, when there is no history to flatten; conflict, when the ref moved under a program without our lock.
    pub fn flatten(&self, deed: &Deed<'_>) -> Result<Root> {
        let _turn = KernelLock::take(&self.lock_path())?;
        self.check_boot()?;
        let tip = self.tip()?.ok_or_else(|| Error::not_found(format!("{} holds no ledger", self.store.dir().display())))?;
        let (root, batch) = made(self, tip, deed)?;
        let files = self.store.write_files(&batch)?;
        crate::env::crash_point("flatten.made");
        keep(self, &[(root.epoch, tip)], &[tip], Some(deed.now))?;
        match self.store.swap_ref(tree::LEDGER, Some(tip), root.commit)? {
            Swap::Moved => self.store.outlive_collection(&batch, &files).map(|()| root),
            Swap::Lost(_) => Err(Error::conflict("the ledger moved while it was flattened").hint("try again")),
        }
    }
}

/// Keeps what is about to be replaced: each of `pins` (epoch and tip) at its pin, each of `backups` among the backups.
///
/// # Errors
/// Io, when a ref cannot be written.
pub(crate) fn keep(ledger: &Ledger, pins: &[(usize, ObjectId)], backups: &[ObjectId], now: Option<Moment>) -> Result<()> {
    let store = &ledger.store;
    for (epoch, tip) in pins {
        pin(store, &tree::flattened(*epoch), *tip)?;
    }
    for tip in backups {
        back_up(store, *tip, now.unwrap_or_else(|| Moment::from_millis(0)))?;
    }
    crate::env::crash_point("flatten.kept");
    Ok(())
}

/// Pins `tip` at `name`. What a flatten that was killed pinned there before it went on is taken forward, never elsewhere.
fn pin(store: &Store, name: &str, tip: ObjectId) -> Result<()> {
    let mut old = None;
    loop {
        match store.swap_ref(name, old, tip)? {
            Swap::Lost(Some(other)) if other != tip => {
                if !store.repo.has_object(other) || !store.is_ancestor(other, tip)? {
                    tracing::warn!("{name} holds {other}, which does not lead to {tip}; it was left as it is");
                    return Ok(());
                }
                old = Some(other);
            }
            Swap::Lost(None) => old = None,
            Swap::Moved | Swap::Lost(Some(_)) => return Ok(()),
        }
    }
}

/// Keeps `tip` among the newest backups; the oldest beyond [`BACKUPS_MAX`] go.
fn back_up(store: &Store, tip: ObjectId, now: Moment) -> Result<()> {
    let mut backups = store.refs_below(tree::BACKUP)?;
    if backups.iter().any(|(_, kept)| *kept == tip) {
        return Ok(());
    }
    for n in 0..=u32::try_from(backups.len()).unwrap_or(u32::MAX) {
        if store.swap_ref(&tree::backup(now, n), None, tip)? == Swap::Moved {
            break;
        }
    }
    let age = |name: &str| {
        let mut words = name.trim_start_matches(tree::BACKUP).split('-').map(|word| word.parse::<i64>().unwrap_or(0));
        (words.next(), words.next())
    };
    backups.sort_by_key(|(name, _)| age(name));
    let surplus = (backups.len() + 1).saturating_sub(BACKUPS_MAX);
    for (name, kept) in backups.into_iter().take(surplus) {
        store.remove_ref(&name, kept)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Actor;
    use crate::model::scope::{Scope, ScopeKind};

    fn change(ledger: &Ledger, n: i64) -> ObjectId {
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed = Deed { actor: &actor, op: "test", subject: format!("change {n}"), now: Moment::from_millis(n * 1000) };
        ledger.transact(&deed, |change| change.put("groups/one.json", &serde_json::json!({"v": 1, "n": n}))).unwrap();
        ledger.tip().unwrap().unwrap()
    }

    fn founded(dir: &std::path::Path) -> Ledger {
        crate::git::init::init_bare(dir, "main").unwrap();
        let ledger = Ledger::open(dir, "here").unwrap();
        let now = Moment::from_millis(0);
        let scope = Scope {
            v: 1,
            merge_v: 1,
            kind: ScopeKind::Rig,
            prefix: "wi".parse().unwrap(),
            name: "widgets".into(),
            created_at: now,
            home: None,
            epoch: 0,
            flattened: Vec::new(),
            rev: Rev::default(),
            extra: Object::new(),
        };
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed = Deed { actor: &actor, op: "found", subject: "found".into(), now };
        ledger.transact(&deed, |change| change.put(tree::SCOPE, &scope)).unwrap();
        ledger
    }

    fn flatten(ledger: &Ledger, millis: i64) -> Result<Root> {
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed = Deed { actor: &actor, op: "flatten", subject: "flatten".into(), now: Moment::from_millis(millis) };
        ledger.flatten(&deed)
    }

    #[test]
    fn a_flatten_keeps_all_records_the_clock_and_the_old_tip() {
        let home = tempfile::tempdir().unwrap();
        let ledger = founded(&home.path().join("r"));
        assert_eq!(flatten(&ledger, 1).unwrap_err().kind, Kind::Refused, "one commit is no history");
        let old = change(&ledger, 1);
        let root = flatten(&ledger, 5_000).unwrap();
        assert_eq!((root.replaced, root.epoch, ledger.tip().unwrap()), (old, 1, Some(root.commit)));
        check(&ledger.store, root.commit, old).unwrap();
        assert_eq!(epochs(&ledger.store, root.commit).unwrap(), [old]);
        assert_eq!(length(&ledger.store, root.commit).unwrap(), 1);
        for name in [tree::flattened(1), tree::backup(Moment::from_millis(5_000), 0)] {
            assert_eq!(ledger.store.read_ref(&name).unwrap(), Some(old), "{name}");
        }
        let tip = change(&ledger, 2);
        assert_eq!(super::root(&ledger.store, tip, &[old]).unwrap(), root.commit);
        assert_eq!(ledger.state().unwrap().rev_number(), 4);
        assert_eq!(ledger.log(0).unwrap().len(), 4, "the log goes on into the old history");
        assert!(check(&ledger.store, tip, old).is_err() && check(&ledger.store, root.commit, tip).is_err());
    }

    #[test]
    fn the_newest_backups_stay() {
        let home = tempfile::tempdir().unwrap();
        let ledger = founded(&home.path().join("r"));
        let tips: Vec<ObjectId> = (0..20).map(|n| change(&ledger, n)).collect();
        for (n, tip) in tips.iter().enumerate() {
            // Two share each moment.
            let now = Moment::from_millis(i64::try_from(n / 2).unwrap() * 1000 + 9_000);
            back_up(&ledger.store, *tip, now).unwrap();
        }
        let mut kept: Vec<ObjectId> = ledger.store.refs_below(tree::BACKUP).unwrap().into_iter().map(|(_, id)| id).collect();
        kept.sort();
        let mut newest = tips[4..].to_vec();
        newest.sort();
        assert_eq!(kept, newest);
    }
}

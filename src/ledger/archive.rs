//! The archive: beads that left the ledger, at `refs/gt/archive`, a chain of commits like the ledger's whose tree
//! holds them at the same paths.
//!
//! Whoever moves a record writes the archive first, durably, and then takes the record out of the ledger. After a
//! crash in between it stands in both; the ledger wins over the archive wherever both have it, so that is harmless,
//! and the next one who moves finishes. Nothing is ever taken out of the archive: a bead that comes back into the
//! ledger hides its copy there, and replaces it when it is moved again.

use std::collections::BTreeSet;
use std::time::Duration;

use gix::ObjectId;

use crate::error::{Error, Result};
use crate::ledger::commit::{commit_of, edit_tree, message};
use crate::ledger::{Deed, Ledger, State, history, tree};
use crate::model::merge::{self as rules, Versions};
use crate::model::record::{self, Object, Rev};
use crate::name::BeadId;
use crate::store::batch::Batch;
use crate::store::lock::KernelLock;
use crate::store::refs::Swap;

/// A bead's record as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub id: BeadId,
    /// Where it lies.
    pub path: String,
    /// Its content.
    pub blob: ObjectId,
}

/// How often the archive's ref may move under a writer without our lock.
const TRIES_MAX: u32 = 20;
/// How many commits of the ledger are looked at to tell what a bead was made from; beyond that it is taken for unknown.
const COMMITS_MAX: usize = 20_000;

impl Ledger {
    /// The newest commit of the archive; `None` when nothing was ever archived.
    ///
    /// # Errors
    /// Corrupt, when the ref is damaged.
    pub fn archive_tip(&self) -> Result<Option<ObjectId>> {
        self.store.read_ref(tree::ARCHIVE)
    }

    /// The archive now; `None` when nothing was ever archived.
    ///
    /// # Errors
    /// Corrupt, when its tip cannot be read.
    pub fn archive(&self) -> Result<Option<State<'_>>> {
        self.archive_tip()?.map(|tip| State::at_archive(&self.store, tip)).transpose()
    }

    /// The archive as of commit `tip`.
    ///
    /// # Errors
    /// Corrupt, when it cannot be read.
    pub fn archive_at(&self, tip: ObjectId) -> Result<State<'_>> {
        State::at_archive(&self.store, tip)
    }

    /// Copies records of the ledger into the archive, durably, and gives those that stand there now: they may be
    /// taken out of the ledger as long as they are still what they were.
    ///
    /// Left out is a record under whose id the archive has another bead.
    ///
    /// # Errors
    /// Conflict, when the ref kept moving; io or corrupt, when nothing was written.
    pub fn put_into_archive(&self, deed: &Deed<'_>, records: &[Standing]) -> Result<Vec<Standing>> {
        let _turn = KernelLock::take(&self.lock_path())?;
        self.check_boot()?;
        for attempt in 0..TRIES_MAX {
            let tip = self.archive_tip()?;
            let (mut batch, mut standing) = (Batch::default(), Vec::new());
            let Some(commit) = self.added(tip, deed, records, &mut batch, &mut standing)? else { return Ok(standing) };
            let files = self.store.write_files(&batch)?;
            crate::env::crash_point("archive.objects");
            match self.store.swap_ref(tree::ARCHIVE, tip, commit)? {
                Swap::Moved => return self.store.outlive_collection(&batch, &files).map(|()| standing),
                Swap::Lost(_) => std::thread::sleep(Duration::from_millis(fastrand::u64(..=u64::from(attempt) * 4))),
            }
        }
        Err(Error::conflict("the archive kept moving under this change").hint("try again"))
    }

    /// The commit that adds `records` to the archive at `tip`; `None` when all of them are in it.
    fn added(
        &self,
        tip: Option<ObjectId>,
        deed: &Deed<'_>,
        records: &[Standing],
        batch: &mut Batch,
        standing: &mut Vec<Standing>,
    ) -> Result<Option<ObjectId>> {
        let archive = tip.map_or_else(|| State::at(&self.store, None), |tip| self.archive_at(tip))?;
        let rev = Rev { number: archive.rev_number() + 1, machine: self.machine().to_owned() };
        let mut edits: Vec<(String, Option<ObjectId>)> = Vec::new();
        let mut beads = Vec::new();
        for record in records {
            let blob = match archive.blob_id(&record.path)? {
                Some(there) if there == record.blob => Some(there),
                Some(there) => self.on_top(&archive, record, there, &rev, (&mut edits, batch))?,
                None => Some(record.blob),
            };
            let Some(blob) = blob else { continue };
            if archive.blob_id(&record.path)? != Some(blob) {
                edits.push((record.path.clone(), Some(blob)));
                beads.push(&record.id);
            }
            standing.push(record.clone());
        }
        if edits.is_empty() {
            return Ok(None);
        }
        if archive.blob_id(tree::SCOPE)?.is_none() {
            edits.push((tree::SCOPE.to_owned(), Some(batch.add(gix::objs::Kind::Blob, record::encode(&self.title()?)))));
        }
        let edits: Vec<_> = edits.iter().map(|(path, blob)| (path.as_str(), *blob)).collect();
        let root = edit_tree(&self.store, archive.tree(), &edits, batch)?;
        let commit = commit_of(deed, root, tip, message(deed, beads, &rev));
        Ok(Some(batch.add_value(&commit)))
    }

    /// What stands in the archive after `record` came where `there` is; `None` when these are two beads.
    ///
    /// Mostly the bead was reopened and is closed again, so that the ledger knows all that the archive does. But
    /// another machine may have archived what this one has not seen; then they are merged.
    fn on_top(
        &self,
        archive: &State<'_>,
        record: &Standing,
        there: ObjectId,
        rev: &Rev,
        (edits, batch): (&mut Vec<(String, Option<ObjectId>)>, &mut Batch),
    ) -> Result<Option<ObjectId>> {
        let read = |id| record::decode(&record.path, &self.store.record(id)?);
        // A copy that cannot be read has nothing to say.
        let Ok(old) = read(there) else { return Ok(Some(record.blob)) };
        let new = read(record.blob)?;
        let copy = new.get(record::ARCHIVE_COPY).and_then(|id| ObjectId::from_hex(id.as_str()?.as_bytes()).ok());
        let base = match copy {
            Some(copy) => read(copy).ok(),
            None if self.has_stood(&record.path, there)? => Some(old.clone()),
            None => None,
        };
        let merged = rules::merge_record(&record.path, &Versions { base, ours: Some(old), theirs: Some(new.clone()) }, rev);
        let (Some(object), None) = (merged.object, merged.second) else { return Ok(None) };
        for mut conflict in merged.conflicts {
            conflict.rev = rev.clone();
            let path = tree::conflict(&conflict.hash());
            if archive.blob_id(&path)?.is_none() {
                let bytes = record::encode(&record::object_of(&conflict));
                edits.push((path, Some(batch.add(gix::objs::Kind::Blob, bytes))));
            }
        }
        if object == new {
            return Ok(Some(record.blob));
        }
        Ok(Some(batch.add(gix::objs::Kind::Blob, record::encode(&object))))
    }

    /// Whether what stands at `path` of the ledger was made from `blob`, as far as its newer history tells.
    fn has_stood(&self, path: &str, blob: ObjectId) -> Result<bool> {
        let mut open: Vec<ObjectId> = self.tip()?.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if seen.len() > COMMITS_MAX {
                return Ok(false);
            }
            let state = self.state_at(id)?;
            let now = state.blob_id(path)?;
            if now == Some(blob) {
                return Ok(true);
            }
            let mut parents = Vec::new();
            for parent in history::link(&self.store, id)?.parents {
                parents.push((parent, self.state_at(parent)?.blob_id(path)? == now));
            }
            // Where a side was taken as it is, the other has no part in it.
            let is_taken = parents.iter().any(|(_, is_same)| *is_same);
            open.extend(parents.into_iter().filter(|(_, is_same)| *is_same || !is_taken).map(|(parent, _)| parent));
        }
        Ok(false)
    }

    /// What the archive says of itself: the ledger's title, without what changes in the ledger later, so that two
    /// machines which each begin an archive begin the same one.
    fn title(&self) -> Result<Object> {
        let scope = self.state()?.object(tree::SCOPE)?;
        let mut title = scope.ok_or_else(|| Error::corrupt("the ledger has no ledger.json"))?;
        for field in ["home", "epoch", "flattened", "rev", "revs"] {
            title.remove(field);
        }
        Ok(title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Actor;
    use crate::model::bead::{Bead, IssueType};
    use crate::model::scope::Scope;
    use crate::time::Moment;

    fn now() -> Moment {
        Moment::from_millis(5_000)
    }

    struct Place {
        _home: tempfile::TempDir,
        ledger: Ledger,
        actor: Actor,
    }

    impl Place {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("r");
            crate::git::init::init_bare(&dir, "main").unwrap();
            let ledger = Ledger::open(&dir, "m1").unwrap();
            let actor = Actor { name: "overseer".into(), email: "a@b".into(), model: None };
            let place = Self { _home: home, ledger, actor };
            let scope: Scope = serde_json::from_value(serde_json::json!({
                "v": 1, "merge_v": 1, "kind": "rig", "prefix": "wi", "name": "widgets", "created_at": now(), "epoch": 3,
            }))
            .unwrap();
            place.ledger.transact(&place.deed(), |change| change.put(tree::SCOPE, &scope)).unwrap();
            place
        }

        fn deed(&self) -> Deed<'_> {
            Deed { actor: &self.actor, op: "test", subject: "test".into(), now: now() }
        }

        fn put(&self, bead: &Bead) -> Standing {
            self.ledger.transact(&self.deed(), |change| change.put_bead(bead)).unwrap();
            let path = tree::bead(&bead.id);
            let blob = self.ledger.state().unwrap().blob_id(&path).unwrap().unwrap();
            Standing { id: bead.id.clone(), path, blob }
        }

        fn take_out(&self, id: &BeadId) {
            self.ledger
                .transact(&self.deed(), |change| {
                    change.remove_bead(id);
                    Ok(())
                })
                .unwrap();
        }

        /// As if another line of the ledger were taken over; tells where it stood.
        fn go_to(&self, tip: ObjectId) -> ObjectId {
            let old = self.ledger.tip().unwrap();
            self.ledger.store.swap_ref(tree::LEDGER, old, tip).unwrap();
            old.unwrap()
        }

        fn archive(&self, records: &[Standing]) -> Vec<Standing> {
            self.ledger.put_into_archive(&self.deed(), records).unwrap()
        }
    }

    fn closed(id: &str, title: &str) -> Bead {
        let mut bead = Bead::new(id.parse().unwrap(), IssueType::Task, title, "overseer", now()).unwrap();
        bead.close("overseer", "done", now()).unwrap();
        bead
    }

    #[test]
    fn an_archived_bead_keeps_its_blob_and_is_found_by_its_id() {
        let place = Place::new();
        let bead = closed("wi-abc10", "Mend the pump");
        let standing = place.put(&bead);
        assert!(place.ledger.archive().unwrap().is_none());
        assert_eq!(place.archive(std::slice::from_ref(&standing)), std::slice::from_ref(&standing));
        let tip = place.ledger.archive_tip().unwrap();
        assert_eq!(
            place.archive(std::slice::from_ref(&standing)),
            std::slice::from_ref(&standing),
            "what is there is not written again"
        );
        assert_eq!(place.ledger.archive_tip().unwrap(), tip);
        place.take_out(&bead.id);
        let (state, archive) = (place.ledger.state().unwrap(), place.ledger.archive().unwrap().unwrap());
        assert_eq!(state.get::<Bead>(&standing.path).unwrap(), None);
        assert_eq!(archive.blob_id(&standing.path).unwrap(), Some(standing.blob));
        assert_eq!(state.bead(&bead.id).unwrap().title, bead.title);
        assert!(state.has_bead(&bead.id).unwrap() && state.archived_bead(&bead.id).unwrap().is_some());
        assert_eq!(state.ids_starting_with("wi-ab").unwrap(), std::slice::from_ref(&bead.id));
        assert_eq!(archive.scope().unwrap().epoch, 0, "what changes later is not its own");
        assert_eq!(archive.find_bead(&"wi-zzz00".parse().unwrap()).unwrap(), None);
        let error = place.ledger.transact(&place.deed(), |change| change.bead(&bead.id).map(drop)).unwrap_err();
        assert!(error.hint.unwrap().contains("reopen"));
    }

    #[test]
    fn what_comes_back_and_goes_again_replaces_its_copy() {
        let place = Place::new();
        let mut bead = closed("wi-abc10", "First");
        bead.labels.insert("wet".into());
        let first = place.put(&bead);
        place.archive(std::slice::from_ref(&first));
        place.take_out(&bead.id);
        bead.title = "Second".into();
        bead.labels.clear();
        let again = place.put(&bead);
        let back = place.ledger.state().unwrap().object(&again.path).unwrap().unwrap();
        let (title, created) = (record::unit_rev(&back, "title"), record::unit_rev(&back, "created_by"));
        assert!(title > created, "what did not change keeps its clock");
        place.archive(std::slice::from_ref(&again));
        let archive = place.ledger.archive().unwrap().unwrap();
        assert_eq!(archive.blob_id(&again.path).unwrap(), Some(again.blob));
        assert_eq!(back[record::ARCHIVE_COPY], first.blob.to_string());
    }

    #[test]
    fn what_only_the_copy_knows_stays_when_another_line_of_the_ledger_is_archived() {
        let place = Place::new();
        let mut bead = closed("wi-abc10", "First");
        place.put(&bead);
        let begin = place.ledger.tip().unwrap().unwrap();
        bead.comment("1@m2".into(), "overseer", "heard elsewhere", now());
        let theirs = place.put(&bead);
        let there = place.go_to(begin);
        bead = closed("wi-abc10", "Second");
        place.put(&bead);
        bead.labels.insert("wet".into());
        place.archive(&[place.put(&bead)]);
        place.go_to(there);
        assert_eq!(place.archive(std::slice::from_ref(&theirs)), std::slice::from_ref(&theirs));
        let stands = place.ledger.archive().unwrap().unwrap().object(&theirs.path).unwrap().unwrap();
        let text = serde_json::Value::Object(stands).to_string();
        assert!(["heard elsewhere", "Second", "wet"].iter().all(|word| text.contains(word)), "{text}");
    }

    #[test]
    fn another_bead_of_one_id_is_not_archived_over_the_first() {
        let place = Place::new();
        let begin = place.ledger.tip().unwrap().unwrap();
        let mut second = closed("wi-abc10", "Second");
        second.created_at = Moment::from_millis(9_000);
        let second = place.put(&second);
        let there = place.go_to(begin);
        let first = place.put(&closed("wi-abc10", "First"));
        place.archive(std::slice::from_ref(&first));
        place.go_to(there);
        assert_eq!(place.archive(&[second]), []);
        assert_eq!(place.ledger.archive().unwrap().unwrap().blob_id(&first.path).unwrap(), Some(first.blob));
    }
}

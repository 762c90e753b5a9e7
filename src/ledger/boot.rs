//! After an unclean boot: what was written since the last check is verified before anything is written or sent.
//!
//! The id of the boot and the tips of ledger and archive that were checked stand in `gt/boot`. While the boot is the same, two small files
//! are read and nothing else happens. When it is another, every commit from the tip back to the checked one is read
//! with the trees and records that it brought, each hashed: an object that was lost, torn or emptied by a power cut
//! is found here, and not by those that a push would give it to. Reading is not held up by this.

use std::collections::BTreeSet;

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::history::Link;
use crate::ledger::{Ledger, diff, history, tree};
use crate::store::{Store, write_file};

impl Ledger {
    /// Verifies what lies between the last checked tip and now, once a boot.
    ///
    /// # Errors
    /// Corrupt, naming what is damaged and the newest commit that is whole; io, when the check cannot be recorded.
    pub fn check_boot(&self) -> Result<()> {
        let Some(boot) = boot_id() else { return Ok(()) };
        let path = self.store.private_dir().join("boot");
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        let mut words = recorded.split_whitespace();
        if words.next() == Some(boot.as_str()) {
            return Ok(());
        }
        let mut line = boot;
        for name in [tree::LEDGER, tree::ARCHIVE] {
            let tip = self.store.read_ref(name)?;
            let checked = words.next().and_then(|word| ObjectId::from_hex(word.as_bytes()).ok());
            // Nothing recorded: the ledger is new here, or arrived by a fetch, which verifies what it takes.
            if let (Some(tip), false) = (tip, recorded.is_empty()) {
                verify(&self.store, name, tip, checked)?;
            }
            line.extend(tip.map(|tip| format!(" {tip}")));
        }
        write_file(&path, format!("{line}\n").as_bytes())
    }
}

/// What tells this boot from others; `None` where the system does not say.
fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Reads and hashes all that the commits from `tip` back to `checked` brought.
fn verify(store: &Store, name: &str, tip: ObjectId, checked: Option<ObjectId>) -> Result<()> {
    // What was made here after the check stands on the checked commit, so its clock is higher. What is not came by
    // a fetch, which verifies and syncs what it takes.
    let floor = checked.and_then(|id| history::link(store, id).ok()).map_or(0, |link| link.number);
    let (mut seen, mut damaged) = (BTreeSet::new(), BTreeSet::new());
    let mut fault = None;
    let mut open = vec![tip];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let link = history::link(store, id);
        if link.as_ref().is_ok_and(|link| link.number <= floor) {
            continue;
        }
        let verified = link.and_then(|link| {
            open.extend(&link.parents);
            verify_commit(store, id, &link)
        });
        if let Err(error) = verified {
            damaged.insert(id);
            fault.get_or_insert(error);
        }
    }
    match fault {
        None => Ok(()),
        Some(fault) => Err(refusal(store, (name, tip), &damaged, &fault)),
    }
}

/// What is damaged, and the newest commit that stands on nothing that is.
fn refusal(store: &Store, (name, tip): (&str, ObjectId), damaged: &BTreeSet<ObjectId>, fault: &Error) -> Error {
    let (mut at, mut whole) = (Some(tip), None);
    while let Some(id) = at {
        if damaged.contains(&id) {
            whole = None;
        } else if whole.is_none() {
            whole = Some(id);
        }
        at = history::link(store, id).ok().and_then(|link| link.parents.first().copied());
    }
    let line = format!("the machine went down, and a change made before that is damaged: {}", fault.line());
    let hint = match whole {
        Some(whole) => format!(
            "reading goes on; the newest change that is whole is {whole}, to go back there: git --git-dir={} update-ref {} {whole}",
            store.dir().display(),
            name
        ),
        None => "reading goes on; what is missing may be on another machine or in a backup".to_owned(),
    };
    Error::corrupt(line).hint(hint)
}

/// Reads and hashes what commit `id` has that its first parent has not, and the commit.
fn verify_commit(store: &Store, id: ObjectId, link: &Link) -> Result<()> {
    let empty = ObjectId::empty_tree(gix::hash::Kind::Sha1);
    // A parent that is damaged is found when it is its turn.
    let before = link.parents.first().and_then(|parent| history::link(store, *parent).ok()).map_or(empty, |parent| parent.tree);
    let verified = Verified(store);
    let mut buffer = Vec::new();
    let blobs = diff::changes(&verified, before, link.tree)?.into_values().filter_map(|(_, new)| new);
    for id in std::iter::once(id).chain(blobs) {
        let found = gix::objs::Find::try_find(&verified, &id, &mut buffer);
        found
            .or_fail(Kind::Corrupt, || format!("read object {id}"))?
            .or_fail(Kind::Corrupt, || format!("object {id} is missing"))?;
    }
    Ok(())
}

/// Hashes every object that it finds.
struct Verified<'s>(&'s Store);

impl gix::objs::Find for Verified<'_> {
    fn try_find<'b>(&self, id: &gix::oid, buffer: &'b mut Vec<u8>) -> gix::error::Result<Option<gix::objs::Data<'b>>> {
        let Some(object) = self.0.repo.objects.try_find(id, buffer)? else { return Ok(None) };
        object.verify_checksum(id)?;
        Ok(Some(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Actor, Deed};
    use crate::time::Moment;

    fn change(ledger: &Ledger, n: u32) -> Result<()> {
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let deed =
            Deed { actor: &actor, op: "test", subject: format!("change {n}"), now: Moment::from_millis(1_767_225_600_000) };
        ledger.transact(&deed, |change| change.put("groups/one.json", &serde_json::json!({"v": 1, "n": n})))
    }

    /// Three changes, the first two of them in an earlier boot, of which nothing was checked.
    fn after_another_boot(dir: &std::path::Path) -> (Ledger, Vec<ObjectId>) {
        crate::git::init::init_bare(dir, "main").unwrap();
        let ledger = Ledger::open(dir, "here").unwrap();
        let tips = (0..3).map(|n| change(&ledger, n).map(|()| ledger.tip().unwrap().unwrap()).unwrap()).collect();
        std::fs::write(dir.join("gt/boot"), "another-boot \n").unwrap();
        (Ledger::open(dir, "here").unwrap(), tips)
    }

    fn loose(dir: &std::path::Path, id: ObjectId) -> std::path::PathBuf {
        let hex = id.to_string();
        dir.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    #[test]
    fn a_whole_ledger_is_written_to_after_another_boot_and_checked_once() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r");
        let (ledger, tips) = after_another_boot(&dir);
        change(&ledger, 3).unwrap();
        let recorded = std::fs::read_to_string(dir.join("gt/boot")).unwrap();
        assert_eq!(recorded, format!("{} {}\n", boot_id().unwrap(), tips[2]));
        change(&ledger, 4).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("gt/boot")).unwrap(), recorded);
    }

    #[test]
    fn the_archive_is_verified_too() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("r");
        let (ledger, _) = after_another_boot(&dir);
        let scope = serde_json::json!({"v": 1, "merge_v": 1, "kind": "rig", "prefix": "wi", "name": "w",
            "created_at": "2026-01-01T00:00:00Z"});
        let actor = Actor { name: "overseer".into(), email: "a@example.org".into(), model: None };
        let now = Moment::from_millis(1_767_225_600_000);
        let deed = Deed { actor: &actor, op: "test", subject: "test".into(), now };
        ledger.transact(&deed, |change| change.put(tree::SCOPE, &scope)).unwrap();
        let path = "groups/one.json".to_owned();
        let blob = ledger.state().unwrap().blob_id(&path).unwrap().unwrap();
        let standing = crate::ledger::archive::Standing { id: "wi-a".parse().unwrap(), path, blob };
        ledger.put_into_archive(&deed, &[standing]).unwrap();
        std::fs::write(dir.join("gt/boot"), format!("another-boot {}\n", ledger.tip().unwrap().unwrap())).unwrap();
        ledger.check_boot().unwrap();
        let archive = ledger.archive().unwrap().unwrap();
        let recorded = std::fs::read_to_string(dir.join("gt/boot")).unwrap();
        let words: Vec<String> = recorded.split_whitespace().skip(1).map(str::to_owned).collect();
        assert_eq!(words, [ledger.tip().unwrap().unwrap().to_string(), archive.commit().unwrap().to_string()]);
        std::fs::write(dir.join("gt/boot"), format!("another-boot {}\n", words[0])).unwrap();
        let title = archive.blob_id(tree::SCOPE).unwrap().unwrap();
        std::fs::remove_file(loose(&dir, title)).unwrap();
        let error = Ledger::open(&dir, "here").unwrap().check_boot().unwrap_err();
        assert!(error.kind == Kind::Corrupt && error.line().contains(&title.to_string()), "{}", error.line());
    }

    #[test]
    fn an_object_that_a_power_cut_emptied_stops_writing_and_names_what_is_whole() {
        for tear in ["", "garbage"] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("r");
            let (ledger, tips) = after_another_boot(&dir);
            let blob = ledger.state_at(tips[1]).unwrap().blob_id("groups/one.json").unwrap().unwrap();
            std::fs::remove_file(loose(&dir, blob)).unwrap();
            std::fs::write(loose(&dir, blob), tear).unwrap();
            let error = change(&ledger, 3).unwrap_err();
            assert_eq!(error.kind, Kind::Corrupt);
            assert!(error.line().contains(&blob.to_string()), "{}", error.line());
            assert!(error.hint.as_deref().unwrap_or_default().contains(&tips[0].to_string()), "{error:?}");
            assert_eq!(ledger.tip().unwrap(), Some(tips[2]), "nothing was written");
        }
    }
}

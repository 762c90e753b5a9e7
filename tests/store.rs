//! One git directory beside a git program that packs, and after a crash that tore a file.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use gastown::store::Store;
use gastown::store::batch::Batch;
use gastown::store::refs::Swap;
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let place = TempDir::new().unwrap();
    let repo = place.path().join("repo.git");
    gastown::git::init::init_bare(&repo, "main").unwrap();
    git(&repo, &["config", "gt.durability", "none"]);
    let store = Store::open(&repo).unwrap();
    (place, store)
}

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(dir).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    assert!(command.status().unwrap().success(), "git {args:?}");
}

#[test]
fn removing_a_packed_ref_loses_none_that_is_packed_at_that_moment() {
    const MANY: usize = 60;
    let (_place, store) = store();
    let mut batch = Batch::default();
    let id = batch.add(gix::objs::Kind::Blob, b"kept".to_vec());
    store.write(&batch).unwrap();
    for n in 0..MANY {
        assert_eq!(store.swap_ref(&format!("refs/gt/old/{n}"), None, id).unwrap(), Swap::Moved);
    }
    git(store.dir(), &["pack-refs", "--all"]);
    let is_over = AtomicBool::new(false);
    let dir = store.dir().to_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = Command::new("git").arg("--git-dir").arg(&dir).args(["pack-refs", "--all"]).output();
            }
        });
        for n in 0..MANY {
            store.swap_ref(&format!("refs/gt/new/{n}"), None, id).unwrap();
            assert_eq!(store.remove_ref(&format!("refs/gt/old/{n}"), id).unwrap(), Swap::Moved);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.refs_below("refs/gt/new/").unwrap().len(), MANY);
    assert_eq!(store.refs_below("refs/gt/old/").unwrap(), []);
}

#[test]
fn a_torn_object_is_written_anew() {
    let (_place, store) = store();
    let mut batch = Batch::default();
    let id = batch.add(gix::objs::Kind::Blob, b"whole".to_vec());
    let hex = id.to_string();
    let path = store.dir().join("objects").join(&hex[..2]).join(&hex[2..]);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for torn in [&b""[..], b"x\x9c torn"] {
        std::fs::write(&path, torn).unwrap();
        store.write(&batch).unwrap();
        assert_eq!(store.blob(id).unwrap(), b"whole");
        std::fs::remove_file(&path).unwrap();
    }
}

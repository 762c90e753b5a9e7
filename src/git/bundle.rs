//! Bundles: refs with all that they reach, in one file that any git can read.
//!
//! Promises: a bundle that was unpacked is whole, each object of it hashed and every ref's history complete. Does not
//! promise that its list of refs is what was written: no checksum guards it, so whoever makes a bundle names its refs
//! in an object of the bundle too.

use std::path::Path;

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::init::init_bare;
use crate::git::progress::Progress;
use crate::git::promised::Promise;
use crate::git::{commits, program, reach};
use crate::store::batch::Batch;
use crate::store::{self, Store};
use crate::time::Moment;

/// How a bundle file begins.
const HEADS: [&[u8]; 2] = [b"# v2 git bundle\n", b"# v3 git bundle\n"];

/// A bare repository without objects of its own that sees those of others, in a directory that goes with its value.
pub struct Gathering {
    store: Store,
    refs: Vec<(String, ObjectId)>,
}

impl Gathering {
    /// Begins in `scratch`, which must not exist; it sees the objects of `stores`.
    ///
    /// # Errors
    /// Refused, when a directory's name cannot be written down for git; io otherwise.
    pub fn begin(scratch: &Path, stores: &[&Store]) -> Result<Self> {
        init_bare(scratch, "main")?;
        let mut alternates = String::new();
        for store in stores {
            let deed = || format!("name {}", store.dir().display());
            let dir = store.dir().canonicalize().or_fail(Kind::Io, deed)?.join("objects");
            let text = dir.to_str().filter(|text| !text.contains('\n')).or_fail(Kind::Refused, deed)?;
            alternates.push_str(&format!("{text}\n"));
        }
        store::write_file(&scratch.join("objects/info/alternates"), alternates.as_bytes())?;
        Ok(Self { store: Store::open(scratch)?, refs: Vec::new() })
    }

    /// Adds `refs`, each under the name that it has in the bundle.
    pub fn add(&mut self, refs: impl IntoIterator<Item = (String, ObjectId)>) {
        self.refs.extend(refs);
    }

    /// Brings what the partial clone `store` left out of what `tips` reach: a backup that lacks files is none. They go with
    /// this value, and the clone stays as it is.
    ///
    /// # Errors
    /// External, when the clone's remote cannot be reached; corrupt, when it no longer has one of them.
    pub fn complete(&self, store: &Store, tips: &[ObjectId], progress: &Progress) -> Result<()> {
        let Some(promise) = Promise::of(store) else { return Ok(()) };
        let mut objects = store.repo.clone().objects;
        // Most of history may be missing; looking for new packs at each file would take long.
        objects.refresh = gix::odb::store::RefreshMode::Never;
        let exists = |id: ObjectId| gix::objs::Exists::exists(&objects, &id);
        let absent = reach::absent(&objects, &exists, tips, &[])?;
        if !absent.is_empty() {
            progress.say(&format!("fetching {} files that the partial clone left out", absent.len()));
        }
        promise.bring_into(&self.store, &absent, progress)
    }

    /// Adds the ref `name` to a commit whose only file is `file` with `text`.
    ///
    /// # Errors
    /// Io, when it cannot be written.
    pub fn add_file(&mut self, name: &str, file: &str, text: Vec<u8>, author: (&str, &str), now: Moment) -> Result<()> {
        let mut batch = Batch::default();
        let blob = batch.add(gix::objs::Kind::Blob, text);
        let entry = gix::objs::tree::Entry { mode: EntryKind::Blob.into(), filename: file.into(), oid: blob };
        let tree = batch.add_value(&gix::objs::Tree { entries: vec![entry] });
        let commit = commits::create(&mut batch, tree, Vec::new(), author, author, "Backup", now);
        self.store.write(&batch)?;
        self.refs.push((name.to_owned(), commit));
        Ok(())
    }

    /// Writes the bundle to `file`, on disk when this answers, and tells its size.
    ///
    /// # Errors
    /// Io, when the disk is full; external, when git fails, above all at an object that is damaged or missing.
    pub fn write(mut self, file: &Path) -> Result<u64> {
        let deed = || format!("write {}", file.display());
        self.refs.sort();
        let mut packed = "# pack-refs with: sorted \n".to_owned();
        for (name, id) in &self.refs {
            packed.push_str(&format!("{id} {name}\n"));
        }
        // Sorted, as git looks them up; a ref file each would be slow with thousands of branches.
        store::write_file(&self.store.dir().join("packed-refs"), packed.as_bytes())?;
        let path = file.to_str().or_fail(Kind::Refused, || format!("{}: its name is not UTF-8", deed()))?;
        program::bare_ok(self.store.dir(), &["bundle", "create", "-q", path, "--all"])?;
        let written = std::fs::File::open(file).or_fail(Kind::Io, deed)?;
        written.sync_all().or_fail(Kind::Io, deed)?;
        Ok(written.metadata().or_fail(Kind::Io, deed)?.len())
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        // Should this fail, maintenance finds it by the name that the caller gave it.
        let _ = std::fs::remove_dir_all(self.store.dir());
    }
}

/// Whether `file` begins as a bundle does.
///
/// # Errors
/// Io, when it cannot be read.
pub fn is_bundle(file: &Path) -> Result<bool> {
    let deed = || format!("read {}", file.display());
    let mut begin = Vec::new();
    let opened = std::fs::File::open(file).or_fail(Kind::Io, deed)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(opened, 16), &mut begin).or_fail(Kind::Io, deed)?;
    Ok(HEADS.contains(&begin.as_slice()))
}

/// Unpacks all of the bundle `file` into a new bare repository at `scratch` and tells its refs.
///
/// # Errors
/// Corrupt, when it is truncated, damaged or incomplete; io, when the disk is full.
pub fn unpack(file: &Path, scratch: &Path) -> Result<Vec<(String, ObjectId)>> {
    init_bare(scratch, "main")?;
    let path = file.to_str().or_fail(Kind::Refused, || format!("read {}: its name is not UTF-8", file.display()))?;
    fetch(scratch, path, "+refs/*:refs/*").map_err(|error| match error.kind {
        Kind::Io => Error::io(format!("unpack {} to {}: {}", file.display(), scratch.display(), error.message)),
        _ => Error::corrupt(format!("{} is damaged or not whole: {}", file.display(), error.message))
            .hint("take another copy of it, or an older backup"),
    })?;
    Store::open(scratch)?.refs_below("refs/")
}

/// Makes the bare repository `repo` of what stands below `prefix` (which ends with `/`) in the one at `scratch`: its
/// refs under `refs/`, with all that they reach, on disk.
///
/// # Errors
/// Refused, when there is a repository; io, when the disk is full; external, when git fails.
pub fn take_out(scratch: &Path, prefix: &str, repo: &Path, default_branch: &str) -> Result<()> {
    init_bare(repo, default_branch)?;
    let from = scratch.to_str().or_fail(Kind::Refused, || format!("read {}: its name is not UTF-8", scratch.display()))?;
    fetch(repo, from, &format!("+{prefix}*:refs/*"))?;
    // git synced the files; their directories are ours to sync.
    let all = walkdir::WalkDir::new(repo).into_iter().filter_map(std::result::Result::ok);
    all.filter(|entry| entry.file_type().is_dir()).try_for_each(|entry| store::sync_dir(entry.path()))
}

fn fetch(repo: &Path, from: &str, refs: &str) -> Result<()> {
    let words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", from, refs];
    program::bare_ok(repo, &words).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::program::bare_ok;

    fn repo_with_commit(dir: &Path) -> (Store, ObjectId) {
        init_bare(dir, "main").unwrap();
        let tree = bare_ok(dir, &["hash-object", "-w", "-t", "tree", "/dev/null"]).unwrap();
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let commit = bare_ok(dir, &[author.as_slice(), &["commit-tree", &tree, "-m", "x"]].concat()).unwrap();
        (Store::open(dir).unwrap(), ObjectId::from_hex(commit.as_bytes()).unwrap())
    }

    #[test]
    fn what_goes_in_comes_out_and_damage_does_not() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let (store, commit) = repo_with_commit(&at("a.git"));
        let mut gathering = Gathering::begin(&at("scratch"), &[&store]).unwrap();
        gathering.add([("refs/x/a/heads/main".to_owned(), commit)]);
        let now = Moment::from_millis(0);
        gathering.add_file("refs/x/list", "list.json", b"{}".to_vec(), ("a", "a@example.org"), now).unwrap();
        let size = gathering.write(&at("one.bundle")).unwrap();
        let bytes = std::fs::read(at("one.bundle")).unwrap();
        assert_eq!(bytes.len() as u64, size);
        assert!(is_bundle(&at("one.bundle")).unwrap());
        let refs = unpack(&at("one.bundle"), &at("out.git")).unwrap();
        assert_eq!(refs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["refs/x/a/heads/main", "refs/x/list"]);
        take_out(&at("out.git"), "refs/x/a/", &at("b.git"), "main").unwrap();
        assert_eq!(Store::open(&at("b.git")).unwrap().refs_below("refs/").unwrap(), [("refs/heads/main".to_owned(), commit)]);

        std::fs::write(at("short"), &bytes[..bytes.len() - 9]).unwrap();
        assert_eq!(unpack(&at("short"), &at("1.git")).unwrap_err().kind, Kind::Corrupt);
        let mut flipped = bytes.clone();
        let middle = bytes.len() - 40;
        flipped[middle] ^= 4;
        std::fs::write(at("flipped"), &flipped).unwrap();
        assert_eq!(unpack(&at("flipped"), &at("2.git")).unwrap_err().kind, Kind::Corrupt);
        std::fs::write(at("foreign"), "no bundle").unwrap();
        assert!(!is_bundle(&at("foreign")).unwrap());
    }
}

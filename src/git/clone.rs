//! Clones a project into a bare repository.
//!
//! All or nothing: the clone is made beside its place, checked and synced, and renamed at the end. Branches of the
//! remote stand under `refs/remotes/origin/`, tags where they are, and of local branches only the default one.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::protocol::transport::Service as Side;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::fetch::Lot;
use crate::git::progress::Progress;
use crate::git::promised::Filter;
use crate::git::remote::{Advertised, Link, Place, is_plain};
use crate::git::{borrow, fetch, init, reach};
use crate::store::{Store, sync_dir, write_file};

/// What was cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloned {
    /// The branch that work starts from.
    pub default_branch: String,
    /// Its commit; `None` when the project is empty.
    pub tip: Option<ObjectId>,
    /// How many branches and tags were left out because of their names.
    pub ignored: usize,
    /// Branches that the local repository has and the remote has not, by their names here.
    pub adopted: Vec<String>,
}

/// What a clone is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// The branch that work starts from; the remote's default when not given.
    pub branch: Option<&'a str>,
    /// A repository on this machine that has much of the project already.
    pub local_repo: Option<&'a Path>,
    /// Whether branches with commits that only that repository has come along.
    pub adopts: bool,
    /// Which files are left out until they are needed.
    pub filter: Option<&'a Filter>,
}

/// The branch of a project that names none.
const FIRST_BRANCH: &str = "main";

/// Clones `url` into the bare repository `dir`, with remote `origin`; `branch` overrides the remote's default.
///
/// # Errors
/// As [`clone_as`].
pub fn clone_bare(url: &str, dir: &Path, branch: Option<&str>, progress: &Progress) -> Result<Cloned> {
    clone_as(url, dir, Wish { branch, ..Wish::default() }, progress)
}

/// Clones `url` into the bare repository `dir`, with remote `origin`, as `wish` says.
///
/// # Errors
/// Usage, when the URL or branch is none; not found, when the remote has no such branch; refused, when there is
/// something at `dir`, the local repository is none, or the remote leaves no files out; external, when the remote cannot be read; io otherwise. Nothing
/// is left at `dir` then.
pub fn clone_as(url: &str, dir: &Path, wish: Wish<'_>, progress: &Progress) -> Result<Cloned> {
    let place = Place::parse(url)?;
    if let Some(branch) = wish.branch {
        init::check_branch(branch)?;
    }
    if std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(Error::refused(format!("there is something at {} already", dir.display())).hint("choose another directory"));
    }
    let deed = || format!("clone {} into {}", place.shown(), dir.display());
    let parent = dir.parent().or_fail(Kind::Usage, deed)?;
    std::fs::create_dir_all(parent).or_fail(Kind::Io, deed)?;
    if let (true, Some(from)) = (wish.adopts, wish.local_repo) {
        borrow::check_committed(from)?;
    }
    let beside = Beside::of(dir)?;
    let cloned = fill(&beside.0, &place, wish, progress)?;
    crate::env::crash_point("git.clone.filled");
    std::fs::rename(&beside.0, dir).or_fail(Kind::Io, deed)?;
    sync_dir(parent)?;
    Ok(cloned)
}

/// Makes the whole clone at `at`.
fn fill(at: &Path, place: &Place, wish: Wish<'_>, progress: &Progress) -> Result<Cloned> {
    init::init_bare(at, FIRST_BRANCH)?;
    let store = Store::open(at)?;
    let lent = wish.local_repo.map(|from| borrow::borrow(&store, from, progress)).transpose()?.unwrap_or_default();
    let mut link = Link::open(&store, place.clone(), Side::UploadPack, progress)?;
    if wish.filter.is_some() && !link.can_filter()? {
        // It would send everything, without a word.
        return Err(Error::refused(format!("{} offers no partial clones", place.shown()))
            .hint("leave out --filter, or allow it where the project is: git config uploadpack.allowFilter true"));
    }
    let all = link.refs(&["HEAD", "refs/heads/", "refs/tags/"], progress)?;
    let (refs, ignored): (Vec<&Advertised>, Vec<&Advertised>) =
        all.iter().filter(|one| one.name != "HEAD" && one.id.is_some()).partition(|one| is_plain(&one.name));
    let default_branch = match wish.branch {
        Some(branch) => asked(branch, &refs, place)?,
        None => default_of(all.iter().find(|one| one.name == "HEAD"), &refs, place)?,
    };
    let tips: Vec<ObjectId> = refs.iter().filter_map(|one| one.id).collect();
    let lot = Lot { tips: &tips, whole: &lent.whole, filter: wish.filter };
    fetch::receive(&mut link, &store, &lot, progress)?;
    drop(link);
    write_file(&at.join("packed-refs"), packed(&refs).as_bytes())?;
    let full = format!("refs/heads/{default_branch}");
    let tip = refs.iter().find(|one| one.name == full).and_then(|one| one.id);
    if let Some(tip) = tip {
        store.swap_ref(&full, None, tip)?;
        let head = format!("ref: refs/remotes/origin/{default_branch}\n");
        write_file(&at.join("refs/remotes/origin/HEAD"), head.as_bytes())?;
        for made in ["refs/remotes", "refs"] {
            sync_dir(&at.join(made))?;
        }
    }
    let adopted = if wish.adopts { borrow::adopt(&store, &lent, &reach::commits_among(&store, tips))? } else { Vec::new() };
    init::add_origin(at, &place.text(), &default_branch, wish.filter)?;
    init::point_head(at, &default_branch)?;
    Ok(Cloned { default_branch, tip, ignored: ignored.len(), adopted })
}

/// The branch that was asked for, if the remote has it.
fn asked(branch: &str, refs: &[&Advertised], place: &Place) -> Result<String> {
    let full = format!("refs/heads/{branch}");
    if refs.iter().any(|one| one.name == full) {
        return Ok(branch.to_owned());
    }
    Err(Error::not_found(format!("{} has no branch '{}'", place.shown(), branch.escape_debug())).hint(branches_hint(refs)))
}

/// The branch that the remote's `HEAD` names, or the only sensible one.
fn default_of(head: Option<&Advertised>, refs: &[&Advertised], place: &Place) -> Result<String> {
    let branches: Vec<(&str, Option<ObjectId>)> =
        refs.iter().filter_map(|one| Some((one.name.strip_prefix("refs/heads/")?, one.id))).collect();
    let named = head.and_then(|head| head.target.as_deref()).and_then(|target| target.strip_prefix("refs/heads/"));
    let has = |name: &str| branches.iter().any(|(branch, _)| *branch == name);
    if branches.is_empty() {
        let named = named.filter(|name| is_plain(&format!("refs/heads/{name}")));
        return Ok(named.unwrap_or(FIRST_BRANCH).to_owned());
    }
    if let Some(named) = named.filter(|name| has(name)) {
        return Ok(named.to_owned());
    }
    // A detached HEAD, or one that names a branch that is gone.
    let at_head = |name: &str| head.is_some_and(|head| head.id.is_some() && branches.contains(&(name, head.id)));
    let known = [FIRST_BRANCH, "master"];
    let choice = known
        .into_iter()
        .find(|name| at_head(name))
        .or_else(|| branches.iter().map(|(name, _)| *name).find(|name| at_head(name)))
        .or_else(|| known.into_iter().find(|name| has(name)))
        .or_else(|| (branches.len() == 1).then(|| branches[0].0));
    choice.map(str::to_owned).ok_or_else(|| {
        Error::not_found(format!("{} does not say which branch is its default", place.shown())).hint(branches_hint(refs))
    })
}

/// How many branches a hint lists.
const HINTED_MAX: usize = 8;

fn branches_hint(refs: &[&Advertised]) -> String {
    let names: Vec<&str> = refs.iter().filter_map(|one| one.name.strip_prefix("refs/heads/")).take(HINTED_MAX).collect();
    if names.is_empty() { "it has no branches at all".into() } else { format!("it has for example: {}", names.join(", ")) }
}

/// The text of `packed-refs` (gitrepository-layout(5)): thousands of refs cost one synced file.
fn packed(refs: &[&Advertised]) -> String {
    let local = |name: &str| match name.strip_prefix("refs/heads/") {
        Some(branch) => format!("refs/remotes/origin/{branch}"),
        None => name.to_owned(),
    };
    let mut lines: Vec<(String, String)> = Vec::new();
    for one in refs {
        let Some(id) = one.id else { continue };
        let name = local(&one.name);
        let peeled = one.peeled.map(|peeled| format!("^{peeled}\n")).unwrap_or_default();
        lines.push((name.clone(), format!("{id} {name}\n{peeled}")));
    }
    lines.sort();
    let body: String = lines.into_iter().map(|(_, line)| line).collect();
    format!("# pack-refs with: peeled fully-peeled sorted \n{body}")
}

/// A directory beside the clone's place, gone with its value unless it was renamed.
struct Beside(PathBuf);

impl Beside {
    fn of(dir: &Path) -> Result<Self> {
        let deed = || format!("clone into {}", dir.display());
        let name = dir.file_name().or_fail(Kind::Usage, deed)?.to_string_lossy().into_owned();
        let mark = crate::name::base36(fastrand::u64(..));
        Ok(Self(dir.with_file_name(format!("{name}.gt-tmp-{}-{mark}", std::process::id()))))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Maintenance finds it by its name should this fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, byte: u8) -> Advertised {
        Advertised { name: name.into(), id: Some(ObjectId::from([byte; 20])), peeled: None, target: None }
    }

    #[test]
    fn the_default_branch_is_what_head_names_or_the_only_sensible_one() {
        let place = Place::parse("/x").unwrap();
        let (main, side, old) = (at("refs/heads/main", 1), at("refs/heads/side", 2), at("refs/heads/master", 3));
        let head = |target: Option<&str>, id: Option<u8>| Advertised {
            name: "HEAD".into(),
            id: id.map(|byte| ObjectId::from([byte; 20])),
            peeled: None,
            target: target.map(str::to_owned),
        };
        let of = |head: Option<&Advertised>, refs: &[&Advertised]| default_of(head, refs, &place);
        assert_eq!(of(Some(&head(Some("refs/heads/side"), Some(2))), &[&main, &side]).unwrap(), "side");
        assert_eq!(of(Some(&head(None, Some(2))), &[&main, &side]).unwrap(), "side", "detached at its commit");
        assert_eq!(of(Some(&head(Some("refs/heads/gone"), None)), &[&old, &side]).unwrap(), "master");
        assert_eq!(of(Some(&head(Some("refs/heads/gone"), None)), &[&side]).unwrap(), "side");
        assert_eq!(of(Some(&head(Some("refs/heads/trunk"), None)), &[]).unwrap(), "trunk");
        assert_eq!(of(None, &[]).unwrap(), "main");
        let other = at("refs/heads/other", 4);
        assert_eq!(of(None, &[&side, &other]).unwrap_err().kind, Kind::NotFound);
    }
}

//! Shell scripts that git runs in a repository of ours: laid beside what others have there, and taken away.
//!
//! A hook that was there before is kept as `NAME.local`, which our script runs, and is put back when ours goes. At no
//! moment is there none. Does not promise that git runs them: `core.hooksPath` may name another directory.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{hub, program};
use crate::store::write_file;

/// A hook of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shim {
    /// Its file name, see githooks(5).
    pub(crate) name: &'static str,
    /// The script.
    pub(crate) text: &'static str,
    /// What every version of it has in its second line.
    pub(crate) mark: &'static str,
}

/// The hooks of every rig: those that leave at once for people, and the rules of a hub, which hold for whoever pushes into
/// the rig's repository.
pub(crate) const ALL: &[Shim] = &[
    Shim { name: "pre-receive", text: hub::PRE_RECEIVE, mark: hub::MARK },
    Shim { name: "post-commit", text: include_str!("../../hooks/git/post-commit"), mark: "git hook of gt" },
    Shim { name: "prepare-commit-msg", text: include_str!("../../hooks/git/prepare-commit-msg"), mark: "git hook of gt" },
    Shim { name: "pre-push", text: include_str!("../../hooks/git/pre-push"), mark: "git hook of gt" },
    Shim { name: "reference-transaction", text: include_str!("../../hooks/git/reference-transaction"), mark: "git hook of gt" },
];

/// The file, in our private directory, that tells the scripts which refs polecats do not move, one a line.
const TARGETS: &str = "gt/targets";

/// What stands where a hook goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A version of ours.
    Ours,
    /// Somebody's.
    Other,
}

impl Shim {
    fn path(self, dir: &Path) -> PathBuf {
        dir.join("hooks").join(self.name)
    }

    fn local(self, dir: &Path) -> PathBuf {
        dir.join("hooks").join(format!("{}.local", self.name))
    }

    /// Whose hook the repository `dir` has.
    ///
    /// # Errors
    /// Io, when it cannot be read.
    pub(crate) fn look(self, dir: &Path) -> Result<Found> {
        let path = self.path(dir);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let is_ours = text.lines().nth(1).is_some_and(|line| line.contains(self.mark));
                Ok(if is_ours { Found::Ours } else { Found::Other })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
        }
    }

    /// Lays the newest version into the repository `dir`. Done again it changes nothing.
    ///
    /// # Errors
    /// Refused, when there are two hooks of others already; io, when nothing can be written.
    pub(crate) fn lay(self, dir: &Path) -> Result<()> {
        let (hook, other) = (self.path(dir), self.local(dir));
        let found = self.look(dir)?;
        // Who was killed in between had given it its second name already.
        if found == Found::Other && !is_one_file(&hook, &other) {
            // A second name and then our own file over the first: at no moment is there no hook.
            std::fs::hard_link(&hook, &other).or_fail(Kind::Refused, || {
                format!("keep the hook {} as {}.local, of which there is one", hook.display(), self.name)
            })?;
        }
        let is_newest = std::fs::read(&hook).is_ok_and(|bytes| bytes == self.text.as_bytes());
        if !is_newest {
            std::fs::create_dir_all(dir.join("hooks")).or_fail(Kind::Io, || format!("make {}/hooks", dir.display()))?;
            // Executable before it stands: git passes over a hook that is not. Git runs no file of this name.
            let fresh = dir.join("hooks").join(format!("{}.gt-new", self.name));
            write_file(&fresh, self.text.as_bytes())?;
            make_executable(&fresh)?;
            std::fs::rename(&fresh, &hook).or_fail(Kind::Io, || format!("write {}", hook.display()))?;
        }
        make_executable(&hook)
    }

    /// Takes it out of the repository `dir`, puts back the hook that was there, and tells whether there was one of ours.
    ///
    /// # Errors
    /// Io, when nothing can be written.
    pub(crate) fn lift(self, dir: &Path) -> Result<bool> {
        if self.look(dir)? != Found::Ours {
            return Ok(false);
        }
        let (hook, other) = (self.path(dir), self.local(dir));
        let gone = if other.exists() { std::fs::rename(&other, &hook) } else { std::fs::remove_file(&hook) };
        gone.or_fail(Kind::Io, || format!("take {} away", hook.display()))?;
        Ok(true)
    }
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    id(one).is_some() && id(one) == id(other)
}

fn make_executable(path: &Path) -> Result<()> {
    let deed = || format!("make {} executable", path.display());
    let mode = std::fs::metadata(path).or_fail(Kind::Io, deed)?.permissions().mode();
    if mode & 0o111 == 0o111 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).or_fail(Kind::Io, deed)
}

/// Lays all hooks into `dir` and keeps polecats from moving `branches`, and no others. Done again it changes nothing.
///
/// # Errors
/// As [`Shim::lay`].
pub fn lay_all(dir: &Path, branches: &BTreeSet<String>) -> Result<()> {
    if targets(dir)? != *branches {
        let lines: Vec<String> = branches.iter().map(|branch| format!("refs/heads/{branch}\n")).collect();
        write_file(&dir.join(TARGETS), lines.concat().as_bytes())?;
    }
    // One that cannot be laid keeps none of the others from standing.
    let laid: Vec<Result<()>> = ALL.iter().map(|shim| shim.lay(dir)).collect();
    laid.into_iter().collect()
}

/// Takes all of them away, with the list of branches.
///
/// # Errors
/// Io, when nothing can be written.
pub fn lift_all(dir: &Path) -> Result<()> {
    for shim in ALL {
        shim.lift(dir)?;
    }
    let path = dir.join(TARGETS);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::Io, || format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The branches that polecats do not move in `dir`.
///
/// # Errors
/// Io, when the list is there and cannot be read.
pub fn targets(dir: &Path) -> Result<BTreeSet<String>> {
    let path = dir.join(TARGETS);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.strip_prefix("refs/heads/")).map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    }
}

/// Refuses a repository in which git does not look for hooks where ours lie, by whosever configuration.
///
/// # Errors
/// Refused, when it is so; external, when git cannot be started.
pub fn check_place(dir: &Path) -> Result<()> {
    let text = program::bare(dir, &["config", "--show-scope", "--get-all", "core.hooksPath"])?.text();
    // What our own children are told is nobody's setting.
    let Some((scope, path)) = text.lines().rev().filter_map(|line| line.split_once('\t')).find(|(scope, _)| *scope != "command")
    else {
        return Ok(());
    };
    Err(Error::refused(format!(
        "git takes the hooks of {} from {} (core.hooksPath, {scope}), so none of gt's runs",
        dir.display(),
        path.escape_debug()
    ))
    .hint("unset core.hooksPath there, or go without them: gt config set git.hooks false"))
}

//! Hubs: bare repositories through which machines exchange ledgers, with hooks that hold the rules.
//!
//! The rules need nothing but a shell and git on the hub's machine, and hold for a plain `git push` as for gt's own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::{init, program};
use crate::store::{Store, write_file};

/// The hook that judges each push.
pub(super) const PRE_RECEIVE: &str = include_str!("../../hooks/hub/pre-receive");
/// What every version of it has in its second line.
pub(super) const MARK: &str = "gt hub rules";

/// Settings of a hub, see git-config(1). Deletions and replacements are judged by the hook, ref by ref;
/// `receive.denyNonFastForwards` is about branches only, and the project's own.
const SETTINGS: &[(&str, &str)] = &[
    ("core.fsync", "all"),
    ("core.logAllRefUpdates", "always"),
    ("core.hooksPath", "hooks"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("receive.autogc", "false"),
    ("receive.fsckObjects", "true"),
];

/// What was found at a hub's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing; the repository was made.
    Nothing,
    /// A bare repository without our rules.
    Repository,
    /// A hub of ours, perhaps with older rules.
    Hub,
}

/// Makes `dir` a hub, or renews its rules and settings. Done again it changes nothing.
///
/// # Errors
/// Refused, when there is something else: no bare repository, a town's own, refs that are no files, or somebody's hook.
pub fn make(dir: &Path) -> Result<Found> {
    let found = look(dir)?;
    if found == Found::Nothing {
        init::init_bare(dir, "main")?;
        // Nobody works in a hub, so git's own collection, with its two weeks of grace, is the one that it has.
        program::bare_ok(dir, &["config", "--unset-all", "extensions.preciousObjects"])?;
    }
    let get = |key: &str| program::bare(dir, &["config", "--local", "--get", key]).map(|output| output.text());
    for (key, value) in SETTINGS {
        if get(key)? != *value {
            program::bare_ok(dir, &["config", "--replace-all", key, value])?;
        }
    }
    let hook = dir.join("hooks/pre-receive");
    let has_newest = std::fs::read(&hook).is_ok_and(|bytes| bytes == PRE_RECEIVE.as_bytes());
    if !has_newest {
        write_file(&hook, PRE_RECEIVE.as_bytes())?;
    }
    let allow = || -> std::io::Result<()> {
        if std::fs::metadata(&hook)?.permissions().mode() & 0o111 == 0o111 {
            return Ok(());
        }
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
        std::fs::File::open(&hook)?.sync_all()
    };
    allow().or_fail(Kind::Io, || format!("make {} executable", hook.display()))?;
    Ok(found)
}

/// What stands at `dir`.
fn look(dir: &Path) -> Result<Found> {
    let is_empty = std::fs::read_dir(dir).map_or(!dir.exists(), |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(Found::Nothing);
    }
    let refused = |why: String, hint: &str| Err(Error::refused(why).hint(hint.to_owned()));
    if !dir.join("HEAD").is_file() || !dir.join("objects").is_dir() {
        return refused(format!("{} is no bare repository", dir.display()), "name a new directory, or a bare repository");
    }
    if dir.join("gt").is_dir() {
        // Its hooks and settings are those of the worktrees beside it.
        return refused(
            format!("{} is the repository of a town or rig itself", dir.display()),
            "a hub is a repository of its own, which machines exchange with",
        );
    }
    // Opening it also refuses refs that are kept otherwise than as files.
    Store::open(dir)?;
    if program::bare_ok(dir, &["rev-parse", "--is-bare-repository"])? != "true" {
        return refused(format!("{} is not bare", dir.display()), "a hub has no checkout: git clone --bare makes one");
    }
    let path = program::bare(dir, &["config", "--local", "--get", "core.hooksPath"])?.text();
    if !["", "hooks"].contains(&path.as_str()) {
        return refused(
            format!("{} takes its hooks from elsewhere (core.hooksPath)", dir.display()),
            "unset that there first: the rules must be where git looks for them",
        );
    }
    match std::fs::read_to_string(dir.join("hooks/pre-receive")) {
        Ok(text) if text.lines().nth(1).is_some_and(|line| line.contains(MARK)) => Ok(Found::Hub),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Repository),
        _ => refused(
            format!("{} has a pre-receive hook of its own", dir.display()),
            "rename it to hooks/pre-receive.local, which is run after the rules of gt",
        ),
    }
}

//! Makes bare repositories whose layout survives what agents do to their configuration.
//!
//! Coding agents flip `core.bare` and `extensions.worktreeConfig` in the shared configuration. Neither flip hurts
//! here: the extension is on from the start, `core.bare = true` stands only in the bare repository's own
//! `config.worktree`, and each worktree says `core.bare = false` in its own. Object format sha1 and ref format
//! files are what a repository without those extensions has, whatever a later git makes its default.

use std::path::Path;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::promised::Filter;
use crate::store::{sync_dir, write_file};

/// The shared configuration: no maintenance that moves or prunes on its own, agents' own commits reach the disk,
/// every ref keeps a log, and only `gt maintain` removes objects. See git-config(1).
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 1
\tfilemode = true
\tlogAllRefUpdates = always
\tfsync = all
\tfsyncMethod = batch
[extensions]
\tworktreeConfig = true
\tpreciousObjects = true
[gc]
\tauto = 0
\tpackRefs = false
[receive]
\tautogc = false
[maintenance]
\tauto = false
";

/// What git finds out about the file system of a Mac when it makes a repository.
const MAC_CONFIG: &str = "[core]\n\tignorecase = true\n\tprecomposeunicode = true\n";

/// The bare repository's own part of the configuration.
const BARE: &str = "[core]\n\tbare = true\n";

/// A worktree's own part of the configuration.
const NOT_BARE: &str = "[core]\n\tbare = false\n";

/// Directories of an empty repository, parents before children.
const DIRS: &[&str] = &["objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags", "info", "hooks"];

/// Makes an empty bare repository at `dir`, which must not hold one; `HEAD` names `default_branch`.
///
/// # Errors
/// Usage, when the branch name is not one; refused, when there is a repository; io otherwise.
pub fn init_bare(dir: &Path, default_branch: &str) -> Result<()> {
    check_branch(default_branch)?;
    let deed = || format!("make the repository {}", dir.display());
    if dir.join("HEAD").exists() {
        return Err(
            Error::refused(format!("there is a repository at {} already", dir.display())).hint("choose another directory")
        );
    }
    std::fs::create_dir_all(dir).or_fail(Kind::Io, deed)?;
    for part in DIRS {
        std::fs::create_dir_all(dir.join(part)).or_fail(Kind::Io, deed)?;
    }
    let mut config = CONFIG.to_owned();
    if cfg!(target_os = "macos") {
        config.push_str(MAC_CONFIG);
    }
    write_file(&dir.join("config"), config.as_bytes())?;
    write_file(&dir.join("config.worktree"), BARE.as_bytes())?;
    // Without HEAD it is no repository; so it comes last.
    point_head(dir, default_branch)?;
    for part in DIRS {
        sync_dir(&dir.join(part))?;
    }
    sync_dir(dir)
}

/// Lets the bare repository's `HEAD` name `branch`.
pub(crate) fn point_head(dir: &Path, branch: &str) -> Result<()> {
    write_file(&dir.join("HEAD"), format!("ref: refs/heads/{branch}\n").as_bytes())
}

/// Says in the worktree's own configuration that it is not bare; `worktree_id` names it below `<git_dir>/worktrees`.
///
/// What git or an agent wrote there stays. Doing it again changes nothing.
///
/// # Errors
/// Usage, when the id is no plain name; not found, when there is no such worktree; io otherwise.
pub fn mark_worktree(git_dir: &Path, worktree_id: &str) -> Result<()> {
    if worktree_id.is_empty() || worktree_id.starts_with('.') || worktree_id.contains(['/', '\0']) {
        return Err(Error::usage(format!("'{}' is not the id of a worktree", worktree_id.escape_debug())));
    }
    let dir = git_dir.join("worktrees").join(worktree_id);
    if !dir.is_dir() {
        return Err(Error::not_found(format!("there is no worktree '{}'", worktree_id.escape_debug())));
    }
    let path = dir.join("config.worktree");
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    };
    if text.ends_with(NOT_BARE) {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // The last value of a key counts, so what stands before needs no parsing.
    text.push_str(NOT_BARE);
    write_file(&path, text.as_bytes())
}

/// Refuses what cannot be a branch.
pub(crate) fn check_branch(branch: &str) -> Result<()> {
    let full = format!("refs/heads/{branch}");
    let is_good = !branch.starts_with('-') && gix::validate::reference::name(full.as_str().into()).is_ok();
    if is_good { Ok(()) } else { Err(Error::usage(format!("'{}' cannot be a branch", branch.escape_debug()))) }
}

/// Adds the remote `origin` at `url` to the configuration, fetched into `refs/remotes/origin/`, with `branch` following it;
/// of a partial clone with what it left out and promised, as `git clone --filter` has it.
pub(crate) fn add_origin(dir: &Path, url: &str, branch: &str, filter: Option<&Filter>) -> Result<()> {
    let path = dir.join("config");
    let mut text = std::fs::read_to_string(&path).or_fail(Kind::Io, || format!("read {}", path.display()))?;
    text.push_str(&remote_section(url, branch, filter));
    write_file(&path, text.as_bytes())
}

fn remote_section(url: &str, branch: &str, filter: Option<&Filter>) -> String {
    // Not `extensions.partialClone`: git needs it no more, and other programs would refuse the repository for it.
    let promise = filter.map(|filter| format!("\tpromisor = true\n\tpartialclonefilter = {filter}\n")).unwrap_or_default();
    format!(
        "[remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n{promise}[branch {}]\n\tremote = origin\n\tmerge = {}\n",
        quoted(url),
        quoted(branch),
        quoted(&format!("refs/heads/{branch}")),
    )
}

/// A value as git-config(1) reads it back; control characters were refused before.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::program::{bare_ok, run, run_ok};
    use crate::store::Store;

    fn made() -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join(".repo.git");
        init_bare(&dir, "main").unwrap();
        (home, dir)
    }

    fn with_commit(dir: &Path) -> String {
        let tree = bare_ok(dir, &["hash-object", "-w", "-t", "tree", "/dev/null"]).unwrap();
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let commit = bare_ok(dir, &[author.as_slice(), &["commit-tree", &tree, "-m", "x"]].concat()).unwrap();
        bare_ok(dir, &["update-ref", "refs/heads/main", &commit]).unwrap();
        commit
    }

    #[test]
    fn a_new_repository_is_one_to_git_and_to_us() {
        let (_home, dir) = made();
        assert_eq!(bare_ok(&dir, &["rev-parse", "--is-bare-repository"]).unwrap(), "true");
        assert_eq!(bare_ok(&dir, &["config", "core.fsync"]).unwrap(), "all");
        assert_eq!(bare_ok(&dir, &["symbolic-ref", "HEAD"]).unwrap(), "refs/heads/main");
        assert!(run(dir.parent().unwrap(), &["--git-dir", ".repo.git", "fsck", "--strict"]).unwrap().is_success());
        assert!(Store::open(&dir).unwrap().is_durable());
        assert_eq!(init_bare(&dir, "main").unwrap_err().kind, Kind::Refused);
    }

    #[test]
    fn no_flip_of_the_shared_configuration_hurts_repository_or_worktree() {
        let (home, dir) = made();
        let commit = with_commit(&dir);
        let tree = home.path().join("tree");
        bare_ok(&dir, &["worktree", "add", "-q", "-b", "side", tree.to_str().unwrap(), "main"]).unwrap();
        mark_worktree(&dir, "tree").unwrap();
        mark_worktree(&dir, "tree").unwrap();
        let set = |key: &str, value: &str| {
            run_ok(home.path(), &["config", "-f", ".repo.git/config", key, value]).unwrap();
        };
        for (key, value) in [
            ("core.bare", "true"),
            ("core.bare", "false"),
            ("extensions.worktreeConfig", "false"),
            ("core.bare", "true"),
            ("extensions.worktreeConfig", "true"),
        ] {
            set(key, value);
            assert_eq!(run_ok(&tree, &["status", "--porcelain"]).unwrap(), "", "{key}={value}");
            let log = run_ok(home.path(), &["--git-dir", ".repo.git", "log", "--format=%H", "main"]).unwrap();
            assert_eq!(log, commit, "{key}={value}");
            let store = Store::open(&dir).unwrap();
            assert_eq!(store.read_ref("refs/heads/main").unwrap().unwrap().to_string(), commit, "{key}={value}");
        }
    }

    #[test]
    fn names_that_git_would_misread_are_refused() {
        let home = tempfile::tempdir().unwrap();
        for bad in ["-x", "a..b", "", "a b", "a.lock", "x\ny"] {
            assert_eq!(init_bare(&home.path().join("r"), bad).unwrap_err().kind, Kind::Usage, "{bad}");
        }
        let (_home, dir) = made();
        assert_eq!(mark_worktree(&dir, "../..").unwrap_err().kind, Kind::Usage);
        assert_eq!(mark_worktree(&dir, "none").unwrap_err().kind, Kind::NotFound);
    }
}

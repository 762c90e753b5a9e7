//! Runs the git program with a clean environment, for what gix cannot do.
//!
//! Promises: an inherited `GIT_DIR` or `GIT_INDEX_FILE` never makes a child act on another repository, no hook
//! or file-system monitor of a project runs, and nothing asks on the terminal. Does not promise a timeout.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::store::lock::KernelLock;

/// What a finished git program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, as it is.
    pub stdout: Vec<u8>,
    /// Standard error, with what is not UTF-8 replaced.
    pub stderr: String,
}

/// Settings that every child gets; see git-config(1) for each.
const SETTINGS: &[&str] =
    &["core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never", "safe.bareRepository=explicit"];

/// `GIT_*` variables that a child keeps: they name the user's own configuration and way in, never a repository.
const KEPT: &[&str] = &[
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_SSL_NO_VERIFY",
    "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME",
];

impl Output {
    /// Whether the program ended with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line of standard error that says something.
    #[must_use]
    pub fn last_line(&self) -> &str {
        self.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing")
    }

    /// What a failure is: the disk's when git says so, else one outside of gt.
    #[must_use]
    pub fn failure(&self) -> Kind {
        // Children speak English here; the last is what git says of its own configuration file.
        let disk = [
            "No space left on device",
            "Out of diskspace",
            "Disk quota exceeded",
            "Read-only file system",
            "failed to write new configuration",
        ];
        if disk.iter().any(|words| self.stderr.contains(words)) { Kind::Io } else { Kind::External }
    }

    /// Standard output as text without its final newline.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }
}

/// Runs `git` with `args` in directory `dir`, the top of a checkout; never looked for above it. Any exit code is an answer.
///
/// # Errors
/// External, when git cannot be started.
pub fn run(dir: &Path, args: &[&str]) -> Result<Output> {
    finish(command(dir, args), args)
}

/// Runs `git` with `args` in directory `dir` and tells its standard output without the final newline.
///
/// # Errors
/// External, when git cannot be started or ends with anything but 0.
pub fn run_ok(dir: &Path, args: &[&str]) -> Result<String> {
    expect_success(&run(dir, args)?, args)
}

/// Runs `git` with `args` on the bare repository `git_dir`. Any exit code is an answer.
///
/// # Errors
/// External, when git cannot be started.
pub fn bare(git_dir: &Path, args: &[&str]) -> Result<Output> {
    finish(bare_command(git_dir, args), args)
}

/// Runs `git` with `args` on the bare repository `git_dir` and tells its standard output without the final newline.
///
/// # Errors
/// External, when git cannot be started or ends with anything but 0.
pub fn bare_ok(git_dir: &Path, args: &[&str]) -> Result<String> {
    expect_success(&bare(git_dir, args)?, args)
}

/// As [`run`], with `variables` set for this one child, e.g. `GIT_INDEX_FILE` for an index of its own.
///
/// # Errors
/// External, when git cannot be started.
pub fn run_with(dir: &Path, args: &[&str], variables: &[(&str, OsString)]) -> Result<Output> {
    let mut command = command(dir, args);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    finish(command, args)
}

/// As [`run`], with a lock that the child holds too, so that nobody goes on where a killed gt left it running.
///
/// # Errors
/// External, when git cannot be started.
pub fn run_holding(dir: &Path, args: &[&str], lock: &KernelLock) -> Result<Output> {
    let mut command = command(dir, args);
    command.stdin(lock.lend()?);
    finish(command, args)
}

/// As [`bare`], with `variables` set for this one child, e.g. `GIT_OBJECT_DIRECTORY` for scratch objects.
///
/// # Errors
/// External, when git cannot be started.
pub fn bare_with(git_dir: &Path, args: &[&str], variables: &[(&str, OsString)]) -> Result<Output> {
    let mut command = bare_command(git_dir, args);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    finish(command, args)
}

/// As [`bare`], with `input` for git to read.
///
/// # Errors
/// External, when git cannot be started.
pub fn fed(git_dir: &Path, args: &[&str], input: &[u8]) -> Result<Output> {
    finish_with(bare_command(git_dir, args), args, input)
}

/// As [`bare`], for what talks to a remote: where somebody sits at a terminal, git may ask there for a password that no
/// credential helper knows. `input` is what git reads, `variables` are set for this one child.
///
/// # Errors
/// External, when git cannot be started.
pub fn talking_with(git_dir: &Path, args: &[&str], variables: &[(&str, OsString)], input: &[u8]) -> Result<Output> {
    let mut command = bare_command(git_dir, args);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    if may_ask() {
        command.env("GIT_TERMINAL_PROMPT", "1");
    }
    finish_with(command, args, input)
}

/// Whether somebody can be asked: there is a terminal, and `GIT_TERMINAL_PROMPT` does not forbid it.
pub(crate) fn may_ask() -> bool {
    let is_forbidden =
        env::text(Var::TerminalPrompt).is_some_and(|value| ["0", "false", "no", "off"].contains(&value.to_lowercase().as_str()));
    !is_forbidden && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// git at the other end of a line on this machine: with the settings of the repository there, its hooks among them.
#[expect(clippy::disallowed_methods, reason = "this module owns the git program")]
pub(crate) fn far_end() -> Command {
    let mut command = Command::new("git");
    cleaned(&mut command);
    command
}

/// A program that the user's configuration names for the way to a remote; `words` go through the shell when they are
/// more than words, unless they are the plain path of one.
#[expect(clippy::disallowed_methods, reason = "this module owns the programs that git names")]
pub(crate) fn named(words: &OsStr, is_plain: bool) -> Command {
    let is_special = |c: char| "|&;<>()$`\\\"'\n*?[#~=%{!".contains(c);
    let mut command = match words.to_str() {
        _ if is_plain => Command::new(words),
        // Run directly it can be ended, and not only the shell around it.
        Some(text) if !text.contains(is_special) => {
            let mut words = text.split_whitespace();
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words);
            command
        }
        _ => {
            let mut shell = Command::new("sh");
            let mut script = words.to_owned();
            script.push(" \"$@\"");
            shell.arg("-c").arg(script).arg(words);
            shell
        }
    };
    cleaned(&mut command);
    command
}

/// Runs git's `verb` with `words` for somebody who looks on: in `dir` of the checkout at `top`, with the project's hooks and
/// the user's configuration, what it says on standard error. Tells the exit code; `None`, when a signal ended it.
///
/// # Errors
/// External, when git cannot be started.
#[expect(clippy::disallowed_methods, reason = "this module owns the git program")]
pub fn attended(dir: &Path, top: &Path, verb: &str, words: &[OsString], variables: &[(&str, String)]) -> Result<Option<i32>> {
    let mut command = Command::new("git");
    for name in foreign_variables() {
        command.env_remove(name);
    }
    // One whose `.git` goes away meanwhile must not make git act on a repository further up.
    if let Some(above) = top.parent() {
        command.env("GIT_CEILING_DIRECTORIES", above);
    }
    command.current_dir(dir).envs(variables.iter().map(|(name, value)| (name, value))).arg(verb).args(words);
    command.stdout(std::io::stderr());
    let status = command.status().or_fail(Kind::External, || format!("start git {verb}"))?;
    Ok(status.code())
}

/// Takes foreign variables away, with who acts, and sets one language, so that what is said can be shown beside ours and looked up.
fn cleaned(command: &mut Command) {
    for name in foreign_variables() {
        command.env_remove(name);
    }
    // Hooks of repositories at the other end on this machine must not take what gt pushes for a polecat's own doing.
    command.env_remove(Var::Actor.name()).env_remove(Var::Role.name());
    command.env("LC_ALL", "C").env("LANG", "C");
}

fn bare_command(git_dir: &Path, args: &[&str]) -> Command {
    let mut command = plain_command(git_dir);
    command.arg("--git-dir").arg(".").args(args);
    command
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = plain_command(dir);
    // A checkout whose `.git` is gone must not make git act on a repository further up.
    if let Some(above) = std::path::absolute(dir).ok().as_deref().and_then(Path::parent) {
        command.env("GIT_CEILING_DIRECTORIES", above);
    }
    command.args(args);
    command
}

#[expect(clippy::disallowed_methods, reason = "this module owns the git program")]
fn plain_command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).stdin(Stdio::null());
    cleaned(&mut command);
    command.env("GIT_TERMINAL_PROMPT", "0");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
}

/// Inherited `GIT_*` variables that must not reach a child: any of them may name another repository.
pub(crate) fn foreign_variables() -> Vec<OsString> {
    env::inherited(|name| name.starts_with("GIT_") && !KEPT.contains(&name)).into_iter().map(|(name, _)| name).collect()
}

fn finish(mut command: Command, args: &[&str]) -> Result<Output> {
    tracing::debug!(?args, "git");
    ended(command.output(), args)
}

/// As [`finish`], with `input` for git to read.
fn finish_with(mut command: Command, args: &[&str], input: &[u8]) -> Result<Output> {
    if input.is_empty() {
        return finish(command, args);
    }
    tracing::debug!(?args, bytes = input.len(), "git");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = || -> std::io::Result<std::process::Output> {
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            // Who ends without reading all of it says why in its own words.
            scope.spawn(move || stdin.map(|mut stdin| std::io::Write::write_all(&mut stdin, input)));
            child.wait_with_output()
        })
    };
    ended(run(), args)
}

fn ended(finished: std::io::Result<std::process::Output>, args: &[&str]) -> Result<Output> {
    let deed = || format!("start git {}", args.first().copied().unwrap_or_default());
    let finished = finished.or_fail(Kind::External, deed).map_err(|error| error.hint("is git installed and on PATH?"))?;
    let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
    Ok(Output { code: finished.status.code(), stdout: finished.stdout, stderr })
}

/// Whether git could not be started since there is none, and not for another reason.
#[must_use]
pub fn is_absent(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::NotFound)
}

fn expect_success(output: &Output, args: &[&str]) -> Result<String> {
    if output.is_success() {
        return Ok(output.text());
    }
    let what = args.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or("git");
    let code = output.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
    let line: String = output.last_line().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Err(Error::new(output.failure(), format!("git {what} ended with {code}: {line}")))
}

/// The arguments and variables of a command, for looking at.
#[cfg(test)]
fn variables(command: &Command) -> Vec<(&std::ffi::OsStr, Option<&std::ffi::OsStr>)> {
    command.get_envs().collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn an_answer_keeps_its_exit_code_and_its_words() {
        let dir = tempfile::tempdir().unwrap();
        let output = run(dir.path(), &["rev-parse", "--git-dir"]).unwrap();
        assert_eq!(output.code, Some(128));
        assert!(output.last_line().contains("not a git repository"), "{}", output.stderr);
        let error = run_ok(dir.path(), &["rev-parse", "--git-dir"]).unwrap_err();
        assert_eq!(error.kind, Kind::External);
        assert!(error.message.starts_with("git rev-parse ended with code 128: fatal:"), "{}", error.message);
        assert!(run_ok(dir.path(), &["version"]).unwrap().starts_with("git version"));
    }

    #[test]
    fn a_bare_repository_is_only_touched_by_name() {
        let dir = tempfile::tempdir().unwrap();
        run_ok(dir.path(), &["init", "-q", "--bare", "-b", "main", "b"]).unwrap();
        let bare_dir = dir.path().join("b");
        assert_eq!(bare_ok(&bare_dir, &["symbolic-ref", "HEAD"]).unwrap(), "refs/heads/main");
        assert!(run_ok(&bare_dir, &["symbolic-ref", "HEAD"]).is_err());
    }

    #[test]
    fn a_child_gets_no_variable_that_names_a_repository() {
        let command = plain_command(Path::new("."));
        let kept = variables(&command);
        assert!(kept.contains(&(OsStr::new("GIT_TERMINAL_PROMPT"), Some(OsStr::new("0")))));
        for (name, value) in kept {
            let is_foreign = name.to_string_lossy().starts_with("GIT_") && name != "GIT_TERMINAL_PROMPT";
            assert!(!(is_foreign && value.is_some()), "{}", name.display());
        }
    }

    #[test]
    fn a_checkout_without_its_git_file_is_not_looked_for_further_up() {
        let outer = tempfile::TempDir::new().unwrap();
        run_ok(outer.path(), &["init", "-q", "."]).unwrap();
        let inner = outer.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        assert!(run_ok(outer.path(), &["rev-parse", "--git-dir"]).is_ok());
        assert!(run_ok(&inner, &["rev-parse", "--git-dir"]).is_err());
    }
}

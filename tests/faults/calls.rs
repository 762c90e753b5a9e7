//! strace: which calls a command makes that change files, and faults injected into one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::town::Outcome;

/// The calls that change files; of the opening ones only those that may create are taken.
const CALLS: &[&str] = &[
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "syncfs",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "openat",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
    "symlink",
    "symlinkat",
    "ftruncate",
];

/// The `nth` time that a process of the command makes `call`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub call: &'static str,
    pub nth: usize,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed when it enters the call.
    Killed,
    /// The call fails.
    Once(&'static str),
    /// The call and all of its kind after it fail.
    ForEver(&'static str),
}

/// The errors that are given.
pub const ERRORS: &[&str] = &["ENOSPC", "EIO", "EROFS", "EMFILE"];

/// Whether strace can trace and inject here.
pub fn check() -> Result<(), String> {
    for (what, inject) in [("an error", "inject=write:error=EIO:when=1"), ("a kill", "inject=write:signal=SIGKILL:when=1")] {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", inject, "echo", "through"]);
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() || !output.stdout.is_empty() {
            return Err(format!("{what} has no effect"));
        }
    }
    Ok(())
}

fn traced(command: &Command, log: &Path, inject: Option<&str>) -> Command {
    let mut strace = Command::new("strace");
    // Not with --seccomp-bpf, which is faster: strace 6.1 then injects errors but loses signals.
    strace.args(["-f", "-qq", "-s", "200", "-o"]).arg(log);
    strace.arg("-e").arg(format!("trace={}", CALLS.join(",")));
    if let Some(inject) = inject {
        strace.arg("-e").arg(format!("inject={inject}"));
    }
    strace.arg(command.get_program()).args(command.get_args());
    strace.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.stdin(std::process::Stdio::null());
    if let Some(dir) = command.get_current_dir() {
        strace.current_dir(dir);
    }
    strace
}

/// Runs the command once without a fault; it must succeed. Answers the points at which it can be hit.
pub fn points(command: &Command, log: &Path) -> Vec<Point> {
    let output = traced(command, log, None).output().unwrap();
    Outcome::of(format!("{command:?}"), output).succeeds();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut points = BTreeSet::new();
    for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((name, args)) = rest.trim_start().split_once('(') else { continue };
        let Some(call) = CALLS.iter().find(|call| **call == name) else { continue };
        let nth = counts.entry((pid.to_owned(), call)).or_default();
        *nth += 1;
        if *call != "openat" || args.contains("O_CREAT") {
            points.insert(Point { call, nth: *nth });
        }
    }
    points.into_iter().collect()
}

/// How a command with a fault ended.
pub struct Hit {
    pub outcome: Outcome,
    /// Whether it came to the point at all.
    pub took_effect: bool,
    /// Whether a line of its answer was what was hit.
    pub was_muted: bool,
    /// Whether the system's loader was hit, before any of gt ran.
    pub never_began: bool,
}

/// Runs the command with the fault.
pub fn run(command: &Command, log: &Path, point: Point, fault: Fault) -> Hit {
    let Point { call, nth } = point;
    let inject = match fault {
        Fault::Killed => format!("{call}:signal=SIGKILL:when={nth}"),
        Fault::Once(error) => format!("{call}:error={error}:when={nth}"),
        Fault::ForEver(error) => format!("{call}:error={error}:when={nth}+"),
    };
    let outcome = Outcome::of(format!("{fault:?} at {call} {nth}"), traced(command, log, Some(&inject)).output().unwrap());
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let took_effect = text.contains("(INJECTED)") || (fault == Fault::Killed && outcome.code != 0);
    let is_answer = |line: &str| line.contains(" write(1, ") || line.contains(" write(2, ");
    let was_muted = text.lines().any(|line| is_answer(line) && line.contains("(INJECTED)"));
    let never_began = outcome.code == 127 && outcome.stderr.contains("error while loading shared libraries");
    Hit { outcome, took_effect, was_muted, never_began }
}

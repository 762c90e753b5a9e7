//! Commands that are waited for: a clean environment, a process group, a time-out and a bounded log.
//!
//! Gates run here, each in a cgroup of its own where one can be made. When a command is over, nothing of it runs on,
//! whether it ended by itself, was too slow, or was dropped; see [`super`] for what cannot be reached.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions};
use tokio::process::ChildStdout;

use super::group::{self, For, Group};
use super::log::Log;
use super::pen::{self, Pen};
use crate::error::{Kind, OrFail, Result};
use crate::time::Stopwatch;

pub use super::log::TAIL_LINES_MAX;

/// How much of a command's output is kept by default.
pub const LOG_BYTES_MAX: u64 = 10_000_000;

/// How long a command that is too slow has to end in good order.
const GRACE_MILLIS: u64 = 2_000;
/// The same for what a finished command left running.
const STRAY_GRACE_MILLIS: u64 = 200;
/// How long output is still read after the group is gone; only somebody who left the group can hold it open.
const DRAIN_MILLIS_MAX: u64 = 200;
/// How long a killed leader may take to die before it is left to the kernel.
const REAP_MILLIS_MAX: u64 = 2_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Goes into the cgroup `$1` and to the niceness `$2`, where these are given and allowed, then becomes the command
/// `$3`, run by the words that follow, if any do. The shell itself goes in, so that nothing which the command starts is ever outside.
const KEEPER: &str = r#"if [ -n "$1" ]; then { echo 0 >"$1/cgroup.procs"; } 2>/dev/null; fi
nice=$2; line=$3; shift 3
if [ -n "$nice" ] && command -v nice >/dev/null; then exec nice -n "$nice" "$@" sh -c "$line"; fi
exec "$@" sh -c "$line""#;

/// What to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The command line for `sh -c`. Nothing foreign may be pasted into it: that goes by `env`.
    pub command: String,
    /// Where it runs.
    pub dir: PathBuf,
    /// Variables besides the allow-listed ones.
    pub env: Vec<(String, OsString)>,
    /// The file that its output goes to, both streams in order; made anew.
    pub log: PathBuf,
    /// After how many milliseconds it is ended.
    pub timeout_millis: u64,
    /// How many bytes of output are kept, half of them its beginning and half its end; the rest is read and dropped,
    /// so that the command does not block.
    pub log_bytes_max: u64,
    /// Its share of the processor as a cgroup counts it, from 1 to 10,000; 100 is usual.
    pub cpu_weight: u32,
    /// The words that run it, such as those of a sandbox; none: it runs by itself.
    pub wrapper: Vec<String>,
}

impl Spec {
    /// `command` for `sh -c` in `dir`, with [`LOG_BYTES_MAX`].
    #[must_use]
    pub fn shell(command: &str, dir: &Path, log: PathBuf, timeout_millis: u64) -> Self {
        Self {
            command: command.to_owned(),
            dir: dir.to_owned(),
            env: Vec::new(),
            log,
            timeout_millis,
            log_bytes_max: LOG_BYTES_MAX,
            cpu_weight: 100,
            wrapper: Vec::new(),
        }
    }
}

/// Whether a program of this name or path is found as a command would find it.
fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = crate::env::os(crate::env::Var::Path).unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(i32),
    /// By this signal, which was not ours.
    Signaled(i32),
    /// It was too slow and was ended.
    TimedOut,
    /// The kernel killed something of it because memory was short.
    OutOfMemory,
    /// It could not start; why.
    CannotStart(String),
}

/// A command that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// The last lines of its output, at most [`TAIL_LINES_MAX`].
    pub log_tail: String,
    /// How long it took.
    pub took_millis: u64,
}

/// Runs `spec` to its end, on a tokio runtime with time and io. Dropping the future kills what runs.
pub async fn run(spec: Spec) -> Finished {
    let watch = Stopwatch::start();
    let mut running = match Running::start(&spec) {
        Ok(running) => running,
        Err(why) => {
            return Finished { ended: Ended::CannotStart(why), log_tail: String::new(), took_millis: watch.millis() };
        }
    };
    let is_timed_out = running.until_exit(&watch, spec.timeout_millis).await;
    let took_millis = watch.millis();
    running.end_group(if is_timed_out { GRACE_MILLIS } else { STRAY_GRACE_MILLIS }).await;
    let status = running.reap().await;
    let ended = if is_timed_out { Ended::TimedOut } else { running.ended_by(status) };
    Finished { ended, log_tail: running.log.finish(), took_millis }
}

/// The same, for whoever has no such runtime: waits for the end here.
///
/// # Errors
/// Io, when no runtime can be started.
pub fn run_here(spec: Spec) -> Result<Finished> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.or_fail(Kind::Io, || "start the runtime that commands run on")?.block_on(run(spec)))
}

/// Kills what an earlier, killed process left running for commands in `dir`; tells how many processes at least.
///
/// Only for a `dir` that the caller has to itself (holds the lock of): its marks tell the place, not the owner.
/// Finds nothing where there is no `/proc`; cgroups that were made for commands there are ended and removed.
#[must_use]
pub fn sweep(dir: &Path) -> u32 {
    group::signal_place(Signal::KILL, dir).max(pen::sweep(dir))
}

/// How nice a command is that may not be given a share: the kernel's own scale, on which each step is worth a fifth less.
/// Nobody may be given more than usual this way.
fn niceness(cpu_weight: u32) -> Option<u32> {
    let steps = (100.0 / f64::from(cpu_weight.max(1))).ln() / 1.25_f64.ln();
    (1..=19).rev().find(|nice| f64::from(*nice) <= steps + 0.5)
}

/// A started command. Its leader is reaped only after its group is gone: until then nobody else can get its number.
struct Running {
    child: Child,
    mark: String,
    pen: Option<Pen>,
    output: Option<ChildStdout>,
    log: Log,
    is_reaped: bool,
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
    fn start(spec: &Spec) -> std::result::Result<Self, String> {
        let log = Log::create(&spec.log, spec.log_bytes_max);
        let log = log.map_err(|error| format!("make the log {}: {error}", spec.log.display()))?;
        // One pipe for both streams keeps their lines in order.
        let (reader, writer) = std::io::pipe().map_err(|error| format!("make a pipe: {error}"))?;
        let also = writer.try_clone().map_err(|error| format!("make a pipe: {error}"))?;
        let output = ChildStdout::from_std(OwnedFd::from(reader).into()).map_err(|error| format!("read a pipe: {error}"))?;
        let mark = group::fresh_mark(&spec.dir);
        if !spec.dir.is_dir() {
            return Err(format!("there is no directory {}", spec.dir.display()));
        }
        if let Some(program) = spec.wrapper.first().filter(|program| !is_there(program)) {
            // A gate that is missing speaks of the tree, a sandbox that is missing of this machine.
            return Err(format!("the wrapper '{}' was not found", program.escape_debug()));
        }
        let pen = Pen::make(&spec.dir, spec.cpu_weight);
        let cgroup = pen.as_ref().map(|pen| pen.dir().as_os_str().to_owned()).unwrap_or_default();
        let nice = niceness(spec.cpu_weight).filter(|_| !pen.as_ref().is_some_and(Pen::is_weighed));
        let mut words: Vec<OsString> = vec!["-c".into(), KEEPER.into(), "sh".into(), cgroup];
        words.push(nice.map(|nice| nice.to_string()).unwrap_or_default().into());
        words.push(spec.command.clone().into());
        words.extend(spec.wrapper.iter().map(OsString::from));
        let child = std::process::Command::new("sh")
            .args(words)
            .current_dir(&spec.dir)
            .env_clear()
            .envs(group::environment(For::Gate, &spec.env, &mark))
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(also)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("start sh: {error}"))?;
        Ok(Self { child, mark, pen, output: Some(output), log, is_reaped: false })
    }

    fn ended_by(&self, status: Option<ExitStatus>) -> Ended {
        let Some(status) = status else { return Ended::Signaled(0) };
        let (code, signal) = (status.code(), status.signal().unwrap_or_default());
        if code != Some(0) && self.pen.as_ref().is_some_and(|pen| pen.was_short_of_memory(signal == 9 || code == Some(137))) {
            return Ended::OutOfMemory;
        }
        code.map_or(Ended::Signaled(signal), Ended::Exited)
    }

    /// Waits for the leader's exit, at most until the time is out; tells whether it is.
    async fn until_exit(&mut self, watch: &Stopwatch, timeout_millis: u64) -> bool {
        // A ticker that outlives each round: a flood of output must not put off the look at the clock.
        let mut ticker = tokio::time::interval(LOOK_EVERY);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.log.pump(&mut self.output) => {}
                _ = ticker.tick() => {
                    if self.has_exited() {
                        return false;
                    }
                    if watch.millis() >= timeout_millis {
                        return true;
                    }
                }
            }
        }
    }

    fn has_exited(&self) -> bool {
        let Some(pid) = group::pid_of(self.child.id()) else { return true };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(rustix::process::waitid(WaitId::Pid(pid), look), Ok(None))
    }

    /// Ends all that still runs: TERM, `grace_millis`, KILL.
    async fn end_group(&mut self, grace_millis: u64) {
        for (signal, wait_millis) in [(Signal::TERM, grace_millis), (Signal::KILL, REAP_MILLIS_MAX)] {
            if self.is_gone() {
                break;
            }
            self.signal(signal);
            let watch = Stopwatch::start();
            while !self.is_gone() && watch.millis() < wait_millis {
                self.read_for(20).await;
            }
        }
        self.read_for(DRAIN_MILLIS_MAX).await;
    }

    fn signal(&self, signal: Signal) {
        Group { leader: self.child.id(), mark: &self.mark }.signal(signal, true);
        if let Some(pen) = &self.pen {
            if signal == Signal::KILL { pen.kill() } else { pen.signal(signal) }
        }
    }

    fn is_gone(&self) -> bool {
        let is_left = |pen: &Pen| !pen.is_empty();
        let group = Group { leader: self.child.id(), mark: &self.mark };
        self.has_exited() && !self.pen.as_ref().is_some_and(is_left) && group.members(true).is_empty()
    }

    /// Reads output until its end, at most `millis`.
    async fn read_for(&mut self, millis: u64) {
        let read = async {
            while self.output.is_some() {
                self.log.pump(&mut self.output).await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(millis), read).await.is_ok() && !self.has_exited() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn reap(&mut self) -> Option<ExitStatus> {
        let watch = Stopwatch::start();
        while watch.millis() < REAP_MILLIS_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.is_reaped = true;
                return Some(status);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.signal(Signal::KILL);
            // A killed process is gone in a moment; one that hangs in the kernel is left to it.
            for _ in 0..100 {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::refs::start_time_of;
    use tempfile::TempDir;

    fn on_tokio<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn finished(dir: &TempDir, command: &str, timeout_millis: u64) -> Finished {
        on_tokio(run(Spec::shell(command, dir.path(), dir.path().join("logs/one.log"), timeout_millis)))
    }

    fn pid_in(dir: &TempDir, name: &str) -> u32 {
        std::fs::read_to_string(dir.path().join(name)).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_command_ends_with_its_code_and_its_log_holds_both_streams_in_order() {
        let dir = TempDir::new().unwrap();
        let finished = finished(&dir, "echo one; echo two >&2; echo three; exit 3", 10_000);
        assert_eq!((finished.ended, finished.log_tail.as_str()), (Ended::Exited(3), "one\ntwo\nthree"));
        assert_eq!(std::fs::read_to_string(dir.path().join("logs/one.log")).unwrap(), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_signal_and_a_missing_program_are_told_apart_from_a_failure() {
        let dir = TempDir::new().unwrap();
        assert_eq!(finished(&dir, "kill -9 $$", 10_000).ended, Ended::Signaled(9));
        assert_eq!(finished(&dir, "no-such-program-anywhere", 10_000).ended, Ended::Exited(127));
        let spec = Spec::shell("true", &dir.path().join("gone"), dir.path().join("log"), 10_000);
        let ended = on_tokio(run(spec)).ended;
        assert!(matches!(&ended, Ended::CannotStart(why) if why.contains("no directory")), "{ended:?}");
    }

    #[test]
    fn a_command_that_is_too_slow_ends_with_its_children() {
        let dir = TempDir::new().unwrap();
        let finished = finished(&dir, "sleep 600 & echo $! > pid; echo begun; wait", 300);
        assert_eq!((finished.ended, finished.log_tail.as_str()), (Ended::TimedOut, "begun"));
        assert_eq!(start_time_of(pid_in(&dir, "pid")), None);
        assert!((300..5_000).contains(&finished.took_millis));
    }

    #[test]
    fn a_command_that_ignores_the_polite_signal_is_killed() {
        let dir = TempDir::new().unwrap();
        let finished = finished(&dir, "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done", 200);
        assert_eq!(finished.ended, Ended::TimedOut);
        assert_eq!(start_time_of(pid_in(&dir, "pid")), None);
    }

    #[test]
    fn what_a_finished_command_left_running_is_ended() {
        let dir = TempDir::new().unwrap();
        let finished = finished(&dir, "sleep 600 & echo $! > pid; exit 0", 10_000);
        assert_eq!(finished.ended, Ended::Exited(0));
        assert_eq!(start_time_of(pid_in(&dir, "pid")), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_daemon_that_left_the_group_and_forgot_its_mark_is_found_by_its_cgroup() {
        let dir = TempDir::new().unwrap();
        if Pen::make(dir.path(), 100).is_none() {
            // Nobody may make a cgroup here, and then gt does not either.
            return;
        }
        let daemon = "exec setsid env -i sh -c 'echo $$ > pid; exec sleep 600'";
        let command = format!("({daemon}) & while ! [ -s pid ]; do sleep 0.01; done; cat /proc/self/cgroup");
        let finished = finished(&dir, &command, 10_000);
        assert_eq!(finished.ended, Ended::Exited(0));
        assert!(finished.log_tail.contains("/gt-"), "{}", finished.log_tail);
        assert_eq!(start_time_of(pid_in(&dir, "pid")), None);
        assert_eq!(pen::sweep(dir.path()), 0, "no cgroup is left");
    }

    #[test]
    fn a_gate_of_less_weight_is_nicer_and_one_of_more_is_as_usual() {
        assert_eq!([100, 10_000, 95].map(niceness), [None; 3]);
        assert_eq!([80, 50, 10, 1].map(niceness), [Some(1), Some(3), Some(10), Some(19)]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_daemon_that_left_the_group_is_found_by_its_mark() {
        let dir = TempDir::new().unwrap();
        let command = "setsid sh -c 'echo $$ > pid; exec sleep 600' & while ! [ -s pid ]; do sleep 0.01; done";
        assert_eq!(finished(&dir, command, 10_000).ended, Ended::Exited(0));
        assert_eq!(start_time_of(pid_in(&dir, "pid")), None);
    }

    #[test]
    fn a_flood_of_output_is_cut_but_its_end_is_kept() {
        let dir = TempDir::new().unwrap();
        let mut spec = Spec::shell("yes 0123456789 | head -c 3300000; echo the end", dir.path(), dir.path().join("log"), 30_000);
        spec.log_bytes_max = 10_000;
        let finished = on_tokio(run(spec));
        assert_eq!(finished.ended, Ended::Exited(0));
        assert!(finished.log_tail.ends_with("\nthe end") && finished.log_tail.lines().count() == TAIL_LINES_MAX);
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        let (head, tail) = log.split_once("bytes left out").unwrap();
        assert!(log.len() < 10_100 && head.starts_with("0123456789\n") && tail.ends_with("the end\n"), "{}", log.len());
        assert!(head.len() > 4_900 && tail.len() > 4_900, "both halves are kept");
    }

    #[test]
    fn commands_run_side_by_side_and_one_that_is_dropped_is_killed() {
        let dir = TempDir::new().unwrap();
        let spec = |command: &str, log: &str| Spec::shell(command, dir.path(), dir.path().join(log), 60_000);
        on_tokio(async {
            let slow = tokio::spawn(run(spec("sleep 600 & echo $! > pid; wait", "a")));
            let quick = run(spec("while ! [ -s pid ]; do sleep 0.01; done; exit 1", "b")).await;
            assert_eq!(quick.ended, Ended::Exited(1));
            slow.abort();
            assert!(slow.await.unwrap_err().is_cancelled());
        });
        // Its leader is reaped; of the others only init knows when.
        let watch = Stopwatch::start();
        while start_time_of(pid_in(&dir, "pid")).is_some() {
            assert!(watch.millis() < 5_000, "what was dropped runs on");
        }
    }

    #[test]
    fn the_environment_is_the_allow_list_and_what_was_given() {
        let dir = TempDir::new().unwrap();
        let mut spec = Spec::shell("env", dir.path(), dir.path().join("log"), 10_000);
        spec.env = vec![("GT_SLOT".into(), "4".into())];
        let finished = on_tokio(run(spec));
        let has = |name: &str| finished.log_tail.lines().any(|line| line.starts_with(name));
        assert!(has("GT_SLOT=4") && has("PATH=") && !has("CARGO_PKG_NAME=") && !has("CARGO_MANIFEST_DIR="));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_a_killed_gt_left_running_in_a_place_can_be_swept_away() {
        let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut strays: Vec<Running> = [&dir, &other]
            .iter()
            .map(|place| {
                let spec = Spec::shell("exec sleep 600", place.path(), place.path().join("log"), 1);
                on_tokio(async { Running::start(&spec).unwrap() })
            })
            .collect();
        assert_eq!(sweep(dir.path()), 1);
        assert!(strays[0].child.wait().unwrap().signal() == Some(9) && !strays[1].has_exited());
        strays[0].is_reaped = true;
    }
}

//! Commands that are waited for: a clean environment, a process group, a time-out and a bounded log.
//!
//! Gates run here. When a command is over, nothing of its group runs on, whether it ended by itself, was too
//! slow, or was dropped; see [`super`] for what cannot be reached.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

use super::group::{self, For, Group};
use crate::time::Stopwatch;

/// How much of a command's output is kept by default.
pub const LOG_BYTES_MAX: u64 = 10_000_000;
/// How many lines of output [`Finished::log_tail`] holds at most.
pub const TAIL_LINES_MAX: usize = 60;
const TAIL_BYTES_MAX: usize = 16_384;

/// How long a command that is too slow has to end in good order.
const GRACE_MILLIS: u64 = 2_000;
/// The same for what a finished command left running.
const STRAY_GRACE_MILLIS: u64 = 200;
/// How long output is still read after the group is gone; only somebody who left the group can hold it open.
const DRAIN_MILLIS_MAX: u64 = 200;
/// How long a killed leader may take to die before it is left to the kernel.
const REAP_MILLIS_MAX: u64 = 2_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program, looked up on `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub dir: PathBuf,
    /// Variables besides the allow-listed ones.
    pub env: Vec<(String, OsString)>,
    /// The file that its output goes to, both streams in order; made anew.
    pub log: PathBuf,
    /// After how many milliseconds it is ended.
    pub timeout_millis: u64,
    /// How many bytes of output are kept; the rest is read and dropped, so that the command does not block.
    pub log_bytes_max: u64,
}

impl Spec {
    /// `command` for `sh -c` in `dir`, with [`LOG_BYTES_MAX`].
    #[must_use]
    pub fn shell(command: &str, dir: &Path, log: PathBuf, timeout_millis: u64) -> Self {
        Self {
            program: "sh".into(),
            args: vec!["-c".into(), command.into()],
            dir: dir.to_owned(),
            env: Vec::new(),
            log,
            timeout_millis,
            log_bytes_max: LOG_BYTES_MAX,
        }
    }
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
    let ended = if is_timed_out { Ended::TimedOut } else { ended_by(status) };
    Finished { ended, log_tail: running.log.finish(), took_millis }
}

/// Kills what an earlier, killed process left running for commands in `dir`; tells how many processes.
///
/// Only for a `dir` that the caller has to itself (holds the lock of): its marks tell the place, not the owner.
/// Finds nothing where there is no `/proc`.
#[must_use]
pub fn sweep(dir: &Path) -> u32 {
    group::signal_place(Signal::KILL, dir)
}

fn ended_by(status: Option<ExitStatus>) -> Ended {
    let Some(status) = status else { return Ended::Signaled(0) };
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Signaled(signal.unwrap_or_default()),
    }
}

/// A started command. Its leader is reaped only after its group is gone: until then nobody else can get its number.
struct Running {
    child: Child,
    mark: String,
    output: Option<ChildStdout>,
    log: Log,
    is_reaped: bool,
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
    fn start(spec: &Spec) -> Result<Self, String> {
        let log = Log::create(spec).map_err(|error| format!("make the log {}: {error}", spec.log.display()))?;
        // One pipe for both streams keeps their lines in order.
        let (reader, writer) = std::io::pipe().map_err(|error| format!("make a pipe: {error}"))?;
        let also = writer.try_clone().map_err(|error| format!("make a pipe: {error}"))?;
        let output = ChildStdout::from_std(OwnedFd::from(reader).into()).map_err(|error| format!("read a pipe: {error}"))?;
        let mark = group::fresh_mark(&spec.dir);
        if !spec.dir.is_dir() {
            return Err(format!("there is no directory {}", spec.dir.display()));
        }
        let child = std::process::Command::new(&spec.program)
            .args(&spec.args)
            .current_dir(&spec.dir)
            .env_clear()
            .envs(group::environment(For::Gate, &spec.env, &mark))
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(also)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("start '{}': {error}", spec.program.display()))?;
        Ok(Self { child, mark, output: Some(output), log, is_reaped: false })
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
            Group { leader: self.child.id(), mark: &self.mark }.signal(signal, true);
            let watch = Stopwatch::start();
            while !self.is_gone() && watch.millis() < wait_millis {
                self.read_for(20).await;
            }
        }
        self.read_for(DRAIN_MILLIS_MAX).await;
    }

    fn is_gone(&self) -> bool {
        self.has_exited() && Group { leader: self.child.id(), mark: &self.mark }.members(true).is_empty()
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
            Group { leader: self.child.id(), mark: &self.mark }.signal(Signal::KILL, true);
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

/// The log file, cut at its bound, and the last bytes of the output, cut or not.
struct Log {
    file: Option<File>,
    room: u64,
    left_out: u64,
    tail: VecDeque<u8>,
    chunk: Vec<u8>,
}

impl Log {
    fn create(spec: &Spec) -> std::io::Result<Self> {
        if let Some(dir) = spec.log.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = Some(File::create(&spec.log)?);
        Ok(Self { file, room: spec.log_bytes_max, left_out: 0, tail: VecDeque::new(), chunk: vec![0; 65_536] })
    }

    /// Takes what the output has next; clears it at its end, after which this never returns.
    async fn pump(&mut self, output: &mut Option<ChildStdout>) {
        let Some(open) = output else { return std::future::pending().await };
        match open.read(&mut self.chunk).await {
            Ok(len @ 1..) => self.take(len),
            Ok(0) | Err(_) => *output = None,
        }
    }

    fn take(&mut self, len: usize) {
        let kept = usize::try_from(self.room).unwrap_or(usize::MAX).min(len);
        // A log that cannot be written (disk full) is no reason to end the command.
        if kept > 0 && self.file.as_mut().is_some_and(|file| file.write_all(&self.chunk[..kept]).is_err()) {
            self.file = None;
        }
        self.room -= kept as u64;
        self.left_out += (len - kept) as u64;
        self.tail.extend(&self.chunk[len.saturating_sub(TAIL_BYTES_MAX)..len]);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..surplus);
    }

    /// Closes the file, with the tail in it when its middle was left out, and answers the tail.
    fn finish(&mut self) -> String {
        let bytes: Vec<u8> = self.tail.drain(..).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].join("\n");
        if let Some(mut file) = self.file.take().filter(|_| self.left_out > 0) {
            let _ = write!(file, "\n[gt: {} bytes left out; the last lines were]\n{tail}\n", self.left_out);
        }
        tail
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
        let mut spec = Spec::shell("", dir.path(), dir.path().join("log"), 10_000);
        spec.program = "no-such-program-anywhere".into();
        let ended = on_tokio(run(spec)).ended;
        assert!(matches!(&ended, Ended::CannotStart(why) if why.contains("no-such-program")), "{ended:?}");
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
        assert!(log.len() < 12_000 && log.contains("bytes left out") && log.ends_with("the end\n"), "{}", log.len());
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

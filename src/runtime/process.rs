//! Sessions of the process backend: an agent as a process group with a log and no terminal.
//!
//! A session is known by pid, start time and boot: a number that was used again never passes for it, and is
//! never signalled. The record is written before the agent's command begins, so no agent runs unrecorded.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group::{self, For, Group};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::store::lock::KernelLock;
use crate::store::refs::start_time_of;
use crate::time::{Moment, Stopwatch};

/// How long a start is watched when the program was found beforehand: a script may name a missing interpreter.
const WATCH_FOUND_MILLIS: u64 = 30;
/// How long when the command line is too much for looking its program up.
const WATCH_UNKNOWN_MILLIS: u64 = 300;
/// How long a killed group may take to vanish.
const KILL_MILLIS_MAX: u64 = 2_000;

/// Waits for the word that the record is written, then becomes the command. When the starter dies before
/// that, `read` meets the end of the pipe and nothing ever ran.
const GATE_KEEPER: &str = r#"IFS= read -r go || exit 0; exec </dev/null; exec sh -c "$1""#;

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Whose session.
    pub agent: Address,
    /// Its id.
    pub session: String,
    /// What it works on; empty when nothing.
    pub bead: String,
    /// The command line, run by `sh -c`. Nothing foreign may be pasted into it: data goes by `env`.
    pub command: String,
    /// Where it runs.
    pub dir: PathBuf,
    /// Variables besides the allow-listed ones.
    pub env: Vec<(String, OsString)>,
    /// The file its output is appended to.
    pub log: PathBuf,
    /// Now.
    pub now: Moment,
}

/// A started session.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Whose.
    pub agent: Address,
    /// The process, which leads a group of this number.
    pub pid: u32,
    /// When the process started, in ticks since boot.
    pub start_time: u64,
    /// The boot it belongs to; empty where the system does not tell.
    pub boot: String,
    /// When it was started.
    pub started_at: Moment,
    /// Where its output goes.
    pub log: PathBuf,
    /// The command line.
    pub command: String,
    /// What it works on; empty when nothing.
    pub bead: String,
    /// What all its processes carry in their environment.
    #[serde(default)]
    pub mark: String,
}

impl Session {
    /// Whether the process that was started runs, and not just one of its number.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot == boot() && start_time_of(self.pid) == Some(self.start_time)
    }

    fn group(&self) -> Group<'_> {
        Group { leader: self.pid, mark: &self.mark }
    }
}

/// Starts a session. When the agent already has one for the same bead, that one is the answer.
///
/// # Errors
/// External, when the agent's program does not exist or cannot be run; conflict, when the agent has a session
/// for something else; io, when log or record cannot be written.
pub fn start(runtime_dir: &Path, launch: &Launch) -> Result<Session> {
    let _one_start = KernelLock::take(&lock_path(runtime_dir, &launch.agent))?;
    if let Some(session) = find(runtime_dir, &launch.agent)? {
        if session.bead == launch.bead {
            return Ok(session);
        }
        return Err(Error::conflict(format!("{} has a running session for '{}'", launch.agent, session.bead))
            .hint("let it end, or stop it, then start the new one"));
    }
    let watch_millis = look_up(launch)?;
    tracing::debug!(agent = %launch.agent, bead = launch.bead, command = launch.command, "session");
    let mark = group::fresh_mark(&launch.dir);
    let mut child = spawn(launch, &mark)?;
    let session = Session {
        id: launch.session.clone(),
        agent: launch.agent.clone(),
        pid: child.id(),
        start_time: start_time_of(child.id()).unwrap_or_default(),
        boot: boot(),
        started_at: launch.now,
        log: launch.log.clone(),
        command: launch.command.clone(),
        bead: launch.bead.clone(),
        mark,
    };
    let record = serde_json::to_vec_pretty(&session).or_fail(Kind::Bug, || "write a session record")?;
    crate::store::write_file(&record_path(runtime_dir, &launch.agent), &record)?;
    let keeper = child.stdin.take();
    let go = keeper.map_or(Ok(()), |mut pipe| pipe.write_all(b"go\n"));
    go.or_fail(Kind::External, || format!("start the session of {}", launch.agent))?;
    let status = exit_within(&mut child, watch_millis);
    if let Some(code @ (126 | 127)) = status.and_then(|status| status.code()) {
        return Err(not_startable(launch, &first_word(&launch.command), code));
    }
    // Somebody has to take the exit status; in a short-lived command that is init in the end.
    std::thread::spawn(move || child.wait());
    Ok(session)
}

/// The running session of `agent`; `None` when there is none.
///
/// # Errors
/// Io, when the record cannot be read. A record that makes no sense counts as none: it is disposable.
pub fn find(runtime_dir: &Path, agent: &Address) -> Result<Option<Session>> {
    Ok(last(runtime_dir, agent)?.filter(Session::is_alive))
}

/// The last session of `agent` on this machine, running or not.
///
/// # Errors
/// Io, when the record cannot be read.
pub fn last(runtime_dir: &Path, agent: &Address) -> Result<Option<Session>> {
    let path = record_path(runtime_dir, agent);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    }
}

/// All running sessions, by agent.
///
/// # Errors
/// Io, when the directory of records cannot be read.
pub fn all(runtime_dir: &Path) -> Result<Vec<Session>> {
    let dir = runtime_dir.join("sessions");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_fail(Kind::Io, || format!("read {}", dir.display())),
    };
    let mut sessions = Vec::new();
    for entry in entries.filter_map(std::result::Result::ok) {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        // A record that vanished or makes no sense is nobody's session.
        let session = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Session>(&bytes).ok());
        sessions.extend(session.filter(Session::is_alive));
    }
    sessions.sort_by_key(|session| session.agent.to_string());
    Ok(sessions)
}

/// Stops the session of `agent` with all its processes: TERM, at most `grace_millis`, KILL. Tells whether one ran.
///
/// May be called from within the session: the caller then leaves the group and lives on.
///
/// # Errors
/// Io, when the record cannot be read; external, when a process does not die.
pub fn stop(runtime_dir: &Path, agent: &Address, grace_millis: u64) -> Result<bool> {
    let Some(session) = last(runtime_dir, agent)? else { return Ok(false) };
    if session.boot != boot() {
        return Ok(false);
    }
    let group = session.group();
    // The group is ours while its leader is the one that was started. Once that was seen, its number stays
    // taken as long as the group has members, so it may still be signalled after the leader's death.
    let by_group = session.is_alive();
    if group.members(by_group).is_empty() {
        return Ok(false);
    }
    if by_group && group::pid_of(session.pid) == Some(rustix::process::getpgrp()) {
        rustix::process::setpgid(None, None).or_fail(Kind::External, || "leave the session's process group")?;
    }
    for (signal, wait_millis) in [(Signal::TERM, grace_millis), (Signal::KILL, KILL_MILLIS_MAX)] {
        group.signal(signal, by_group);
        let watch = Stopwatch::start();
        let mut pause_millis = 2;
        loop {
            if group.members(by_group).is_empty() {
                return Ok(true);
            }
            if watch.millis() >= wait_millis {
                break;
            }
            std::thread::sleep(Duration::from_millis(pause_millis));
            pause_millis = (pause_millis * 2).min(50);
        }
    }
    Err(Error::external(format!("the session of {agent} (process {}) does not die", session.pid))
        .hint("it may wait for a disk; look with ps"))
}

/// The log file for a session of `agent`.
#[must_use]
pub fn log_path(runtime_dir: &Path, agent: &Address, session: &str) -> PathBuf {
    // Session ids come from us, but a path is no place to trust that.
    let safe: String = session.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    runtime_dir.join("logs").join(format!("{}-{safe}.log", agent.as_component()))
}

fn record_path(runtime_dir: &Path, agent: &Address) -> PathBuf {
    runtime_dir.join("sessions").join(format!("{}.json", agent.as_component()))
}

fn lock_path(runtime_dir: &Path, agent: &Address) -> PathBuf {
    runtime_dir.join("sessions").join(format!("{}.flock", agent.as_component()))
}

/// What tells this boot from others, since start times count from it; empty where the system does not say.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
fn spawn(launch: &Launch, mark: &str) -> Result<Child> {
    let deed = || format!("start the session of {} in {}", launch.agent, launch.dir.display());
    if let Some(dir) = launch.log.parent() {
        std::fs::create_dir_all(dir).or_fail(Kind::Io, deed)?;
    }
    let log = File::options().append(true).create(true).open(&launch.log).or_fail(Kind::Io, deed)?;
    let also = log.try_clone().or_fail(Kind::Io, deed)?;
    std::process::Command::new("sh")
        .args(["-c", GATE_KEEPER, "sh", &launch.command])
        .current_dir(&launch.dir)
        .env_clear()
        .envs(group::environment(For::Agent, &launch.env, mark))
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(also)
        .process_group(0)
        .spawn()
        .or_fail(Kind::External, deed)
}

/// Refuses a command line whose program is not there, before anything is assigned to it. What only the
/// sandbox can tell (a relative path, an expansion) is left to [`start`].
///
/// # Errors
/// External, naming the program and how to set another.
pub fn check_program(command: &str, dir: &Path, env: &[(String, OsString)]) -> Result<()> {
    let word = first_word(command);
    let is_relative = word.contains('/') && !word.starts_with('/');
    if !is_plain(&word) || is_relative || is_found(&word, dir, env)? {
        return Ok(());
    }
    Err(Error::external(format!("the agent program '{}' was not found", word.escape_debug()))
        .hint("name another: gt config set agent.command '…'"))
}

#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
fn is_found(word: &str, dir: &Path, env: &[(String, OsString)]) -> Result<bool> {
    let found = std::process::Command::new("sh")
        .args(["-c", r#"command -v -- "$1""#, "sh", word])
        .current_dir(dir)
        .env_clear()
        .envs(group::environment(For::Agent, env, ""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .or_fail(Kind::External, || "run sh to look a program up")?;
    Ok(found.success())
}

/// Looks the command's program up where the session would, and answers how long the start is to be watched.
fn look_up(launch: &Launch) -> Result<u64> {
    let word = first_word(&launch.command);
    if !is_plain(&word) {
        return Ok(WATCH_UNKNOWN_MILLIS);
    }
    if !launch.dir.is_dir() {
        return Err(Error::not_found(format!("start a session in {}, which is no directory", launch.dir.display())));
    }
    if is_found(&word, &launch.dir, &launch.env)? {
        return Ok(WATCH_FOUND_MILLIS);
    }
    Err(not_startable(launch, &word, 127))
}

fn first_word(command: &str) -> String {
    command.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Whether the shell takes the word as it stands, and not as an assignment, quote or expansion.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./+-".contains(&b))
}

fn not_startable(launch: &Launch, word: &str, code: i32) -> Error {
    let why = if code == 126 { "cannot be run" } else { "was not found" };
    let rig = launch.agent.rig().map(|rig| format!(" --rig {rig}")).unwrap_or_default();
    Error::external(format!("the agent program '{}' of {} {why}", word.escape_debug(), launch.agent))
        .hint(format!("name another: gt config set agent.command '…'{rig}"))
}

/// How the child exited, when it did within `millis`.
fn exit_within(child: &mut Child, millis: u64) -> Option<ExitStatus> {
    let watch = Stopwatch::start();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if watch.millis() >= millis {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn launch(dir: &TempDir, command: &str) -> Launch {
        let agent: Address = "widgets/polecats/toast".parse().unwrap();
        Launch {
            log: log_path(dir.path(), &agent, "s1"),
            agent,
            session: "s1".into(),
            bead: "wi-1".into(),
            command: command.into(),
            dir: dir.path().to_owned(),
            env: vec![("GT_SLOT".into(), "4".into())],
            now: Moment::from_millis(0),
        }
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let watch = Stopwatch::start();
        while !is_so() {
            assert!(watch.millis() < 10_000, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(dir: &TempDir) -> String {
        std::fs::read_to_string(launch(dir, "").log).unwrap_or_default()
    }

    #[test]
    fn a_session_is_found_while_it_runs_and_not_after() {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, "echo $GT_SLOT; while ! [ -e end ]; do sleep 0.01; done");
        let session = start(dir.path(), &launch).unwrap();
        assert_eq!(find(dir.path(), &launch.agent).unwrap().as_ref(), Some(&session));
        assert_eq!(all(dir.path()).unwrap(), [session]);
        wait_until("it spoke", || log(&dir) == "4\n");
        std::fs::write(dir.path().join("end"), "").unwrap();
        wait_until("it ended", || find(dir.path(), &launch.agent).unwrap().is_none());
        assert!(all(dir.path()).unwrap().is_empty() && last(dir.path(), &launch.agent).unwrap().is_some());
        assert!(!stop(dir.path(), &launch.agent, 100).unwrap());
    }

    #[test]
    fn an_agent_has_one_session_at_a_time() {
        let dir = TempDir::new().unwrap();
        let mut launch = launch(&dir, "exec sleep 600");
        let session = start(dir.path(), &launch).unwrap();
        assert_eq!(start(dir.path(), &launch).unwrap(), session);
        launch.bead = "wi-2".into();
        assert_eq!(start(dir.path(), &launch).unwrap_err().kind, Kind::Conflict);
        assert!(stop(dir.path(), &launch.agent, 1_000).unwrap());
        assert_eq!(start_time_of(session.pid), None);
    }

    #[test]
    fn stopping_reaches_children_and_those_that_ignore_the_polite_signal() {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, "trap '' TERM; sleep 600 & echo $! > child; while :; do sleep 0.1; done");
        start(dir.path(), &launch).unwrap();
        let child = || std::fs::read_to_string(dir.path().join("child")).ok().and_then(|text| text.trim().parse().ok());
        wait_until("the child runs", || child().is_some());
        assert!(stop(dir.path(), &launch.agent, 100).unwrap());
        assert_eq!(start_time_of(child().unwrap()), None);
    }

    #[test]
    fn a_process_of_the_same_number_is_never_taken_for_the_session() {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, "exec sleep 600");
        let real = start(dir.path(), &launch).unwrap();
        let record = |session: &Session| {
            std::fs::write(record_path(dir.path(), &launch.agent), serde_json::to_vec(session).unwrap()).unwrap();
        };
        for impostor in [
            Session { start_time: real.start_time + 1, mark: "other".into(), ..real.clone() },
            Session { boot: "another boot".into(), ..real.clone() },
        ] {
            record(&impostor);
            assert_eq!(find(dir.path(), &launch.agent).unwrap(), None);
            assert!(!stop(dir.path(), &launch.agent, 100).unwrap());
            assert!(real.is_alive());
        }
        std::fs::write(record_path(dir.path(), &launch.agent), "{ torn").unwrap();
        assert!(find(dir.path(), &launch.agent).unwrap().is_none() && all(dir.path()).unwrap().is_empty());
        record(&real);
        assert!(stop(dir.path(), &launch.agent, 1_000).unwrap());
    }

    #[test]
    fn a_missing_agent_program_is_one_clear_error() {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("plain.txt"), "").unwrap();
        for command in ["no-such-agent --yes", "'no-such-agent'", "A=b no-such-agent", "./plain.txt"] {
            // What the shell has to expand first is watched for a while only, which a busy machine may use up.
            let error = (0..20).find_map(|_| start(dir.path(), &launch(&dir, command)).err()).unwrap();
            assert_eq!(error.kind, Kind::External, "{command}");
            assert!(error.message.contains("the agent program"), "{}", error.message);
            assert!(error.hint.unwrap().contains("gt config set agent.command '…' --rig widgets"));
        }
        let error = start(dir.path(), &launch(&dir, "no-such-agent")).unwrap_err();
        assert_eq!(error.message, "the agent program 'no-such-agent' of widgets/polecats/toast was not found");
    }

    #[test]
    fn an_agent_that_fails_by_itself_is_not_a_missing_one() {
        let dir = TempDir::new().unwrap();
        assert!(start(dir.path(), &launch(&dir, "exit 1")).is_ok());
        wait_until("it ended", || all(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn two_that_stop_a_session_at_once_both_succeed() {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, "exec sleep 600");
        start(dir.path(), &launch).unwrap();
        let stops: Vec<_> = std::thread::scope(|scope| {
            let stopping: Vec<_> = (0..2).map(|_| scope.spawn(|| stop(dir.path(), &launch.agent, 1_000))).collect();
            stopping.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(stops.iter().all(Result::is_ok) && stops.iter().any(|stopped| matches!(stopped, Ok(true))));
    }

    #[test]
    fn a_log_path_cannot_leave_its_directory() {
        let agent: Address = "mayor".parse().unwrap();
        assert_eq!(log_path(Path::new("/r"), &agent, "../../x"), Path::new("/r/logs/mayor-______x.log"));
    }
}

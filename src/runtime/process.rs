//! Sessions: an agent as a process group with a log, in a terminal or without one.
//!
//! A session is known by pid, start time and boot: a number that was used again never passes for it, and is
//! never signalled. How one begins is told in [`super::launch`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group::{self, Group};
use super::tmux::Pane;
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::store::refs::start_time_of;
use crate::time::{Moment, Stopwatch};

/// How long a killed group may take to vanish.
const KILL_MILLIS_MAX: u64 = 2_000;

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
    /// Its terminal, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pane: Option<Pane>,
}

impl Session {
    /// Whether the process that was started runs, and not just one of its number.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot == boot() && start_time_of(self.pid) == Some(self.start_time)
    }

    /// Whether it is dead by two signs: neither the process that was started nor any with its mark lives. Where processes
    /// cannot be looked at, only a boot since is sign enough.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.boot != boot() || (!self.is_alive() && group::has_table() && self.group().members(false).is_empty())
    }

    fn group(&self) -> Group<'_> {
        Group { leader: self.pid, mark: &self.mark }
    }

    /// The process that is not stopped with the others: tmux lets the first one of a terminal go on at once, which only
    /// waits for the agent that it started.
    fn spared(&self) -> Option<u32> {
        self.pane.as_ref().map(|_| self.pid)
    }

    /// Stops all its processes where they are, until [`Session::go_on`]; tells whether none of them goes on. Where
    /// processes cannot be told one by one, none is stopped.
    #[must_use]
    pub fn hold(&self) -> bool {
        group::has_table() && self.group().hold(self.is_alive(), self.spared())
    }

    /// Lets its stopped processes go on.
    pub fn go_on(&self) {
        self.group().signal(Signal::CONT, self.is_alive());
    }

    /// Whether its processes are stopped.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.group().is_held(self.is_alive(), self.spared())
    }
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
    let mut sessions = known(runtime_dir)?;
    sessions.retain(Session::is_alive);
    Ok(sessions)
}

/// The last session of every agent on this machine, running or not, by agent.
///
/// # Errors
/// Io, when the directory of records cannot be read.
pub fn known(runtime_dir: &Path) -> Result<Vec<Session>> {
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
        sessions.extend(session);
    }
    sessions.sort_by_key(|session| session.agent.to_string());
    Ok(sessions)
}

/// Stops the session of `agent` with all its processes: TERM, at most `grace_millis`, KILL. Tells whether one ran.
///
/// May be called from within the session: the caller then leaves the group and lives on. A terminal goes with it.
///
/// # Errors
/// Io, when the record cannot be read; external, when a process does not die.
pub fn stop(runtime_dir: &Path, agent: &Address, grace_millis: u64) -> Result<bool> {
    let Some(session) = last(runtime_dir, agent)? else { return Ok(false) };
    if session.boot != boot() {
        return Ok(false);
    }
    let ended = stop_processes(&session, grace_millis);
    if let Some(pane) = session.pane.as_ref().filter(|_| matches!(ended, Ok(true))) {
        // Its server keeps no session whose process is gone; one that it does keep shows nothing any more.
        let _ = pane.end();
    }
    ended
}

/// How a session that was asked to end took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// There was none.
    Nobody,
    /// It ended.
    Ended,
    /// It goes on.
    Stays,
}

/// Asks the session of `agent` to end, which is the first half of [`stop`], and waits at most `grace_millis` for it.
///
/// # Errors
/// Io, when the record cannot be read.
pub fn ask(runtime_dir: &Path, agent: &Address, grace_millis: u64) -> Result<Asked> {
    let Some(session) = last(runtime_dir, agent)?.filter(|session| session.boot == boot()) else { return Ok(Asked::Nobody) };
    let by_group = session.is_alive();
    if session.group().members(by_group).is_empty() {
        return Ok(Asked::Nobody);
    }
    let has_ended = signal_and_wait(&session.group(), by_group, Signal::TERM, grace_millis);
    Ok(if has_ended { Asked::Ended } else { Asked::Stays })
}

/// Sends `signal` and waits until nobody is left; tells whether that came in time.
fn signal_and_wait(group: &Group<'_>, by_group: bool, signal: Signal, wait_millis: u64) -> bool {
    group.signal(signal, by_group);
    // Who was stopped hears of it when it goes on.
    group.signal(Signal::CONT, by_group);
    let watch = Stopwatch::start();
    let mut pause_millis = 2;
    loop {
        if group.members(by_group).is_empty() {
            return true;
        }
        if watch.millis() >= wait_millis {
            return false;
        }
        std::thread::sleep(Duration::from_millis(pause_millis));
        pause_millis = (pause_millis * 2).min(50);
    }
}

fn stop_processes(session: &Session, grace_millis: u64) -> Result<bool> {
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
        if signal_and_wait(&group, by_group, signal, wait_millis) {
            return Ok(true);
        }
    }
    Err(Error::external(format!("the session of {} (process {}) does not die", session.agent, session.pid))
        .hint("it may wait for a disk; look with ps"))
}

/// The log file for a session of `agent`.
#[must_use]
pub fn log_path(runtime_dir: &Path, agent: &Address, session: &str) -> PathBuf {
    // Session ids come from us, but a path is no place to trust that.
    let safe: String = session.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    runtime_dir.join("logs").join(format!("{}-{safe}.log", agent.as_component()))
}

pub(super) fn record_path(runtime_dir: &Path, agent: &Address) -> PathBuf {
    runtime_dir.join("sessions").join(format!("{}.json", agent.as_component()))
}

pub(super) fn lock_path(runtime_dir: &Path, agent: &Address) -> PathBuf {
    runtime_dir.join("sessions").join(format!("{}.flock", agent.as_component()))
}

/// What tells this boot from others, since start times count from it; empty where the system does not say.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::agent::Backend;
    use crate::runtime::launch::{Launch, Line, start};
    use tempfile::TempDir;

    /// Every test runs with terminals and without.
    macro_rules! on_both_backends {
        ($($name:ident),* $(,)?) => {
            mod without_terminal {
                $(#[test] fn $name() { super::$name(super::Backend::Process); })*
            }
            mod in_tmux {
                $(#[test] fn $name() {
                    if crate::runtime::tmux::is_there() {
                        super::$name(super::Backend::Tmux);
                    }
                })*
            }
        };
    }

    on_both_backends! {
        a_session_is_found_while_it_runs_and_not_after,
        an_agent_has_one_session_at_a_time,
        stopping_reaches_children_and_those_that_ignore_the_polite_signal,
        a_process_of_the_same_number_is_never_taken_for_the_session,
        a_missing_agent_program_is_one_clear_error,
        an_agent_that_fails_by_itself_is_not_a_missing_one,
        two_that_stop_a_session_at_once_both_succeed,
        a_held_session_stands_still_with_its_children_until_it_goes_on,
    }

    fn launch(dir: &TempDir, backend: Backend, command: &str) -> Launch {
        let agent: Address = "widgets/polecats/toast".parse().unwrap();
        Launch {
            log: log_path(dir.path(), &agent, "s1"),
            agent,
            session: "s1".into(),
            bead: "wi-1".into(),
            line: Line::Shell(command.into()),
            dir: dir.path().to_owned(),
            env: vec![("GT_SLOT".into(), "4".into())],
            backend,
            style: String::new(),
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
        std::fs::read_to_string(launch(dir, Backend::Process, "").log).unwrap_or_default()
    }

    fn a_session_is_found_while_it_runs_and_not_after(backend: Backend) {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, backend, "echo $GT_SLOT; while ! [ -e end ]; do sleep 0.01; done");
        let session = start(dir.path(), &launch).unwrap();
        assert_eq!(find(dir.path(), &launch.agent).unwrap().as_ref(), Some(&session));
        assert_eq!(all(dir.path()).unwrap(), [session]);
        wait_until("it spoke", || log(&dir).trim_end() == "4");
        std::fs::write(dir.path().join("end"), "").unwrap();
        wait_until("it ended", || find(dir.path(), &launch.agent).unwrap().is_none());
        assert!(all(dir.path()).unwrap().is_empty() && last(dir.path(), &launch.agent).unwrap().is_some());
        assert!(!stop(dir.path(), &launch.agent, 100).unwrap());
    }

    fn an_agent_has_one_session_at_a_time(backend: Backend) {
        let dir = TempDir::new().unwrap();
        let mut launch = launch(&dir, backend, "exec sleep 600");
        let session = start(dir.path(), &launch).unwrap();
        assert_eq!(start(dir.path(), &launch).unwrap(), session);
        launch.bead = "wi-2".into();
        assert_eq!(start(dir.path(), &launch).unwrap_err().kind, Kind::Conflict);
        assert!(stop(dir.path(), &launch.agent, 1_000).unwrap());
        assert_eq!(start_time_of(session.pid), None);
    }

    fn stopping_reaches_children_and_those_that_ignore_the_polite_signal(backend: Backend) {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, backend, "trap '' TERM; sleep 600 & echo $! > child; while :; do sleep 0.1; done");
        start(dir.path(), &launch).unwrap();
        let child = || std::fs::read_to_string(dir.path().join("child")).ok().and_then(|text| text.trim().parse().ok());
        wait_until("the child runs", || child().is_some());
        assert!(stop(dir.path(), &launch.agent, 100).unwrap());
        assert_eq!(start_time_of(child().unwrap()), None);
    }

    fn a_process_of_the_same_number_is_never_taken_for_the_session(backend: Backend) {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, backend, "exec sleep 600");
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

    fn a_missing_agent_program_is_one_clear_error(backend: Backend) {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("plain.txt"), "").unwrap();
        for command in ["no-such-agent --yes", "'no-such-agent'", "A=b no-such-agent", "./plain.txt"] {
            // What the shell has to expand first is watched for a while only, which a busy machine may use up.
            let error = (0..20).find_map(|_| start(dir.path(), &launch(&dir, backend, command)).err()).unwrap();
            assert_eq!(error.kind, Kind::External, "{command}");
            assert!(error.message.contains("the agent program"), "{}", error.message);
            assert!(error.hint.unwrap().contains("gt config set agent.command '…' --rig widgets"));
        }
        let error = start(dir.path(), &launch(&dir, backend, "no-such-agent")).unwrap_err();
        assert_eq!(error.message, "the agent program 'no-such-agent' of widgets/polecats/toast was not found");
    }

    fn an_agent_that_fails_by_itself_is_not_a_missing_one(backend: Backend) {
        let dir = TempDir::new().unwrap();
        assert!(start(dir.path(), &launch(&dir, backend, "exit 1")).is_ok());
        wait_until("it ended", || all(dir.path()).unwrap().is_empty());
    }

    fn two_that_stop_a_session_at_once_both_succeed(backend: Backend) {
        let dir = TempDir::new().unwrap();
        let launch = launch(&dir, backend, "exec sleep 600");
        start(dir.path(), &launch).unwrap();
        let stops: Vec<_> = std::thread::scope(|scope| {
            let stopping: Vec<_> = (0..2).map(|_| scope.spawn(|| stop(dir.path(), &launch.agent, 1_000))).collect();
            stopping.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(stops.iter().all(Result::is_ok) && stops.iter().any(|stopped| matches!(stopped, Ok(true))));
    }

    fn a_held_session_stands_still_with_its_children_until_it_goes_on(backend: Backend) {
        let dir = TempDir::new().unwrap();
        let count = "n=0; while :; do n=$((n+1)); echo $n >FILE.new; mv FILE.new FILE; sleep 0.01; done";
        let own = format!("({}) & {}", count.replace("FILE", "child"), count.replace("FILE", "own"));
        let session = start(dir.path(), &launch(&dir, backend, &own)).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        wait_until("both count", || !read("own").is_empty() && !read("child").is_empty());
        assert!(!session.is_held() && session.hold() && session.is_held() && session.is_alive());
        let counts = (read("own"), read("child"));
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!((read("own"), read("child")), counts);
        session.go_on();
        wait_until("both count again", || read("own") != counts.0 && read("child") != counts.1);
        // Who is held hears that it shall end.
        assert!(session.hold() && ask(dir.path(), &session.agent, 5_000).unwrap() == Asked::Ended);
        assert_eq!(ask(dir.path(), &session.agent, 100).unwrap(), Asked::Nobody);
    }

    #[test]
    fn a_log_path_cannot_leave_its_directory() {
        let agent: Address = "mayor".parse().unwrap();
        assert_eq!(log_path(Path::new("/r"), &agent, "../../x"), Path::new("/r/logs/mayor-______x.log"));
    }
}

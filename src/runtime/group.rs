//! What a command or session leaves behind in the process table: its group, and whoever carries its mark.
//!
//! Promises: nothing is signalled by a bare number that may meanwhile name somebody else. A group is signalled
//! only while its leader is known to be the one that was started; a process found by its mark is held by a
//! pidfd first and looked at again through that. Without `/proc` (macOS) only the group is reached.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::env;

/// The variable that carries the mark. Processes that leave the group (`setsid`, daemons) still carry it.
pub(super) const MARK: &str = "GT_RUN";

/// How often it is looked for processes that go on though their group was stopped.
const HOLDS_MAX: u32 = 100;
/// How long between two looks.
const HOLD_EVERY: Duration = Duration::from_millis(5);

/// Whom the environment is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A gate: it runs the code of a merge request, so it gets no keys.
    Gate,
    /// An agent, which has to reach its model and git remotes.
    Agent,
}

/// The variables that pass, the given ones over them, and the mark.
pub(super) fn environment(whom: For, given: &[(String, OsString)], mark: &str) -> Vec<(OsString, OsString)> {
    let mut all = env::inherited(|name| passes(whom, name));
    all.retain(|(name, _)| !given.iter().any(|(over, _)| name.as_os_str() == over.as_str()));
    all.extend(given.iter().map(|(name, value)| (OsString::from(name), value.clone())));
    all.push((MARK.into(), mark.into()));
    all
}

fn passes(whom: For, name: &str) -> bool {
    const NAMES: [&str; 21] = [
        "PATH",
        "HOME",
        "LANG",
        "LANGUAGE",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
        "LOGNAME",
        "SHELL",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "JAVA_HOME",
    ];
    let is_key = || name == "SSH_AUTH_SOCK" || name.ends_with("_API_KEY");
    NAMES.contains(&name) || name.starts_with("LC_") || name.starts_with("XDG_") || (whom == For::Agent && is_key())
}

/// A mark that no other run has; `place` lets a later process find what was left behind there.
pub(super) fn fresh_mark(place: &Path) -> String {
    // Not from GT_SEED: two towns of one seed must not end each other's processes.
    format!("{:016x}{:016x}:{}", fastrand::u64(..), fastrand::u64(..), place.display())
}

/// A started leader and all that came of it.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The leader's pid, which is also the group's id.
    pub(super) leader: u32,
    /// Its mark.
    pub(super) mark: &'a str,
}

impl Group<'_> {
    /// Those that live, zombies and this process left out. `by_group` only while the leader is known to be ours.
    pub(super) fn members(&self, by_group: bool) -> Vec<u32> {
        let Some(table) = table() else {
            let lives = by_group && pid_of(self.leader).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok());
            return if lives { vec![self.leader] } else { Vec::new() };
        };
        let is_ours =
            |row: &Row| (by_group && row.group == self.leader) || mark_of(row.pid).is_some_and(|mark| mark == self.mark);
        table.into_iter().filter(is_ours).map(|row| row.pid).collect()
    }

    /// Stops those that live where they are, but for `spared`; tells whether none goes on. What a process starts while it
    /// is looked for is found in the next look.
    ///
    /// One that was sent the signal and sleeps in the kernel stops before it does anything else: a shell that started a
    /// program by vfork(2) sleeps until that program, which may be stopped already, has begun.
    pub(super) fn hold(&self, by_group: bool, spared: Option<u32>) -> bool {
        let is_member =
            |row: &Row| (by_group && row.group == self.leader) || mark_of(row.pid).is_some_and(|mark| mark == self.mark);
        let mut sent = BTreeSet::new();
        for _ in 0..HOLDS_MAX {
            let goes_on = |row: &Row| {
                let is_held = row.state.is_stopped() || row.state.is_asleep() && sent.contains(&row.pid);
                Some(row.pid) != spared && !is_held && is_member(row)
            };
            let going: Vec<Row> = table().unwrap_or_default().into_iter().filter(goes_on).collect();
            if going.is_empty() {
                return true;
            }
            for row in going {
                signal_held(row.pid, Signal::STOP, || row_of(row.pid).is_some_and(|row| is_member(&row)));
                sent.insert(row.pid);
            }
            std::thread::sleep(HOLD_EVERY);
        }
        false
    }

    /// Whether of those that live, `spared` aside, some are stopped and none does anything.
    pub(super) fn is_held(&self, by_group: bool, spared: Option<u32>) -> bool {
        let members = self.members(by_group).into_iter().filter(|pid| Some(*pid) != spared);
        let states: Vec<State> = members.filter_map(row_of).map(|row| row.state).collect();
        states.iter().any(|state| state.is_stopped()) && states.iter().all(|state| state.is_stopped() || state.is_asleep())
    }

    /// Sends `signal` to the group (`by_group`: the leader is known to be ours) and to all that carry the mark.
    pub(super) fn signal(&self, signal: Signal, by_group: bool) {
        if by_group {
            signal_group(self.leader, signal);
        }
        signal_where(signal, |mark| mark == self.mark);
    }
}

/// Sends `signal` to whoever carries a mark of `place` and sees the same files as we do; tells how many.
pub(super) fn signal_place(signal: Signal, place: &Path) -> u32 {
    let ending = format!(":{}", place.display());
    let space = std::fs::read_link("/proc/self/ns/mnt").ok();
    signal_where(signal, |mark| mark.len() == 32 + ending.len() && mark.ends_with(&ending) && space.is_some())
}

fn signal_where(signal: Signal, is_wanted: impl Fn(&str) -> bool) -> u32 {
    let space = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let ours = space("self");
    let has_mark = |pid: u32| mark_of(pid).is_some_and(|mark| is_wanted(&mark));
    let marked = table().unwrap_or_default().into_iter().map(|row| row.pid).filter(|pid| has_mark(*pid));
    let signalled = marked.filter(|pid| signal_held(*pid, signal, || has_mark(*pid) && space(&pid.to_string()) == ours));
    u32::try_from(signalled.count()).unwrap_or(u32::MAX)
}

/// Signals `pid` if it is still the one that is meant when it is held by a pidfd; tells whether it was.
///
/// If it is, the signal reaches it or nobody.
#[cfg(target_os = "linux")]
pub(super) fn signal_held(pid: u32, signal: Signal, is_still: impl Fn() -> bool) -> bool {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let held = pid_of(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    held.is_some_and(|held| is_still() && pidfd_send_signal(&held, signal).is_ok())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn signal_held(_: u32, _: Signal, _: impl Fn() -> bool) -> bool {
    false
}

/// Signals the group `leader`. The caller knows that the leader is its own or that the group still has members.
pub(super) fn signal_group(leader: u32, signal: Signal) {
    // Pid 1 and the own group's 0 are never leaders that were started here.
    if leader > 1
        && let Some(pid) = pid_of(leader)
    {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// The number as the kernel's calls take it.
pub(super) fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

struct Row {
    pid: u32,
    group: u32,
    state: State,
}

/// What a process does, by the letter in `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(char);

impl State {
    fn in_stat(stat: &str) -> Option<Self> {
        stat[stat.rfind(')')? + 1..].split_whitespace().next()?.chars().next().map(Self)
    }

    /// Whether a signal or a tracer has stopped it.
    const fn is_stopped(self) -> bool {
        matches!(self.0, 'T' | 't')
    }

    /// Whether it sleeps in the kernel, where no signal reaches it.
    const fn is_asleep(self) -> bool {
        self.0 == 'D'
    }
}

/// The living process `pid`.
fn row_of(pid: u32) -> Option<Row> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Row { pid, group: group_in(&stat)?, state: State::in_stat(&stat)? })
}

/// All living processes but this one; `None` where there is no `/proc`.
fn table() -> Option<Vec<Row>> {
    has_table().then_some(())?;
    let me = std::process::id();
    let rows = std::fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        row_of(pid).filter(|row| row.pid != me)
    });
    Some(rows.collect())
}

/// The process group in a line of `/proc/<pid>/stat`; `None` for the dead.
fn group_in(stat: &str) -> Option<u32> {
    // The command name may hold spaces and parentheses; fields are counted from its last one.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") { None } else { fields.nth(1)?.parse().ok() }
}

/// Whether processes can be told one by one here.
pub(super) fn has_table() -> bool {
    std::fs::metadata("/proc/self/stat").is_ok()
}

/// The mark in the environment that a process was started with; `None` also for other people's processes.
fn mark_of(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let start = format!("{MARK}=");
    let entry = environment.split(|byte| *byte == 0).find(|entry| entry.starts_with(start.as_bytes()))?;
    String::from_utf8(entry[start.len()..].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_past_a_name_with_parentheses() {
        assert_eq!(group_in("12 (a) b (c)) S 1 77 12 0 -1"), Some(77));
        assert_eq!(group_in("12 (dead) Z 1 77 12 0 -1"), None);
        assert_eq!(group_in(""), None);
        let state = |stat: &str| State::in_stat(stat);
        assert!(state("12 (a) S) T 1 77").unwrap().is_stopped() && state("12 (a) t 1 77").unwrap().is_stopped());
        assert!(!state("12 (a) T) S 1 77").unwrap().is_stopped() && state("12 (a) D 1").unwrap().is_asleep());
        assert_eq!(state(""), None);
    }

    #[test]
    fn a_gate_gets_no_keys_and_nobody_inherits_a_role() {
        for name in ["GT_ROLE", "GT_ACTOR", "GIT_DIR", "TMUX", "GT_RUN"] {
            assert!(!passes(For::Agent, name) && !passes(For::Gate, name), "{name}");
        }
        assert!(passes(For::Agent, "ANTHROPIC_API_KEY") && !passes(For::Gate, "ANTHROPIC_API_KEY"));
        let given = [("PATH".to_owned(), OsString::from("/nowhere"))];
        let all = environment(For::Gate, &given, "m");
        assert_eq!(all.iter().filter(|(name, _)| name == "PATH").count(), 1);
        assert!(all.contains(&("PATH".into(), "/nowhere".into())) && all.contains(&("GT_RUN".into(), "m".into())));
    }
}

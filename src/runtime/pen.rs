//! A cgroup (version 2) for a command: whatever it starts is in it, and can be ended at once.
//!
//! Made below the cgroup that this process is in, where that is allowed; elsewhere there is none, and process group and
//! mark have to do. See cgroups(7) and the kernel's `admin-guide/cgroup-v2`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::group::signal_held;
use crate::model::merge::content_hash;

/// How our cgroups begin.
const START: &str = "gt-";
/// Most directories that are looked at to find what a killed gt left behind.
const DIRS_MAX: usize = 10_000;
/// How often a cgroup is tried to be removed, a millisecond apart: its last process may still be dying.
const REMOVALS_MAX: u32 = 1_000;

/// A cgroup of ours; ended and removed when dropped.
pub(super) struct Pen {
    dir: PathBuf,
    is_weighed: bool,
    /// The cgroup around it, and how often the kernel had killed something there when this one was made.
    around: (PathBuf, u64),
}

impl Pen {
    /// Makes a cgroup for a command that runs in `place`; `None` where nobody may.
    pub(super) fn make(place: &Path, cpu_weight: u32) -> Option<Self> {
        let own = own_cgroup()?;
        let dir = own.join(format!("{}{:08x}", start_of(place), fastrand::u32(..)));
        std::fs::create_dir(&dir).ok()?;
        let is_weighed = std::fs::write(dir.join("cpu.weight"), cpu_weight.to_string()).is_ok();
        let kills = kills_in(&own).unwrap_or(0);
        let pen = Self { dir, is_weighed, around: (own, kills) };
        // One that cannot be entered is of no use; opening asks without moving anybody.
        let can_be_entered = std::fs::OpenOptions::new().write(true).open(pen.dir.join("cgroup.procs")).is_ok();
        can_be_entered.then_some(pen)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether its share of the processor could be set.
    pub(super) fn is_weighed(&self) -> bool {
        self.is_weighed
    }

    /// Whether nothing in it lives.
    pub(super) fn is_empty(&self) -> bool {
        is_empty(&self.dir)
    }

    /// Ends all that is in it, what it starts meanwhile included.
    pub(super) fn kill(&self) {
        kill(&self.dir);
    }

    /// Sends `signal` to all that is in it now.
    pub(super) fn signal(&self, signal: Signal) {
        signal_members(&self.dir, signal);
    }

    /// Whether the kernel killed something of it because memory was short. Where that is only counted for more than
    /// this cgroup, the count says so of a command that `was_killed`.
    pub(super) fn was_short_of_memory(&self, was_killed: bool) -> bool {
        match kills_in(&self.dir) {
            Some(kills) => kills > 0,
            None => was_killed && kills_in(&self.around.0).is_some_and(|kills| kills > self.around.1),
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        kill(&self.dir);
        remove(&self.dir);
    }
}

/// Ends and removes the cgroups that a killed gt left behind for commands in `place`; tells how many processes died.
pub(super) fn sweep(place: &Path) -> u32 {
    let Some((mount, _)) = mount() else { return 0 };
    let start = start_of(place);
    let dirs = walkdir::WalkDir::new(mount).into_iter().filter_entry(|entry| entry.file_type().is_dir());
    let all = dirs.filter_map(std::result::Result::ok).take(DIRS_MAX);
    let left = all.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&start)));
    let mut count = 0;
    for dir in left.map(walkdir::DirEntry::into_path).collect::<Vec<_>>() {
        count += u32::try_from(members(&dir).len()).unwrap_or(u32::MAX);
        kill(&dir);
        remove(&dir);
    }
    count
}

/// How the names of cgroups begin that are made for commands in `place`.
fn start_of(place: &Path) -> String {
    format!("{START}{}-", content_hash(place.as_os_str().as_encoded_bytes()))
}

fn is_empty(dir: &Path) -> bool {
    let events = std::fs::read_to_string(dir.join("cgroup.events")).unwrap_or_default();
    count_of(&events, "populated").is_none_or(|populated| populated == 0)
}

fn members(dir: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn kill(dir: &Path) {
    if std::fs::write(dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // Before Linux 5.14. What it starts meanwhile is met by the next round.
    signal_members(dir, Signal::KILL);
}

fn signal_members(dir: &Path, signal: Signal) {
    for pid in members(dir) {
        signal_held(pid, signal, || members(dir).contains(&pid));
    }
}

fn remove(dir: &Path) {
    for _ in 0..REMOVALS_MAX {
        // A command may have made cgroups of its own in it; they go first.
        let inner = std::fs::read_dir(dir).into_iter().flatten().filter_map(std::result::Result::ok);
        for entry in inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let _ = std::fs::remove_dir(entry.path());
        }
        if std::fs::remove_dir(dir).is_ok() || !dir.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How often the kernel killed something in the cgroup `dir` because memory was short; `None` where nobody counts.
fn kills_in(dir: &Path) -> Option<u64> {
    count_of(&std::fs::read_to_string(dir.join("memory.events")).ok()?, "oom_kill")
}

/// The number behind `name` in lines of names and numbers.
fn count_of(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name).and_then(|(_, number)| number.trim().parse().ok())
}

/// The directory of the cgroup that this process is in.
fn own_cgroup() -> Option<PathBuf> {
    let (mount, root) = mount()?;
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    below(&mount, &root, text.lines().find_map(|line| line.strip_prefix("0::"))?)
}

/// Where `path` of the hierarchy lies, of which `root` is mounted at `mount`.
fn below(mount: &Path, root: &str, path: &str) -> Option<PathBuf> {
    let inner = path.strip_prefix(root.trim_end_matches('/'))?;
    let is_within = inner.is_empty() || inner.starts_with('/');
    (is_within && !inner.contains("/../")).then(|| mount.join(inner.trim_start_matches('/')))
}

/// Where the hierarchy of version 2 is mounted, and which part of it.
fn mount() -> Option<(PathBuf, String)> {
    mount_in(&std::fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// See proc_pid_mountinfo(5): the fourth field is the root, the fifth the place, the type stands behind ` - `.
fn mount_in(text: &str) -> Option<(PathBuf, String)> {
    let line = text.lines().find(|line| line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with("cgroup2 ")))?;
    let mut fields = line.split(' ').skip(3);
    let (root, place) = (fields.next()?, fields.next()?);
    Some((PathBuf::from(place), root.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_where_it_is_mounted() {
        let text = "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    41 31 0:38 /part /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let (mount, root) = mount_in(text).unwrap();
        assert_eq!((mount.to_str().unwrap(), root.as_str()), ("/sys/fs/cgroup/unified", "/part"));
        assert_eq!(below(&mount, &root, "/part/a").unwrap(), mount.join("a"));
        assert_eq!(below(&mount, "/", "/a/b").unwrap(), mount.join("a/b"));
        assert_eq!(below(&mount, "/", "/").unwrap(), mount);
        for outside in ["/other", "/party/a", "/part/../x"] {
            assert_eq!(below(&mount, &root, outside), None, "{outside}");
        }
        assert!(mount_in("30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw\n").is_none());
    }

    #[test]
    fn a_count_is_read_by_its_whole_name() {
        let events = "low 0\nhigh 2\nmax 7\noom 4\noom_kill 3\noom_group_kill 1\n";
        assert_eq!((count_of(events, "oom_kill"), count_of(events, "kill"), count_of("", "oom_kill")), (Some(3), None, None));
    }

    #[test]
    fn memory_that_was_short_is_told_by_the_count_of_the_cgroup_or_else_of_the_one_around_it() {
        let (around, dir) = (tempfile::TempDir::new().unwrap(), tempfile::TempDir::new().unwrap());
        let write =
            |dir: &Path, kills: u32| std::fs::write(dir.join("memory.events"), format!("oom 1\noom_kill {kills}\n")).unwrap();
        let pen = Pen { dir: dir.path().to_owned(), is_weighed: false, around: (around.path().to_owned(), 2) };
        assert!(!pen.was_short_of_memory(true), "nobody counts");
        write(around.path(), 3);
        assert!(pen.was_short_of_memory(true) && !pen.was_short_of_memory(false));
        write(dir.path(), 0);
        assert!(!pen.was_short_of_memory(true), "its own count is the better one");
        write(dir.path(), 1);
        assert!(pen.was_short_of_memory(false));
        std::mem::forget(pen);
    }
}

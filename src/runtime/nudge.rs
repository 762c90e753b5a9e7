//! Nudges that wait for an agent's next turn: one file each, in order, in a directory of their own per agent.
//!
//! Machine-local and disposable. A nudge is told once: whoever takes it renames its file first, and only after it was told
//! is the file removed; what a process took that died before that waits again after a minute.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::word::Nudge;
use crate::store::lock::KernelLock;
use crate::store::write_file;
use crate::time::Moment;

/// The most nudges that wait for one agent.
pub const WAITING_MAX: usize = 50;
/// After how long a nudge that was taken but not told waits again.
const TAKEN_MILLIS_MAX: u64 = 60_000;

/// A nudge in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its id: queued again it is still one.
    pub id: String,
    /// When it was queued here.
    pub queued_at: Moment,
    /// What it says.
    pub nudge: Nudge,
}

/// Nudges that were taken to be told.
#[derive(Debug, Default)]
pub struct Taken {
    /// What they say, urgent ones first, then in order.
    pub nudges: Vec<Waiting>,
    files: Vec<PathBuf>,
}

fn queue(runtime_dir: &Path, agent: &Address) -> PathBuf {
    runtime_dir.join("nudges").join(agent.as_component())
}

fn turn(dir: &Path) -> Result<KernelLock> {
    KernelLock::take(&dir.join("flock"))
}

/// Queues `nudge` under `id` and tells how many wait now. One that waits under that id already stays as it is.
///
/// # Errors
/// Refused, when [`WAITING_MAX`] wait; io, when it cannot be written.
pub fn queue_up(runtime_dir: &Path, id: &str, nudge: &Nudge, now: Moment) -> Result<usize> {
    let dir = queue(runtime_dir, &nudge.agent);
    let _turn = turn(&dir)?;
    let files = files(&dir, now)?;
    let waiting = files.iter().filter(|file| matches!(file, Found::Waiting(..))).count();
    if files.iter().any(|file| matches!(file, Found::Waiting(_, other) if other.id == id)) {
        return Ok(waiting);
    }
    if waiting >= WAITING_MAX {
        return Err(Error::refused(format!("{WAITING_MAX} nudges wait for {} already", nudge.agent))
            .hint("it does not come to its next turn: gt peek shows what it does; what must not be lost is mail: gt mail send"));
    }
    let entry = Waiting { id: id.to_owned(), queued_at: now, nudge: nudge.clone() };
    let bytes = serde_json::to_vec(&entry).or_fail(Kind::Bug, || "write a nudge")?;
    // The number keeps the order of those of one moment.
    let number = files.iter().filter_map(Found::number).max().unwrap_or(0) + 1;
    write_file(&dir.join(format!("{number:010}.json")), &bytes)?;
    Ok(waiting + 1)
}

/// Takes all that waits for `agent`; what is over, or no nudge at all, is dropped or set aside.
///
/// # Errors
/// Io, when the queue cannot be read.
pub fn take(runtime_dir: &Path, agent: &Address, now: Moment) -> Result<Taken> {
    let dir = queue(runtime_dir, agent);
    // Almost always there is none, and this is asked at every prompt.
    if !dir.exists() {
        return Ok(Taken::default());
    }
    let _turn = turn(&dir)?;
    let mut taken = Taken::default();
    let mut all: Vec<(PathBuf, Waiting)> = files(&dir, now)?
        .into_iter()
        .filter_map(|found| if let Found::Waiting(path, nudge) = found { Some((path, nudge)) } else { None })
        .collect();
    all.sort_by_key(|(path, waiting)| (!waiting.nudge.is_urgent, path.clone()));
    for (path, waiting) in all {
        let held = path.with_extension("taken");
        std::fs::rename(&path, &held).or_fail(Kind::Io, || format!("take the nudge {}", path.display()))?;
        // Its time is what tells when whoever took it is taken for dead.
        write_file(&held, &serde_json::to_vec(&Waiting { queued_at: now, ..waiting.clone() }).unwrap_or_default())?;
        taken.nudges.push(waiting);
        taken.files.push(held);
    }
    Ok(taken)
}

impl Taken {
    /// Drops them: they were told.
    pub fn told(self) {
        for file in self.files {
            // One that stays is told once more, which harms nobody.
            let _ = std::fs::remove_file(file);
        }
    }
}

enum Found {
    Waiting(PathBuf, Waiting),
    Taken(PathBuf),
}

impl Found {
    fn number(&self) -> Option<u64> {
        let (Self::Waiting(path, _) | Self::Taken(path)) = self;
        path.file_stem()?.to_str()?.parse().ok()
    }
}

/// The queue in order. Nudges that are over go, what makes no sense is set aside, what was taken and never told waits again.
fn files(dir: &Path, now: Moment) -> Result<Vec<Found>> {
    let deed = || format!("read {}", dir.display());
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir).or_fail(Kind::Io, deed)?.filter_map(std::result::Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !matches!(extension, "json" | "taken") {
            continue;
        }
        let read = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Waiting>(&bytes).ok());
        let Some(waiting) = read else {
            let _ = std::fs::rename(&path, path.with_extension("malformed"));
            continue;
        };
        let age = now.millis_since(waiting.queued_at);
        if extension == "taken" {
            if age < TAKEN_MILLIS_MAX {
                found.push(Found::Taken(path));
                continue;
            }
            let back = path.with_extension("json");
            std::fs::rename(&path, &back).or_fail(Kind::Io, deed)?;
            found.push(Found::Waiting(back, waiting));
        } else if age >= waiting.nudge.life_millis() {
            std::fs::remove_file(&path).or_fail(Kind::Io, deed)?;
        } else {
            found.push(Found::Waiting(path, waiting));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn nudge(text: &str, is_urgent: bool) -> Nudge {
        Nudge { agent: "widgets/polecats/toast".parse().unwrap(), by: "mayor".into(), text: text.into(), is_urgent }
    }

    fn texts(taken: &Taken) -> Vec<&str> {
        taken.nudges.iter().map(|waiting| waiting.nudge.text.as_str()).collect()
    }

    fn at(minutes: i64) -> Moment {
        Moment::from_millis(minutes * 60_000)
    }

    #[test]
    fn nudges_are_told_once_in_order_and_urgent_ones_first() {
        let dir = TempDir::new().unwrap();
        let agent = nudge("", false).agent;
        assert!(take(dir.path(), &agent, at(0)).unwrap().nudges.is_empty());
        for (id, text, is_urgent) in [("a", "one", false), ("b", "two", false), ("c", "now", true), ("a", "again", false)] {
            queue_up(dir.path(), id, &nudge(text, is_urgent), at(0)).unwrap();
        }
        let taken = take(dir.path(), &agent, at(0)).unwrap();
        assert_eq!(texts(&taken), ["now", "one", "two"]);
        assert!(take(dir.path(), &agent, at(0)).unwrap().nudges.is_empty(), "another holds them");
        taken.told();
        assert!(take(dir.path(), &agent, at(5)).unwrap().nudges.is_empty());
    }

    #[test]
    fn what_was_taken_by_a_process_that_died_waits_again() {
        let dir = TempDir::new().unwrap();
        let agent = nudge("", false).agent;
        queue_up(dir.path(), "a", &nudge("one", false), at(0)).unwrap();
        drop(take(dir.path(), &agent, at(0)).unwrap());
        assert_eq!(texts(&take(dir.path(), &agent, at(2)).unwrap()), ["one"]);
    }

    #[test]
    fn a_queue_is_bounded_in_number_and_time() {
        let dir = TempDir::new().unwrap();
        let agent = nudge("", false).agent;
        for n in 0..WAITING_MAX {
            assert_eq!(queue_up(dir.path(), &n.to_string(), &nudge("x", n == 7), at(0)).unwrap(), n + 1);
        }
        assert_eq!(queue_up(dir.path(), "more", &nudge("x", false), at(0)).unwrap_err().kind, Kind::Refused);
        let taken = take(dir.path(), &agent, at(40)).unwrap();
        assert_eq!(taken.nudges.len(), 1, "only the urgent one lives so long");
    }

    #[test]
    fn a_file_that_is_no_nudge_is_set_aside_and_others_are_told() {
        let dir = TempDir::new().unwrap();
        let agent = nudge("", false).agent;
        queue_up(dir.path(), "a", &nudge("one", false), at(0)).unwrap();
        let queue = queue(dir.path(), &agent);
        std::fs::write(queue.join("0000000000.json"), "{").unwrap();
        assert_eq!(texts(&take(dir.path(), &agent, at(0)).unwrap()), ["one"]);
        assert!(queue.join("0000000000.malformed").exists());
    }

    #[test]
    fn many_at_once_lose_and_double_nothing() {
        let dir = TempDir::new().unwrap();
        let agent = nudge("", false).agent;
        let told = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let dir = dir.path();
                scope.spawn(move || {
                    for id in (0..10).map(|n| format!("{writer}-{n}")) {
                        queue_up(dir, &id, &nudge(&id, false), at(0)).unwrap();
                    }
                });
            }
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let taken = take(dir.path(), &agent, at(0)).unwrap();
                        told.lock().unwrap().extend(taken.nudges.iter().map(|waiting| waiting.nudge.text.clone()));
                        taken.told();
                    }
                });
            }
        });
        let rest = take(dir.path(), &agent, at(0)).unwrap();
        let mut told = told.into_inner().unwrap();
        told.extend(texts(&rest).into_iter().map(str::to_owned));
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 40);
    }
}

//! What an agent was told once in its session, so that it is not told again at every turn.
//!
//! Machine-local and disposable: a mark that is lost only means that something is told twice. Whoever loses its context
//! loses what it was told with it, so the marks go then too.

use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFail, Result};
use crate::model::address::Address;
use crate::store::write_file;

/// The most marks that are kept of one agent; older ones go.
const MARKS_MAX: usize = 200;

fn path_of(runtime_dir: &Path, agent: &Address) -> PathBuf {
    runtime_dir.join("told").join(agent.as_component())
}

fn marks(runtime_dir: &Path, agent: &Address) -> Result<Vec<String>> {
    let path = path_of(runtime_dir, agent);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).or_fail(Kind::Io, || format!("read {}", path.display())),
    }
}

/// Whether `agent` was told what `mark` stands for.
///
/// # Errors
/// Io, when that cannot be read.
pub fn is_told(runtime_dir: &Path, agent: &Address, mark: &str) -> Result<bool> {
    Ok(marks(runtime_dir, agent)?.iter().any(|told| told == mark))
}

/// Notes that `agent` is told what `mark`, one line, stands for.
///
/// # Errors
/// Io, when it cannot be written: then it may be told again.
pub fn note(runtime_dir: &Path, agent: &Address, mark: &str) -> Result<()> {
    let mut all = marks(runtime_dir, agent)?;
    all.retain(|told| told != mark);
    all.push(mark.replace('\n', " "));
    let from = all.len().saturating_sub(MARKS_MAX);
    write_file(&path_of(runtime_dir, agent), format!("{}\n", all[from..].join("\n")).as_bytes())
}

/// Forgets all that `agent` was told.
///
/// # Errors
/// Io, when the marks cannot be removed.
pub fn forget(runtime_dir: &Path, agent: &Address) -> Result<()> {
    let path = path_of(runtime_dir, agent);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_fail(Kind::Io, || format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_until_it_is_forgotten_and_is_that_of_one_agent() {
        let dir = tempfile::tempdir().unwrap();
        let [toast, rust] = ["widgets/polecats/toast", "widgets/polecats/rust"].map(|text| text.parse().unwrap());
        assert!(!is_told(dir.path(), &toast, "stop abc").unwrap());
        note(dir.path(), &toast, "stop abc").unwrap();
        note(dir.path(), &toast, "stop def").unwrap();
        assert!(is_told(dir.path(), &toast, "stop abc").unwrap() && is_told(dir.path(), &toast, "stop def").unwrap());
        assert!(!is_told(dir.path(), &rust, "stop abc").unwrap());
        forget(dir.path(), &toast).unwrap();
        forget(dir.path(), &toast).unwrap();
        assert!(!is_told(dir.path(), &toast, "stop abc").unwrap());
        (0..300).for_each(|n| note(dir.path(), &toast, &format!("{n}")).unwrap());
        assert_eq!(marks(dir.path(), &toast).unwrap().len(), MARKS_MAX);
    }
}

//! What changed between two commits, as people read it: files with their counts of lines, and the text of `git diff`.
//!
//! No filter, text conversion or external diff of a project runs. The text is foreign: escape it before it reaches a
//! terminal.

use gix::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::git::program;
use crate::store::Store;

/// The longest text of a diff that is handed on, in bytes.
const BYTES_MAX: usize = 8 << 20;

/// A file that changed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// Its path before, when it was renamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// Lines that came; none for what is not text.
    pub added: Option<u64>,
    /// Lines that went; none for what is not text.
    pub removed: Option<u64>,
}

fn run(store: &Store, form: &[&str], base: ObjectId, head: ObjectId) -> Result<Vec<u8>> {
    let (base, head) = (base.to_string(), head.to_string());
    let how = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--ignore-submodules=none"];
    let args: Vec<&str> = how.into_iter().chain(form.iter().copied()).chain([base.as_str(), head.as_str()]).collect();
    let output = program::bare(store.dir(), &args)?;
    if output.is_success() {
        return Ok(output.stdout);
    }
    Err(Error::new(output.failure(), format!("compare {base} with {head}: {}", output.last_line())))
}

/// The files that differ between the commits `base` and `head`, by path.
///
/// # Errors
/// External, when git fails.
pub fn files(store: &Store, base: ObjectId, head: ObjectId) -> Result<Vec<FileChange>> {
    Ok(parse(&String::from_utf8_lossy(&run(store, &["--numstat", "-z"], base, head)?)))
}

/// Reads `--numstat -z`: counts and path, or counts, an empty path, the old and the new one.
fn parse(listed: &str) -> Vec<FileChange> {
    let mut files = Vec::new();
    let mut fields = listed.split('\0');
    while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
        let mut parts = field.splitn(3, '\t');
        let mut count = || parts.next().and_then(|number| number.parse().ok());
        let (added, removed) = (count(), count());
        let (old_path, path) = match parts.next().unwrap_or_default() {
            "" => (fields.next().map(str::to_owned), fields.next().unwrap_or_default().to_owned()),
            path => (None, path.to_owned()),
        };
        files.push(FileChange { path, old_path, added, removed });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The text of the differences between the commits `base` and `head`, and whether it was cut.
///
/// # Errors
/// External, when git fails.
pub fn text(store: &Store, base: ObjectId, head: ObjectId) -> Result<(String, bool)> {
    let mut bytes = run(store, &["--patch"], base, head)?;
    let is_cut = bytes.len() > BYTES_MAX;
    if is_cut {
        bytes.truncate(BYTES_MAX);
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), is_cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_renames_and_what_is_no_text_are_told_apart() {
        let listed = "3\t1\tsrc/a\tb.rs\0-\t-\tlogo.png\x000\t0\t\0old name\0new name\0";
        let file = |path: &str, old: Option<&str>, added, removed| FileChange {
            path: path.into(),
            old_path: old.map(str::to_owned),
            added,
            removed,
        };
        let wanted = [
            file("logo.png", None, None, None),
            file("new name", Some("old name"), Some(0), Some(0)),
            file("src/a\tb.rs", None, Some(3), Some(1)),
        ];
        assert_eq!(parse(listed), wanted);
        assert_eq!(parse(""), []);
    }
}

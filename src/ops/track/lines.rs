//! Input of many lines: read within bounds, and faults told by the number of their line.

use std::io::Read;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, OrFail, Result};

/// The largest input that is taken, in bytes.
pub const INPUT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Faults that a refusal names one by one.
const FAULTS_SHOWN_MAX: usize = 20;

/// A line that cannot be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: String,
}

/// Reads all of `input`.
///
/// # Errors
/// Io, when it cannot be read; refused, when it is larger than [`INPUT_BYTES_MAX`].
pub fn read_all(input: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).or_fail(Kind::Io, || "read the input")?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(Error::refused(format!("the input is larger than {} MiB", INPUT_BYTES_MAX / 1024 / 1024))
            .hint("split it into several files"));
    }
    Ok(bytes)
}

/// The lines of `bytes` that say something, with their numbers from 1.
pub fn numbered(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().map(|(n, line)| (n + 1, line.trim_ascii()));
    lines.filter(|(_, line)| !line.is_empty())
}

/// `error`, told of line `line`.
pub fn at_line(line: usize, error: Error) -> Error {
    let told = Error::new(error.kind, format!("line {line}: {}", error.line()));
    match error.hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// The refusal that names `bad`, which is not empty, in order.
pub fn refusal(what: &str, bad: &[BadLine], of: usize) -> Error {
    let mut told: Vec<String> =
        bad.iter().take(FAULTS_SHOWN_MAX).map(|bad| format!("line {}: {}", bad.line, bad.fault)).collect();
    if bad.len() > FAULTS_SHOWN_MAX {
        told.push(format!("and {} more", bad.len() - FAULTS_SHOWN_MAX));
    }
    Error::usage(format!("{what}: {} of {of} lines cannot be taken, and nothing was written: {}", bad.len(), told.join("; ")))
        .hint("mend these lines, then run it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_count_but_say_nothing() {
        let found: Vec<_> = numbered(b"\n{}\r\n\n  \n[]").collect();
        assert_eq!(found, [(2, &b"{}"[..]), (5, b"[]")]);
    }

    #[test]
    fn a_refusal_names_lines_and_is_bounded() {
        let bad: Vec<BadLine> = (1..=30).map(|line| BadLine { line, fault: "no".into() }).collect();
        let message = refusal("import", &bad, 99).message;
        assert!(message.contains("30 of 99") && message.contains("line 20: no") && !message.contains("line 21"), "{message}");
    }
}

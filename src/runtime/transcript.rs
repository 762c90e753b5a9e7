//! Transcripts that Claude Code keeps of its sessions: JSON lines, of which the answers of the model say how many tokens
//! they took. Nothing else of them is read.
//!
//! An answer stands there once for each of its parts, and only the last says how many tokens it took in all; so of lines
//! with the same message and request the last counts. A line that is being written, or is of another form, is passed over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Kind, OrFail, Result};
use crate::model::cost::{Spent, Tokens, tokens_in};
use crate::time::Moment;

/// The longest line that is read; longer ones hold files and are no answers.
const LINE_BYTES_MAX: usize = 16 << 20;

/// What the session of the transcript at `path` spent, by day and model; `since` leaves out what was before.
///
/// # Errors
/// Not found or io, when it cannot be read.
pub fn spent(path: &Path, since: Option<Moment>) -> Result<Vec<Spent>> {
    let deed = || format!("read the transcript {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(error).or_fail(Kind::NotFound, deed)?,
        file => file.or_fail(Kind::Io, deed)?,
    };
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let mut answers: BTreeMap<String, (String, String, Tokens)> = BTreeMap::new();
    let since = since.map(|since| since.to_string());
    for n in 0.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).or_fail(Kind::Io, deed)? == 0 {
            break;
        }
        if line.len() > LINE_BYTES_MAX {
            continue;
        }
        let Some(answer) = serde_json::from_slice(&line).ok().and_then(|value| answer(&value, n)) else { continue };
        // Both are in UTC and in one form, so that they compare as texts do.
        if since.as_ref().is_none_or(|since| answer.at.get(..19) >= since.get(..19)) {
            let day = answer.at.chars().take(10).collect();
            answers.insert(answer.key, (day, answer.model, answer.tokens));
        }
    }
    let mut sums: BTreeMap<(String, String), Tokens> = BTreeMap::new();
    for (day, model, tokens) in answers.into_values() {
        sums.entry((day, model)).or_default().add(tokens);
    }
    Ok(sums.into_iter().map(|((day, model), tokens)| Spent { day, model, tokens, micros: None }).collect())
}

/// An answer of the model.
struct Answer {
    key: String,
    at: String,
    model: String,
    tokens: Tokens,
}

/// The answer in a line, if it is one; `n` stands for the name that it lacks.
fn answer(line: &Value, n: usize) -> Option<Answer> {
    let message = line.get("message").filter(|_| line["type"] == "assistant")?;
    let tokens = tokens_in(message.get("usage")?.as_object()?);
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, request) = (text(message, "id"), text(line, "requestId"));
    let key = if id.is_empty() { format!("line {n}") } else { format!("{id} {request}") };
    let (at, model) = (text(line, "timestamp"), text(message, "model"));
    // What stands for an error of the program itself took no model.
    (at.len() >= 19 && at.is_ascii() && !model.starts_with('<')).then_some(Answer { key, at, model, tokens })
}

/// The transcripts of sessions that ran in `dir`, below the configuration directory `config` of Claude Code.
#[must_use]
pub fn of_dir(config: &Path, dir: &Path) -> Vec<PathBuf> {
    // Every character that is no letter or digit becomes a dash.
    let name: String = dir.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let entries = std::fs::read_dir(config.join("projects").join(name)).into_iter().flatten().filter_map(std::result::Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_in_parts_the_last_counts_and_what_is_no_answer_does_not() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("u.jsonl");
        let line = |id: &str, at: &str, output: u64| {
            format!(
                r#"{{"type":"assistant","timestamp":"{at}","requestId":"r","message":{{"id":"{id}","model":"claude-x","usage":{{"input_tokens":1,"output_tokens":{output}}}}}}}"#
            )
        };
        let lines = [
            line("a", "2026-01-01T23:59:59.000Z", 1),
            r#"{"type":"user","message":{"content":"hello"}}"#.into(),
            line("a", "2026-01-01T23:59:59.500Z", 40),
            line("b", "2026-01-02T00:00:01.000Z", 2),
            line("", "2026-01-02T00:00:02.000Z", 3),
            line("c", "2026-01-02T00:00:02.000Z", 9).replace("claude-x", "<synthetic>"),
            r#"{"type":"assis"#.into(),
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let told: Vec<(String, u64)> = spent(&path, None).unwrap().iter().map(|s| (s.day.clone(), s.tokens.output)).collect();
        assert_eq!(told, [("2026-01-01".to_owned(), 40), ("2026-01-02".to_owned(), 5)]);
        let since = Moment::from_millis(1_767_312_000_000);
        assert_eq!(spent(&path, Some(since)).unwrap().len(), 1);
        assert_eq!(spent(&dir.path().join("gone"), None).unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn transcripts_are_found_by_the_directory_that_the_session_ran_in() {
        let config = tempfile::TempDir::new().unwrap();
        let place = config.path().join("projects/-town-widgets-polecats-a-b");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("u.jsonl"), "").unwrap();
        std::fs::write(place.join("notes.txt"), "").unwrap();
        assert_eq!(of_dir(config.path(), Path::new("/town/widgets/polecats/a_b")), [place.join("u.jsonl")]);
        assert!(of_dir(config.path(), Path::new("/elsewhere")).is_empty());
    }
}

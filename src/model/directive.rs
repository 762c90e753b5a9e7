//! Directives: what a town or a rig tells all who have a role, beside what gt says of it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::record::{Object, Rev};
use crate::time::Moment;

/// So many bytes a directive has at most: every agent of the role reads it every time.
const BYTES_MAX: usize = 16_000;

/// A directive, as it is stored at `directives/<role>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// Schema version.
    pub v: u64,
    /// For whom.
    pub role: String,
    /// What it says, as Markdown.
    pub text: String,
    /// Who wrote it.
    pub updated_by: String,
    /// When.
    pub updated_at: Moment,
    /// Clock of the last change.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// The name under which a directive for `role` is trusted.
#[must_use]
pub fn trust_key(role: &str) -> String {
    format!("directive.{role}")
}

/// Checks what a directive says.
///
/// # Errors
/// Usage, when it says nothing or too much.
pub fn check_text(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::usage("the directive says nothing").hint("gt directive remove ROLE takes one away"));
    }
    if text.len() > BYTES_MAX {
        return Err(Error::usage(format!("the directive is longer than {BYTES_MAX} bytes"))
            .hint("keep long material in a file of the repository and name it there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_says_something_and_not_too_much() {
        assert!(check_text("Use British spelling.").is_ok() && check_text(&"x".repeat(BYTES_MAX)).is_ok());
        assert!(check_text(" \n").is_err() && check_text(&"x".repeat(BYTES_MAX + 1)).is_err());
    }
}

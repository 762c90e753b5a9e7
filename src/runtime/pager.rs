//! The pager: a program of the user's that shows what is longer than the terminal is high.

use std::io::Write as _;
use std::process::Stdio;

/// What a shell tells of a program that it cannot run, and of one that it cannot find.
const CANNOT_RUN: [i32; 2] = [126, 127];

/// Shows `text` with `command`, which a shell reads, and waits until the user has left it. Tells whether it could be
/// started; when not, nothing was shown.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
pub fn shows(command: &str, text: &str) -> bool {
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::piped());
    let Ok(mut child) = shell.spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever leaves the pager early has read enough.
        let _ = stdin.write_all(text.as_bytes());
    }
    child.wait().is_ok_and(|status| status.code().is_none_or(|code| !CANNOT_RUN.contains(&code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pager_that_is_not_there_shows_nothing_and_says_so() {
        assert!(shows("cat >/dev/null", "text"));
        assert!(shows("exit 3", &"text\n".repeat(100_000)), "a pager that is left early has shown what it was asked for");
        assert!(!shows("no-such-pager-here 2>/dev/null", "text"));
    }
}

//! What went wrong on the way to a remote or over there: one line with a plain name for it and the remote's own words.
//!
//! The words are git's, ssh's and the system's, in English (children run with `LC_ALL=C`), and are only looked
//! at to find the name and what to do; nothing is decided by them.

use crate::error::Error;
use crate::git::progress::one_line;
use crate::git::remote::Place;

/// A fault that has a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    hint: &'static str,
    /// What is said of it, in lower case.
    words: &'static [&'static str],
}

/// A remote that took too little space for what was sent.
pub(crate) const FULL: &str = "the disk over there is full";

/// In the order of what tells most: a refused key also makes git say that the remote hung up.
const KNOWN: &[Fault] = &[
    Fault {
        name: "the host was not found",
        hint: "check the host in the URL, and whether this machine is online",
        words: &[
            "could not resolve host",
            "name or service not known",
            "failure in name resolution",
            "lookup address",
            "unable to look up",
            "no address",
        ],
    },
    Fault {
        name: "the connection was refused",
        hint: "nothing listens there: check host and port in the URL, and that the server runs",
        words: &["connection refused", "couldn't connect to server", "failed to connect to"],
    },
    Fault {
        name: "the host cannot be reached",
        hint: "check whether this machine is online",
        words: &["network is unreachable", "no route to host", "host is unreachable"],
    },
    Fault {
        name: "it took too long",
        hint: "try again; git config gt.remoteTimeout SECONDS sets how long a remote may be silent",
        words: &["timed out", "timeout", "operation too slow"],
    },
    Fault {
        name: "the key of the host is not known here",
        hint: "connect to it once by ssh and compare its key",
        words: &["host key verification failed", "remote host identification has changed"],
    },
    Fault {
        name: "access was refused",
        hint: "check the key for ssh, or the credential helper for http: git credential fill",
        words: &[
            "permission denied (",
            "authentication failed",
            "could not read username",
            "could not read password",
            "invalid credentials",
            "too many authentication failures",
            "error: 401",
            "error: 403",
            "credentials provided for",
        ],
    },
    Fault {
        name: "there is no repository",
        hint: "check the path in the URL, and that this side may see it",
        words: &[
            "does not appear to be a git repository",
            "not a git repository",
            "repository not found",
            "access denied or repository not exported",
            "no such repository",
            "no such file or directory",
            "' not found",
            "is a valid git directory",
        ],
    },
    Fault {
        name: FULL,
        hint: "make room at the remote, then try again: nothing was moved there",
        words: &["no space left on device", "quota"],
    },
    Fault {
        name: "the server failed",
        hint: "look at the server's log, or try again later",
        words: &["error: 500", "error: 502", "error: 503", "error: 504", "http 5"],
    },
    Fault {
        name: "the remote hung up",
        hint: "try again: what arrived is looked up first",
        words: &[
            "hung up",
            "unexpected disconnect",
            "early eof",
            "broken pipe",
            "connection reset",
            "connection closed",
            "unexpectedeof",
            "unexpected eof",
            "unexpected end of file",
            "failed to fill whole buffer",
            "expected flush",
            "remote failed to report status",
            "empty reply from server",
            "transfer closed",
        ],
    },
];

/// What git says whatever went wrong.
const IDLE_WORDS: &[&str] = &[
    "please make sure you have the correct access rights",
    "and the repository exists.",
    "fatal: could not read from remote repository.",
    "error: failed to push some refs",
    "to ",
    "everything up-to-date",
    "hint:",
    "send-pack: unexpected disconnect while reading sideband packet",
];
/// How many lines of the remote are shown, the last ones.
const LINES_MAX: usize = 3;

/// The fault that `words` speak of, if it is one that has a name.
pub(crate) fn known(words: &str) -> Option<&'static Fault> {
    let words = words.to_lowercase();
    KNOWN.iter().find(|fault| fault.words.iter().any(|word| words.contains(word)))
}

/// The error of `deed` ("push to") at `place`, after what was said about it: lines of a program, or of an error's causes.
pub(crate) fn error(deed: &str, place: &Place, said: &str) -> Error {
    let known = known(said);
    let is_idle = |line: &&str| IDLE_WORDS.iter().any(|idle| line.to_lowercase().starts_with(idle));
    // An URL may hold a password.
    let said = said.replace(&place.text(), &place.shown());
    let lines: Vec<String> =
        said.lines().map(str::trim).filter(|line| !line.is_empty() && !is_idle(line)).map(one_line).collect();
    let words = lines[lines.len().saturating_sub(LINES_MAX)..].join("; ");
    let line = match (known, words.is_empty()) {
        (Some(fault), true) => fault.name.to_owned(),
        (Some(fault), false) => format!("{} ({words})", fault.name),
        (None, true) => "it said nothing".to_owned(),
        (None, false) => words,
    };
    let hint = known.map_or("check the URL and that git can reach it: git ls-remote URL", |fault| fault.hint);
    Error::external(format!("{deed} {}: {line}", place.shown())).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_has_one_name_whoever_says_it() {
        for (said, name) in [
            (
                "ssh: Could not resolve hostname nope.invalid: Name or service not known\nfatal: Could not read from remote repository.",
                "the host was not found",
            ),
            ("fatal: unable to access 'http://nope.invalid/x/': Could not resolve host: nope.invalid", "the host was not found"),
            ("failed to lookup address information: Name or service not known", "the host was not found"),
            ("ssh: connect to host 127.0.0.1 port 1: Connection refused", "the connection was refused"),
            (
                "fatal: unable to access 'http://127.0.0.1:1/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server",
                "the connection was refused",
            ),
            (
                "git@example.org: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.",
                "access was refused",
            ),
            ("fatal: could not read Username for 'http://127.0.0.1:1': terminal prompts disabled", "access was refused"),
            ("fatal: '/x.git' does not appear to be a git repository", "there is no repository"),
            ("remote: fatal: write error: No space left on device\nerror: remote unpack failed", FULL),
            ("fatal: the remote end hung up unexpectedly", "the remote hung up"),
            ("connection timed out", "it took too long"),
        ] {
            assert_eq!(known(said).map(|fault| fault.name), Some(name), "{said}");
        }
        assert_eq!(known("pre-receive hook declined"), None);
    }

    #[test]
    fn the_line_has_the_remotes_words_without_what_is_always_said_and_without_passwords() {
        let place = Place::parse("https://me:secret@example.org/x.git").unwrap();
        let said = "remote: \u{1b}[31mnot you\nfatal: Authentication failed for 'https://me:secret@example.org/x.git'\nfatal: Could not read from remote repository.\n";
        let error = error("push to", &place, said);
        assert!(error.message.starts_with("push to https://me@example.org/x.git: access was refused (remote:  [31mnot you; "));
        assert!(!error.message.contains("secret") && !error.message.contains('\u{1b}'), "{}", error.message);
        assert!(super::error("reach", &place, "").message.ends_with("it said nothing"));
    }
}

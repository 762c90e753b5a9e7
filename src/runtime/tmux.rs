//! Terminals for agents: a tmux server of the town's own, with its own socket and configuration.
//!
//! Sessions are named exactly, never by a prefix. What is typed into one is a single line without control characters:
//! text typed at a prompt is what whoever reads it makes of it, a shell would run it. Nobody's `tmux.conf` is read.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::{self, For};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::obeyed::is_obeyed;
use crate::time::Stopwatch;

/// The longest path of a socket that every system takes.
const SOCKET_BYTES_MAX: usize = 100;
/// How wide and high a terminal is until somebody looks at it.
const SIZE: (&str, &str) = ("200", "50");
/// The longest line that is typed.
pub const LINE_CHARS_MAX: usize = 4_000;
/// How long it is waited for that what was typed shows.
const SHOWN_MILLIS_MAX: u64 = 2_000;
/// How long it is waited for that a terminal can be typed into.
const READY_MILLIS_MAX: u64 = 15_000;
/// A terminal that has shown the same for so long is taken to wait for what is typed.
const QUIET_MILLIS: u64 = 800;
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So much of the end of a line is looked for: a prompt may cut or wrap what goes before.
const SHOWN_CHARS: usize = 16;

/// What the server is told before anything else.
const CONFIGURATION: &str = "\
set -s escape-time 10
set -s exit-empty on
set -g default-terminal screen-256color
set -g history-limit 20000
set -g mouse on
set -g update-environment ''
set -g allow-rename off
set -g automatic-rename off
set -g remain-on-exit off
set -g status-interval 0
set -g status-left-length 80
set -g status-right ' %H:%M '
set -g window-status-format ''
set -g window-status-current-format ''
";

/// Where a session has its terminal.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, Serialize, Deserialize)]
pub struct Pane {
    /// The socket of the server.
    pub socket: PathBuf,
    /// The name of its session there.
    pub name: String,
}

/// How a terminal looks from outside.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// What the status line says at the left.
    pub title: &'a str,
    /// Its colours, as tmux names them.
    pub style: &'a str,
}

/// The server for the terminals of the town whose runtime directory this is; it runs while it has sessions.
#[derive(Clone, Debug)]
pub struct Server {
    socket: PathBuf,
    configuration: PathBuf,
}

impl Server {
    /// The server of `runtime_dir`. Nothing is started.
    ///
    /// # Errors
    /// Io, when its directory cannot be made; refused, when that belongs to somebody else.
    pub fn of(runtime_dir: &Path) -> Result<Self> {
        let dir = runtime_dir.join("tmux");
        private_dir(&dir)?;
        let configuration = dir.join("tmux.conf");
        if std::fs::read(&configuration).ok().as_deref() != Some(CONFIGURATION.as_bytes()) {
            crate::store::write_file(&configuration, CONFIGURATION.as_bytes())?;
        }
        let socket = dir.join("socket");
        if socket.as_os_str().len() <= SOCKET_BYTES_MAX {
            return Ok(Self { socket, configuration });
        }
        // Too deep for a socket: a place of ours among the temporary files, told apart by the town's path.
        let short = crate::env::temporary_dir().join(format!("gt-{}", rustix::process::getuid().as_raw()));
        private_dir(&short)?;
        let name = crate::model::merge::content_hash(socket.as_os_str().as_encoded_bytes());
        Ok(Self { socket: short.join(name), configuration })
    }

    /// Starts the session `name` in `dir` on `words`, not on a shell's line; answers the process in it.
    ///
    /// # Errors
    /// External, when tmux is not there or cannot; conflict, when there is a session of that name.
    pub fn start(&self, name: &str, dir: &Path, words: &[OsString], look: Look<'_>, log: &Path) -> Result<u32> {
        let mut args: Vec<OsString> =
            ["new-session", "-d", "-P", "-F", "#{pane_pid}", "-x", SIZE.0, "-y", SIZE.1, "-s", name, "-c"]
                .into_iter()
                .map(OsString::from)
                .collect();
        args.push(dir.into());
        args.push("--".into());
        args.extend(words.iter().cloned());
        let output = self.run(&args)?;
        if !output.status.success() {
            let said = said(&output);
            let kind = if said.contains("duplicate session") { Kind::Conflict } else { Kind::External };
            return Err(Error::new(kind, format!("start the terminal {name}: {said}")));
        }
        let pid = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
        let pid = pid.ok_or_else(|| Error::external(format!("tmux did not say which process the terminal {name} has")))?;
        let left = format!(" {} ", look.title.replace('#', "##"));
        for (option, value) in [("status-style", look.style), ("status-left", &left)] {
            let _ = self.run(&words_of(&["set-option", "-t", &pane(name), option, value]))?;
        }
        // The text is a format of tmux that makes a shell's line, so the path is quoted for both.
        let path = log.display().to_string().replace('\'', r"'\''").replace('#', "##").replace('%', "%%");
        let to_log = format!("exec cat >>'{path}'");
        let _ = self.run(&words_of(&["pipe-pane", "-t", &pane(name), &to_log]))?;
        Ok(pid)
    }

    /// Whether there is a session `name`.
    ///
    /// # Errors
    /// External, when tmux is not there.
    pub fn has(&self, name: &str) -> Result<bool> {
        Ok(self.run(&words_of(&["has-session", "-t", &exact(name)]))?.status.success())
    }

    /// Ends the session `name`, if there is one.
    ///
    /// # Errors
    /// External, when tmux is not there.
    pub fn end(&self, name: &str) -> Result<()> {
        self.run(&words_of(&["kill-session", "-t", &exact(name)])).map(|_| ())
    }
}

impl Pane {
    /// The pane of session `name` on `server`.
    #[must_use]
    pub fn new(server: &Server, name: &str) -> Self {
        Self { socket: server.socket.clone(), name: name.to_owned() }
    }

    fn server(&self) -> Server {
        // Of a server that runs the configuration is not read.
        Server { socket: self.socket.clone(), configuration: "/dev/null".into() }
    }

    /// The last `lines` lines that it shows, those that went by included; control sequences left out.
    ///
    /// # Errors
    /// External, when tmux cannot; not found, when the session is gone.
    pub fn capture(&self, lines: usize) -> Result<Vec<String>> {
        let from = format!("-{lines}");
        let output = self.server().run(&words_of(&["capture-pane", "-p", "-J", "-S", &from, "-t", &pane(&self.name)]))?;
        if !output.status.success() {
            return Err(Error::not_found(format!("the terminal {} is gone: {}", self.name, said(&output))));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut shown: Vec<String> = text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect();
        shown.drain(..shown.len().saturating_sub(lines));
        Ok(shown)
    }

    /// Types `text` and Enter; tells whether the text was seen to show.
    ///
    /// # Errors
    /// Usage, when nothing is left of the text or it is too long; not found, when the session is gone.
    pub fn type_line(&self, text: &str) -> Result<bool> {
        let line = one_line(text);
        if line.is_empty() || line.chars().count() > LINE_CHARS_MAX {
            return Err(Error::usage(format!("what is typed has 1 to {LINE_CHARS_MAX} characters in one line")));
        }
        let server = self.server();
        let typed = server.run(&words_of(&["send-keys", "-t", &pane(&self.name), "-l", "--", &line]))?;
        if !typed.status.success() {
            return Err(Error::not_found(format!("the terminal {} is gone: {}", self.name, said(&typed))));
        }
        let is_shown = self.shows(&line)?;
        let entered = server.run(&words_of(&["send-keys", "-t", &pane(&self.name), "Enter"]))?;
        Ok(is_shown && entered.status.success())
    }

    /// Waits until it can be typed into: until it shows `sign`, or without one until what it shows stays the same.
    /// Tells whether that came in time.
    ///
    /// # Errors
    /// Not found, when the session is gone.
    pub fn settle(&self, sign: &str) -> Result<bool> {
        let (watch, mut quiet, mut before) = (Stopwatch::start(), Stopwatch::start(), Vec::new());
        while watch.millis() < READY_MILLIS_MAX {
            let shown = self.capture(50)?;
            if !sign.is_empty() && shown.iter().any(|line| line.contains(sign)) {
                return Ok(true);
            }
            if shown != before || shown.is_empty() {
                (before, quiet) = (shown, Stopwatch::start());
            }
            if sign.is_empty() && quiet.millis() >= QUIET_MILLIS {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(false)
    }

    /// Whether the end of `line` shows before long, wherever it is broken.
    fn shows(&self, line: &str) -> Result<bool> {
        let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let wanted = bare(line);
        let end: String = wanted.chars().skip(wanted.chars().count().saturating_sub(SHOWN_CHARS)).collect();
        let watch = Stopwatch::start();
        loop {
            if bare(&self.capture(20)?.join("")).contains(&end) {
                return Ok(true);
            }
            if watch.millis() >= SHOWN_MILLIS_MAX {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Presses Escape, which ends what an agent is at.
    ///
    /// # Errors
    /// Not found, when the session is gone.
    pub fn interrupt(&self) -> Result<()> {
        let output = self.server().run(&words_of(&["send-keys", "-t", &pane(&self.name), "Escape"]))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::not_found(format!("the terminal {} is gone: {}", self.name, said(&output))))
    }

    /// Shows it on the terminal of this command until it is left.
    ///
    /// # Errors
    /// External, when there is no terminal here or tmux cannot.
    #[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
    pub fn attach(&self) -> Result<()> {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(["attach-session", "-t", &exact(&self.name)]);
        // One inside of another is what is asked for.
        let status = command.env_remove("TMUX").status().or_fail(Kind::External, || "start tmux")?;
        if status.success() {
            return Ok(());
        }
        Err(Error::external(format!("tmux did not show {}", self.name)).hint("it needs a terminal; without one: gt peek"))
    }

    /// Ends it, if it is there.
    ///
    /// # Errors
    /// External, when tmux is not there.
    pub fn end(&self) -> Result<()> {
        self.server().end(&self.name)
    }
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
    fn run(&self, args: &[OsString]) -> Result<Output> {
        Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .arg("-f")
            .arg(&self.configuration)
            .args(args)
            .env_clear()
            .envs(group::environment(For::Gate, &[], ""))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Error::external("tmux is not installed")
                    .hint("install it, or let agents run without terminals: gt config set session.backend process"),
                _ => Error::external("start tmux").caused_by(error),
            })
    }
}

/// A directory that only we can look into.
fn private_dir(dir: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.or_fail(Kind::Io, || format!("make {}", dir.display()))?;
    let found = std::fs::symlink_metadata(dir).or_fail(Kind::Io, || format!("look at {}", dir.display()))?;
    if !found.is_dir() || found.uid() != rustix::process::getuid().as_raw() {
        return Err(Error::refused(format!("{} belongs to somebody else", dir.display())));
    }
    Ok(())
}

/// `text` as one line that a terminal takes as plain characters: no control characters, nothing that turns the writing
/// direction, line breaks as blanks.
#[must_use]
pub fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { c });
    plain.filter(|c| !is_obeyed(*c)).collect::<String>().trim().to_owned()
}

/// The session of exactly this name.
fn exact(name: &str) -> String {
    format!("={name}")
}

/// The pane of the session of exactly this name.
fn pane(name: &str) -> String {
    format!("={name}:")
}

fn words_of(words: &[&str]) -> Vec<OsString> {
    words.iter().map(|word| OsStr::new(word).to_owned()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}

/// Whether tmux is here; where everything must be tested its absence is a failure.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
pub(super) fn is_there() -> bool {
    let found = Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "no tmux: install tmux");
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn server(dir: &TempDir) -> Server {
        Server::of(dir.path()).unwrap()
    }

    fn start(server: &Server, dir: &TempDir, name: &str, command: &str) -> Pane {
        let words: Vec<OsString> = ["sh", "-c", command].map(OsString::from).into();
        let look = Look { title: "a #[fg=red] title", style: "bg=green" };
        server.start(name, dir.path(), &words, look, &dir.path().join("it's 100 %d of #{a} log")).unwrap();
        Pane::new(server, name)
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let watch = Stopwatch::start();
        while !is_so() {
            assert!(watch.millis() < 10_000, "waited in vain until {what}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    #[test]
    fn a_terminal_is_typed_into_read_and_ended_and_names_are_exact() {
        if !is_there() {
            return;
        }
        let dir = TempDir::new().unwrap();
        let server = server(&dir);
        let (one, longer) = (start(&server, &dir, "gt-a", "cat"), start(&server, &dir, "gt-a-b", "cat"));
        let title = server.run(&words_of(&["show-options", "-v", "-t", "=gt-a:", "status-left"])).unwrap();
        assert_eq!(String::from_utf8_lossy(&title.stdout).trim(), "a ##[fg=red] title", "{}", said(&title));
        assert!(longer.type_line("to the longer one").unwrap());
        assert!(!one.capture(50).unwrap().iter().any(|line| line.contains("longer")));
        assert!(one.type_line("-l first\nsecond").unwrap());
        wait_until("it came back", || one.capture(50).unwrap() == ["-l first second", "-l first second"]);
        let log = || std::fs::read_to_string(dir.path().join("it's 100 %d of #{a} log")).unwrap_or_default();
        wait_until("it is in the log", || log().contains("first second"));
        one.end().unwrap();
        assert!(!server.has("gt-a").unwrap() && server.has("gt-a-b").unwrap());
        assert_eq!(one.type_line("gone").unwrap_err().kind, Kind::NotFound);
        assert_eq!(one.capture(5).unwrap_err().kind, Kind::NotFound);
        assert_eq!(longer.type_line("\u{1b}\n").unwrap_err().kind, Kind::Usage);
        longer.end().unwrap();
    }

    #[test]
    fn nothing_that_is_typed_leaves_its_line() {
        if !is_there() {
            return;
        }
        let dir = TempDir::new().unwrap();
        let server = server(&dir);
        let pane = start(&server, &dir, "gt-hostile", "cat >taken");
        let hostile = [
            "a\nb",
            "a\r\nb",
            "\u{1b}[201~x",
            "\u{1b}]0;title\u{7}x",
            "\u{9b}31mx",
            "$(touch p)`touch q`",
            "'; touch r; '",
            "-X cancel",
            "C-c",
            "Enter",
            "\u{202e}evil",
            "a\u{2028}b",
            "\u{0}x",
            "#{pane_pid}",
            "%1",
            "--",
        ];
        for text in hostile {
            pane.type_line(text).unwrap();
        }
        wait_until("all came", || {
            std::fs::read_to_string(dir.path().join("taken")).unwrap_or_default().lines().count() == hostile.len()
        });
        let taken = std::fs::read_to_string(dir.path().join("taken")).unwrap();
        assert!(taken.chars().all(|c| c == '\n' || !c.is_control()), "{taken:?}");
        assert_eq!(taken.lines().collect::<Vec<_>>(), hostile.map(one_line));
        pane.end().unwrap();
    }

    #[test]
    fn a_town_that_lies_deep_has_its_socket_elsewhere() {
        let dir = TempDir::new().unwrap();
        let deep = dir.path().join("d".repeat(120));
        let (here, there) = (server(&dir), Server::of(&deep).unwrap());
        assert!(here.socket.starts_with(dir.path()) && !there.socket.starts_with(dir.path()));
        assert!(there.socket.as_os_str().len() <= SOCKET_BYTES_MAX);
        assert_ne!(there.socket, Server::of(&dir.path().join("e".repeat(120))).unwrap().socket);
    }
}

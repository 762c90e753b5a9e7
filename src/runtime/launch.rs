//! Starting sessions: the record is written before the agent's command begins, so no agent runs unrecorded.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use super::group::{self, For};
use super::process::{Session, boot, find, lock_path, record_path};
use super::tmux::{Look, Pane, Server};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::agent::Backend;
use crate::store::lock::KernelLock;
use crate::store::refs::start_time_of;
use crate::time::{Moment, Stopwatch};

/// How long a start is watched when the program was found beforehand: a script may name a missing interpreter.
const WATCH_FOUND_MILLIS: u64 = 30;
/// How long when the command line is too much for looking its program up.
const WATCH_UNKNOWN_MILLIS: u64 = 300;
/// Waits for the word that the record is written, then becomes the program. When the starter dies before
/// that, `read` meets the end of the pipe and nothing ever ran.
const GATE_KEEPER: &str = r#"IFS= read -r go || exit 0; exec </dev/null; exec "$@""#;

/// The same for a program that reads what follows the word: `read` takes no byte beyond its line.
const FEEDING_KEEPER: &str = r#"IFS= read -r go || exit 0; exec "$@""#;

/// The same in a terminal: `$2` is there when the record is written, `$1` sets the environment, `$3` is told how it
/// ended, and the program's words follow.
const TERMINAL_KEEPER: &str = r#"n=0
until [ -e "$2" ]; do n=$((n + 1)); [ "$n" -gt 500 ] && exit 0; sleep 0.02; done
rm -f "$2"; . "$1"; rm -f "$1"; exit=$3; shift 3; trap : INT QUIT
"$@"; code=$?; printf %s "$code" >"$exit"; exit "$code""#;

/// The most that is given on standard input: what a pipe holds though nobody reads it yet.
const INPUT_BYTES_MAX: usize = 4096;

/// What a session runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line for `sh -c`. Nothing foreign may be pasted into it: what is foreign goes by `env`.
    Shell(String),
    /// A program and its arguments, no shell between.
    Words {
        /// The agent that they start, by the name of its preset.
        agent: String,
        /// The program and its arguments.
        words: Vec<String>,
        /// What it reads from standard input; without a terminal only.
        input: Option<String>,
    },
    /// Another line, run by a wrapper such as a sandbox: its words first, then those of the line.
    Wrapped {
        /// The wrapper and its arguments; at least one.
        wrapper: Vec<String>,
        /// What it runs.
        inner: Box<Line>,
    },
}

impl Line {
    /// The words that run it.
    fn words(&self) -> Vec<OsString> {
        match self {
            Self::Shell(line) => ["sh", "-c", line].map(OsString::from).into(),
            Self::Words { words, .. } => words.iter().map(OsString::from).collect(),
            Self::Wrapped { wrapper, inner } => wrapper.iter().map(OsString::from).chain(inner.words()).collect(),
        }
    }

    /// The program, as far as it can be told.
    fn program(&self) -> String {
        match self {
            Self::Shell(line) => line.split_whitespace().next().unwrap_or_default().to_owned(),
            Self::Words { words, .. } => words.first().cloned().unwrap_or_default(),
            // What it runs need not be on this side of it.
            Self::Wrapped { wrapper, .. } => wrapper.first().cloned().unwrap_or_default(),
        }
    }

    /// Whether the program is the one that would be run, and no assignment, quote or expansion of a shell.
    fn is_plain(&self) -> bool {
        match self {
            Self::Shell(_) => is_plain(&self.program()),
            Self::Words { .. } | Self::Wrapped { .. } => true,
        }
    }

    /// As people read it, and could type it.
    #[must_use]
    pub fn text(&self) -> String {
        let quoted = |word: &String| if is_plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) };
        match self {
            Self::Shell(line) => line.clone(),
            Self::Words { words, .. } => words.iter().map(quoted).collect::<Vec<_>>().join(" "),
            Self::Wrapped { .. } => {
                let words: Vec<String> = self.words().iter().map(|word| word.to_string_lossy().into_owned()).collect();
                words.iter().map(quoted).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// How another is named.
    fn hint(&self, rig: &str) -> String {
        match self {
            Self::Shell(_) => format!("name another: gt config set agent.command '…'{rig}"),
            Self::Wrapped { .. } => format!("install it, or name another: gt config set agent.wrapper '…'{rig}"),
            Self::Words { agent, .. } => format!(
                "install it, or say where it is: gt config set agents.{agent}.command '…'{rig}; or choose another of gt config agent list: gt config set agent.preset NAME{rig}"
            ),
        }
    }

    /// What it reads from standard input.
    fn input(&self) -> Option<&str> {
        match self {
            Self::Shell(_) => None,
            Self::Words { input, .. } => input.as_deref(),
            Self::Wrapped { inner, .. } => inner.input(),
        }
    }

    /// How messages name the program.
    fn subject(&self) -> String {
        let program = self.program();
        match self {
            Self::Shell(_) => format!("the agent program '{}'", program.escape_debug()),
            Self::Wrapped { .. } => format!("the wrapper '{}'", program.escape_debug()),
            Self::Words { agent, .. } => format!("the program '{}' of agent {agent}", program.escape_debug()),
        }
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Whose session.
    pub agent: Address,
    /// Its id.
    pub session: String,
    /// What it works on; empty when nothing.
    pub bead: String,
    /// What it runs.
    pub line: Line,
    /// Where it runs.
    pub dir: PathBuf,
    /// Variables besides the allow-listed ones.
    pub env: Vec<(String, OsString)>,
    /// The file its output is appended to.
    pub log: PathBuf,
    /// With a terminal or without.
    pub backend: Backend,
    /// The colours of its status line, as tmux names them; empty: those of its role.
    pub style: String,
    /// Now.
    pub now: Moment,
}

/// Starts a session. When the agent already has one for the same bead, that one is the answer.
///
/// # Errors
/// External, when the agent's program does not exist or cannot be run; conflict, when the agent has a session
/// for something else; io, when log or record cannot be written.
pub fn start(runtime_dir: &Path, launch: &Launch) -> Result<Session> {
    let _one_start = KernelLock::take(&lock_path(runtime_dir, &launch.agent))?;
    if let Some(session) = find(runtime_dir, &launch.agent)? {
        if session.bead == launch.bead {
            return Ok(session);
        }
        return Err(Error::conflict(format!("{} has a running session for '{}'", launch.agent, session.bead))
            .hint("let it end, or stop it, then start the new one"));
    }
    if let Some(input) = launch.line.input()
        && (launch.backend == Backend::Tmux || input.len() > INPUT_BYTES_MAX)
    {
        return Err(Error::refused(format!("{} cannot be given its first words on standard input here", launch.line.subject()))
            .hint("let it run without a terminal: gt config set session.backend process"));
    }
    let watch_millis = look_up(launch)?;
    tracing::debug!(agent = %launch.agent, bead = launch.bead, line = launch.line.text(), "session");
    let mark = group::fresh_mark(&launch.dir);
    let deed = || format!("start the session of {} in {}", launch.agent, launch.dir.display());
    if let Some(dir) = launch.log.parent() {
        std::fs::create_dir_all(dir).or_fail(Kind::Io, deed)?;
    }
    match launch.backend {
        Backend::Process => start_process(runtime_dir, launch, &mark, watch_millis),
        Backend::Tmux => start_terminal(runtime_dir, launch, &mark, watch_millis),
    }
}

fn recorded(runtime_dir: &Path, launch: &Launch, mark: &str, pid: u32, pane: Option<Pane>) -> Result<Session> {
    let session = Session {
        id: launch.session.clone(),
        agent: launch.agent.clone(),
        pid,
        start_time: start_time_of(pid).unwrap_or_default(),
        boot: boot(),
        started_at: launch.now,
        log: launch.log.clone(),
        command: launch.line.text(),
        bead: launch.bead.clone(),
        mark: mark.to_owned(),
        pane,
    };
    let record = serde_json::to_vec_pretty(&session).or_fail(Kind::Bug, || "write a session record")?;
    crate::store::write_file(&record_path(runtime_dir, &launch.agent), &record)?;
    Ok(session)
}

fn start_process(runtime_dir: &Path, launch: &Launch, mark: &str, watch_millis: u64) -> Result<Session> {
    let mut child = spawn(launch, mark)?;
    let session = recorded(runtime_dir, launch, mark, child.id(), None)?;
    let keeper = child.stdin.take();
    let mut word = b"go\n".to_vec();
    if let Some(input) = launch.line.input() {
        word.extend_from_slice(format!("{input}\n").as_bytes());
    }
    let go = keeper.map_or(Ok(()), |mut pipe| pipe.write_all(&word));
    go.or_fail(Kind::External, || format!("start the session of {}", launch.agent))?;
    let status = exit_within(&mut child, watch_millis);
    if let Some(code @ (126 | 127)) = status.and_then(|status| status.code()) {
        return Err(not_startable(launch, code));
    }
    // Somebody has to take the exit status; in a short-lived command that is init in the end.
    std::thread::spawn(move || child.wait());
    Ok(session)
}

/// The name of the terminal of `agent`: no `.` or `:`, which mean something to tmux.
#[must_use]
pub fn terminal_name(agent: &Address) -> String {
    let address = agent.to_string();
    let short = address.replace("/polecats/", "/");
    format!("gt-{}", short.trim_end_matches('/').replace('/', "-"))
}

fn start_terminal(runtime_dir: &Path, launch: &Launch, mark: &str, watch_millis: u64) -> Result<Session> {
    let (server, name) = (Server::of(runtime_dir)?, terminal_name(&launch.agent));
    let beside = |ending: &str| record_path(runtime_dir, &launch.agent).with_extension(ending);
    let (env, go, exit) = (beside("env"), beside("go"), beside("exit"));
    for stale in [&go, &exit] {
        let _ = std::fs::remove_file(stale);
    }
    // No session of the agent is known, so what has its name was left by a start that was killed, or is over.
    server.end(&name)?;
    write_env(&env, &group::environment(For::Agent, &launch.env, mark))?;
    let words = ["sh".into(), "-c".into(), TERMINAL_KEEPER.into(), "sh".into()];
    let given = [env.into_os_string(), go.clone().into(), exit.clone().into()];
    let words: Vec<OsString> = words.into_iter().chain(given).chain(launch.line.words()).collect();
    let title = format!("{}  {}", launch.agent, launch.bead);
    let look =
        Look { title: title.trim_end(), style: if launch.style.is_empty() { style_of(&launch.agent) } else { &launch.style } };
    let pid = server.start(&name, &launch.dir, &words, look, &launch.log)?;
    let session = recorded(runtime_dir, launch, mark, pid, Some(Pane::new(&server, &name)))?;
    crate::store::write_file(&go, b"")?;
    let watch = Stopwatch::start();
    while session.is_alive() && watch.millis() < watch_millis {
        std::thread::sleep(Duration::from_millis(5));
    }
    match std::fs::read_to_string(&exit).unwrap_or_default().parse() {
        Ok(code @ (126 | 127)) if !session.is_alive() => Err(not_startable(launch, code)),
        _ => Ok(session),
    }
}

/// The colours of an agent's status line, by its role.
fn style_of(agent: &Address) -> &'static str {
    match agent {
        Address::Mayor | Address::Overseer(_) => "bg=colour94,fg=colour231",
        Address::Deacon | Address::Dog(_) => "bg=colour60,fg=colour231",
        Address::Witness(_) => "bg=colour23,fg=colour231",
        Address::Refinery(_) => "bg=colour52,fg=colour231",
        Address::Polecat(..) => "bg=colour24,fg=colour231",
        Address::Crew(..) => "bg=colour22,fg=colour231",
        Address::Plugin(..) => "bg=colour238,fg=colour231",
    }
}

/// Writes variables as a shell reads them back, for nobody else's eyes: there may be keys among them.
fn write_env(path: &Path, pairs: &[(OsString, OsString)]) -> Result<()> {
    let deed = || format!("write {}", path.display());
    let mut text = Vec::new();
    for (name, value) in pairs {
        // A name that is no shell variable cannot be set so; none of ours is one.
        let Some(name) = name.to_str().filter(|name| is_variable(name)) else { continue };
        text.extend_from_slice(format!("export {name}='").as_bytes());
        for byte in value.as_encoded_bytes() {
            if *byte == b'\'' { text.extend_from_slice(br"'\''") } else { text.push(*byte) }
        }
        text.extend_from_slice(b"'\n");
    }
    let _ = std::fs::remove_file(path);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).or_fail(Kind::Io, deed)?;
    file.write_all(&text).or_fail(Kind::Io, deed)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
fn spawn(launch: &Launch, mark: &str) -> Result<Child> {
    let deed = || format!("start the session of {} in {}", launch.agent, launch.dir.display());
    let log = File::options().append(true).create(true).open(&launch.log).or_fail(Kind::Io, deed)?;
    let also = log.try_clone().or_fail(Kind::Io, deed)?;
    let is_fed = launch.line.input().is_some();
    std::process::Command::new("sh")
        .args(["-c", if is_fed { FEEDING_KEEPER } else { GATE_KEEPER }, "sh"])
        .args(launch.line.words())
        .current_dir(&launch.dir)
        .env_clear()
        .envs(group::environment(For::Agent, &launch.env, mark))
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(also)
        .process_group(0)
        .spawn()
        .or_fail(Kind::External, deed)
}

/// Refuses a line whose program is not there, before anything is assigned to it. What only the
/// sandbox can tell (a relative path, an expansion) is left to [`start`].
///
/// # Errors
/// External, naming the program and how to set another.
pub fn check_program(line: &Line, dir: &Path, env: &[(String, OsString)]) -> Result<()> {
    let program = line.program();
    let is_relative = program.contains('/') && !program.starts_with('/');
    if !line.is_plain() || is_relative || is_found(&program, dir, env)? {
        return Ok(());
    }
    Err(Error::external(format!("{} was not found", line.subject())).hint(line.hint("")))
}

#[expect(clippy::disallowed_methods, reason = "the runtime owns processes")]
fn is_found(word: &str, dir: &Path, env: &[(String, OsString)]) -> Result<bool> {
    let found = std::process::Command::new("sh")
        .args(["-c", r#"command -v -- "$1""#, "sh", word])
        .current_dir(dir)
        .env_clear()
        .envs(group::environment(For::Agent, env, ""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .or_fail(Kind::External, || "run sh to look a program up")?;
    Ok(found.success())
}

/// Looks the command's program up where the session would, and answers how long the start is to be watched.
fn look_up(launch: &Launch) -> Result<u64> {
    if !launch.line.is_plain() {
        return Ok(WATCH_UNKNOWN_MILLIS);
    }
    if !launch.dir.is_dir() {
        return Err(Error::not_found(format!("start a session in {}, which is no directory", launch.dir.display())));
    }
    if is_found(&launch.line.program(), &launch.dir, &launch.env)? {
        return Ok(WATCH_FOUND_MILLIS);
    }
    Err(not_startable(launch, 127))
}

/// Whether the shell takes the word as it stands, and not as an assignment, quote or expansion.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./+-".contains(&b))
}

fn not_startable(launch: &Launch, code: i32) -> Error {
    let why = if code == 126 { "cannot be run" } else { "was not found" };
    let rig = launch.agent.rig().map(|rig| format!(" --rig {rig}")).unwrap_or_default();
    Error::external(format!("{} of {} {why}", launch.line.subject(), launch.agent)).hint(launch.line.hint(&rig))
}

/// How the child exited, when it did within `millis`.
fn exit_within(child: &mut Child, millis: u64) -> Option<ExitStatus> {
    let watch = Stopwatch::start();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if watch.millis() >= millis {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! The line to a remote: a program at its other end for a path and for ssh, a socket for `git://`.
//!
//! What the program says beside its answer is kept for the error that may follow, and never written to the terminal as
//! it is. A line on which nothing moves for a while is cut. Who hangs up last is the remote: it ends what it began.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use gix::bstr::{BString, ByteSlice};
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::ssh::{ProgramKind, connect::Options as Ssh};
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;
use gix::protocol::transport::{Protocol, Service as Side};
use gix::url::Scheme;
use rustix::process::{Pid, Signal};

use crate::env;
use crate::git::program;
use crate::git::progress::{Heard, Progress};
use crate::time::Stopwatch;

/// Where a line leads, and how long it may be still.
pub(crate) struct Way<'a> {
    pub(crate) url: &'a gix::Url,
    pub(crate) side: Side,
    pub(crate) version: Protocol,
    pub(crate) ssh: Ssh,
    pub(crate) still_max: Duration,
}

/// The other end of a line: ended with its value, at the latest.
#[derive(Default)]
pub(crate) struct Peer {
    child: Option<Arc<Started>>,
    pulse: Arc<Pulse>,
    listener: Option<JoinHandle<()>>,
    watch: Option<JoinHandle<()>>,
    heard: Heard,
    /// Whether it receives what we push.
    is_writing: bool,
}

/// A program with its pipes.
struct Started {
    child: Mutex<Child>,
    /// Whether it leads a process group.
    is_group: bool,
}

impl Started {
    fn is_ended(&self) -> bool {
        self.child.lock().map_or(true, |mut child| !matches!(child.try_wait(), Ok(None)))
    }

    fn ends_within(&self, millis: u64) -> bool {
        let clock = Stopwatch::start();
        let mut pause = LOOK / 40;
        loop {
            let is_ended = self.is_ended();
            if is_ended || clock.millis() >= millis {
                return is_ended;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK);
        }
    }

    /// Waits for its end, and then asks for it: git removes what it holds half received when it is asked to end, and not
    /// when it is killed.
    fn end(&self) {
        let mut signals = [Signal::TERM, Signal::KILL].into_iter();
        while !self.ends_within(END_MAX_MILLIS) {
            let Some(signal) = signals.next() else { return };
            self.signal(signal);
        }
    }

    /// Sends `signal`, unless it has ended: its number is another's then.
    fn signal(&self, signal: Signal) {
        let Ok(mut child) = self.child.lock() else { return };
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
        if self.is_group {
            // Those it started may live on; while it was not waited for, the number is that of its group.
            let _ = rustix::process::kill_process_group(pid, signal);
        } else if matches!(child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// How long an address may take to answer.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a remote gets to end by itself once the line is closed, and then to clean up.
const END_MAX_MILLIS: u64 = 5_000;
/// How long its last words are waited for.
const LAST_WORDS_MAX_MILLIS: u64 = 500;
/// The stack of a thread that only waits.
const STACK_BYTES: usize = 256 * 1024;
/// Pause between two looks at something.
const LOOK: Duration = Duration::from_millis(2);

/// Opens the line; nothing was said on it yet.
pub(crate) fn open(way: &Way<'_>, progress: &Progress) -> std::io::Result<(Box<dyn Transport + Send>, Peer)> {
    match way.url.scheme {
        Scheme::Git => dial(way),
        Scheme::Ssh => start(ssh(way)?, way, progress),
        _ => start(far_end(way), way, progress),
    }
}

/// A socket to a `git daemon`.
fn dial(way: &Way<'_>) -> std::io::Result<(Box<dyn Transport + Send>, Peer)> {
    let host = way.url.host().unwrap_or_default();
    let mut failed = None;
    let addresses = (host, way.url.port.unwrap_or(9418)).to_socket_addrs()?;
    // One name may have several addresses, and not all of them answer.
    let connected = addresses.into_iter().find_map(|address| {
        TcpStream::connect_timeout(&address, CONNECT_MAX.min(way.still_max)).map_err(|error| failed = Some(error)).ok()
    });
    let Some(stream) = connected else {
        return Err(failed.unwrap_or_else(|| std::io::Error::other("the host has no address")));
    };
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(way.still_max))?;
    stream.set_write_timeout(Some(way.still_max))?;
    let peer = Peer::default();
    let (read, write) = (watched(stream.try_clone()?, &peer.pulse), watched(stream, &peer.pulse));
    let at = Some((host.to_owned(), way.url.port));
    Ok((Box::new(Connection::new(read, write, way.version, way.url.path.clone(), at, ConnectMode::Daemon, false)), peer))
}

/// The program that serves a repository on this machine.
fn far_end(way: &Way<'_>) -> Command {
    let mut command = program::far_end();
    command.arg(if way.side == Side::UploadPack { "upload-pack" } else { "receive-pack" });
    command.arg(OsStr::from_bytes(&way.url.path));
    if let Some(version) = version_word(way.version) {
        command.env("GIT_PROTOCOL", version);
    }
    command
}

/// What git sets for the other end; nothing for the oldest version.
fn version_word(version: Protocol) -> Option<&'static str> {
    (version == Protocol::V2).then_some("version=2")
}

/// The user's ssh, told as git tells it (git-config(1), `ssh.variant`).
fn ssh(way: &Way<'_>) -> std::io::Result<Command> {
    let invalid = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, why.to_owned());
    let host = way.url.host_argument_safe().ok_or_else(|| invalid("the host could be read as an option"))?;
    let words = way.ssh.command.clone().or_else(|| way.ssh.kind.and_then(|kind| kind.exe()).map(OsString::from));
    let words = words.unwrap_or_else(|| "ssh".into());
    let kind = way.ssh.kind.unwrap_or_else(|| kind_of(&words, way.ssh.disallow_shell, host));
    let mut command = program::named(&words, way.ssh.disallow_shell);
    if kind == ProgramKind::Ssh {
        if let Some(version) = version_word(way.version) {
            command.env("GIT_PROTOCOL", version).args(["-o", "SendEnv=GIT_PROTOCOL"]);
        }
        if !program::may_ask() && env::inherited(|name| name == "SSH_ASKPASS").is_empty() {
            command.args(["-o", "BatchMode=yes"]);
        }
    }
    if kind == ProgramKind::TortoisePlink {
        command.arg("-batch");
    }
    match (way.url.port, kind) {
        (None, _) => {}
        (Some(port), ProgramKind::Ssh) => drop(command.arg(format!("-p{port}"))),
        (Some(_), ProgramKind::Simple) => return Err(invalid("the ssh command that is set cannot be told a port")),
        (Some(port), _) => drop(command.args(["-P", &port.to_string()])),
    }
    command.arg(match way.url.user() {
        Some(user) if user.starts_with('-') => return Err(invalid("the user could be read as an option")),
        Some(user) => format!("{user}@{host}"),
        None => host.to_owned(),
    });
    let path = gix::url::expand_path::for_shell(way.url.path.clone());
    command.arg(way.side.as_str()).arg(OsStr::from_bytes(&quoted(&path)));
    Ok(command)
}

/// What an ssh command understands: told by its name, else by asking it for something that only OpenSSH has.
fn kind_of(words: &OsStr, is_plain: bool, host: &str) -> ProgramKind {
    let bytes = words.as_bytes();
    let first =
        if is_plain { bytes } else { bytes.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or(bytes) };
    match ProgramKind::from(OsStr::from_bytes(first)) {
        ProgramKind::Simple => {
            let mut asked = program::named(words, is_plain);
            let asked = asked.args(["-G", host]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if asked.is_ok_and(|status| status.success()) { ProgramKind::Ssh } else { ProgramKind::Simple }
        }
        known => known,
    }
}

/// A path as one word of the shell at the other end.
fn quoted(path: &BString) -> Vec<u8> {
    let mut out = b"'".to_vec();
    for byte in path.iter().copied() {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            b'!' => out.extend_from_slice(b"'\\!'"),
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
    out
}

fn start(mut command: Command, way: &Way<'_>, progress: &Progress) -> std::io::Result<(Box<dyn Transport + Send>, Peer)> {
    tracing::debug!(?command, "line");
    // A group of its own can be ended as a whole. Who may ask must stay in that of the terminal.
    let is_group = !program::may_ask();
    if is_group {
        command.process_group(0);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut peer = Peer::default();
    peer.child = Some(Arc::new(Started { child: Mutex::new(child), is_group }));
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(std::io::Error::other("a program was started without its pipes"));
    };
    let (heard, progress) = (peer.heard.clone(), progress.clone());
    peer.listener = Some(small_thread("remote's words").spawn(move || listen(stderr, &heard, &progress))?);
    peer.is_writing = way.side == Side::ReceivePack;
    peer.watch(way.still_max)?;
    let (read, write) = (watched(stdout, &peer.pulse), watched(stdin, &peer.pulse));
    let nowhere = None::<(&str, _)>;
    Ok((Box::new(Connection::new(read, write, way.version, way.url.path.clone(), nowhere, ConnectMode::Process, false)), peer))
}

fn small_thread(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES)
}

fn listen(stderr: impl Read, heard: &Heard, progress: &Progress) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without an end does not fill the memory.
        match lines.by_ref().take(4096).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                heard.hear(&line);
                progress.say(line.to_str_lossy().trim_end());
            }
        }
    }
}

/// Since when a line is waited on, and whether it was cut.
struct Pulse {
    clock: Stopwatch,
    /// In milliseconds of `clock`, one more; 0 while nobody waits.
    waiting_since: AtomicU64,
    is_cut: AtomicBool,
    is_over: AtomicBool,
}

impl Default for Pulse {
    fn default() -> Self {
        let (waiting_since, is_cut, is_over) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
        Self { clock: Stopwatch::start(), waiting_since, is_cut, is_over }
    }
}

impl Pulse {
    fn is_still_for(&self, most: Duration) -> bool {
        match self.waiting_since.load(Ordering::Relaxed) {
            0 => false,
            since => Duration::from_millis(self.clock.millis().saturating_sub(since - 1)) > most,
        }
    }

    fn during<T>(&self, work: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        self.waiting_since.store(self.clock.millis() + 1, Ordering::Relaxed);
        let done = work();
        self.waiting_since.store(0, Ordering::Relaxed);
        let timed_out = || std::io::Error::new(std::io::ErrorKind::TimedOut, "timed out: nothing came for too long");
        match done {
            // What a socket says when its time is over.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(timed_out()),
            _ if self.is_cut.load(Ordering::Relaxed) => Err(timed_out()),
            done => done,
        }
    }
}

/// A stream that says when it is waited on.
struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

fn watched<S>(stream: S, pulse: &Arc<Pulse>) -> Watched<S> {
    Watched { stream, pulse: pulse.clone() }
}

impl<S: Read> Read for Watched<S> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.pulse.during(|| self.stream.read(buffer))
    }
}

impl<S: Write> Write for Watched<S> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.pulse.during(|| self.stream.write(buffer))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.pulse.during(|| self.stream.flush())
    }
}

impl Peer {
    /// Ends the program when nothing moves for `most`, since a dead network says nothing, and sees to its end once the
    /// line is over.
    fn watch(&mut self, most: Duration) -> std::io::Result<()> {
        let (Some(child), pulse) = (self.child.clone(), self.pulse.clone()) else { return Ok(()) };
        let look = (most / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
        let watch = move || {
            while !pulse.is_over.load(Ordering::SeqCst) {
                std::thread::park_timeout(look);
                if pulse.is_still_for(most) {
                    pulse.is_cut.store(true, Ordering::Relaxed);
                    child.signal(Signal::KILL);
                    break;
                }
            }
            child.end();
        };
        self.watch = Some(small_thread("line watch").spawn(watch)?);
        Ok(())
    }

    /// What the program said beside its answer, its last words included when it is at its end.
    pub(crate) fn words(&self) -> String {
        if let (Some(child), Some(listener)) = (&self.child, &self.listener) {
            child.ends_within(LAST_WORDS_MAX_MILLIS);
            let clock = Stopwatch::start();
            while !listener.is_finished() && clock.millis() < LAST_WORDS_MAX_MILLIS / 5 {
                std::thread::sleep(LOOK);
            }
        }
        self.heard.joined()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.pulse.is_over.store(true, Ordering::SeqCst);
        let Some(watch) = self.watch.take() else { return };
        watch.thread().unpark();
        // What only reads may end while we go on; what writes shall have done so.
        if self.is_writing {
            let _ = watch.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_over_there() {
        assert_eq!(quoted(&BString::from("/a b/it's!")), b"'/a b/it'\\''s'\\!''");
    }

    #[test]
    fn an_ssh_command_is_known_by_its_first_word() {
        for (words, kind) in [
            ("ssh", ProgramKind::Ssh),
            ("/usr/bin/ssh -i /keys/plink", ProgramKind::Ssh),
            ("plink -agent", ProgramKind::Plink),
            ("false", ProgramKind::Simple),
        ] {
            assert_eq!(kind_of(OsStr::new(words), false, "example.org"), kind, "{words}");
        }
    }

    #[test]
    fn a_remote_that_says_nothing_is_cut_off() {
        let mut silent = program::named(OsStr::new("sleep"), true);
        silent.arg("60");
        let url = gix::url::parse("/x").unwrap();
        let ssh = Ssh::default();
        let way = Way { url: &url, side: Side::UploadPack, version: Protocol::V2, ssh, still_max: Duration::from_millis(100) };
        let (mut transport, _peer) = start(silent, &way, &Progress::silent()).unwrap();
        let error = transport.handshake(Side::UploadPack, &[]).map(|_| ()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("timed out"), "{error}: {cause}");
    }
}

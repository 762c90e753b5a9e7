//! Real servers on loopback: a path, `git daemon`, `sshd` and `git http-backend`, each in front of one directory.
//!
//! A listener of our own takes the connections and hands each to a process, so that no port has to be guessed and every
//! process is known and ends with its server.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::http;

/// The ways to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Daemon,
    Ssh,
    Http,
    /// With basic authentication through a credential helper.
    HttpSecret,
}

pub const KINDS: &[Kind] = &[Kind::File, Kind::Daemon, Kind::Ssh, Kind::Http, Kind::HttpSecret];

/// A server in front of the directory that it was made for; gone with its value.
pub struct Server {
    pub kind: Kind,
    root: PathBuf,
    port: u16,
    listener: Option<Listener>,
    /// Configuration that a client needs for it.
    settings: Vec<(String, String)>,
}

impl Server {
    /// Starts it for the repositories in `root`; its own files go to `scratch`. `None`, where it cannot be had.
    pub fn start(kind: Kind, root: &Path, scratch: &Path) -> Option<Self> {
        std::fs::create_dir_all(scratch).unwrap();
        let mut settings = Vec::new();
        let served = root.to_owned();
        let listener = match kind {
            Kind::File => None,
            Kind::Daemon => Some(Listener::start(move |stream, serving| serve(daemon(&served), &stream, serving))),
            Kind::Http => Some(Listener::start(move |stream, serving| http::answer(&served, None, stream, serving))),
            Kind::HttpSecret => {
                let keeper = script(&scratch.join("credentials"), &keeper_script(scratch));
                settings.push(("credential.helper".to_owned(), keeper));
                Some(Listener::start(move |stream, serving| {
                    http::answer(&served, Some(("agent", "a secret")), stream, serving);
                }))
            }
            Kind::Ssh => {
                let sshd = Sshd::find(scratch)?;
                settings.push(("core.sshCommand".to_owned(), sshd.client()));
                Some(Listener::start(move |stream, serving| serve(sshd.command(), &stream, serving)))
            }
        };
        let port = listener.as_ref().map_or(0, |listener| listener.port);
        Some(Self { kind, root: root.to_owned(), port, listener, settings })
    }

    /// The URL of the repository `name`.
    pub fn url(&self, name: &str) -> String {
        let (port, root) = (self.port, self.root.display());
        match self.kind {
            Kind::File => format!("{root}/{name}"),
            Kind::Daemon => format!("git://127.0.0.1:{port}/{name}"),
            Kind::Ssh => format!("ssh://127.0.0.1:{port}{root}/{name}"),
            Kind::Http | Kind::HttpSecret => format!("http://127.0.0.1:{port}/{name}"),
        }
    }

    /// Keys and values that the client's repository is configured with.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Ends with SIGKILL what serves a connection now.
    pub fn kill_what_serves(&self) {
        if let Some(listener) = &self.listener {
            listener.serving.kill();
        }
    }
}

/// The process groups that serve connections now.
#[derive(Clone, Default)]
pub struct Serving(Arc<Mutex<Vec<u32>>>);

impl Serving {
    /// Notes the process group `pid` until `wait` has ended.
    pub fn during<T>(&self, pid: u32, wait: impl FnOnce() -> T) -> T {
        self.0.lock().unwrap().push(pid);
        let waited = wait();
        self.0.lock().unwrap().retain(|one| *one != pid);
        waited
    }

    /// Ends them with SIGKILL.
    fn kill(&self) {
        for pid in self.0.lock().unwrap().iter() {
            let pid = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Takes connections until it is dropped.
struct Listener {
    port: u16,
    is_over: Arc<AtomicBool>,
    serving: Serving,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start(answer: impl Fn(TcpStream, &Serving) + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (is_over, serving) = (Arc::new(AtomicBool::new(false)), Serving::default());
        let (over, list, answer) = (is_over.clone(), serving.clone(), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in socket.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, list) = (answer.clone(), list.clone());
                std::thread::spawn(move || answer(stream, &list));
            }
        });
        Self { port, is_over, serving, thread: Some(thread) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.serving.kill();
    }
}

/// Lets `command` talk on the connection, as inetd does.
fn serve(mut command: Command, stream: &TcpStream, serving: &Serving) {
    stream.set_nodelay(true).unwrap();
    let (input, output) = (OwnedFd::from(stream.try_clone().unwrap()), OwnedFd::from(stream.try_clone().unwrap()));
    let started = command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::null()).process_group(0).spawn();
    // Else the pipes of the command would keep the connection open.
    drop(command);
    if let Ok(mut child) = started {
        serving.during(child.id(), || drop(child.wait()));
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// git with nobody's configuration.
pub fn git() -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

fn daemon(root: &Path) -> Command {
    let mut command = git();
    command.args(["daemon", "--inetd", "--export-all", "--enable=receive-pack", "--informative-errors"]);
    command.arg(format!("--base-path={}", root.display())).arg(root);
    command
}

/// A credential helper that knows one account and writes down what it is asked.
fn keeper_script(scratch: &Path) -> String {
    let log = scratch.join("asked").display().to_string();
    format!("#!/bin/sh\necho \"$1\" >>'{log}'\n[ \"$1\" = get ] && printf 'username=agent\\npassword=a secret\\n'\nexit 0\n")
}

/// An executable file; tells its path.
pub fn script(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// An ssh server for the present user and nobody else, with keys of its own.
struct Sshd {
    program: PathBuf,
    scratch: PathBuf,
}

impl Sshd {
    fn find(scratch: &Path) -> Option<Self> {
        let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"];
        let Some(program) = places.iter().map(PathBuf::from).find(|path| path.is_file()) else {
            assert!(std::env::var_os("CI").is_none(), "no sshd: install openssh-server");
            eprintln!("SKIPPED: ssh is not tested, there is no sshd (install openssh-server)");
            return None;
        };
        // Where sshd puts itself once it has no rights left; it wants to be root's.
        let _ = std::fs::create_dir_all("/run/sshd");
        let sshd = Self { program, scratch: scratch.canonicalize().unwrap() };
        for key in ["host", "user", "stranger"] {
            let path = sshd.scratch.join(key);
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status().unwrap();
            assert!(made.success());
        }
        let file = |name: &str| sshd.scratch.join(name).display().to_string();
        std::fs::copy(file("user.pub"), file("authorized")).unwrap();
        let host = std::fs::read_to_string(file("host.pub")).unwrap();
        let host: Vec<&str> = host.split_whitespace().take(2).collect();
        std::fs::write(file("known"), format!("* {}\n", host.join(" "))).unwrap();
        let settings = [
            ("HostKey", file("host")),
            ("AuthorizedKeysFile", file("authorized")),
            ("PasswordAuthentication", "no".into()),
            ("KbdInteractiveAuthentication", "no".into()),
            ("UsePAM", "no".into()),
            ("StrictModes", "no".into()),
            ("PermitRootLogin", "yes".into()),
            ("AcceptEnv", "GIT_PROTOCOL".into()),
            ("PidFile", "none".into()),
        ];
        let mut config = std::fs::File::create(file("config")).unwrap();
        for (key, value) in settings {
            writeln!(config, "{key} {value}").unwrap();
        }
        Some(sshd)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-i", "-e", "-f"]).arg(self.scratch.join("config"));
        command
    }

    /// What a client is told to call ssh by.
    fn client(&self) -> String {
        client(&self.scratch, "user")
    }
}

/// The ssh command with the key `key` of those in `scratch`.
pub fn client(scratch: &Path, key: &str) -> String {
    let file = |name: &str| scratch.join(name).display().to_string();
    format!(
        "ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null \
         -o StrictHostKeyChecking=yes -o IdentityAgent=none -o PreferredAuthentications=publickey",
        file(key),
        file("known")
    )
}

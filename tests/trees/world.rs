//! A bare repository with histories made from a seed: renames, links, bits, line ends, odd names, swaps.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gastown::git::init;
use gastown::store::Store;
use gix::ObjectId;

/// Path to (git mode, bytes).
pub type Files = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

pub struct World {
    pub home: tempfile::TempDir,
    pub git_dir: PathBuf,
    pub store: Store,
}

impl World {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let git_dir = home.path().join("rig").join(".repo.git");
        init::init_bare(&git_dir, "main").unwrap();
        let store = Store::open(&git_dir).unwrap();
        Self { home, git_dir, store }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs git in `dir` and gives its output and whether it succeeded.
    pub fn try_git(&self, dir: &Path, args: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
        let mut child = Command::new("git")
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .env("GIT_EDITOR", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs git in `dir`, which must succeed.
    pub fn git(&self, dir: &Path, args: &[&str]) -> String {
        let (is_ok, stdout, stderr) = self.try_git(dir, args, b"");
        assert!(is_ok, "git {args:?}: {stderr}");
        String::from_utf8_lossy(&stdout).trim_end_matches('\n').to_owned()
    }

    /// Runs git on the bare repository.
    pub fn bare(&self, args: &[&str]) -> String {
        let mut all = vec!["--git-dir=."];
        all.extend(args);
        self.git(&self.git_dir, &all)
    }

    /// A commit of `files` at branch `name`.
    pub fn commit(&self, name: &str, files: &Files, parent: Option<ObjectId>) -> ObjectId {
        let mut stream =
            format!("commit refs/heads/{name}\ncommitter a <a@example.com> 1700000000 +0000\ndata 5\n{name:5.5}\n").into_bytes();
        if let Some(parent) = parent {
            stream.extend(format!("from {parent}\n").bytes());
        }
        stream.extend(b"deleteall\n");
        for (path, (mode, bytes)) in files {
            stream.extend(format!("M {mode:o} inline \"").bytes());
            stream.extend(path.iter().flat_map(|byte| format!("\\{byte:03o}").into_bytes()));
            stream.extend(format!("\"\ndata {}\n", bytes.len()).bytes());
            stream.extend(bytes);
            stream.push(b'\n');
        }
        let (is_ok, _, stderr) = self.try_git(&self.git_dir, &["--git-dir=.", "fast-import", "--quiet", "--force"], &stream);
        assert!(is_ok, "{stderr}");
        self.bare(&["rev-parse", &format!("refs/heads/{name}")]).parse_id()
    }

    pub fn tree(&self, commit: ObjectId) -> ObjectId {
        self.bare(&["rev-parse", &format!("{commit}^{{tree}}")]).parse_id()
    }

    pub fn fsck(&self) {
        let output = self.bare(&["fsck", "--strict", "--no-dangling", "--no-progress"]);
        assert_eq!(output, "");
    }
}

pub trait ParseId {
    fn parse_id(&self) -> ObjectId;
}

impl ParseId for String {
    fn parse_id(&self) -> ObjectId {
        ObjectId::from_hex(self.trim().as_bytes()).unwrap()
    }
}

pub fn file(text: &str) -> (u32, Vec<u8>) {
    (0o100_644, text.as_bytes().to_vec())
}

pub fn os(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

fn text(random: &mut fastrand::Rng, lines: usize) -> Vec<u8> {
    let end = if random.u8(..4) == 0 { "\r\n" } else { "\n" };
    (0..lines).flat_map(|_| format!("line {}{end}", random.u32(..100_000)).into_bytes()).collect()
}

/// Files of every kind.
pub fn base(random: &mut fastrand::Rng) -> Files {
    let mut files = Files::new();
    files.insert(
        b".gitattributes".to_vec(),
        file("*.crlf text eol=crlf\n*.auto text=auto\n*.bin binary\nunion.txt merge=union\n*.id ident\n"),
    );
    files.insert(b".gitignore".to_vec(), file("*.log\n/build/\n"));
    files.insert(b"union.txt".to_vec(), (0o100_644, text(random, 6)));
    files.insert(b"doc/win.crlf".to_vec(), file("one\ntwo\nthree\n"));
    files.insert(b"doc/note.id".to_vec(), file("$Id$\nx\n"));
    files.insert(b"b.bin".to_vec(), (0o100_644, (0..=255).cycle().take(2_000).collect()));
    files.insert(b"empty".to_vec(), file(""));
    files.insert(b"run.sh".to_vec(), (0o100_755, b"#!/bin/sh\necho hi\n".to_vec()));
    files.insert(b"link".to_vec(), (0o120_000, b"src/mod0/file0.txt".to_vec()));
    files.insert(b"dangling".to_vec(), (0o120_000, b"/nowhere/at all".to_vec()));
    files.insert(b"odd/na\xffme \x01\xc3\xa9.txt".to_vec(), (0o100_644, text(random, 8)));
    files.insert("odd/tab\t\"quote\" and spaces".as_bytes().to_vec(), (0o100_644, text(random, 8)));
    for at in 0..12 {
        let path = format!("src/mod{}/file{at}.txt", at % 4);
        files.insert(path.into_bytes(), (0o100_644, text(random, 30)));
    }
    files
}

/// Changes `files` in `count` random ways.
pub fn mutate(random: &mut fastrand::Rng, files: &mut Files, count: usize) {
    for _ in 0..count {
        let paths: Vec<Vec<u8>> = files.keys().filter(|path| !path.starts_with(b".git")).cloned().collect();
        let Some(path) = random.choice(paths) else { return };
        match random.u8(..14) {
            0..=4 => edit(random, files, &path),
            5 => drop(files.remove(&path)),
            6 | 7 => {
                let entry = files.remove(&path).unwrap();
                insert(files, format!("moved{}/{}.txt", random.u8(..3), random.u8(..20)).into_bytes(), entry);
                if random.bool() {
                    continue;
                }
                let moved = files.keys().next_back().unwrap().clone();
                edit(random, files, &moved);
            }
            8 => {
                let entry = files.get_mut(&path).unwrap();
                entry.0 = if entry.0 == 0o100_644 { 0o100_755 } else { entry.0 };
            }
            9 => drop(files.insert(path, (0o120_000, b"elsewhere".to_vec()))),
            10 => {
                // The file becomes a directory.
                files.remove(&path);
                insert(files, [&path[..], b"/inside"].concat(), file("now inside\n"));
            }
            11 => {
                // The directory becomes a file.
                let Some(cut) = path.iter().position(|byte| *byte == b'/') else { continue };
                insert(files, path[..cut].to_vec(), file("was a directory\n"));
            }
            12 => insert(files, format!("new{}.txt", random.u8(..6)).into_bytes(), (0o100_644, text(random, 5))),
            _ => rename_directory(random, files),
        }
    }
}

fn rename_directory(random: &mut fastrand::Rng, files: &mut Files) {
    let from = format!("src/mod{}/", random.u8(..4)).into_bytes();
    let to = format!("lib{}/", random.u8(..3)).into_bytes();
    let moved: Vec<Vec<u8>> = files.keys().filter(|path| path.starts_with(&from)).cloned().collect();
    for path in moved {
        let entry = files.remove(&path).unwrap();
        insert(files, [&to[..], &path[from.len()..]].concat(), entry);
    }
}

fn edit(random: &mut fastrand::Rng, files: &mut Files, path: &[u8]) {
    let (mode, bytes) = files.get_mut(path).unwrap();
    if *mode == 0o120_000 {
        // No file system takes an empty link.
        *bytes = format!("to/{}", random.u8(..9)).into_bytes();
        return;
    }
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let at = random.usize(..=lines.len());
    match random.u8(..3) {
        0 if at < lines.len() => drop(lines.remove(at)),
        1 if at < lines.len() => lines[at] = format!("changed {}\n", random.u32(..1000)).into_bytes(),
        _ => lines.insert(at, format!("added {}\n", random.u32(..1000)).into_bytes()),
    }
    *bytes = lines.concat();
}

/// Puts an entry in, and takes out what cannot stand beside it.
fn insert(files: &mut Files, path: Vec<u8>, entry: (u32, Vec<u8>)) {
    let below = [&path[..], b"/"].concat();
    files.retain(|other, _| !other.starts_with(&below) && !path.starts_with(&[&other[..], b"/"].concat()));
    files.insert(path, entry);
}

/// Every file, link and directory below `dir` but `.git`, with kind, bits and bytes.
pub fn on_disk(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(dir).min_depth(1).into_iter().filter_entry(|entry| entry.file_name() != ".git") {
        let entry = entry.unwrap();
        let kind = entry.file_type();
        let bytes = if kind.is_symlink() {
            std::fs::read_link(entry.path()).unwrap().as_os_str().as_bytes().to_vec()
        } else if kind.is_file() {
            std::fs::read(entry.path()).unwrap()
        } else {
            Vec::new()
        };
        let mode = entry.metadata().unwrap().permissions().mode();
        found.insert(entry.path().strip_prefix(dir).unwrap().to_owned(), (mode, bytes));
    }
    found
}

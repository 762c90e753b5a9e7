//! Power loss, for real: `cargo test --test power_loss -- [--quick]`, as root with loop devices.
//!
//! A town lives on an ext4 of its own in a loop device. Writers report each acknowledged bead through a pipe, then
//! the file system is shut down without writing its journal, and mounted again. What was acknowledged must be
//! there, nothing may be empty, git must find no fault, and the next command must work.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, dead_code, missing_docs, unused_imports)]

mod schema;
mod town;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gastown::ledger::Ledger;
use gastown::model::bead::{Bead, IssueType};
use town::{Rig, Town};

/// Beads that a long-lived writer makes in one transaction, enough for a pack.
const BATCH: usize = 8;
/// EXT4_IOC_SHUTDOWN with NOLOGFLUSH: what the journal holds in memory is lost, as at a power cut.
const CUT: &str = "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack('I',2))";

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{program} {}: {said}", args.join(" "))) }
}

/// An ext4 in a file, on a loop device.
struct Disk {
    device: String,
    at: PathBuf,
    mounted: bool,
}

impl Disk {
    fn make(dir: &Path) -> Result<Self, String> {
        let (image, at) = (dir.join("disk"), dir.join("mounted"));
        std::fs::File::create(&image).and_then(|file| file.set_len(1 << 30)).map_err(|error| error.to_string())?;
        std::fs::create_dir(&at).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()])?;
        let device = run("losetup", &["--find", "--show", image.to_str().unwrap()])?;
        let mut disk = Self { device, at, mounted: false };
        disk.mount("defaults")?;
        Ok(disk)
    }

    fn mount(&mut self, options: &str) -> Result<(), String> {
        run("mount", &["-o", options, &self.device, self.at.to_str().unwrap()])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match run("umount", &[self.at.to_str().unwrap()]) {
                Ok(_) => break,
                // A writer that is about to see its error still has the directory.
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error),
            }
        }
        self.mounted = false;
        Ok(())
    }

    fn cut(&self) {
        run("python3", &["-c", CUT, self.at.to_str().unwrap()]).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = self.unmount();
        }
        let _ = run("losetup", &["--detach", &self.device]);
    }
}

/// What was acknowledged: id and title.
type Acknowledged = Mutex<Vec<(String, String)>>;

/// Creates bead after bead, a process each, until one fails.
fn create_singly(town: &Town, name: &str, all: &Acknowledged, is_cut: &AtomicBool) {
    for n in 0.. {
        let title = format!("{name} {n}");
        let made = town.gt_args(&["--json", "bead", "create", &title, "--rig", "widgets"]);
        if made.code != 0 {
            assert!(is_cut.load(Ordering::SeqCst), "a create failed before the cut: {}{}", made.stdout, made.stderr);
            return;
        }
        let id = town::text_at(&made.json(), &["/id", "/bead/id", "/bead"]);
        all.lock().unwrap().push((id, title));
    }
}

/// Runs this program as a long-lived writer and takes down what it acknowledges.
fn create_in_batches(town: &Town, name: &str, all: &Acknowledged) {
    let mut command = town.command(std::env::current_exe().unwrap().to_str().unwrap(), Path::new("/"));
    command.args(["--writer", town.root.to_str().unwrap(), name]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if let Some((id, title)) = line.split_once(' ') {
            all.lock().unwrap().push((id.to_owned(), title.to_owned()));
        }
    }
    child.wait().unwrap();
}

/// Packs, lets decay and flattens beside the writers, and asks lists, until the cut.
fn keep(town: &Town, all: &Acknowledged, is_cut: &AtomicBool) {
    let lines = [
        "--json list --rig widgets --all -n 0",
        "maintain --full",
        "bead create Kept",
        // Not the rig's: git keeps the bare repository that it is exchanged with from no power cut.
        "flatten --town --force",
        "reindex --rig widgets",
    ];
    loop {
        if let Some((id, _)) = all.lock().unwrap().last().cloned() {
            town.gt_args(&["close", &id, "-r", "done"]);
        }
        for line in lines {
            // When all beads that were closed have had their time.
            let done = town.here().var("GT_NOW", "2026-06-01T00:00:00Z").gt(line);
            if done.code != 0 || is_cut.load(Ordering::SeqCst) {
                assert!(is_cut.load(Ordering::SeqCst), "{line} failed before the cut: {}{}", done.stdout, done.stderr);
                return;
            }
        }
    }
}

/// The long-lived writer: several beads a transaction, told on standard output once it has succeeded.
fn write_batches(root: &Path, name: &str) {
    let town = gastown::town::Town::open(root, root.to_owned(), Some("overseer")).unwrap();
    let ledger = town.rig(&"widgets".parse().unwrap()).unwrap().ledger;
    for n in 0.. {
        let made = ledger.transact(&town.deed("batch", format!("batch {n}")), |change| {
            let prefix = change.before().scope()?.prefix;
            let mut lines = Vec::new();
            for k in 0..BATCH {
                let id = change.mint(&prefix, "")?;
                let title = format!("{name} {n} {k}");
                let bead = Bead::new(id.clone(), IssueType::Task, &title, "overseer", change.now())?;
                change.put_bead(&bead)?;
                lines.push(format!("{id} {title}\n"));
            }
            Ok(lines.concat())
        });
        let Ok(lines) = made else { return };
        let mut out = std::io::stdout().lock();
        if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// Everything that is empty and must not be: refs, objects, packs.
fn empty_files(repo: &Path) -> Vec<PathBuf> {
    let all = ["refs", "objects"].into_iter().flat_map(|part| walkdir::WalkDir::new(repo.join(part)));
    let files = all.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let empty = files.filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() == 0)).map(walkdir::DirEntry::into_path);
    // What a writer had not finished is under names that nothing reads.
    empty.filter(|path| !path.to_string_lossy().contains("/gt-tmp-") && !path.to_string_lossy().contains("/tmp_")).collect()
}

/// Faults found after a cut, in words.
fn faults(town: &Town, rig: &Rig, acknowledged: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for repo in [town.root.join(".repo.git"), rig.dir.join(".repo.git")] {
        found.extend(empty_files(&repo).iter().map(|path| format!("empty: {}", path.display())));
        let checked = town.command("git", &repo).args(["fsck", "--strict", "--full", "--no-dangling"]).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
        if !checked.status.success() || ["missing", "corrupt", "broken", "error", "empty"].iter().any(|word| said.contains(word))
        {
            found.push(format!("git fsck of {}: {said}", repo.display()));
        }
    }
    match Ledger::open(&rig.dir.join(".repo.git"), "looker") {
        Err(error) => found.push(error.line()),
        Ok(ledger) => {
            let state = match ledger.state() {
                Ok(state) => state,
                Err(error) => {
                    found.push(error.line());
                    return found;
                }
            };
            for (id, title) in acknowledged {
                match state.find_bead(&id.parse().unwrap()) {
                    Ok(Some(bead)) if bead.title == *title => {}
                    other => {
                        found.push(format!("acknowledged {id} '{title}': {:?}", other.map(|bead| bead.map(|one| one.title))));
                    }
                }
            }
        }
    }
    found
}

/// Whether maintenance works beside the writers of this round.
fn is_kept(round: usize) -> bool {
    round % 2 == 1
}

/// One cut under `writers`; answers how many beads were acknowledged since the last one.
fn crash(disk: &mut Disk, town: &Town, rig: &Rig, round: usize, writers: usize, all: &Acknowledged) -> Vec<String> {
    let is_cut = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..writers {
            let name = format!("r{round} w{n}");
            let is_cut = &is_cut;
            scope.spawn(move || match n % 2 {
                0 => create_singly(town, &name, all, is_cut),
                _ => create_in_batches(town, &name, all),
            });
        }
        if is_kept(round) {
            scope.spawn(|| keep(town, all, &is_cut));
        }
        std::thread::sleep(Duration::from_millis(fastrand::u64(300..1_500)));
        is_cut.store(true, Ordering::SeqCst);
        disk.cut();
    });
    disk.unmount().unwrap();
    disk.mount(if round.is_multiple_of(2) { "defaults" } else { "commit=1" }).unwrap();
    // The next command finds out that the machine went down, as far as it can be told here.
    let boot = rig.dir.join(".repo.git/gt/boot");
    if let Ok(text) = std::fs::read_to_string(&boot) {
        std::fs::write(&boot, text.replacen(text.split_whitespace().next().unwrap_or("-"), "another-boot", 1)).unwrap();
    }
    let mut found = faults(town, rig, all.lock().unwrap().as_slice());
    let listed = town.gt("--json list --rig widgets --all -n 0");
    let unlisted = all.lock().unwrap().iter().filter(|(id, _)| !listed.stdout.contains(&format!("\"{id}\""))).count();
    let checked = town.gt("reindex --check");
    if listed.code != 0 || unlisted > 0 || checked.code != 0 {
        found.push(format!("{unlisted} in no list: {}{}{}", listed.stderr, checked.stdout, checked.stderr));
    }
    let title = format!("r{round} after");
    let begin = Instant::now();
    let next = town.gt_args(&["--json", "bead", "create", &title, "--rig", "widgets"]);
    if next.code != 0 || begin.elapsed() > Duration::from_secs(5) {
        found.push(format!("the next command: {} after {:?}: {}", next.code, begin.elapsed(), next.stderr));
    }
    found
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [option, root, name] = args.as_slice()
        && option == "--writer"
    {
        return write_batches(Path::new(root), name);
    }
    let is_quick = args.iter().any(|arg| arg == "--quick");
    let (crashes, writers) = if is_quick { (3, 4) } else { (25, 8) };
    let place = tempfile::TempDir::new().unwrap();
    let mut disk = match Disk::make(place.path()) {
        Ok(disk) => disk,
        Err(why) => {
            let is_required = std::env::var("GT_TEST_REQUIRE").is_ok_and(|tools| tools.split(',').any(|tool| tool == "loop"));
            assert!(!is_required, "no file system of its own could be made: {why}");
            println!("power loss: NOT RUN, since no file system of its own could be made here: {why}");
            return;
        }
    };
    let begin = Instant::now();
    let town = town::durable_in(&disk.at.clone());
    let rig = town.durable_rig("widgets");
    let all = Acknowledged::default();
    // Founding a town and adding a rig were acknowledged too.
    let mut lost = 0;
    for round in 0..crashes {
        let before = all.lock().unwrap().len();
        let found = crash(&mut disk, &town, &rig, round, writers, &all);
        let now = all.lock().unwrap().len();
        println!("crash {round}: {} acknowledged, {} faults", now - before, found.len());
        found.iter().take(10).for_each(|fault| println!("  {fault}"));
        lost += found.len();
    }
    let count = all.lock().unwrap().len();
    println!("power loss: {crashes} crashes, {writers} writers, {count} acknowledged, {lost} faults, {:.0?}", begin.elapsed());
    // The same cut must show what is not synced, or all of the above proves nothing.
    town.git(&rig.dir.join(".repo.git"), &["config", "gt.durability", "none"]);
    let control = crash(&mut disk, &town, &rig, crashes, writers, &all);
    println!("control, with gt.durability none: {} faults", control.len());
    assert!(!control.is_empty(), "the cut loses nothing, so it is none");
    assert!(count > crashes * writers && lost == 0, "{lost} faults among {count} acknowledged");
}

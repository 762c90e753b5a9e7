//! Two machines of one town, whole processes, joined by nothing but bare repositories.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gastown::ledger::Ledger;
use gastown::model::mail::Letter;
use serde_json::Value;

use crate::race::all_at_once;
use crate::town::{Outcome, Rig, Town, text_at};

/// Steps inside an exchange.
pub const SYNC: &[&str] = &["sync.fetched", "sync.merged", "sync.sent"];

/// Two machines with the rig `widgets`, and where their ledgers meet.
pub struct Pair {
    pub one: Town,
    pub two: Town,
    pub rig: Rig,
    pub rig_two: Rig,
    pub hub: PathBuf,
}

fn bare(town: &Town, name: &str) -> PathBuf {
    let dir = town.base().join(name);
    town.from(town.base()).args(&["hub", "init", dir.to_str().unwrap()]).succeeds();
    town.git(&dir, &["config", "core.fsync", "none"]);
    dir
}

/// A town with a rig whose ledger is at the hub, where others can join it.
fn shared() -> (Town, Rig, PathBuf) {
    let (one, rig) = Town::with_rig();
    let hub = bare(&one, "hub.git");
    one.gt_args(&["remote", "add", "origin", hub.to_str().unwrap()]).succeeds();
    one.gt("sync").succeeds();
    (one, rig, hub)
}

fn tip(town: &Town, repo: &Path) -> String {
    town.git(repo, &["rev-parse", "refs/gt/ledger"])
}

/// All refs of a repository with their values.
fn refs(town: &Town, repo: &Path) -> String {
    town.git(repo, &["for-each-ref"])
}

impl Pair {
    pub fn new() -> Self {
        let (one, rig, hub) = shared();
        let two = one.joined("two", &hub);
        let rig_two = two.join_rig(&rig);
        one.gt("sync").succeeds();
        Self { one, two, rig, rig_two, hub }
    }

    /// A bead that both know.
    pub fn bead(&self, title: &str) -> String {
        let bead = self.one.bead(&self.rig, title);
        self.settle();
        bead
    }

    /// Both sync until both have what the other had, and what was written for it; answers what was told.
    pub fn settle(&self) -> String {
        let rounds = [&self.one, &self.two, &self.one, &self.two];
        let told: Vec<String> = rounds.iter().map(|town| town.gt("sync").succeeds().stdout).collect();
        self.are_equal();
        told.concat()
    }

    fn are_equal(&self) {
        let towns = [self.one.root.join(".repo.git"), self.two.root.join(".repo.git"), self.hub.clone()];
        let rigs = [self.rig.dir.join(".repo.git"), self.rig_two.dir.join(".repo.git"), self.rig.origin.clone()];
        for repos in [towns, rigs] {
            let tips = repos.map(|repo| tip(&self.one, &repo));
            assert!(tips[0] == tips[1] && tips[0] == tips[2], "ledgers differ: {tips:?}");
        }
    }

    /// Every ref of every repository.
    fn all_refs(&self) -> String {
        let towns = [self.one.root.join(".repo.git"), self.two.root.join(".repo.git"), self.hub.clone()];
        let rigs = [self.rig.dir.join(".repo.git"), self.rig_two.dir.join(".repo.git"), self.rig.origin.clone()];
        towns.iter().chain(&rigs).map(|repo| refs(&self.one, repo)).collect::<Vec<_>>().join("\n--\n")
    }
}

fn letters(town: &Town, repo: &Path) -> Vec<String> {
    let ledger = Ledger::open(repo, "looker").unwrap();
    let mut subjects: Vec<String> =
        ledger.state().unwrap().all::<Letter>("mail").unwrap().0.into_iter().map(|letter| letter.subject).collect();
    subjects.sort();
    assert!(town.root.is_dir());
    subjects
}

fn q(town: &Town, title: &str) -> String {
    town.gt_args(&["bead", "q", title, "--rig", "widgets"]).succeeds().stdout.trim().to_owned()
}

/// A file committed in the sandbox of `agent`; answers the commit.
fn commit(town: &Town, agent: &str, file: &str) -> String {
    let sandbox = town.root.join(agent);
    std::fs::write(sandbox.join(file), "work\n").unwrap();
    town.git(&sandbox, &["add", "-A"]);
    town.git(&sandbox, &["commit", "-q", "-m", &format!("Add {file}")]);
    town.git(&sandbox, &["rev-parse", "HEAD"])
}

fn sling(town: &Town, bead: &str) -> (String, String) {
    let slung = town.gt_args(&["--json", "sling", bead, "--no-start"]).json();
    (text_at(&slung, &["/agent"]), text_at(&slung, &["/branch"]))
}

#[test]
fn a_second_machine_sees_everything_has_a_mark_of_its_own_and_trusts_no_command() {
    let (one, rig, hub) = shared();
    let bead = one.bead(&rig, "Seen from afar");
    one.gt("send mayor -s Hello -m text").succeeds();
    one.gt("config set polecats.max 3 --rig widgets").succeeds();
    one.gt("sync").succeeds();
    let two = one.joined("two", &hub);
    assert!(two.gt("status").succeeds().stdout.contains("rig widgets is not on this machine"));
    two.gt("bead list --rig widgets").fails_with(3);
    two.join_rig(&rig);
    assert_eq!(two.show(&bead), one.show(&bead));
    assert!(two.gt("inbox mayor").succeeds().stdout.contains("Hello"));
    assert_eq!(two.gt("config get polecats.max --rig widgets").succeeds().stdout.trim(), "3");

    // Even drawn from one seed two ids differ, by the machine's mark.
    let same = |town: &Town| town.here().var("GT_SEED", "7").gt("bead q 'Drawn' --rig widgets").succeeds().stdout;
    let (ours, theirs) = (same(&one), same(&two));
    assert!(ours.trim().ends_with('0') && theirs.trim().ends_with('1'), "{ours} {theirs}");

    let refused = two.gt_args(&["sling", &bead]).fails_with(4);
    assert!(refused.stderr.contains("gt trust"), "{}", refused.stderr);
    assert_eq!(two.status(&bead), "open");
    assert!(two.gt("trust").succeeds().stdout.contains("NOT TRUSTED"));
    two.gt("trust agent.command --rig widgets").succeeds();
    two.plan(&bead, 1, "say hello\n");
    let slung = two.gt_args(&["--json", "sling", &bead]).json();
    let agent = text_at(&slung, &["/agent"]);
    assert!(agent.ends_with("_1"), "{agent}");
    two.until("the agent has ended", || !two.has_session(&agent));
    two.gt("sync").succeeds();
    one.gt("sync").succeeds();
    assert!(one.gt("polecat list").succeeds().stdout.contains("elsewhere"));
    one.gt_args(&["unsling", &bead]).fails_with(4);
    one.gt_args(&["sling", &bead]).fails_with(4);
    one.fsck();
}

#[test]
fn what_both_machines_do_at_once_is_kept_and_what_had_to_yield_is_told() {
    let pair = Pair::new();
    let (one, two) = (&pair.one, &pair.two);
    let (apart, same, shut) = (pair.bead("Edited apart"), pair.bead("Edited alike"), pair.bead("Shut"));
    for town in [one, two] {
        town.gt_args(&["close", &shut, "-r", "done"]).succeeds();
        town.gt_args(&["bead", "reopen", &shut, "-r", &format!("not done, says {}", town.root.display())]).succeeds();
    }
    one.gt_args(&["update", &apart, "--title", "From one", "--add-label", "a", "--append-notes", "note one"]).succeeds();
    two.gt_args(&["update", &apart, "--priority", "0", "--add-label", "b", "--append-notes", "note two"]).succeeds();
    one.gt_args(&["update", &same, "--title", "Title of one", "-d", "text of one"]).succeeds();
    two.gt_args(&["update", &same, "--title", "Title of two", "-d", "text of two"]).succeeds();
    one.gt("config set polecats.max 4 --rig widgets").succeeds();
    two.gt("config set gates.lint.command 'true' --rig widgets").succeeds();
    for (town, name) in [(one, "one"), (two, "two")] {
        town.gt_args(&["send", "mayor", "-s", &format!("town {name}"), "-m", "x"]).succeeds();
        town.gt_args(&["send", "widgets/witness", "-s", &format!("rig {name}"), "-m", "x"]).succeeds();
    }
    let told = pair.settle();
    let line = told.lines().find(|line| line.contains(&same) && line.contains("title")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("Title of one") && line.contains("Title of two"), "{line}");

    let seen = one.show(&apart);
    assert_eq!((text_at(&seen, &["/title"]).as_str(), &seen["priority"]), ("From one", &Value::from(0)));
    let text = seen.to_string();
    assert!(["\"a\"", "\"b\"", "note one", "note two"].iter().all(|part| text.contains(part)), "{text}");
    let seen = one.show(&same).to_string();
    assert!(seen.contains("text of one") && seen.contains("text of two"), "an overruled text is lost: {seen}");
    let seen = one.show(&shut).to_string();
    assert!(seen.contains("/two") && seen.contains("/gt"), "a remark is lost: {seen}");
    assert_eq!(two.gt("config get polecats.max --rig widgets").succeeds().stdout.trim(), "4");
    assert_eq!(one.gt("config get gates.lint.command --rig widgets").succeeds().stdout.trim(), "true");
    let mine = |repo: &Path| -> Vec<String> {
        letters(one, repo).into_iter().filter(|subject| !subject.starts_with("SYNC_CONFLICT")).collect()
    };
    assert_eq!(mine(&pair.hub), ["town one", "town two"]);
    assert_eq!(mine(&pair.rig.origin), ["rig one", "rig two"]);
    for town in [one, two] {
        let inbox = town.gt("--json mail inbox").json();
        let of_title = |letter: &&Value| letter["subject"] == format!("SYNC_CONFLICT {same} title").as_str();
        let told: Vec<&Value> = inbox.as_array().unwrap().iter().filter(of_title).collect();
        assert_eq!(told.len(), 1, "each is told once, in the scope of its mailbox: {inbox}");
        let body = town.gt(&format!("mail read {}", text_at(told[0], &["/id"]))).succeeds().stdout;
        assert!(body.contains("Kept: Title of") && body.contains("Overruled: Title of"), "{body}");
    }
    one.fsck();
}

#[test]
fn machines_that_work_and_sync_side_by_side_lose_nothing() {
    let pair = Pair::new();
    let mut made = Vec::new();
    for round in 0..3 {
        let mut commands = Vec::new();
        for (town, name) in [(&pair.one, "one"), (&pair.two, "two")] {
            for n in 0..3 {
                let title = format!("{name} {round} {n}");
                commands.push(town.here().command(&["bead", "q", &title, "--rig", "widgets"]));
                commands.push(town.here().command(&["send", "mayor", "-s", &title, "-m", "x"]));
                made.push(title);
            }
            commands.push(town.here().command(&["sync"]));
            commands.push(town.here().command(&["sync"]));
        }
        for outcome in all_at_once(commands) {
            let may_lose = outcome.line.contains("\"sync\"") && outcome.code == 5;
            assert!(outcome.code == 0 || may_lose, "{}: {}{}", outcome.line, outcome.stdout, outcome.stderr);
        }
    }
    pair.settle();
    made.sort();
    let beads = Ledger::open(&pair.rig.origin, "looker").unwrap().state().unwrap().beads().unwrap().0;
    let mut titles: Vec<String> = beads.into_iter().filter(|bead| bead.issue_type.is_work()).map(|bead| bead.title).collect();
    titles.sort();
    assert_eq!(titles, made);
    assert_eq!(letters(&pair.one, &pair.hub), made);
    pair.one.fsck();
}

#[test]
fn of_two_machines_that_sling_one_bead_one_keeps_it_and_the_other_keeps_its_work() {
    let pair = Pair::new();
    for is_first_later in [false, true] {
        let bead = pair.bead("Contested");
        // The assignment with the lower clock stands.
        let later = if is_first_later { &pair.one } else { &pair.two };
        q(later, "Moves the clock");
        q(later, "Moves it more");
        let (agent_one, branch_one) = sling(&pair.one, &bead);
        let (agent_two, branch_two) = sling(&pair.two, &bead);
        assert_ne!(agent_one, agent_two);
        if is_first_later {
            pair.one.plan(&bead, 1, "hang\n");
            pair.one.gt_args(&["sling", &bead]).succeeds();
        }
        let heads = [commit(&pair.one, &agent_one, &format!("{bead}.1")), commit(&pair.two, &agent_two, &format!("{bead}.2"))];
        pair.one.gt("sync").succeeds();
        let at_two = pair.two.gt("sync").succeeds().stdout;
        let at_one = pair.one.gt("sync").succeeds().stdout;
        // What a loser writes goes out with the sync that tells of it.
        pair.two.gt("sync").succeeds();
        pair.are_equal();
        let (winner, loser, told, branch, head) = if is_first_later {
            ((&pair.two, &agent_two), (&pair.one, &agent_one), &at_one, &branch_one, &heads[0])
        } else {
            ((&pair.one, &agent_one), (&pair.two, &agent_two), &at_two, &branch_two, &heads[1])
        };
        assert_eq!(text_at(&pair.one.show(&bead), &["/assignee"]), *winner.1);
        winner.0.as_agent(winner.1).gt("hook").succeeds();
        loser.0.as_agent(loser.1).gt("hook").ends_with(1);
        loser.0.as_agent(loser.1).gt("done").fails_with(4);
        let line = told.lines().find(|line| line.contains(&format!("{} lost {bead}", loser.1)));
        assert!(line.is_some_and(|line| line.contains(winner.1.as_str()) && line.contains(branch.as_str())), "{told}");

        assert_eq!(told.contains(&format!("{} lost {bead}: its session has ended", loser.1)), is_first_later, "{told}");
        assert!(!loser.0.has_session(loser.1));

        let heard = format!("SYNC_CONFLICT {bead} status");
        let inbox = loser.0.as_agent(loser.1).gt("--json mail inbox").json();
        assert!(inbox.as_array().unwrap().iter().any(|letter| letter["subject"] == heard.as_str()), "{inbox}");

        // What it did is where it was, and stays when its sandbox gets other work.
        let sandbox = loser.0.root.join(loser.1);
        std::fs::write(sandbox.join("unsaved.txt"), "precious\n").unwrap();
        let (_, other) = sling(loser.0, &q(loser.0, "Something else"));
        assert_ne!(other, *branch);
        let repo = loser.0.root.join("widgets/.repo.git");
        assert_eq!(loser.0.git(&repo, &["rev-parse", &format!("refs/heads/{branch}")]), *head);
        let salvaged = loser.0.git(&repo, &["for-each-ref", "--format=%(refname)", "refs/gt/salvage"]);
        let last = salvaged.lines().next_back().unwrap_or_else(|| panic!("nothing was salvaged"));
        assert_eq!(loser.0.git(&repo, &["show", &format!("{last}:unsaved.txt")]), "precious");
        commit(winner.0, winner.1, &format!("{bead}.end"));
        winner.0.as_agent(winner.1).gt("done").succeeds();
        pair.settle();
    }
    pair.one.fsck();
}

#[test]
fn what_a_polecat_elsewhere_hands_in_is_landed_by_the_home_machine_and_it_is_told() {
    let pair = Pair::new();
    let (one, two) = (&pair.one, &pair.two);
    one.gt("config set gates.test.command 'sh check.sh' --rig widgets").succeeds();
    let bead = pair.bead("Work from afar");
    let (agent, branch) = sling(two, &bead);
    let head = commit(two, &agent, "afar.txt");
    let done = two.as_agent(&agent).gt("--json done").json();
    assert!(done["warning"].is_null(), "{done}");
    let pin = format!("refs/gt/mr/{}", text_at(&done, &["/mr"]));
    two.gt("mq run --once --rig widgets").fails_with(4);
    two.gt("sync").succeeds();
    one.gt("sync").succeeds();
    assert_eq!(one.git(&pair.rig.dir.join(".repo.git"), &["rev-parse", &pin]), head);
    assert_eq!(one.git(&pair.rig.origin, &["rev-parse", &format!("refs/heads/{branch}")]), head);
    one.gt("mq run --once --rig widgets").succeeds();
    assert_eq!(one.status(&bead), "closed");
    one.gt("sync").succeeds();
    two.gt("sync").succeeds();
    pair.are_equal();
    assert_eq!(two.status(&bead), "closed");
    let inbox = two.as_agent(&agent).gt("inbox").succeeds().stdout;
    assert!(inbox.contains("MERGED"), "{inbox}");
    let main = one.git(&pair.rig.origin, &["rev-parse", "main"]);
    assert_eq!(two.git(&pair.rig_two.dir.join(".repo.git"), &["rev-parse", "refs/heads/main"]), main);
    assert!(pair.rig_two.dir.join("mayor/rig/afar.txt").is_file(), "the reader did not follow");
    // What landed is no work that would have to be kept.
    sling(two, &q(two, "Next"));
    one.fsck();
}

#[test]
fn a_machine_uses_its_own_way_to_the_project() {
    let (one, hub) = {
        let one = Town::new();
        let hub = bare(&one, "hub.git");
        one.gt_args(&["remote", "add", "origin", hub.to_str().unwrap()]).succeeds();
        (one, hub)
    };
    let origin = one.project("widgets");
    let way = one.base().join("way");
    std::os::unix::fs::symlink(one.base(), &way).unwrap();
    let url = format!("file://{}", way.join("widgets.git").display());
    one.gt_args(&["rig", "add", "widgets", &url, "--land", "origin"]).succeeds();
    one.gt("sync").succeeds();
    let two = one.joined("two", &hub);
    let rig = two.join_rig(&Rig { name: "widgets".into(), dir: one.root.join("widgets"), origin: origin.clone() });
    // From here on it is as on a machine that has no such path.
    std::fs::remove_file(way).unwrap();
    let (agent, branch) = sling(&two, &q(&two, "Work"));
    let head = commit(&two, &agent, "new.txt");
    let done = two.as_agent(&agent).gt("--json done").json();
    assert!(done["warning"].is_null(), "{done}");
    assert_eq!(two.git(&origin, &["rev-parse", &format!("refs/heads/{branch}")]), head);
    two.git(&origin, &["update-ref", "refs/heads/main", &head]);
    two.gt("sync").succeeds();
    assert_eq!(two.git(&rig.dir.join(".repo.git"), &["rev-parse", "refs/heads/main"]), head);
    one.gt("sync --rig widgets").ends_with(6);
    two.fsck();
}

#[test]
fn without_its_hubs_a_machine_says_so_and_works_on() {
    let pair = Pair::new();
    let away = |path: &Path| path.with_extension("away");
    for path in [&pair.hub, &pair.rig.origin] {
        std::fs::rename(path, away(path)).unwrap();
    }
    let before = q(&pair.two, "Before");
    let failed = pair.two.gt("sync").ends_with(6);
    let lines: Vec<&str> = failed.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", failed.stdout);
    for (line, (scope, url)) in lines.iter().zip([("town", &pair.hub), ("rig widgets", &pair.rig.origin)]) {
        assert!(line.starts_with(scope) && line.contains("failed") && line.contains(url.to_str().unwrap()), "{line}");
    }
    assert_eq!(pair.two.status(&before), "open");
    let (agent, _) = sling(&pair.two, &q(&pair.two, "Meanwhile"));
    commit(&pair.two, &agent, "meanwhile.txt");
    let done = pair.two.as_agent(&agent).gt("--json done").json();
    assert!(done["warning"].as_str().is_some_and(|warning| warning.contains("pushed")), "{done}");
    // One that is back is used, whatever the other does.
    std::fs::rename(away(&pair.hub), &pair.hub).unwrap();
    let half = pair.two.gt("sync").ends_with(6).stdout;
    assert!(half.lines().next().is_some_and(|line| line.starts_with("town") && !line.contains("failed")), "{half}");
    std::fs::rename(away(&pair.rig.origin), &pair.rig.origin).unwrap();
    pair.two.gt("sync").succeeds();
    pair.settle();
    assert_eq!(pair.one.status(&before), "open");
    pair.one.fsck();
}

#[test]
fn a_sync_that_is_killed_is_made_good_by_the_next() {
    let pair = Pair::new();
    let mut count = 0;
    let mut prepare = || {
        count += 1;
        for (town, name) in [(&pair.one, "one"), (&pair.two, "two")] {
            q(town, &format!("{name} {count}"));
            town.gt_args(&["send", "mayor", "-s", &format!("{name} {count}"), "-m", "x"]).succeeds();
        }
        pair.one.gt("sync").succeeds();
        count
    };
    let check = |count: usize| {
        pair.settle();
        assert_eq!(letters(&pair.one, &pair.hub).len(), 2 * count);
    };
    let writing = ["store.staged", "store.ref.locked"];
    for step in SYNC.iter().chain(&writing) {
        for time in 1.. {
            let count = prepare();
            let outcome = pair.two.here().var("GT_CRASH_AT", &format!("{step}:{time}")).gt("sync");
            assert!(outcome.code == -1 || time > 1, "{step} is never reached: {}", outcome.stdout);
            check(count);
            if outcome.code != -1 {
                break;
            }
        }
    }
    // Now at any moment: a tenth of what a whole one takes, two tenths …
    let count = prepare();
    let begin = Instant::now();
    pair.two.gt("sync").succeeds();
    let whole = begin.elapsed();
    check(count);
    for tenth in 1..=10 {
        let count = prepare();
        killed_after(&pair.two, whole * tenth / 10);
        check(count);
    }
    pair.one.fsck();
}

/// A sync that gets a SIGKILL this long after its start, unless it has ended by then.
fn killed_after(town: &Town, moment: Duration) {
    let mut child = town.here().command(&["sync"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while begin.elapsed() < moment && child.try_wait().unwrap().is_none() {
        std::hint::spin_loop();
    }
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_dry_run_tells_and_moves_no_ref_anywhere() {
    let pair = Pair::new();
    let bead = pair.bead("Known");
    pair.one.gt_args(&["update", &bead, "--title", "Of one"]).succeeds();
    pair.two.gt_args(&["update", &bead, "--title", "Of two"]).succeeds();
    pair.one.gt("sync").succeeds();
    let (agent, _) = sling(&pair.two, &q(&pair.two, "Work"));
    commit(&pair.two, &agent, "work.txt");
    pair.two.as_agent(&agent).gt("done").succeeds();
    let before = pair.all_refs();
    let told = pair.two.gt("sync --dry-run").succeeds().stdout;
    assert!(told.contains("would receive 1 change, would send") && told.contains("Of one") && told.contains("Of two"), "{told}");
    assert_eq!(pair.all_refs(), before);
    pair.settle();
    pair.one.fsck();
}

/// Runs `rig add` on a machine without rigs; it must be refused and leave nothing here or at `hub`.
fn refused_join(town: &Town, args: &[&str], hub: &Path, code: i32) -> Outcome {
    let before = refs(town, hub);
    let outcome = town.gt_args(&[&["rig", "add"], args].concat()).fails_with(code);
    assert!(!town.root.join(args[0]).exists(), "{} left {}", outcome.line, args[0]);
    assert_eq!(refs(town, hub), before, "{} changed {}", outcome.line, hub.display());
    outcome
}

#[test]
fn joining_what_is_not_there_or_is_another_is_refused_and_leaves_nothing() {
    let (one, rig, hub) = shared();
    let origin = rig.origin.to_str().unwrap();
    let two = one.beside("two");
    let root = two.root.to_str().unwrap();
    let missing = one.base().join("missing.git");
    let missing = missing.to_str().unwrap();
    for (from, code) in [(missing, 6), (origin, 4), (bare(&one, "empty.git").to_str().unwrap(), 3)] {
        two.from(two.base()).args(&["install", root, "--from", from]).fails_with(code);
        assert!(!two.root.exists(), "joining {from} left something");
    }
    let two = one.joined("two", &hub);
    refused_join(&two, &["widgets", missing], &rig.origin, 6);
    refused_join(&two, &["widgets", origin, "--sync", missing], &rig.origin, 6);
    refused_join(&two, &["widgets", origin, "--sync", one.base().join("empty.git").to_str().unwrap()], &rig.origin, 4);
    refused_join(&two, &["widgets", origin, "--sync", "none"], &rig.origin, 4);
    refused_join(&two, &["widgets", origin, "--sync", hub.to_str().unwrap()], &hub, 4);
    refused_join(&two, &["widgets", origin, "--prefix", "xy"], &rig.origin, 4);
    let other_name = refused_join(&two, &["gadgets", origin], &rig.origin, 4);
    assert!(other_name.stderr.contains("gt rig add widgets"), "{}", other_name.stderr);
    two.join_rig(&rig);
    assert!(two.gt_args(&["rig", "add", "widgets", origin]).succeeds().stdout.contains("already"));
    // The project may be a rig of its own besides, with a ledger that goes nowhere.
    two.gt_args(&["rig", "add", "gadgets", origin, "--sync", "none"]).succeeds();
    two.gt("sync").succeeds();
    one.fsck();
}

#[test]
fn machines_that_join_at_once_get_different_marks() {
    let (one, rig, hub) = shared();
    let towns: Vec<Town> = ["two", "three", "four"].iter().map(|name| one.beside(name)).collect();
    let install = |town: &Town| {
        let root = town.root.display().to_string();
        town.from(town.base()).command(&["install", &root, "--from", hub.to_str().unwrap()])
    };
    for outcome in all_at_once(towns.iter().map(install).collect()) {
        outcome.succeeds();
    }
    let add = |town: &Town| town.here().command(&["rig", "add", "widgets", rig.origin.to_str().unwrap()]);
    for outcome in all_at_once(towns.iter().map(add).collect()) {
        outcome.succeeds();
    }
    for town in towns.iter().chain([&one]).chain(&towns) {
        town.gt("sync").succeeds();
    }
    let all: Vec<&Town> = std::iter::once(&one).chain(&towns).collect();
    for scope in ["widgets", "hq"] {
        let ids = all.iter().map(|town| town.gt_args(&["bead", "q", "Work", "--rig", scope]).succeeds().stdout);
        let mut marks: Vec<String> = ids.map(|id| id.trim().chars().next_back().unwrap().to_string()).collect();
        marks.sort();
        assert_eq!(marks, ["0", "1", "2", "3"], "in {scope}");
    }
    for town in all.iter().chain(&all) {
        town.gt("sync").succeeds();
    }
    for repo in [".repo.git", "widgets/.repo.git"] {
        let tips: Vec<String> = all.iter().map(|town| tip(town, &town.root.join(repo))).collect();
        assert!(tips.windows(2).all(|pair| pair[0] == pair[1]), "{repo}: {tips:?}");
    }
    one.fsck();
}

#[test]
fn of_two_machines_that_hand_in_one_bead_one_request_lands_and_both_heads_are_kept() {
    let pair = Pair::new();
    pair.one.gt("config set gates.test.command 'sh check.sh' --rig widgets").succeeds();
    let bead = pair.bead("Done twice");
    let hand_in = |town: &Town, file: &str| {
        let (agent, _) = sling(town, &bead);
        let head = commit(town, &agent, file);
        let done = town.as_agent(&agent).gt("--json done").json();
        (format!("refs/gt/mr/{}", text_at(&done, &["/mr"])), head)
    };
    let pins = [hand_in(&pair.one, "one.txt"), hand_in(&pair.two, "two.txt")];
    let told = pair.settle();
    assert!(told.contains("of two choices"), "{told}");
    let drained = pair.one.gt("--json mq run --once --rig widgets").succeeds().stdout;
    pair.settle();
    assert_eq!((pair.one.status(&bead), pair.two.status(&bead)), ("closed".into(), "closed".into()), "{drained}");
    let files = pair.one.git(&pair.rig.origin, &["ls-tree", "--name-only", "main"]);
    assert_ne!(files.contains("one.txt"), files.contains("two.txt"), "{files}");
    for (pin, head) in &pins {
        for repo in [pair.rig.dir.join(".repo.git"), pair.rig_two.dir.join(".repo.git"), pair.rig.origin.clone()] {
            assert_eq!(pair.one.git(&repo, &["rev-parse", pin]), *head, "{pin} in {}", repo.display());
        }
    }
    pair.one.fsck();
}

#[test]
fn a_join_that_is_killed_can_be_tried_again() {
    let (one, rig, hub) = shared();
    let two = one.joined("two", &hub);
    let origin = rig.origin.to_str().unwrap();
    for step in ["rig.cloned", "sync.fetched", "ledger.objects", "sync.fetched:2", "sync.sent", "rig.laid-out", "rig.registered"]
    {
        let outcome = two.here().var("GT_CRASH_AT", step).args(&["rig", "add", "widgets", origin]);
        assert_eq!(outcome.code, -1, "{step}: {}{}", outcome.stdout, outcome.stderr);
    }
    two.join_rig(&rig);
    assert!(q(&two, "Work").ends_with('1'), "a slot was taken more than once");
    two.gt("sync").succeeds();
    one.gt("sync").succeeds();
    assert_eq!(tip(&one, &rig.dir.join(".repo.git")), tip(&one, &two.root.join("widgets/.repo.git")));
    one.fsck();
}

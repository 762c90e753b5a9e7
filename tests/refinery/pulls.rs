//! Landing by pull request, with a stand-in for the forge: a script that keeps pull requests as files, and people who
//! merge them with git.

use std::path::{Path, PathBuf};

use gastown::error::Kind;
use gastown::model::bead::Status;
use gastown::model::merge_request::MrState;
use gastown::model::protocol::Protocol;
use gastown::name::BeadId;
use gastown::ops::refinery::{self, Event};

use super::crash::{run_and_kill, run_and_kill_when_there};
use super::world::{World, git};

/// Steps of a landing by pull request.
pub const STEPS: &[&str] = &["pull.noted", "pull.pushed", "pull.opened", "pull.recorded"];

/// What stands in for the forge: `$1` is where pull requests lie. `mode` there tells it to fail.
const CLERK: &str = r#"
set -eu
cd "$1"
case $(cat mode 2>/dev/null) in
fail) echo "the forge is down" >&2; exit 3 ;;
hang) sleep 600 ;;
slow) touch begun; sleep 2 ;;
babble) echo "two words"; exit 0 ;;
esac
echo "a remark on standard error" >&2
case $GT_PR_ACTION in
open)
    echo "$GT_PR_BRANCH $GT_PR_COMMIT" >>opened
    for one in [0-9]*; do
        if [ -e "$one" ] && [ "$(cat "$one/branch")" = "$GT_PR_BRANCH" ] && [ "$(cat "$one/state")" = open ]; then found=$one; fi
    done
    if [ -z "${found:-}" ]; then
        found=$(($(ls -d [0-9]* 2>/dev/null | wc -l) + 1))
        mkdir "$found"
        echo open >"$found/state"
        echo "$GT_PR_BRANCH" >"$found/branch"
        echo "$GT_PR_TARGET" >"$found/target"
    fi
    echo "$GT_PR_TITLE" >"$found/title"
    cp "$GT_PR_BODY_FILE" "$found/body"
    echo "https://example.org/pull/$found" ;;
status) cat "${GT_PR_REFERENCE##*/}/state" ;;
esac
"#;

/// A world whose target may not be pushed, and its forge.
struct Forge {
    world: World,
    origin: PathBuf,
    dir: PathBuf,
}

impl Forge {
    fn new() -> Self {
        let world = World::with_gate();
        let origin = world.with_origin();
        let dir = world.base().join("forge");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("clerk"), CLERK).unwrap();
        world.set("mq.strategy", "pr");
        world.set("mq.pr.command", &format!("sh {0}/clerk {0}", dir.display()));
        Self { world, origin, dir }
    }

    fn at(&self, what: &str) -> String {
        git(&self.origin, &["rev-parse", what])
    }

    fn has(&self, branch: &str) -> bool {
        !git(&self.origin, &["for-each-ref", &format!("refs/heads/{branch}")]).is_empty()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap_or_default().trim().to_owned()
    }

    fn mode(&self, mode: &str) {
        std::fs::write(self.dir.join("mode"), mode).unwrap();
    }

    /// How many pull requests were ever made.
    fn count(&self) -> usize {
        (1..=99).take_while(|n| self.dir.join(n.to_string()).exists()).count()
    }

    /// A person's clone, with `target` checked out as the remote has it.
    fn clone(&self, target: &str) -> PathBuf {
        let clone = self.world.base().join("person");
        let _ = std::fs::remove_dir_all(&clone);
        git(self.world.base(), &["clone", "-q", "-b", target, self.origin.to_str().unwrap(), clone.to_str().unwrap()]);
        clone
    }

    /// Somebody presses the button of pull request `n`.
    fn merge(&self, n: usize, way: &str) {
        let target = self.read(&format!("{n}/target"));
        let (clone, branch) = (self.clone(&target), format!("origin/{}", self.read(&format!("{n}/branch"))));
        match way {
            "merge" => drop(git(&clone, &["merge", "-q", "--no-ff", "-m", "Merge pull request", &branch])),
            "squash" => {
                git(&clone, &["merge", "-q", "--squash", &branch]);
                git(&clone, &["commit", "-q", "-m", "Squashed"]);
            }
            "rebase" => drop(git(&clone, &["cherry-pick", &format!("HEAD..{branch}")])),
            "ff" => drop(git(&clone, &["merge", "-q", "--ff-only", &branch])),
            other => panic!("{other}"),
        }
        git(&clone, &["push", "-q", "origin", &target]);
        std::fs::write(self.dir.join(format!("{n}/state")), "MERGED").unwrap();
    }

    /// Somebody pushes `file` to the target itself.
    fn push(&self, file: &str) -> String {
        let clone = self.clone("main");
        std::fs::write(clone.join(file), "x\n").unwrap();
        git(&clone, &["add", "-A"]);
        git(&clone, &["commit", "-q", "-m", "By hand"]);
        git(&clone, &["push", "-q", "origin", "main"]);
        git(&clone, &["rev-parse", "HEAD"])
    }

    fn landed(&mut self) -> Vec<BeadId> {
        self.world.run().unwrap().landed
    }

    fn states(&self, mrs: &[BeadId]) -> Vec<MrState> {
        mrs.iter().map(|mr| self.world.mr(mr).state).collect()
    }

    /// Nothing is left of the pull requests, and all is sound.
    #[track_caller]
    fn is_settled(&self) {
        assert!(!self.has("gt/queue"), "a branch of the queue is left at the remote");
        assert_eq!(self.at("main"), self.world.tip("main"));
        self.world.is_sound();
    }
}

#[test]
fn what_is_gated_waits_for_its_pull_request_and_lands_however_that_is_merged() {
    for way in ["merge", "squash", "rebase", "ff"] {
        let mut forge = Forge::new();
        let before = forge.at("main");
        let mrs = forge.world.requests(&["a", "b"]);
        let drained = forge.world.run().unwrap();
        assert_eq!(drained.waiting_for_pull_request["main"], "https://example.org/pull/1", "{:#?}", forge.world.lines());
        assert_eq!((forge.at("main"), forge.world.tip("main")), (before.clone(), before.clone()));
        assert_eq!(forge.states(&mrs), [MrState::Landing, MrState::Landing]);
        assert_eq!(forge.world.row(&mrs[0]).note, "waits for pull request https://example.org/pull/1");
        let body = forge.read("1/body");
        assert!(body.contains(mrs[0].as_str()) && body.contains("`Work on b`") && body.contains("test"), "{body}");
        // What is open is said and left alone; what comes in waits.
        let later = forge.world.requests(&["c"]);
        assert_eq!(forge.landed(), []);
        assert_eq!((forge.states(&later), forge.world.runs()), (vec![MrState::Queued], 0));
        forge.merge(1, way);
        assert_eq!(forge.landed(), mrs, "{way}: {:#?}", forge.world.lines());
        assert!(forge.world.lines().iter().any(|line| line.contains("pull/2")), "{:#?}", forge.world.lines());
        forge.merge(2, way);
        assert_eq!(forge.landed(), later, "{way}");
        assert_eq!((forge.count(), forge.world.mail().len()), (2, 3), "{way}");
        forge.is_settled();
        let commits: Vec<_> = mrs.iter().map(|mr| forge.world.mr(mr).landed_commit.unwrap()).collect();
        assert_eq!(commits[0] == commits[1], way == "squash", "{way}");
        // What landed alone can be taken back; what became one commit with another cannot.
        let town = forge.world.town_as("overseer");
        assert_eq!(refinery::revert(&town, &forge.world.rig(), &mrs[1], None).is_ok(), way != "squash", "{way}");
        assert!(refinery::revert(&town, &forge.world.rig(), &later[0], None).is_ok(), "{way}");
    }
}

#[test]
fn a_target_that_moved_meanwhile_is_gated_anew_and_the_same_pull_request_is_updated() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    let first = forge.at("gt/queue/main");
    let hand = forge.push("hand");
    assert_eq!(forge.landed(), []);
    assert!(forge.world.lines().iter().any(|line| line.contains("called off")), "{:#?}", forge.world.lines());
    assert_ne!(forge.at("gt/queue/main"), first);
    assert_eq!((forge.at("gt/queue/main~1"), forge.count(), forge.world.runs()), (hand, 1, 1));
    forge.merge(1, "squash");
    assert_eq!(forge.landed(), mrs);
    forge.is_settled();
}

#[test]
fn what_was_squashed_onto_a_target_that_had_moved_is_found_there() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    forge.push("hand");
    forge.merge(1, "squash");
    assert_eq!(forge.landed(), mrs, "{:#?}", forge.world.lines());
    forge.is_settled();
}

#[test]
fn a_pull_request_that_is_closed_sends_its_requests_back() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a", "b"]);
    forge.landed();
    std::fs::write(forge.dir.join("1/state"), "CLOSED").unwrap();
    let drained = forge.world.run().unwrap();
    assert_eq!(drained.evicted, mrs, "{:#?}", forge.world.lines());
    let mr = forge.world.mr(&mrs[0]);
    assert_eq!(mr.blame.as_ref().unwrap().cause, "pull-request-closed");
    assert_eq!(forge.world.show(&mr.source_beads[0]).status, Status::Open);
    assert!(forge.world.row(&mrs[0]).note.contains("pull/1 was closed"));
    assert_eq!(forge.world.mail().iter().filter(|mail| matches!(mail, Protocol::MergeFailed { .. })).count(), 2);
    assert!(!forge.has("gt/queue/main"));
    assert!(forge.world.submit(&mr.source_beads[0], "a").is_err(), "the same head is not handed in at once again");
    forge.is_settled();
}

#[test]
fn a_command_that_fails_hangs_or_babbles_costs_nothing_but_time() {
    let mut forge = Forge::new();
    forge.world.set("mq.pr.timeout", "1s");
    let mrs = forge.world.requests(&["a"]);
    for (mode, why) in [("fail", "code 3: the forge is down"), ("hang", "more than 1 s"), ("babble", "names the pull request")] {
        forge.mode(mode);
        let drained = forge.world.run().unwrap();
        assert!(drained.waiting_for_pull_request["main"].contains(why), "{mode}: {:#?}", forge.world.lines());
        assert_eq!((forge.states(&mrs), forge.count()), (vec![MrState::Landing], 0));
        assert_eq!(forge.world.row(&mrs[0]).note, "waits for pull request gt/queue/main");
    }
    forge.mode("");
    forge.landed();
    assert_eq!(forge.count(), 1);
    forge.mode("fail");
    assert!(forge.world.run().unwrap().waiting_for_pull_request["main"].contains("the forge is down"));
    // The target decides, whatever the command says.
    forge.merge(1, "merge");
    assert_eq!(forge.landed(), mrs);
    forge.is_settled();
}

#[test]
fn a_queue_killed_at_any_step_goes_on_with_the_same_pull_request() {
    for step in ["land.intent", "land.checked"].iter().chain(STEPS) {
        let mut forge = Forge::new();
        let mrs = forge.world.requests(&["a", "b"]);
        assert!(run_and_kill(&forge.world, step, 1), "{step} was never reached");
        assert_eq!(forge.landed(), [], "{step}");
        assert_eq!((forge.count(), forge.world.runs(), forge.states(&mrs)), (1, 0, vec![MrState::Landing; 2]), "{step}");
        forge.merge(1, "rebase");
        assert_eq!(forge.landed(), mrs, "{step}: {:#?}", forge.world.lines());
        forge.is_settled();
    }
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    forge.merge(1, "squash");
    assert!(run_and_kill(&forge.world, "land.recorded", 1));
    forge.landed();
    assert_eq!(forge.states(&mrs), [MrState::Landed]);
    forge.is_settled();
}

#[test]
fn a_command_that_outlived_its_queue_is_ended_before_the_next_is_begun() {
    let mut forge = Forge::new();
    forge.mode("slow");
    let mrs = forge.world.requests(&["a"]);
    run_and_kill_when_there(&forge.world, &forge.dir.join("begun"));
    forge.mode("");
    forge.landed();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!((forge.count(), forge.read("opened").lines().count()), (1, 1));
    forge.merge(1, "merge");
    assert_eq!(forge.landed(), mrs);
    forge.is_settled();
}

#[test]
fn what_was_merged_before_the_queue_knew_its_pull_request_is_landed() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    assert!(run_and_kill(&forge.world, "pull.opened", 1));
    forge.merge(1, "squash");
    assert_eq!(forge.landed(), mrs);
    assert_eq!(forge.count(), 1);
    forge.is_settled();
}

#[test]
fn what_is_withdrawn_held_or_rejected_leaves_the_pull_request_and_the_others_go_on() {
    for word in ["withdraw", "hold", "reject", "replace"] {
        let mut forge = Forge::new();
        let mrs = forge.world.requests(&["a", "b"]);
        forge.landed();
        let (town, rig) = (forge.world.town_as("overseer"), forge.world.rig());
        let said = match word {
            "withdraw" => refinery::withdraw(&town, &rig, &mrs[0], "no").map(drop),
            "hold" => refinery::hold(&town, &rig, &mrs[0], "later").map(drop),
            "reject" => refinery::reject(&town, &rig, &mrs[0], "not like this").map(drop),
            _ => {
                let bead = forge.world.mr(&mrs[0]).source_beads[0].clone();
                forge.world.branch("a", "main", &[("a", "better\n")]);
                forge.world.submit(&bead, "a").map(drop)
            }
        };
        said.unwrap_or_else(|error| panic!("{word}: {error:?}"));
        assert_eq!(forge.landed(), [], "{word}");
        let files = git(&forge.origin, &["ls-tree", "-r", "--name-only", "gt/queue/main"]);
        assert!(files.lines().any(|file| file == "b"), "{word}: {files}");
        assert_eq!(files.starts_with("README.md\na\n"), word == "replace", "{word}: {files}");
        assert_eq!((forge.count(), forge.states(&mrs[1..])), (1, vec![MrState::Landing]), "{word}");
        forge.merge(1, "merge");
        assert!(forge.landed().contains(&mrs[1]), "{word}");
        forge.is_settled();
    }
    // The last one out closes the branch.
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    refinery::withdraw(&forge.world.town(), &forge.world.rig(), &mrs[0], "no").unwrap();
    forge.landed();
    forge.is_settled();
}

#[test]
fn what_was_withdrawn_after_it_was_merged_has_landed() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    forge.merge(1, "merge");
    refinery::withdraw(&forge.world.town(), &forge.world.rig(), &mrs[0], "too late").unwrap();
    assert_eq!(forge.landed(), mrs);
    assert_eq!(forge.states(&mrs), [MrState::Landed]);
    forge.is_settled();
}

#[test]
fn without_a_remote_a_command_or_trust_nothing_is_begun() {
    let mut world = World::with_gate();
    let mrs = world.requests(&["a"]);
    world.set("mq.strategy", "pr");
    let error = world.run().unwrap_err();
    assert!(error.kind == Kind::Refused && error.message.contains("branches of its own"), "{error:?}");
    world.with_origin();
    let error = world.run().unwrap_err();
    assert!(error.kind == Kind::Refused && error.message.contains("no command"), "{error:?}");
    world.set_untrusted("mq.pr.command", "touch /tmp/never");
    let error = world.run().unwrap_err();
    assert!(error.kind == Kind::Refused && error.message.contains("not trusted here"), "{error:?}");
    assert_eq!((world.mr(&mrs[0]).state, world.runs()), (MrState::Queued, 0));
}

#[test]
fn each_target_has_its_own_branch_and_pull_request() {
    let mut forge = Forge::new();
    for repo in [forge.origin.clone(), forge.world.repo()] {
        git(&repo, &["branch", "release/1", "main"]);
    }
    let mut submission = World::submission(&forge.world.bead("fix"), "fix");
    forge.world.branch("fix", "main", &[("fix", "x\n")]);
    submission.target = Some("release/1".into());
    let fix = forge.world.file(&submission).unwrap();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    assert!(forge.has("gt/queue/main") && forge.has("gt/queue/release/1") && forge.count() == 2);
    let of_release = if forge.read("1/target") == "main" { 2 } else { 1 };
    forge.merge(of_release, "squash");
    assert_eq!((forge.landed(), forge.states(&mrs)), (vec![fix], vec![MrState::Landing]));
    assert!(forge.has("gt/queue/main") && !forge.has("gt/queue/release/1"));
    forge.merge(3 - of_release, "merge");
    assert_eq!(forge.landed(), mrs);
    forge.is_settled();
}

#[test]
fn what_somebody_else_put_on_the_branch_is_not_run_over() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    // A reviewer commits to the pull request's branch, and the target moves on.
    let clone = forge.clone("gt/queue/main");
    std::fs::write(clone.join("suggestion"), "x\n").unwrap();
    git(&clone, &["add", "-A"]);
    git(&clone, &["commit", "-q", "-m", "Suggestion"]);
    git(&clone, &["push", "-q", "origin", "gt/queue/main"]);
    let theirs = forge.at("gt/queue/main");
    forge.push("hand");
    let drained = forge.world.run().unwrap();
    assert!(drained.waiting_for_pull_request["main"].contains("somebody else"), "{:#?}", forge.world.lines());
    assert_eq!(forge.at("gt/queue/main"), theirs);
    git(&forge.origin, &["branch", "-D", "gt/queue/main"]);
    forge.landed();
    forge.merge(1, "merge");
    assert_eq!(forge.landed(), mrs);
    forge.is_settled();
}

#[test]
fn an_order_to_land_without_gates_goes_by_pull_request_too() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["bad"]);
    let (town, rig) = (forge.world.town_as("overseer"), forge.world.rig());
    let forced = refinery::land(&town, &rig, &mrs, "it is on fire", &mut |_| {}).unwrap();
    assert_eq!((forced.landed.len(), forced.pull_request.as_deref()), (0, Some("https://example.org/pull/1")));
    assert!(forge.read("1/body").contains("without gates, by order of `overseer`"));
    let again = refinery::land(&town, &rig, &mrs, "it is on fire", &mut |_| {}).unwrap_err();
    assert_eq!(again.kind, Kind::Conflict);
    forge.merge(1, "squash");
    assert_eq!(forge.landed(), mrs);
    assert!(!forge.has("gt/queue/main"));
}

#[test]
fn a_rig_that_goes_back_to_moving_its_target_lands_what_waits() {
    let mut forge = Forge::new();
    let mrs = forge.world.requests(&["a"]);
    forge.landed();
    forge.world.set("mq.strategy", "land");
    let drained = forge.world.run().unwrap();
    assert!(drained.waiting_for_pull_request.is_empty());
    assert!(forge.world.events.iter().any(|event| matches!(event, Event::Landed { .. })), "{:#?}", forge.world.lines());
    assert_eq!(forge.states(&mrs), [MrState::Landed]);
    forge.is_settled();
}

#[test]
fn a_merge_that_does_not_show_is_waited_for() {
    let mut forge = Forge::new();
    forge.world.requests(&["a"]);
    forge.landed();
    std::fs::write(forge.dir.join("1/state"), "merged").unwrap();
    assert!(forge.world.run().unwrap().waiting_for_pull_request["main"].contains("said to be merged"));
    assert!(Path::new(&forge.dir.join("1")).exists() && forge.count() == 1);
}

#[test]
fn what_waits_for_a_pull_request_is_said_by_every_command_that_shows_the_queue() {
    let (town, rig) = crate::town::Town::with_rig();
    let forge = town.base().join("forge");
    std::fs::create_dir(&forge).unwrap();
    std::fs::write(forge.join("clerk"), CLERK).unwrap();
    let command = format!("sh {0}/clerk {0}", forge.display());
    for (key, value) in [("gates.test.command", "./check.sh"), ("mq.pr.command", &command), ("mq.strategy", "pr")] {
        town.gt_args(&["config", "set", key, value, "--rig", "widgets"]).succeeds();
    }
    let work = town.base().join("widgets-work");
    town.git(&work, &["checkout", "-q", "-B", "side", "main"]);
    town.git(&work, &["commit", "-q", "--allow-empty", "-m", "Nothing"]);
    std::fs::write(work.join("side"), "x\n").unwrap();
    town.git(&work, &["add", "side"]);
    town.git(&work, &["commit", "-q", "-m", "Side `rm` @all"]);
    town.git(&work, &["push", "-q", rig.dir.join(".repo.git").to_str().unwrap(), "side"]);
    let bead = town.bead(&rig, "Side");
    town.gt(&format!("mq submit {bead} side")).succeeds();
    let page = |line: &str| town.gt(line).succeeds().stdout;
    let url = "pull request https://example.org/pull/1";
    assert!(page("mq run --once --rig widgets").contains("main waits for a pull request: https://example.org/pull/1"));
    for line in ["mq list", "mq next", "mq status", &format!("mq status {bead}"), &format!("mq why {bead}")] {
        assert!(page(line).contains(&format!("waits for {url}")), "{line}: {}", page(line));
        town.gt(&format!("--json {line}")).json();
    }
    assert!(std::fs::read_to_string(forge.join("1/body")).unwrap().contains("`Side 'rm' @all`"));
    assert_eq!(std::fs::read_to_string(forge.join("1/title")).unwrap(), "Side `rm` @all\n");
    let told = town.gt("--json mq run --once --rig widgets").json();
    assert_eq!(told["waiting_for_pull_request"]["main"], "https://example.org/pull/1");
    town.gt(&format!("mq land {bead} --force --reason now")).fails_with(5);
    std::fs::write(forge.join("1/state"), "closed").unwrap();
    page("mq run --once --rig widgets");
    assert!(page(&format!("mq why {bead}")).contains("was closed without a merge"));
    town.gt(&format!("mq retry {bead}")).fails_with(4);
    town.gt(&format!("mq retry {bead} --force -m 'it was an accident'")).succeeds();
    let forced = town.gt(&format!("mq land {bead} --force --reason now")).succeeds().stdout;
    assert!(forced.contains("main waits for pull request https://example.org/pull/2"), "{forced}");
    town.fsck();
}

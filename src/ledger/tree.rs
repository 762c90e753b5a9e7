//! Where each record lies: the only file that spells the ledger's refs and paths.

use crate::error::{Kind, OrFail, Result};
use crate::model::address::Address;
use crate::name::{BeadId, Name};
use crate::time::Moment;

/// The ref that holds a scope's state.
pub const LEDGER: &str = "refs/gt/ledger";
/// The ref that holds a scope's cold records, at the paths that they had in the ledger.
pub const ARCHIVE: &str = "refs/gt/archive";
/// Where heads of merge requests are pinned, followed by the request's id.
pub const MR: &str = "refs/gt/mr/";
/// Where commits of a landing under way are pinned, followed by the intent's id.
pub const LANDING: &str = "refs/gt/landing/";
/// Where the commit that convicted a request is kept for its author, followed by the request's id; never synced.
pub const EVIDENCE: &str = "refs/gt/evidence/";
/// Where targets are kept as they were before others moved them, followed by the branch and the commit.
pub const PIN: &str = "refs/gt/pin/";
/// Where unsaved work is kept, followed by agent and time.
pub const SALVAGE: &str = "refs/gt/salvage/";
/// Where machines tell that they live, followed by the machine's id.
pub const BEAT: &str = "refs/gt/beat/";
/// Where tips that a flatten replaced are kept, followed by the epoch that began with it.
pub const FLATTENED: &str = "refs/gt/flattened/";
/// Where the ledger is kept as it was before it was replaced, followed by the time.
pub const BACKUP: &str = "refs/gt/backup/";

/// Where tombstones lie.
pub const TOMBSTONES: &str = "tombstones";

/// Where lies what people said of targets.
pub const CONTROLS: &str = "queue/targets";
/// Where the queues of targets keep their notes.
pub const NOTEBOOKS: &str = "queue/notebooks";

/// `ledger.json`, which says what the ledger is.
pub const SCOPE: &str = "ledger.json";

/// The ref that remembers what `name` was when last seen at `remote`; outside `refs/gt`, so that a hub that
/// fetches does not hand it on.
#[must_use]
pub fn tracking(remote: &str, name: &str) -> String {
    format!("refs/gt-remote/{remote}/{}", name.trim_start_matches("refs/gt/"))
}

/// The pin of merge request `id`.
#[must_use]
pub fn mr_pin(id: &BeadId) -> String {
    format!("{MR}{id}")
}

/// The pin of landing `id`.
#[must_use]
pub fn landing_pin(id: &str) -> String {
    format!("{LANDING}{id}")
}

/// The pins of what the branch `target` was.
#[must_use]
pub fn pins(target: &str) -> String {
    format!("{PIN}{target}/")
}

/// The pin of `commit`, at which `target` was.
#[must_use]
pub fn pin(target: &str, commit: &str) -> String {
    format!("{}{}", pins(target), commit.get(..12).unwrap_or(commit))
}

/// The pin of the commit that gates were red on when request `id` was sent back.
#[must_use]
pub fn evidence_pin(id: &BeadId) -> String {
    format!("{EVIDENCE}{id}")
}

/// The pin of the tip that was replaced when `epoch` began.
#[must_use]
pub fn flattened(epoch: usize) -> String {
    format!("{FLATTENED}{epoch}")
}

/// Where the ledger as it was before `now` is kept; `n` tells those of one moment apart.
#[must_use]
pub fn backup(now: Moment, n: u32) -> String {
    let suffix = if n == 0 { String::new() } else { format!("-{n}") };
    format!("{BACKUP}{}{suffix}", now.millis())
}

/// A salvage ref for `agent` at `now`; agents' slashes stay, so that `for-each-ref` groups by agent.
#[must_use]
pub fn salvage(agent: &Address, now: Moment, n: u32) -> String {
    let suffix = if n == 0 { String::new() } else { format!("-{n}") };
    format!("{SALVAGE}{agent}/{}{suffix}", now.millis())
}

/// The path of a bead: one character a level of the last word of its id; children lie beside their parent.
#[must_use]
pub fn bead(id: &BeadId) -> String {
    format!("beads/{}/{id}.json", fan(id))
}

/// The path of what stands for a bead that is not there any more.
#[must_use]
pub fn tombstone(id: &BeadId) -> String {
    format!("{TOMBSTONES}/{}/{id}.json", fan(id))
}

/// Two directory levels from an id: the first two characters of its last word.
fn fan(id: &BeadId) -> String {
    let root = id.suffix().split('.').next().unwrap_or_default();
    let word = root.rsplit('-').next().unwrap_or_default();
    let mut letters = word.chars();
    let (first, second) = (letters.next().unwrap_or('_'), letters.next().unwrap_or('_'));
    format!("{first}/{second}")
}

/// The directory of all letters of a mailbox.
#[must_use]
pub fn mailbox(address: &Address) -> String {
    format!("mail/{}", address.as_component())
}

/// The path of a letter.
#[must_use]
pub fn letter(to: &Address, sent_at: Moment, id: &BeadId) -> String {
    let word = id.suffix().rsplit('-').next().unwrap_or_default();
    let shard: String = word.chars().chain("__".chars()).take(2).collect();
    format!("{}/{}/{shard}/{id}.json", mailbox(to), sent_at.year_month())
}

/// The path of a request to sling a bead on another machine.
#[must_use]
pub fn request(bead: &BeadId) -> String {
    format!("requests/{bead}.json")
}

/// The path of an agent's hook.
#[must_use]
pub fn hook(agent: &Address) -> String {
    format!("hooks/{}.json", agent.as_component())
}

/// The path of a machine's record.
#[must_use]
pub fn machine(id: &str) -> String {
    format!("machines/{id}.json")
}

/// The path of what is remembered of a plugin's calls.
#[must_use]
pub fn plugin(name: &Name) -> String {
    format!("plugins/{name}.json")
}

/// The path of a rig's registry entry, in the town's ledger.
#[must_use]
pub fn rig(name: &Name) -> String {
    format!("rigs/{name}.json")
}

/// The path of a configuration group: the first word of its keys.
#[must_use]
pub fn config(group: &str) -> String {
    format!("config/{group}.json")
}

/// The path of what the town keeps under `key`.
#[must_use]
pub fn kept(key: &str) -> String {
    format!("kv/{key}.json")
}

/// The path of what is told to all who have `role`.
#[must_use]
pub fn directive(role: &str) -> String {
    format!("directives/{role}.json")
}

/// The path of a parcel for another scope.
#[must_use]
pub fn parcel(key: &str) -> String {
    format!("outbox/{key}.json")
}

/// The path of a recorded gate run; `key` is the memo key, `run` tells runs of one key apart.
#[must_use]
pub fn gate_run(key: &str, run: &str) -> String {
    format!("queue/gates/{}/{key}-{run}.json", &key[..2])
}

/// The path of a landing's intent.
#[must_use]
pub fn intent(id: &str) -> String {
    format!("queue/intents/{id}.json")
}

/// The path of what somebody said of a target.
#[must_use]
pub fn control(target: &str) -> String {
    format!("{CONTROLS}/{}.json", as_component(target))
}

/// The path of what the queue of a target remembers.
#[must_use]
pub fn notebook(target: &str) -> String {
    format!("{NOTEBOOKS}/{}.json", as_component(target))
}

fn as_component(branch: &str) -> String {
    branch.replace('%', "%25").replace('/', "%2F")
}

/// The path of a report on a choice that a merge overruled.
#[must_use]
pub fn conflict(hash: &str) -> String {
    format!("conflicts/{hash}.json")
}

/// Splits a path of ours into tree entry names.
///
/// # Errors
/// Bug, when a component is empty or `..`; no constructor here makes one.
pub fn components(path: &str) -> Result<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').collect();
    let good = parts.iter().all(|part| !part.is_empty() && *part != "." && *part != ".." && *part != ".git");
    good.then_some(parts).or_fail(Kind::Bug, || format!("use '{}' as a record path", path.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_lie_where_the_documents_say() {
        for (id, path) in [
            ("wi-x7k2m", "beads/x/7/wi-x7k2m.json"),
            ("wi-x7k2m.1.3", "beads/x/7/wi-x7k2m.1.3.json"),
            ("wi-x7k2m.1-k", "beads/x/7/wi-x7k2m.1-k.json"),
            ("hq-cv-abc12", "beads/a/b/hq-cv-abc12.json"),
            ("wi-widgets-polecat-toast", "beads/t/o/wi-widgets-polecat-toast.json"),
            ("wi-a", "beads/a/_/wi-a.json"),
        ] {
            assert_eq!(bead(&id.parse().unwrap()), path);
        }
        let to: Address = "widgets/polecats/toast".parse().unwrap();
        let when: Moment = "2026-11-20T08:00:00Z".parse().unwrap();
        assert_eq!(
            letter(&to, when, &"wi-ml-ab123".parse().unwrap()),
            "mail/widgets%2Fpolecats%2Ftoast/202611/ab/wi-ml-ab123.json"
        );
        assert_eq!(control("release/1%2"), "queue/targets/release%2F1%252.json");
    }

    #[test]
    fn a_path_cannot_leave_the_tree() {
        for bad in ["a//b", "../a", "a/./b", "", ".git/config"] {
            assert!(components(bad).is_err(), "{bad}");
        }
    }
}

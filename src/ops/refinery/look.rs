//! Reads the records a plan rests on: who waits in which order, and what runs have said of which trees.
//!
//! Everything is read anew each round; nothing depends on a stored plan.

use std::collections::{BTreeSet, HashMap};

use gix::ObjectId;

use crate::error::{Kind, OrFail, Result};
use crate::ledger::{State, tree};
use crate::model::bead::{Bead, IssueType};
use crate::model::gate::{Gate, GateRun, Verdict};
use crate::model::merge_request::{MergeRequest, MrState};
use crate::model::plan::{self, Place, Rank};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::time::Moment;
use crate::town::RigPlace;

/// How long a run is remembered.
const MEMO_MILLIS_MAX: u64 = 7 * 86_400_000;
/// After how many runs that could not say a tree counts as one that the gate cannot judge.
const SILENT_RUNS: u32 = 2;

/// A request with its bead.
#[derive(Clone, Debug)]
pub struct Request {
    /// The bead.
    pub bead: Bead,
    /// Its merge request fields.
    pub mr: MergeRequest,
}

impl Request {
    /// The pinned head.
    ///
    /// # Errors
    /// Corrupt, when it is no object id.
    pub fn head(&self) -> Result<ObjectId> {
        object_id(&self.mr.head)
    }
}

/// Reads an object id from a record.
///
/// # Errors
/// Corrupt, when it is none.
pub fn object_id(text: &str) -> Result<ObjectId> {
    ObjectId::from_hex(text.as_bytes()).or_fail(Kind::Corrupt, || format!("read the object id '{}'", text.escape_debug()))
}

/// All merge requests of the scope that can be read.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn requests(state: &State<'_>) -> Result<Vec<Request>> {
    let beads = state.beads_of(&IssueType::MergeRequest)?;
    Ok(beads.into_iter().filter_map(|bead| MergeRequest::of(&bead).ok().map(|mr| Request { bead, mr })).collect())
}

/// Live requests for `target`, in order of their turn at `now`.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn waiting(place: &RigPlace, target: &str, now: Moment) -> Result<Vec<Request>> {
    let all = requests(&place.ledger.state()?)?.into_iter();
    let mut waiting: Vec<Request> = all.filter(|request| request.mr.state.is_live() && request.mr.target == target).collect();
    waiting.sort_by_cached_key(|request| rank(request).key(now));
    Ok(waiting)
}

/// What a queue's next step depends on, in short: live requests, configuration and targets. As long as it stays
/// the same, working the queue again would come to the same end.
///
/// # Errors
/// Corrupt, when the ledger cannot be read.
pub fn mark(place: &RigPlace) -> Result<String> {
    let state = place.ledger.state()?;
    let mut lines = Vec::new();
    for request in requests(&state)?.into_iter().filter(|request| request.mr.state.is_live()) {
        let tip = place.ledger.store.read_ref(&format!("refs/heads/{}", request.mr.target))?;
        lines.push(format!("{} {} {} {tip:?}", request.bead.id, request.mr.state.word(), request.mr.head));
    }
    lines.extend(state.paths("config")?.into_iter().map(|(path, blob)| format!("{path} {blob}")));
    Ok(lines.join("\n"))
}

/// A queue as the records tell it.
pub struct Outlook {
    /// Live requests for the target, in order of their turn.
    pub waiting: Vec<Request>,
    /// What runs have said.
    pub memo: Memo,
    risks: HashMap<String, f64>,
}

impl Outlook {
    /// Reads the queue of `target`.
    ///
    /// # Errors
    /// Corrupt, when gate runs cannot be read: a plan must not rest on half of the evidence.
    pub fn read(state: &State<'_>, target: &str, machine: &str, now: Moment) -> Result<Self> {
        let all = requests(state)?;
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for request in &all {
            let is_red = request.mr.blame.as_ref().is_some_and(|blame| blame.cause == "red");
            let count = counts.entry(request.mr.author.clone()).or_default();
            count.0 += usize::from(request.mr.state == MrState::Evicted && is_red);
            count.1 += usize::from(matches!(request.mr.state, MrState::Landed | MrState::Evicted));
        }
        let mut waiting: Vec<Request> =
            all.into_iter().filter(|request| request.mr.state.is_live() && request.mr.target == target).collect();
        waiting.sort_by_cached_key(|request| rank(request).key(now));
        let risks = counts.into_iter().map(|(author, (evicted, ended))| (author, plan::risk(evicted, ended))).collect();
        Ok(Self { waiting, memo: Memo::of(&state.gate_runs()?, machine, now), risks })
    }

    /// How likely a request of `author` is bad, before any run.
    #[must_use]
    pub fn risk(&self, author: &str) -> f64 {
        self.risks.get(author).copied().unwrap_or_else(|| plan::risk(0, 0))
    }

    /// What is known of the prefix that ends with `request` and has `tree`, on a target whose tip has `tip_tree`.
    #[must_use]
    pub fn place(&self, request: &Request, gates: &[Gate], tree: ObjectId, tip_tree: ObjectId) -> Place {
        let says = self.memo.says(gates, tree, tip_tree);
        Place { risk: self.risk(&request.mr.author), reds: says.reds, is_green: says.is_green, is_silent: says.is_silent }
    }
}

/// What orders `request` in its queue.
#[must_use]
pub fn rank(request: &Request) -> Rank {
    Rank {
        mr: request.bead.id.clone(),
        priority: request.bead.priority,
        attempts: request.mr.attempts,
        submitted_at: request.mr.submitted_at,
    }
}

/// Who of `waiting` may be stacked with whom: the first that is to land alone, if there is one, else all.
#[must_use]
pub fn company(mut waiting: Vec<Request>) -> Vec<Request> {
    match waiting.iter().position(|request| request.mr.alone) {
        Some(at) => vec![waiting.swap_remove(at)],
        None => waiting,
    }
}

/// Recorded runs by memo key. Greens are facts, reds are evidence: a flaky gate can be red on a good tree.
pub struct Memo {
    machine: String,
    by_key: HashMap<String, Tally>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    greens: u32,
    reds: u32,
    unsaid: u32,
    /// Runs whose command was not there.
    missing: u32,
}

/// What the memo says of one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// Every gate was green at least once.
    pub is_green: bool,
    /// Most reds of one gate that was never green. Two gates that are red in one run are one piece of evidence.
    pub reds: u32,
    /// A gate that was never green could not judge it, again and again.
    pub is_silent: bool,
    /// Gates that were red and never green.
    pub red_gates: BTreeSet<String>,
    /// Gates that could not say and were never green.
    pub silent_gates: BTreeSet<String>,
}

impl Memo {
    /// The memo of `machine` at `now`: runs that are too old or were made elsewhere do not count, because the key
    /// names the machine as the environment.
    #[must_use]
    pub fn of(runs: &[GateRun], machine: &str, now: Moment) -> Self {
        let mut by_key: HashMap<String, Tally> = HashMap::new();
        for run in runs.iter().filter(|run| now.millis_since(run.at) <= MEMO_MILLIS_MAX) {
            let tally = by_key.entry(run.key.clone()).or_default();
            match run.verdict {
                Verdict::Green => tally.greens += 1,
                Verdict::Red => tally.reds += 1,
                Verdict::Inconclusive => tally.unsaid += 1,
                Verdict::Infrastructure => tally.missing += u32::from(is_missing(run)),
            }
        }
        Self { machine: machine.to_owned(), by_key }
    }

    /// Whether `gate` was green on `tree`.
    #[must_use]
    pub fn is_green(&self, gate: &Gate, tree: ObjectId) -> bool {
        self.tally(gate, tree).greens > 0
    }

    /// What all `gates` together say of `tree`, made from a target whose tip has `tip_tree`.
    ///
    /// A command that is not there speaks against nobody, unless the target has it: then somebody took it away.
    #[must_use]
    pub fn says(&self, gates: &[Gate], tree: ObjectId, tip_tree: ObjectId) -> Says {
        let mut says =
            Says { is_green: true, reds: 0, is_silent: false, red_gates: BTreeSet::new(), silent_gates: BTreeSet::new() };
        for gate in gates {
            let tally = self.tally(gate, tree);
            if tally.greens > 0 {
                continue;
            }
            says.is_green = false;
            let reds = tally.reds + if self.is_green(gate, tip_tree) { tally.missing } else { 0 };
            says.reds = says.reds.max(reds);
            if reds > 0 {
                says.red_gates.insert(gate.name.clone());
            }
            if tally.unsaid >= SILENT_RUNS {
                says.is_silent = true;
                says.silent_gates.insert(gate.name.clone());
            }
        }
        says
    }

    /// How often the gates are red on trees that were green too.
    #[must_use]
    pub fn flake_rate(&self) -> f64 {
        let good = self.by_key.values().filter(|tally| tally.greens > 0);
        let (reds, runs) = good.fold((0, 0), |(reds, runs), tally| (reds + tally.reds, runs + tally.reds + tally.greens));
        plan::flake_rate(reds as usize, runs as usize)
    }

    fn tally(&self, gate: &Gate, tree: ObjectId) -> Tally {
        self.by_key.get(&memo_key(gate, &self.machine, tree)).copied().unwrap_or_default()
    }
}

/// Whether the shell did not find the command of `run` or could not run it.
#[must_use]
pub fn is_missing(run: &GateRun) -> bool {
    run.verdict == Verdict::Infrastructure && matches!(run.exit, Some(126 | 127))
}

/// The memo key of `gate` on `tree`: a hash of its definition, the environment (the machine's id) and the tree.
#[must_use]
pub fn memo_key(gate: &Gate, machine: &str, tree: ObjectId) -> String {
    let text = format!("{}\0{}\0{}\0{machine}\0{tree}", gate.name, gate.command, gate.timeout_millis);
    Batch::default().add(gix::objs::Kind::Blob, text.into_bytes()).to_string()
}

/// Why the head of `request` cannot be tested, if so: its pin is gone or says otherwise.
///
/// # Errors
/// Corrupt, when the pin is damaged.
pub fn unfit(store: &Store, request: &Request) -> Result<Option<String>> {
    let head = request.head()?;
    let pin = store.read_ref(&tree::mr_pin(&request.bead.id))?;
    if pin.is_some_and(|pin| pin != head) {
        return Ok(Some("its pinned head moved".to_owned()));
    }
    if pin.is_none() || store.repo.find_header(head).is_err() {
        return Ok(Some("its pinned head is not here".to_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::{Object, Rev};

    fn gate(command: &str) -> Gate {
        Gate { name: "test".into(), command: command.into(), timeout_millis: 1000 }
    }

    fn some_tree() -> ObjectId {
        ObjectId::empty_tree(gix::hash::Kind::Sha1)
    }

    fn run(gate: &Gate, verdict: Verdict, at: i64) -> GateRun {
        GateRun {
            v: 1,
            key: memo_key(gate, "m1", some_tree()),
            gate: gate.name.clone(),
            tree: some_tree().to_string(),
            commit: String::new(),
            base: String::new(),
            stack: vec![],
            verdict,
            exit: None,
            log_tail: String::new(),
            took_millis: 1,
            at: Moment::from_millis(at),
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    #[test]
    fn one_green_is_a_fact_and_reds_add_up_until_then() {
        let gate = gate("true");
        let now = Moment::from_millis(0);
        let mut runs = vec![run(&gate, Verdict::Red, 0), run(&gate, Verdict::Red, 0), run(&gate, Verdict::Infrastructure, 0)];
        let says = Memo::of(&runs, "m1", now).says(std::slice::from_ref(&gate), some_tree(), some_tree());
        assert_eq!((says.is_green, says.reds, says.is_silent), (false, 2, false));
        runs.push(run(&gate, Verdict::Green, 0));
        let memo = Memo::of(&runs, "m1", now);
        assert_eq!(memo.says(std::slice::from_ref(&gate), some_tree(), some_tree()).reds, 0);
        assert!(memo.is_green(&gate, some_tree()));
        assert!(memo.flake_rate() > plan::flake_rate(0, 0));
    }

    #[test]
    fn another_command_machine_or_week_does_not_count() {
        let gate_then = gate("true");
        let runs = [run(&gate_then, Verdict::Green, 0)];
        let now = Moment::from_millis(0);
        assert!(!Memo::of(&runs, "m1", now).is_green(&gate("true && true"), some_tree()));
        assert!(!Memo::of(&runs, "m2", now).is_green(&gate_then, some_tree()));
        assert!(!Memo::of(&runs, "m1", Moment::from_millis(8 * 86_400_000)).is_green(&gate_then, some_tree()));
    }

    #[test]
    fn a_gate_that_cannot_say_twice_is_silent_and_no_gate_at_all_is_content() {
        let gate = gate("exit 125");
        let runs = [run(&gate, Verdict::Inconclusive, 0), run(&gate, Verdict::Inconclusive, 0)];
        let memo = Memo::of(&runs, "m1", Moment::from_millis(0));
        assert!(memo.says(&[gate], some_tree(), some_tree()).is_silent);
        assert!(memo.says(&[], some_tree(), some_tree()).is_green);
    }
}

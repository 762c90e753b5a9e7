//! What recorded runs say of a tree. Greens are facts, reds are evidence: a flaky gate can be red on a good tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use gix::ObjectId;

use super::{Rules, Task};
use crate::model::gate::{Gate, GateRun, Verdict};
use crate::model::plan::risk;
use crate::time::Moment;

/// After how many runs that could not say a tree counts as one that the gate cannot judge.
const SILENT_RUNS: u32 = 2;

/// Recorded runs by memo key.
pub struct Memo {
    rules: Rc<Rules>,
    by_key: HashMap<String, Tally>,
    /// How often each gate is red on what is good.
    rates: BTreeMap<String, f64>,
}

#[derive(Clone, Default)]
struct Tally {
    gate: String,
    greens: u32,
    reds: u32,
    unsaid: u32,
    /// Runs whose command was not there.
    missing: u32,
}

/// What the memo says of one tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Says {
    /// Every gate was green at least once.
    pub is_green: bool,
    /// Most reds of one gate that was never green. Two gates that are red in one run are one piece of evidence.
    pub reds: u32,
    /// How likely a good tree shows such reds: what speaks most of any one gate's. 1, when there are none.
    pub doubt: f64,
    /// A gate that was never green could not judge it, again and again.
    pub is_silent: bool,
    /// Gates that were red and never green.
    pub red_gates: BTreeSet<String>,
    /// Gates that could not say and were never green.
    pub silent_gates: BTreeSet<String>,
}

/// Runs of a gate on what it was green on at least once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flakes {
    /// How many of them were red.
    pub reds: u32,
    /// How many there were, red or green.
    pub runs: u32,
}

impl Flakes {
    /// How likely the gate is red on a good tree.
    #[must_use]
    pub fn rate(self) -> f64 {
        risk::flake_rate(risk::Tally { bad: self.reds, all: self.runs })
    }
}

impl Memo {
    /// The memo at `now`: runs that are older than the rules allow do not count.
    #[must_use]
    pub fn of(runs: &[GateRun], rules: &Rc<Rules>, now: Moment) -> Self {
        let mut by_key: HashMap<String, Tally> = HashMap::new();
        for run in runs.iter().filter(|run| now.millis_since(run.at) <= rules.max_age_millis()) {
            let tally = by_key.entry(run.key.clone()).or_default();
            tally.gate.clone_from(&run.gate);
            match run.verdict {
                Verdict::Green => tally.greens += 1,
                Verdict::Red => tally.reds += 1,
                Verdict::Inconclusive => tally.unsaid += 1,
                Verdict::Infrastructure => tally.missing += u32::from(run.is_missing()),
            }
        }
        let mut memo = Self { rules: Rc::clone(rules), by_key, rates: BTreeMap::new() };
        memo.rates = memo.flakes().into_iter().map(|(gate, flakes)| (gate, flakes.rate())).collect();
        memo
    }

    /// Whether `gate` was green on what it reads of `tree`.
    #[must_use]
    pub fn is_green(&self, gate: &Gate, tree: ObjectId) -> bool {
        self.tally(gate, tree).greens > 0
    }

    /// What all `gates` together say of `tree`, made from a target whose tip has `tip_tree`.
    ///
    /// A command that is not there speaks against nobody, unless the target has it: then somebody took it away.
    #[must_use]
    pub fn says(&self, gates: &[Gate], tree: ObjectId, tip_tree: ObjectId) -> Says {
        let mut says = Says {
            is_green: true,
            reds: 0,
            doubt: 1.0,
            is_silent: false,
            red_gates: BTreeSet::new(),
            silent_gates: BTreeSet::new(),
        };
        for gate in gates {
            let tally = self.tally(gate, tree);
            if tally.greens > 0 {
                continue;
            }
            says.is_green = false;
            let reds = tally.reds + if self.is_green(gate, tip_tree) { tally.missing } else { 0 };
            says.reds = says.reds.max(reds);
            says.doubt = says.doubt.min(self.rate_of(&gate.name).powi(i32::try_from(reds).unwrap_or(i32::MAX)));
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

    /// The gates that are to run before all required ones are known to be green on `tree`; none, when they are.
    ///
    /// With them go those that are only reported, as far as they have said nothing yet, and those that prepare the
    /// checkout.
    #[must_use]
    pub fn tasks(&self, tree: ObjectId) -> Vec<Task> {
        let is_lacking = |gate: &&Gate| gate.is_required && !self.is_green(gate, tree);
        if !self.rules.gates().iter().any(|gate| is_lacking(&gate)) {
            return Vec::new();
        }
        self.tasks_of(tree, |gate, tally| if gate.is_required { tally.greens == 0 } else { tally.greens + tally.reds == 0 })
    }

    /// The gates of these `names` as tasks, whatever is known of `tree`, with those that prepare the checkout.
    #[must_use]
    pub fn tasks_named(&self, tree: ObjectId, names: &[String]) -> Vec<Task> {
        self.tasks_of(tree, |gate, _| names.contains(&gate.name))
    }

    fn tasks_of(&self, tree: ObjectId, is_wanted: impl Fn(&Gate, &Tally) -> bool) -> Vec<Task> {
        let task = |gate: &Gate| {
            let tally = self.tally(gate, tree);
            let is_wanted = is_wanted(gate, &tally);
            (is_wanted || gate.is_preparation() && gate.is_required).then(|| Task {
                gate: gate.clone(),
                key: self.rules.key(gate, tree),
                is_known_green: !is_wanted && tally.greens > 0,
            })
        };
        self.rules.gates().iter().filter_map(task).collect()
    }

    /// How often `gate` is red on what is good, as learnt from what it was both green and red on.
    #[must_use]
    pub fn rate_of(&self, gate: &str) -> f64 {
        self.rates.get(gate).copied().unwrap_or_else(|| Flakes::default().rate())
    }

    /// How often each gate that ran, required or not, was red on what it was green on too.
    #[must_use]
    pub fn flakes(&self) -> BTreeMap<String, Flakes> {
        let names: BTreeSet<&String> = self.by_key.values().map(|tally| &tally.gate).collect();
        let of = |name: &str| sum(self.by_key.values().filter(|tally| tally.gate == name));
        names.into_iter().map(|name| (name.clone(), of(name))).collect()
    }

    fn tally(&self, gate: &Gate, tree: ObjectId) -> Tally {
        self.by_key.get(&self.rules.key(gate, tree)).cloned().unwrap_or_default()
    }
}

fn sum<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Flakes {
    let good = tallies.filter(|tally| tally.greens > 0);
    good.fold(Flakes::default(), |sum, tally| Flakes { reds: sum.reds + tally.reds, runs: sum.runs + tally.reds + tally.greens })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::init;
    use crate::model::record::{Object, Rev};
    use crate::store::Store;

    fn rules(gates: Vec<Gate>, environment: &str) -> Rc<Rules> {
        let dir = tempfile::TempDir::new().unwrap();
        init::init_bare(dir.path(), "main").unwrap();
        Rules::of(Store::open(dir.path()).unwrap(), gates, environment)
    }

    fn some_tree() -> ObjectId {
        ObjectId::empty_tree(gix::hash::Kind::Sha1)
    }

    fn run(rules: &Rules, gate: &Gate, verdict: Verdict, at: i64) -> GateRun {
        GateRun {
            v: 1,
            key: rules.key(gate, some_tree()),
            gate: gate.name.clone(),
            tree: some_tree().to_string(),
            commit: String::new(),
            base: String::new(),
            stack: vec![],
            by: None,
            verdict,
            exit: None,
            required: gate.is_required,
            attempt: 1,
            failing: vec![],
            log_tail: String::new(),
            log: String::new(),
            took_millis: 1,
            concurrency: 1,
            at: Moment::from_millis(at),
            rev: Rev::default(),
            extra: Object::new(),
        }
    }

    fn names(tasks: &[Task]) -> Vec<(&str, bool)> {
        tasks.iter().map(|task| (task.gate.name.as_str(), task.is_known_green)).collect()
    }

    #[test]
    fn one_green_is_a_fact_and_reds_add_up_until_then() {
        let gate = Gate::new("test", "true", 1000);
        let (rules, now) = (rules(vec![gate.clone()], "m1"), Moment::from_millis(0));
        let mut runs: Vec<GateRun> =
            [Verdict::Red, Verdict::Red, Verdict::Infrastructure].map(|verdict| run(&rules, &gate, verdict, 0)).into();
        let says = Memo::of(&runs, &rules, now).says(std::slice::from_ref(&gate), some_tree(), some_tree());
        assert_eq!((says.is_green, says.reds, says.is_silent), (false, 2, false));
        assert!((says.doubt - 0.01_f64.powi(2)).abs() < 1e-9);
        runs.push(run(&rules, &gate, Verdict::Green, 0));
        let memo = Memo::of(&runs, &rules, now);
        assert_eq!(memo.says(std::slice::from_ref(&gate), some_tree(), some_tree()).reds, 0);
        assert!(memo.is_green(&gate, some_tree()));
        assert!(memo.rate_of("test") > memo.rate_of("lint"));
        assert_eq!(memo.flakes()["test"], Flakes { reds: 2, runs: 3 });
    }

    #[test]
    fn reds_of_a_gate_that_flakes_say_less_than_those_of_one_that_does_not() {
        let (firm, flaky) = (Gate::new("firm", "true", 1000), Gate::new("flaky", "true", 1000));
        let (rules, now) = (rules(vec![firm.clone(), flaky.clone()], "m1"), Moment::from_millis(0));
        let known_to_flake = (0..40).map(|n| {
            let key = format!("of another tree {}", n / 4);
            GateRun { key, ..run(&rules, &flaky, if n % 4 == 0 { Verdict::Red } else { Verdict::Green }, 0) }
        });
        let both = [&firm, &flaky].map(|gate| run(&rules, gate, Verdict::Red, 0));
        let runs: Vec<GateRun> = known_to_flake.chain(both).collect();
        let memo = Memo::of(&runs, &rules, now);
        let doubt = |gates: &[&Gate]| {
            memo.says(&gates.iter().map(|gate| (*gate).clone()).collect::<Vec<_>>(), some_tree(), some_tree()).doubt
        };
        assert!(doubt(&[&flaky]) > 0.1 && doubt(&[&firm]) < 0.02);
        assert!((doubt(&[&flaky, &firm]) - doubt(&[&firm])).abs() < 1e-9);
    }

    #[test]
    fn another_command_environment_or_week_does_not_count() {
        let gate_then = Gate::new("test", "true", 1000);
        let (here, elsewhere) = (rules(vec![], "m1"), rules(vec![], "m2"));
        let runs = [run(&here, &gate_then, Verdict::Green, 0)];
        let now = Moment::from_millis(0);
        assert!(Memo::of(&runs, &here, now).is_green(&gate_then, some_tree()));
        assert!(!Memo::of(&runs, &here, now).is_green(&Gate::new("test", "true && true", 1000), some_tree()));
        assert!(!Memo::of(&runs, &elsewhere, now).is_green(&gate_then, some_tree()));
        assert!(!Memo::of(&runs, &here, Moment::from_millis(8 * 86_400_000)).is_green(&gate_then, some_tree()));
    }

    #[test]
    fn a_gate_that_cannot_say_twice_is_silent_and_no_gate_at_all_is_content() {
        let gate = Gate::new("test", "exit 125", 1000);
        let rules = rules(vec![gate.clone()], "m1");
        let runs = [run(&rules, &gate, Verdict::Inconclusive, 0), run(&rules, &gate, Verdict::Inconclusive, 0)];
        let memo = Memo::of(&runs, &rules, Moment::from_millis(0));
        assert!(memo.says(&[gate], some_tree(), some_tree()).is_silent);
        assert!(memo.says(&[], some_tree(), some_tree()).is_green);
    }

    #[test]
    fn what_is_only_reported_goes_along_and_neither_asks_for_a_run_nor_counts() {
        let optional = Gate { is_required: false, ..Gate::new("style", "true", 1000) };
        let (setup, test) = (Gate::new("setup", "true", 1000), Gate::new("test", "true", 1000));
        let rules = rules(vec![setup.clone(), test.clone(), optional.clone()], "m1");
        let now = Moment::from_millis(0);
        let memo = |runs: &[GateRun]| Memo::of(runs, &rules, now);
        assert_eq!(names(&memo(&[]).tasks(some_tree())), [("setup", false), ("test", false), ("style", false)]);
        let green = |gate: &Gate| run(&rules, gate, Verdict::Green, 0);
        assert_eq!(names(&memo(&[green(&setup)]).tasks(some_tree())), [("setup", true), ("test", false), ("style", false)]);
        assert_eq!(names(&memo(&[green(&setup), green(&test)]).tasks(some_tree())), []);
        let mut known = vec![run(&rules, &optional, Verdict::Red, 0)];
        assert_eq!(names(&memo(&known).tasks(some_tree())), [("setup", false), ("test", false)]);
        known.push(green(&optional));
        assert!(memo(&known).rate_of("style") > memo(&known).rate_of("test"));
        assert_eq!(memo(&known).flakes()["style"], Flakes { reds: 1, runs: 2 });
        let named = memo(&[green(&setup), green(&test)]).tasks_named(some_tree(), &["test".into()]);
        assert_eq!(names(&named), [("setup", true), ("test", false)]);
    }
}

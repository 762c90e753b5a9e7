//! How likely a request is bad and how often a gate is red on a good tree, learnt from counts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The risk of a request of which nothing is known, and as how many requests that opinion counts.
const RISK_PRIOR: f64 = 0.05;
const RISK_WEIGHT: f64 = 20.0;
/// A flake rate of which nothing is known, and as how many runs that opinion counts.
const FLAKE_PRIOR: f64 = 0.01;
const FLAKE_WEIGHT: f64 = 50.0;
/// Bounds of what is learnt; nobody is above suspicion, or beyond hope.
const RISK_RANGE: (f64, f64) = (0.005, 0.5);
const FLAKE_RANGE: (f64, f64) = (0.002, 0.4);
/// At so many cases a tally is halved: agents change, and what was long ago counts less.
const TALLY_MAX: u32 = 200;
/// What a trait counts beside the strongest. They go together (an author has a usual size and place), so their sum
/// would count one cause several times.
const LESSER_TRAIT: f64 = 0.5;
/// Most directories of a request that are looked at.
pub const DIRS_MAX: usize = 8;

/// How many cases of a kind ended badly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Tally {
    /// Requests sent back for a red gate; runs that were red on a tree that is good.
    pub bad: u32,
    /// Requests that landed or were sent back for a red gate; runs on trees that are good.
    pub all: u32,
}

impl Tally {
    /// Counts one more case.
    pub fn note(&mut self, is_bad: bool) {
        if self.all >= TALLY_MAX {
            self.all /= 2;
            self.bad = self.bad.div_ceil(2);
        }
        self.all += 1;
        self.bad += u32::from(is_bad);
    }

    /// The share of bad ones, as if `weight` cases at the rate `prior` had been seen before.
    #[must_use]
    pub fn rate(self, prior: f64, weight: f64) -> f64 {
        (f64::from(self.bad) + weight * prior) / (f64::from(self.all) + weight)
    }
}

/// What is known of a request before any run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Who made it.
    pub author: String,
    /// How many lines it changes, where that is known.
    pub lines: Option<u64>,
    /// The directories of the paths that it changes.
    pub dirs: Vec<String>,
    /// How often its work was sent back before.
    pub attempts: u32,
    /// Whether its author's own run of the gates was green, where that is known.
    pub is_preverified: Option<bool>,
}

impl Traits {
    /// Groups of keys to count under; the keys of one group share its say.
    fn keys(&self) -> Vec<Vec<String>> {
        let size = |lines: u64| match lines {
            0..=10 => "10",
            11..=50 => "50",
            51..=200 => "200",
            201..=1000 => "1000",
            _ => "more",
        };
        let mut dirs: Vec<String> = self.dirs.iter().map(|dir| format!("dir {dir}")).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs.truncate(DIRS_MAX);
        let mut keys = vec![vec![format!("author {}", self.author)], vec![format!("attempts {}", self.attempts.min(3))]];
        keys.extend(self.lines.map(|lines| vec![format!("lines {}", size(lines))]));
        keys.extend(self.is_preverified.map(|is_green| vec![format!("preverified {is_green}")]));
        keys.extend((!dirs.is_empty()).then_some(dirs));
        keys
    }
}

/// What is learnt of the risks of a queue's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Risks {
    /// All requests.
    pub all: Tally,
    /// Requests by trait, such as `author x` or `dir src/model`.
    #[serde(default)]
    pub by: BTreeMap<String, Tally>,
}

impl Risks {
    /// Takes note of how a request ended: it landed, or it was sent back for a red gate.
    pub fn note(&mut self, traits: &Traits, is_bad: bool) {
        self.all.note(is_bad);
        for key in traits.keys().into_iter().flatten() {
            self.by.entry(key).or_default().note(is_bad);
        }
    }

    /// How likely a request with `traits` is bad.
    ///
    /// `base` is the share of all requests that were bad, shrunk to 5 % with the weight of 20 requests; the rate of
    /// each trait is shrunk to `base` with the same weight. A trait shifts the log-odds by the log-odds of its rate
    /// less those of `base`, a request's directories by their mean. The strongest shift counts whole and the others
    /// half; the result stays within 0.5 % and 50 %.
    #[must_use]
    pub fn of(&self, traits: &Traits) -> f64 {
        let base = self.all.rate(RISK_PRIOR, RISK_WEIGHT);
        let shift = |key: &String| {
            let tally = self.by.get(key).copied().unwrap_or_default();
            log_odds(tally.rate(base, RISK_WEIGHT)) - log_odds(base)
        };
        let mut shifts: Vec<f64> = traits
            .keys()
            .iter()
            .map(|keys| keys.iter().map(shift).sum::<f64>() / f64::from(u32::try_from(keys.len()).unwrap_or(u32::MAX)))
            .collect();
        shifts.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
        let lesser: f64 = shifts.iter().skip(1).sum();
        let odds = log_odds(base) + shifts.first().copied().unwrap_or(0.0) + LESSER_TRAIT * lesser;
        (1.0 / (1.0 + (-odds).exp())).clamp(RISK_RANGE.0, RISK_RANGE.1)
    }
}

/// A probability in thousandths, for what must be compared exactly.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000 before")]
pub fn permille(p: f64) -> u32 {
    (p.clamp(0.0, 1.0) * 1000.0).round() as u32
}

/// The log-odds of a probability that is neither 0 nor 1.
fn log_odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// What is learnt of each gate's flakes: runs on trees on which it was green at least once, and the red ones of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Flakes {
    /// By the gate's name.
    pub by: BTreeMap<String, Tally>,
}

impl Flakes {
    /// How often `gate` is red on a good tree; shrunk to 1 % with the weight of 50 runs, within 0.2 % and 40 %.
    #[must_use]
    pub fn of(&self, gate: &str) -> f64 {
        flake_rate(self.by.get(gate).copied().unwrap_or_default())
    }
}

/// The rate of a tally of runs on good trees.
#[must_use]
pub fn flake_rate(runs: Tally) -> f64 {
    runs.rate(FLAKE_PRIOR, FLAKE_WEIGHT).clamp(FLAKE_RANGE.0, FLAKE_RANGE.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(author: &str) -> Traits {
        Traits { author: author.to_owned(), lines: Some(40), ..Traits::default() }
    }

    #[test]
    fn estimates_start_at_their_priors_and_follow_what_is_seen() {
        let mut risks = Risks::default();
        assert!((risks.of(&by("toast")) - 0.05).abs() < 1e-9);
        for n in 0..40 {
            risks.note(&by("toast"), n % 2 == 0);
            risks.note(&by("jam"), false);
        }
        let (toast, jam, nobody) = (risks.of(&by("toast")), risks.of(&by("jam")), risks.of(&by("new")));
        assert!(jam < nobody && nobody < toast, "{jam} {nobody} {toast}");
        assert!(toast > 0.25 && jam < 0.1, "{jam} {toast}");
    }

    #[test]
    fn what_many_touch_and_how_it_was_tried_shifts_the_odds() {
        let mut risks = Risks::default();
        let risky = Traits { dirs: vec!["src/core".into()], attempts: 2, ..by("toast") };
        let safe = Traits { dirs: vec!["docs".into()], is_preverified: Some(true), ..by("toast") };
        for n in 0..30 {
            risks.note(&risky, n % 3 == 0);
            risks.note(&safe, false);
        }
        assert!(risks.of(&risky) > 3.0 * risks.of(&safe));
        let both = Traits { dirs: vec!["docs".into(), "src/core".into(), "docs".into()], ..by("toast") };
        assert!((risks.of(&safe)..risks.of(&risky)).contains(&risks.of(&both)));
    }

    #[test]
    fn nobody_is_above_suspicion_and_nobody_beyond_hope() {
        let (mut good, mut bad) = (Risks::default(), Risks::default());
        for _ in 0..1000 {
            good.note(&by("jam"), false);
            bad.note(&by("toast"), true);
        }
        assert_eq!((good.of(&by("jam")), bad.of(&by("toast"))), RISK_RANGE);
        assert!(good.all.all <= TALLY_MAX && bad.all.bad <= TALLY_MAX);
    }

    #[test]
    fn who_mends_their_ways_is_trusted_again() {
        let mut risks = Risks::default();
        for n in 0..600 {
            risks.note(&by("toast"), n < 200);
            assert!(n != 199 || risks.of(&by("toast")) > 0.4);
        }
        assert!(risks.of(&by("toast")) < 0.1, "{}", risks.of(&by("toast")));
    }

    #[test]
    fn a_gate_that_disagrees_with_itself_is_believed_less() {
        let mut flakes = Flakes::default();
        assert!((flakes.of("test") - 0.01).abs() < 1e-9);
        flakes.by.insert("test".into(), Tally { bad: 10, all: 110 });
        assert!(flakes.of("test") > 0.05 && (flakes.of("lint") - 0.01).abs() < 1e-9);
        assert!((flake_rate(Tally { bad: 99, all: 100 }) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn counts_go_into_a_record_and_come_back() {
        let mut risks = Risks::default();
        risks.note(&by("toast"), true);
        let text = serde_json::to_string(&risks).unwrap();
        assert_eq!(serde_json::from_str::<Risks>(&text).unwrap(), risks);
    }
}

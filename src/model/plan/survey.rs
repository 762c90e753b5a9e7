//! What the trials let one believe of each request, before anything is decided.

use super::belief::{Belief, Red};
use super::evidence::Trial;
use super::places::Places;
use super::{Asked, EVICT_POSTERIOR_MIN};

/// How often two requests that are good alone are bad together. Uber saw 40 % of 16 concurrent changes in real
/// conflict (*Keeping Master Green at Scale*, EuroSys 2019), 0.4 % a pair, among changes that could conflict at all.
const CLASH_RATE: f64 = 0.001;
/// From which probability on a request that was red by itself is kept out of what others are tested in.
const SUSPECT_MIN: f64 = 0.5;

/// The requests by what is known of them. Nobody is in two of the sets but for `bound` and the one who needs them.
pub struct Survey {
    /// Each request's risk, before any run.
    pub risks: Vec<f64>,
    /// What is believed of those that are not cleared.
    pub belief: Belief,
    /// The reds that still tell something, without those that are cleared.
    pub reds: Vec<Red>,
    /// Good as far as is known: they were green together, on a tip that has since moved on. They wait to be
    /// carried along in a set that lands.
    pub cleared: Places,
    /// Red by themselves, and more likely bad than not, but not surely.
    pub suspects: Places,
    /// Alone, the gates cannot judge them.
    pub mute: Places,
    /// To be tested: neither cleared nor suspect nor mute, and nobody whom they need is.
    pub open: Places,
    /// Surely bad, and how surely.
    pub convicted: Vec<(usize, f64)>,
    /// Suspects whose reds also held some that are cleared and did not land yet: it may be a clash with those.
    pub provisional: Places,
}

/// Weighs `trials` of `queue`.
#[must_use]
pub fn survey(queue: &[Asked], trials: &[Trial]) -> Survey {
    let mut risks: Vec<f64> = queue.iter().map(|asked| asked.risk).collect();
    let standing: Vec<&Trial> = trials.iter().filter(|trial| stands(trial, trials)).collect();
    // Nobody of those who clash is cleared any more.
    let clashing = clashes(trials).into_iter().fold(Places::NONE, Places::with);
    for place in clashing.iter() {
        risks[place] = clash(clashing.len());
    }
    let mut cleared = green(trials).without(clashing);
    for (place, asked) in queue.iter().enumerate() {
        if !asked.needs.is_within(cleared) {
            cleared = cleared.without(Places::of(place));
        }
    }
    let reds: Vec<Red> = standing.iter().map(|trial| reduced(trial, cleared)).collect();
    let belief = Belief::new(&risks, &reds);
    let (firm, loose): (Vec<&Trial>, Vec<&Trial>) = standing.iter().partition(|trial| !trial.set.meets(cleared));
    let proof = Belief::new(&risks, &firm.iter().map(|trial| reduced(trial, Places::NONE)).collect::<Vec<_>>());
    let red_alone = firm.iter().filter(|trial| trial.set.len() == 1).fold(Places::NONE, |all, trial| all.with(trial.set));
    let convicted: Vec<(usize, f64)> =
        red_alone.iter().map(|place| (place, proof.bad(place))).filter(|(_, sure)| *sure >= EVICT_POSTERIOR_MIN).collect();
    let alone = reds.iter().filter(|red| red.set.len() == 1).fold(Places::NONE, |all, red| all.with(red.set));
    let suspects: Places = alone.iter().filter(|place| belief.bad(*place) >= SUSPECT_MIN).collect();
    let provisional = loose.iter().fold(Places::NONE, |all, trial| all.with(trial.set)).shared(suspects);
    let (mute, bound) = silenced(queue, trials);
    let mut kept_out = suspects.with(mute).with(bound);
    for (place, asked) in queue.iter().enumerate() {
        if asked.needs.meets(kept_out) {
            kept_out = kept_out.with(Places::of(place));
        }
    }
    let open = Places::first(queue.len()).without(cleared).without(kept_out);
    Survey { risks, belief, reds, cleared, suspects, mute, open, convicted, provisional }
}

/// The sets that were red though everybody in them was green elsewhere: some of them clash.
#[must_use]
pub fn clashes(trials: &[Trial]) -> Vec<Places> {
    let green = green(trials);
    let reds = trials.iter().filter(|trial| trial.set.is_within(green) && stands(trial, trials));
    reds.map(|trial| trial.set).collect()
}

/// Everybody who was green in some set.
fn green(trials: &[Trial]) -> Places {
    trials.iter().filter(|trial| trial.is_green).fold(Places::NONE, |all, trial| all.with(trial.set))
}

/// Whether the reds of `trial` tell something: no green on the same tip or a later one absolves them.
fn stands(trial: &Trial, trials: &[Trial]) -> bool {
    let is_absolved = |green: &Trial| green.is_green && green.lacks <= trial.lacks && trial.set.is_within(green.set);
    trial.reds > 0 && !trial.set.is_empty() && !trials.iter().any(is_absolved)
}

/// The red of `trial` for those that are not cleared. That they are to blame is the less sure the more cleared ones
/// they may clash with.
fn reduced(trial: &Trial, cleared: Places) -> Red {
    let clash = clash(trial.set.shared(cleared).len() * trial.set.len());
    Red { set: trial.set.without(cleared), doubt: 1.0 - (1.0 - clash) * (1.0 - trial.doubt) }
}

/// How likely a clash is among so many pairs.
fn clash(pairs: usize) -> f64 {
    1.0 - (1.0 - CLASH_RATE).powi(i32::try_from(pairs).unwrap_or(i32::MAX))
}

/// Those that the gates cannot judge alone, and those that do not merge without others ahead of them.
fn silenced(queue: &[Asked], trials: &[Trial]) -> (Places, Places) {
    let (mut mute, mut bound) = (Places::NONE, Places::NONE);
    for (place, asked) in queue.iter().enumerate() {
        let alone = Places::of(place).with(asked.needs);
        if asked.needs.meets(mute) {
            continue;
        }
        for trial in trials.iter().filter(|trial| trial.is_of(alone)) {
            if trial.is_silent && !trial.is_green {
                mute = mute.with(Places::of(place));
            }
            if trial.is_absent {
                bound = bound.with(Places::of(place));
            }
        }
    }
    (mute, bound)
}

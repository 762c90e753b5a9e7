//! How many runs side by side pay on this machine, from how long runs took beside others.

/// How many runs at a width must have been timed before it is believed.
const TIMED_MIN: usize = 3;
/// How much shorter the work must become for one more run at a time.
const GAIN_MIN: f64 = 0.05;
/// What the union of disjoint groups costs, in rounds.
const UNION_ROUNDS: f64 = 1.2;

/// What the machine has for the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Processor cores.
    pub cores: usize,
    /// Memory that runs may fill, in MiB.
    pub memory_mib: u64,
    /// The most memory that a run needed so far, in MiB; 0 when that was never measured.
    pub run_mib: u64,
}

/// How long runs took with so many side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// How many ran, each counted.
    pub side_by_side: usize,
    /// The median of what one took, in milliseconds.
    pub millis: f64,
    /// How many runs that is the median of.
    pub runs: usize,
}

/// How many bits there are to be found out of requests that are bad by `risks`.
#[must_use]
pub fn bits(risks: &[f64]) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    risks.iter().map(|risk| part(*risk) + part(1.0 - risk)).sum()
}

/// How many runs there should be side by side to find out `bits`.
///
/// Begins with 1 and goes up by one while the work, rounds × time of a round, becomes at least 5 % shorter. Widths
/// that were timed count as they were; the first that was not is tried when what is known lets one expect a gain.
/// Never more than cores or memory allow.
///
/// Rounds are `bits / log2(W + 1)`, or `bits / W` and the union's, but no less than one. Of a run of which a share
/// is parallel, W fill the machine when W × (share of the cores that one keeps busy) is 1, and beyond that all of
/// them get slower in proportion; so a width that was not timed is as slow as the last one × its part of it.
#[must_use]
pub fn width(room: Room, timed: &[Timed], bits: f64) -> usize {
    let by_memory = room.memory_mib.checked_div(room.run_mib).map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let most = room.cores.min(by_memory).max(1);
    let known = |width: usize| timed.iter().find(|t| t.side_by_side == width && t.runs >= TIMED_MIN).map(|t| t.millis);
    let Some(alone) = known(1).filter(|millis| *millis > 0.0) else { return 1 };
    let mut best = (1, rounds(bits, 1));
    let mut slowdown = 1.0;
    for width in 2..=most {
        let timed_here = known(width);
        let by_last = slowdown * ratio(width, width - 1);
        // One run says nothing of how two get on: that is tried.
        let expected = if slowdown > 1.0 { by_last } else { 1.0 };
        slowdown = timed_here.map_or(expected, |millis| (millis / alone).max(1.0));
        let work = rounds(bits, width) * slowdown;
        if work > best.1 * (1.0 - GAIN_MIN) {
            break;
        }
        best = (width, work);
        if timed_here.is_none() {
            break;
        }
    }
    best.0
}

/// Expected rounds to find out so many bits.
fn rounds(bits: f64, width: usize) -> f64 {
    let prefixes = bits / ratio(width + 1, 1).log2();
    let groups = bits / ratio(width, 1) + if width > 1 { UNION_ROUNDS } else { 0.0 };
    prefixes.min(groups).max(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which a part of a gate's work is serial and the rest fills all cores: W side by side take as
    /// long as their work on all cores, and no less than one alone.
    fn measured(cores: usize, serial: f64, widths: usize) -> Vec<Timed> {
        let busy = 1.0 / (serial * ratio(cores, 1) + 1.0 - serial);
        (1..=widths).map(|w| Timed { side_by_side: w, millis: 1000.0 * (ratio(w, 1) * busy).max(1.0), runs: 5 }).collect()
    }

    /// Grows as a queue would: each width is timed before the next is tried.
    fn settles(cores: usize, serial: f64, bits: f64) -> usize {
        let room = Room { cores, memory_mib: 64_000, run_mib: 500 };
        let mut widest = 1;
        loop {
            let chosen = width(room, &measured(cores, serial, widest), bits);
            if chosen <= widest {
                return chosen;
            }
            widest = chosen;
        }
    }

    #[test]
    fn it_settles_where_the_measured_table_has_its_minimum() {
        // 16 requests at 5 %; see the wall times by cores and serial part in docs/queue.md.
        let bits = bits(&[0.05; 16]);
        assert_eq!(settles(2, 0.1, bits), 1);
        assert_eq!(settles(4, 0.5, bits), 2);
        assert!((3..=5).contains(&settles(8, 0.5, bits)));
        assert!((6..=13).contains(&settles(16, 0.8, bits)));
    }

    #[test]
    fn it_begins_with_one_and_tries_no_more_than_one_beyond_what_was_timed() {
        let room = Room { cores: 16, memory_mib: 64_000, run_mib: 100 };
        assert_eq!(width(room, &[], 50.0), 1);
        let too_few = [Timed { side_by_side: 1, millis: 900.0, runs: 2 }];
        assert_eq!(width(room, &too_few, 50.0), 1);
        assert_eq!(width(room, &measured(16, 0.9, 1), 50.0), 2);
        assert_eq!(width(room, &measured(16, 0.9, 3), 50.0), 4);
    }

    #[test]
    fn cores_memory_and_an_easy_queue_bound_it() {
        let room = |cores, memory_mib| Room { cores, memory_mib, run_mib: 1000 };
        let timed = measured(16, 1.0, 16);
        assert_eq!(width(room(3, 64_000), &timed, 500.0), 3);
        assert_eq!(width(room(16, 2_500), &timed, 500.0), 2);
        assert_eq!(width(room(16, 100), &timed, 500.0), 1);
        assert_eq!(width(room(16, 64_000), &timed, bits(&[0.01; 4])), 1, "one run of all is enough");
    }

    #[test]
    fn a_width_that_made_all_slower_is_left_again() {
        let room = Room { cores: 8, memory_mib: 64_000, run_mib: 0 };
        let mut timed = measured(8, 0.9, 1);
        timed.push(Timed { side_by_side: 2, millis: 1900.0, runs: 3 });
        assert_eq!(width(room, &timed, 20.0), 1);
    }
}

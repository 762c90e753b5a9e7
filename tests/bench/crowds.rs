//! Many processes at once: creates and claims; what they cost and that nothing is lost.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use gastown::ledger::tree;
use gastown::model::bead::Status;

use crate::report::{Bar, Report, Row};
use crate::times::{median, millis, output, quantile};
use crate::world::World;
use crate::writes::description;

const WRITERS: usize = 30;
const EACH: usize = 10;
const AT_ONCE: usize = 100;
/// Creates of the one process after another that the crowd is compared with.
const ALONE: usize = 60;

/// Ids that were acknowledged with the milliseconds of each, and what failed.
#[derive(Default)]
struct Made {
    ids: Vec<(String, f64)>,
    failed: Vec<String>,
}

fn create(world: &World<'_>, title: &str, text: &str) -> Command {
    world.gt(&["bead", "q", title, "--description", text])
}

/// `writers` threads that each run `each` creates, a process each; with the seconds that all of it took.
fn crowd(world: &World<'_>, writers: usize, each: usize) -> (Made, f64) {
    let made = Mutex::new(Made::default());
    let text = description();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (made, text) = (&made, &text);
            scope.spawn(move || {
                for n in 0..each {
                    let mut command = create(world, &format!("Of {writer}, the {n}th"), text);
                    let (took, output) = millis(|| command.stdin(Stdio::null()).output().unwrap());
                    let mut made = made.lock().unwrap();
                    if output.status.success() {
                        made.ids.push((String::from_utf8_lossy(&output.stdout).trim().to_owned(), took));
                    } else {
                        made.failed.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
                    }
                }
            });
        }
    });
    (made.into_inner().unwrap(), begin.elapsed().as_secs_f64())
}

/// Checks that what was acknowledged is there, once each and nothing besides.
fn check(world: &World<'_>, what: &str, made: &Made, before: usize, wanted: usize, report: &mut Report) {
    let named: BTreeSet<String> = output(&mut world.git(&["ls-tree", "-r", "--name-only", tree::LEDGER, "beads/"]))
        .lines()
        .map(|path| path.rsplit('/').next().unwrap().trim_end_matches(".json").to_owned())
        .collect();
    let ids: BTreeSet<&String> = made.ids.iter().map(|(id, _)| id).collect();
    let lost = ids.iter().filter(|id| !named.contains(**id)).count();
    let doubled = made.ids.len() - ids.len();
    let strange = named.len() - before - made.ids.len();
    made.failed.iter().take(3).for_each(|why| eprintln!("{what}: {why}"));
    report.fact(
        format!(
            "{what}: {} made, {} failed, {lost} lost, {doubled} doubled, {strange} besides",
            made.ids.len(),
            made.failed.len()
        ),
        made.ids.len() == wanted && lost + doubled + strange == 0,
    );
}

/// Thirty writers of ten beads each, and a hundred of one.
pub fn creates(world: &mut World<'_>, report: &mut Report) {
    let alone = if world.place.quick { ALONE / 4 } else { ALONE };
    let before = world.count_beads();
    let (first, first_secs) = crowd(world, 1, alone);
    let crowd_begin = world.count_beads();
    let (made, secs) = crowd(world, WRITERS, EACH);
    check(world, &format!("{WRITERS} processes × {EACH} creates"), &made, crowd_begin, WRITERS * EACH, report);
    let (second, second_secs) = crowd(world, 1, alone);
    assert_eq!(world.count_beads(), before + 2 * alone + made.ids.len());

    let single: Vec<f64> = first.ids.iter().chain(&second.ids).map(|(_, millis)| *millis).collect();
    let rate = |count: usize, secs: f64| f64::from(u32::try_from(count).unwrap()) / secs;
    let scale = world.scale;
    report.row(Row {
        what: format!("{WRITERS} processes × {EACH} creates: rate"),
        scale,
        count: made.ids.len(),
        ours: rate(made.ids.len(), secs),
        beside: Some(rate(2 * alone, first_secs + second_secs)),
        beside_is: "one gt create after another".into(),
        unit: "/s",
        bar: Bar::AtLeast(1.2),
    });
    let times: Vec<f64> = made.ids.iter().map(|(_, millis)| *millis).collect();
    report.row(Row {
        what: format!("{WRITERS} processes × {EACH} creates: p99"),
        scale,
        count: made.ids.len(),
        ours: quantile(&times, 0.99),
        beside: Some(median(&single)),
        beside_is: "the single create".into(),
        unit: "ms",
        bar: Bar::Times(30.0),
    });
    let before = world.count_beads();
    let (made, secs) = crowd(world, AT_ONCE, 1);
    check(world, &format!("{AT_ONCE} processes at once"), &made, before, AT_ONCE, report);
    report.row(Row {
        what: format!("{AT_ONCE} creates at once: all of them"),
        scale,
        count: made.ids.len(),
        ours: secs * 1000.0,
        beside: None,
        beside_is: "–".into(),
        unit: "ms",
        bar: Bar::None,
    });
}

/// Thirty claim one bead.
pub fn claims(world: &mut World<'_>, report: &mut Report) {
    let id = output(&mut create(world, "To be claimed", "")).trim().to_owned();
    let won = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (won, id, world) = (&won, &id, &*world);
            scope.spawn(move || {
                let who = format!("widgets/crew/c{writer}");
                let output = world.gt(&["--actor", &who, "update", id, "--claim"]).output().unwrap();
                if output.status.success() {
                    won.lock().unwrap().push(who);
                }
            });
        }
    });
    let won = won.into_inner().unwrap();
    let bead = world.ledger().state().unwrap().bead(&id.parse().unwrap()).unwrap();
    let is_sound = won.len() == 1 && bead.assignee.as_ref() == won.first() && bead.status == Status::InProgress;
    report.fact(format!("{WRITERS} processes claim one bead: {} won", won.len()), is_sound);
}

/// Thirty writers of ten children each, all of one parent.
pub fn children(world: &mut World<'_>, report: &mut Report) {
    let parent = output(&mut create(world, "To have children", "")).trim().to_owned();
    let made = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (made, parent, world) = (&made, &parent, &*world);
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut command = world.gt(&["bead", "q", &format!("Child {n} of {writer}"), "--parent", parent]);
                    let id = output(command.stdin(Stdio::null()));
                    made.lock().unwrap().push(id.trim().to_owned());
                }
            });
        }
    });
    let made = made.into_inner().unwrap();
    let ids: BTreeSet<&String> = made.iter().collect();
    let numbers = ids.iter().filter_map(|id| id.strip_prefix(&format!("{parent}."))?.parse::<usize>().ok());
    let is_each_there = numbers.collect::<BTreeSet<usize>>() == (1..=WRITERS * EACH).collect();
    let what = format!("{WRITERS} processes × {EACH} children of one parent: {} made, {} ids", made.len(), ids.len());
    report.fact(what, made.len() == WRITERS * EACH && is_each_there);
}

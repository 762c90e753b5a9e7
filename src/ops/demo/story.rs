//! The demo's story: seven beads and one that waits, their agents' plans, and the two acts they are played in.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::bead::{Bead, DependencyKind, IssueType};
use crate::model::merge_request::MergeRequest;
use crate::name::BeadId;
use crate::ops::demo::{DESK, LAPTOP, Stage, rig_name, write};
use crate::ops::track::{self, Draft, Edit};
use crate::ops::{post, refinery, sling};
use crate::runtime::process;
use crate::time::Stopwatch;
use crate::town::RigPlace;

/// A piece of work and what its scripted agent does on each try.
struct Part {
    title: &'static str,
    description: &'static str,
    /// What is done between two commits: write lines, one plan a try.
    tries: &'static [&'static str],
}

const PARTS: [Part; 8] = [
    Part {
        title: "Describe the pump",
        description: "Add demo/pump.txt. Good.",
        tries: &["write demo/pump.txt The pump has one valve.\ncommit Describe the pump"],
    },
    Part {
        title: "Count the gears",
        description: "Add demo/gears.txt. Good.",
        tries: &["write demo/gears.txt There are two gears.\nexec demo/gears.txt\ncommit Count the gears"],
    },
    Part {
        title: "Add a faulty part",
        description: "Breaks the gate at first: the file says it is broken.",
        tries: &[
            "write demo/part.txt This is broken.\ncommit Add a part",
            "write demo/part.txt This works.\ncommit Add a part that works",
        ],
    },
    Part {
        title: "Load the left side",
        description: "Load 6: good alone, too much together with the right side.",
        tries: &[
            "write demo/left.txt load = 6\ncommit Load the left side",
            "write demo/left.txt load = 4\ncommit Load the left side less",
        ],
    },
    Part {
        title: "Load the right side",
        description: "Load 6: good alone, too much together with the left side.",
        tries: &[
            "write demo/right.txt load = 6\ncommit Load the right side",
            "write demo/right.txt load = 4\ncommit Load the right side less",
        ],
    },
    Part {
        title: "Paint the door green",
        description: "Both painters write the same line.",
        tries: &[
            "write demo/door.txt The door is green.\ncommit Paint the door green",
            "write demo/shutter.txt The shutter is green.\ncommit Paint the shutter green instead",
        ],
    },
    Part {
        title: "Paint the door red",
        description: "Both painters write the same line.",
        tries: &[
            "write demo/door.txt The door is red.\ncommit Paint the door red",
            "write demo/shutter.txt The shutter is red.\ncommit Paint the shutter red instead",
        ],
    },
    Part {
        title: "Write down how the pump is used",
        description: "Waits for the pump's description to land.",
        tries: &["append demo/pump.txt Turn the valve to start it.\ncommit Say how the pump is used"],
    },
];

/// Longest wait for the agents of one act.
const ACT_MILLIS_MAX: u64 = 120_000;

/// The beads of the story, in order of its parts.
pub struct Cast(pub Vec<BeadId>);

/// Files the beads and writes what their agents will do.
///
/// # Errors
/// As [`track::create`].
pub fn file(stage: &mut Stage<'_>) -> Result<Cast> {
    stage.chapter("the overseer files beads");
    let town = stage.town(LAPTOP)?;
    let place = town.rig(&rig_name())?;
    let mut beads: Vec<BeadId> = Vec::new();
    for (n, part) in PARTS.iter().enumerate() {
        let mut draft = Draft::new(part.title);
        draft.description = part.description.to_owned();
        let waits = n == PARTS.len() - 1;
        if waits {
            draft.dependencies.push((DependencyKind::Blocks, beads[0].clone()));
        }
        let bead = track::create(&town, &place.ledger, &place.rig.prefix, &draft)?;
        for (number, lines) in part.tries.iter().enumerate() {
            // An agent that takes its time, so that several are seen at work side by side.
            let plan = format!("say at work on {}\nsleep 1.5\n{lines}\ngt done\n", part.title);
            write(&stage.dir.join("plans").join(format!("{}.{}.plan", bead.id, number + 1)), &plan)?;
        }
        let blocked = if waits { format!(" (waits for {})", beads[0]) } else { String::new() };
        stage.say(&format!("{}  {}{blocked}", bead.id, part.title));
        beads.push(bead.id);
    }
    Ok(Cast(beads))
}

/// All that is ready is slung, handed in and put through the queue.
///
/// # Errors
/// External, when an agent or the queue fails.
pub fn first_act(stage: &mut Stage<'_>, cast: &Cast, agents: usize) -> Result<()> {
    stage.chapter(&format!("polecats get to work, at most {agents} side by side, each in a worktree of its own"));
    work(stage, cast, agents)?;
    stage.chapter("the refinery stacks what was handed in, gates it, and searches for what is bad");
    drain(stage)
}

/// What was sent back, and what waited, is done again until nothing is open.
///
/// # Errors
/// External, when an agent or the queue fails, or work is still open after a few rounds.
pub fn second_act(stage: &mut Stage<'_>, cast: &Cast, agents: usize) -> Result<()> {
    for _ in 0..4 {
        let town = stage.town(LAPTOP)?;
        if open(&town, cast)?.is_empty() {
            return Ok(());
        }
        stage.chapter("what was sent back, and what waited, is slung again");
        work(stage, cast, agents)?;
        drain(stage)?;
    }
    Err(Error::external("work is still open after four rounds").hint("look at the queue: gt mq list"))
}

/// The cast's beads that are ready now.
fn open(town: &crate::town::Town, cast: &Cast) -> Result<Vec<BeadId>> {
    let scopes = track::Scopes::of(town, Some(rig_name().as_str()), false)?;
    let ready = track::ready::<Bead>(town, &scopes, &track::Filter::default(), track::ready::Order::Hybrid, 0)?;
    Ok(cast.0.iter().filter(|id| ready.found.beads.iter().any(|bead| bead.id == **id)).cloned().collect())
}

/// Slings ready beads while there are hands, until all agents have ended.
fn work(stage: &mut Stage<'_>, cast: &Cast, agents: usize) -> Result<()> {
    let watch = Stopwatch::start();
    let mut running: Vec<(BeadId, String)> = Vec::new();
    loop {
        let town = stage.town(LAPTOP)?;
        let alive: Vec<String> = process::all(&town.runtime_dir())?.iter().map(|session| session.agent.to_string()).collect();
        let place = town.rig(&rig_name())?;
        for (bead, agent) in &running {
            if !alive.contains(agent) {
                stage.say(&format!("{agent} handed in {bead} as {}", request_of(&place, bead)?));
            }
        }
        running.retain(|(_, agent)| alive.contains(agent));
        let ready = open(&town, cast)?;
        if ready.is_empty() && running.is_empty() {
            return Ok(());
        }
        for bead in ready.into_iter().take(agents.saturating_sub(running.len())) {
            let plan = sling::Plan { bead: bead.to_string(), target: Some(rig_name().to_string()), ..sling::Plan::default() };
            if let sling::Slung::Assigned { agent, branch, salvage, .. } = sling::sling(&town, &plan)? {
                let kept = salvage.map(|name| format!("; what it left is kept at {name}")).unwrap_or_default();
                stage.say(&format!("slung {bead} to {agent} on {branch}{kept}"));
                running.push((bead, agent.to_string()));
            }
        }
        if watch.millis() > ACT_MILLIS_MAX {
            let names: Vec<&str> = running.iter().map(|(_, agent)| agent.as_str()).collect();
            return Err(Error::external(format!("agents did not end in time: {}", names.join(", ")))
                .hint("their logs are in laptop/.runtime/logs"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The newest request for `bead`, or how the bead stands when there is none.
fn request_of(place: &RigPlace, bead: &BeadId) -> Result<String> {
    let state = place.ledger.state()?;
    let requests = state.beads_of(&IssueType::MergeRequest)?;
    let live = requests
        .iter()
        .filter(|request| MergeRequest::of(request).is_ok_and(|mr| mr.state.is_live() && mr.source_beads.contains(bead)));
    Ok(match live.max_by_key(|request| request.created_at) {
        Some(request) => request.id.to_string(),
        None => format!("nothing; it is {}", state.bead(bead)?.status),
    })
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let town = stage.town(LAPTOP)?;
    let place = town.rig(&rig_name())?;
    refinery::run(&town, &place, &mut |event| stage.say(&event.line()))?;
    post::deliver(&town)?;
    Ok(())
}

/// Both machines write before they have heard of each other, one of them to the same bead.
///
/// # Errors
/// Io or conflict, when a ledger cannot be written.
pub fn both_write(stage: &mut Stage<'_>, cast: &Cast) -> Result<()> {
    for machine in [DESK, LAPTOP] {
        let town = stage.town(machine)?;
        let place = town.rig(&rig_name())?;
        let bead = track::create(&town, &place.ledger, &place.rig.prefix, &Draft::new(&format!("An idea from the {machine}")))?;
        let edit = Edit { add_labels: [format!("seen-by-{machine}")].into(), ..Edit::default() };
        track::update(&town, &cast.0[..1], &edit)?;
        stage.say(&format!("the {machine} files {} and labels {}", bead.id, cast.0[0]));
    }
    Ok(())
}

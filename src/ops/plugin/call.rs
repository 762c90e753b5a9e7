//! Calling plugins in: a program runs with what it is asked about in its environment; an agent gets mail and is waited for.

use std::ffi::OsString;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Plugin, RUN, all};
use crate::error::{Error, Kind, OrFail, Result};
use crate::ledger::tree;
use crate::model::address::Address;
use crate::model::merge::content_hash;
use crate::model::plugin::{Ending, History, Manifest, Outcome, Point};
use crate::model::protocol::Protocol;
use crate::model::record::Object;
use crate::model::secrets::mask;
use crate::name::{BeadId, base36};
use crate::ops::{post, session};
use crate::runtime::command::{self, Ended, Spec};
use crate::runtime::secrets;
use crate::time::{self, Stopwatch};
use crate::town::{RigPlace, Town};

/// How much of what a program says is kept.
const SAID_CHARS_MAX: usize = 2_000;

/// What plugins are asked about: the queue of a target.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The branch.
    pub target: &'a str,
    /// Its tip.
    pub tip: String,
    /// The requests that wait, in order of their turn, with their heads.
    pub requests: Vec<(BeadId, String)>,
}

impl Call<'_> {
    /// A hash of what is asked.
    fn about(&self) -> String {
        let heads = self.requests.iter().map(|(mr, head)| format!("{mr} {head}"));
        let lines: Vec<String> = [self.target.to_owned(), self.tip.clone()].into_iter().chain(heads).collect();
        content_hash(lines.join("\n").as_bytes())
    }
}

/// A plugin that was called, or was to be.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Called {
    /// Which.
    pub plugin: String,
    /// How it ended; none, when it was not called.
    pub outcome: Option<Outcome>,
    /// Why it was not called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

/// Calls each plugin of the rig that lists `point`, one after the other, unless it was asked just this before. Whatever
/// becomes of it is in the answer.
///
/// # Errors
/// Io or corrupt, when plugins or records cannot be read; as every transaction.
pub fn at_point(town: &Town, place: &RigPlace, point: Point, call: &Call<'_>) -> Result<Vec<Called>> {
    let mut answers = Vec::new();
    for plugin in all(town, place)? {
        let passed_over = |why: String| Called { plugin: plugin.name.clone(), outcome: None, passed_over: Some(why) };
        let Some(manifest) = &plugin.manifest else {
            let fault = plugin.fault.as_deref().unwrap_or_default();
            answers.push(passed_over(format!("its plugin.md cannot be read: {}", fault.lines().next().unwrap_or_default())));
            continue;
        };
        let was_asked = |outcome: &Outcome| outcome.point == Some(point) && outcome.about == call.about();
        if !manifest.points.contains(&point) || plugin.outcomes.iter().any(was_asked) {
            continue;
        }
        if plugin.has_program && !plugin.is_trusted {
            answers
                .push(passed_over(format!("it is not trusted here: gt plugin trust {} --rig {}", plugin.name, place.rig.name)));
            continue;
        }
        answers.push(Asking { town, place, plugin: &plugin, manifest, point: Some(point), call }.answer()?);
    }
    Ok(answers)
}

/// Calls one plugin because somebody asks for it.
///
/// # Errors
/// Refused, when it is not trusted here or its description cannot be read; as [`at_point`].
pub fn by_hand(town: &Town, place: &RigPlace, plugin: &Plugin, call: &Call<'_>) -> Result<Called> {
    let Some(manifest) = &plugin.manifest else {
        let fault = plugin.fault.clone().unwrap_or_default();
        return Err(Error::refused(format!("the plugin.md of {} cannot be read: {fault}", plugin.name)));
    };
    if plugin.has_program && !plugin.is_trusted {
        return Err(Error::refused(format!("the program of {} is not trusted here", plugin.name)).hint(format!(
            "read {}, then: gt plugin trust {} --rig {}",
            plugin.dir.join(RUN).display(),
            plugin.name,
            place.rig.name
        )));
    }
    Asking { town, place, plugin, manifest, point: None, call }.answer()
}

/// One plugin that is called about something.
struct Asking<'a> {
    town: &'a Town,
    place: &'a RigPlace,
    plugin: &'a Plugin,
    manifest: &'a Manifest,
    point: Option<Point>,
    call: &'a Call<'a>,
}

impl Asking<'_> {
    fn answer(&self) -> Result<Called> {
        let Self { town, place, plugin, point, call, .. } = *self;
        let watch = Stopwatch::start();
        let (ending, exit, said) = if plugin.has_program { self.run()? } else { self.ask()? };
        let outcome = Outcome {
            point,
            target: call.target.to_owned(),
            about: call.about(),
            ending,
            exit,
            said,
            took_millis: watch.millis(),
            at: time::now()?,
            extra: Object::new(),
        };
        let deed = town.deed("plugin", format!("plugin {} is {}", plugin.name, ending.word()));
        place.ledger.transact(&deed, |change| {
            let path = tree::plugin(&plugin.id);
            let mut history: History = change.get(&path)?.unwrap_or_default();
            history.note(outcome.clone());
            change.put(&path, &history)
        })?;
        Ok(Called { plugin: plugin.name.clone(), outcome: Some(outcome), passed_over: None })
    }

    /// Runs the program of `plugin` in its directory.
    fn run(&self) -> Result<(Ending, Option<i32>, String)> {
        let Self { town, place, plugin, manifest, point, call } = *self;
        let log = town.runtime_dir().join("logs").join(format!("plugin-{}.log", base36(fastrand::u64(..))));
        if let Some(above) = log.parent() {
            std::fs::create_dir_all(above).or_fail(Kind::Io, || format!("make {}", above.display()))?;
        }
        let requests: Vec<&str> = call.requests.iter().map(|(mr, _)| mr.as_str()).collect();
        let address = plugin.address.to_string();
        let mut spec = Spec::shell(&format!("sh ./{RUN}"), &plugin.dir, log.clone(), manifest.timeout_millis);
        if is_executable(&plugin.dir.join(RUN)) {
            spec.command = format!("./{RUN}");
        }
        let pairs: [(&str, OsString); 9] = [
            ("PATH", session::search_path(town)?),
            ("GT_ROOT", town.root.clone().into()),
            ("GT_ROLE", address.clone().into()),
            ("GT_ACTOR", address.into()),
            ("GT_RIG", place.rig.name.to_string().into()),
            ("GT_POINT", point.map_or("by-hand", Point::word).into()),
            ("GT_TARGET", call.target.into()),
            ("GT_TIP", call.tip.clone().into()),
            ("GT_REQUESTS", requests.join(" ").into()),
        ];
        spec.env = pairs.map(|(name, value)| (name.to_owned(), value)).into();
        let finished = command::run_here(spec)?;
        let _ = std::fs::remove_file(&log);
        let said = bounded(&mask(finished.log_tail.trim_end(), &secrets::known()));
        Ok(match finished.ended {
            Ended::Exited(0) => (Ending::Done, Some(0), said),
            Ended::Exited(code) => (Ending::Failed, Some(code), said),
            Ended::TimedOut => (Ending::TooSlow, None, said),
            Ended::Signaled(signal) => (Ending::Failed, None, format!("{said}\n[gt] ended by signal {signal}")),
            Ended::OutOfMemory => (Ending::Failed, None, format!("{said}\n[gt] memory was short")),
            Ended::CannotStart(why) => (Ending::Failed, None, format!("[gt] {why}")),
        })
    }

    /// Writes to the agent that plays `plugin` and waits for a letter back, as long as it says.
    fn ask(&self) -> Result<(Ending, Option<i32>, String)> {
        let Self { place, plugin, manifest, call, .. } = *self;
        let me = Address::Refinery(place.rig.name.clone());
        let message = Protocol::BeforeMerge {
            target: call.target.to_owned(),
            tip: call.tip.clone(),
            mrs: call.requests.iter().map(|(mr, _)| mr.clone()).collect(),
        };
        let actor = crate::ledger::Actor { name: me.to_string(), email: String::new(), model: None };
        let deed =
            crate::ledger::Deed { actor: &actor, op: "plugin", subject: format!("ask {}", plugin.name), now: time::now()? };
        place.ledger.transact(&deed, |change| post::post(change, &message, &me, &plugin.address))?;
        let (asked_at, watch) = (deed.now, Stopwatch::start());
        loop {
            let seen = place.ledger.tip()?;
            let (letters, _) = place.ledger.state()?.letters(&me)?;
            let is_answer = |letter: &&crate::model::mail::Letter| letter.from == plugin.address && letter.sent_at >= asked_at;
            if let Some(letter) = letters.iter().rev().find(is_answer) {
                return Ok((Ending::Done, None, bounded(&format!("{}\n{}", letter.subject, letter.body))));
            }
            let left = manifest.timeout_millis.saturating_sub(watch.millis());
            if left == 0 {
                return Ok((Ending::TooSlow, None, String::new()));
            }
            place.ledger.wait_for_change(seen, left)?;
        }
    }
}

fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// The end of `text`, as much as is kept.
fn bounded(text: &str) -> String {
    let surplus = text.chars().count().saturating_sub(SAID_CHARS_MAX);
    text.chars().skip(surplus).collect()
}

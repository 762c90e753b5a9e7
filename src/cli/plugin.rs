//! `gt plugin`: what is called in at certain points, and how it went.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::plugin::{Ending, Outcome};
use crate::name::Name;
use crate::ops::plugin::{self, Call, Called, Plugin};
use crate::ops::refinery;
use crate::time::Moment;
use crate::town::{RigPlace, Town};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<AllPlugins>("plugin list"),
    Answer::of::<OnePlugin>("plugin show"),
    Answer::of::<OnePlugin>("plugin add"),
    Answer::of::<OnePlugin>("plugin trust"),
    Answer::of::<Called>("plugin run"),
    Answer::of::<Outcomes>("plugin history"),
];

/// List plugins, add those that come with gt, run them, and see how they ended
///
/// A plugin is a directory below plugins/ of a rig or the town: plugin.md says where it is called in, run is its program.
#[derive(Args)]
pub struct PluginArgs {
    #[command(subcommand)]
    verb: PluginVerb,
}

#[derive(Subcommand)]
enum PluginVerb {
    List(List),
    /// Show one plugin: where it lies, where it is called in, what it says of itself
    Show(Named),
    /// Add a plugin that comes with gt to a rig, trusted on this machine
    ///
    /// Example: gt plugin add merge-oracle --rig widgets
    Add(Named),
    /// Let the program of a plugin run on this machine, as it is now
    ///
    /// Read it first: it runs as you. When one of its files changes it must be trusted anew.
    Trust(Named),
    Run(Run),
    /// Show how the last calls of a plugin ended, newest first
    History(Named),
}

/// List the plugins of a rig, those of the town included
#[derive(Args)]
struct List {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct Named {
    /// The plugin
    name: String,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

/// Call a plugin by hand, about the queue of a target as it is
///
/// Ends with exit code 6 when it fails or is too slow. Example: gt plugin run merge-oracle --rig widgets
#[derive(Args)]
struct Run {
    /// The plugin
    name: String,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// The branch; the rig's target when not given
    #[arg(long)]
    target: Option<String>,
}

/// The exit code of a call that did not end well.
const FAILED: u8 = 6;

impl PluginArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let found = |name: &str, rig: Option<&Name>| -> Result<(RigPlace, Plugin)> {
            let place = town.rig_or_here(rig)?;
            let plugin = plugin::find(town, &place, name)?;
            Ok((place, plugin))
        };
        match self.verb {
            PluginVerb::List(list) => {
                let place = town.rig_or_here(list.rig.as_ref())?;
                Ok(out.show(&AllPlugins { all: plugin::all(town, &place)?, rig: place.rig.name, now: town.now }))
            }
            PluginVerb::Show(named) => Ok(out.show(&OnePlugin { plugin: found(&named.name, named.rig.as_ref())?.1 })),
            PluginVerb::Add(add) => {
                let place = town.rig_or_here(add.rig.as_ref())?;
                Ok(out.show(&OnePlugin { plugin: plugin::add(town, &place, &add.name)? }))
            }
            PluginVerb::Trust(trust) => {
                let (place, plugin) = found(&trust.name, trust.rig.as_ref())?;
                plugin::allow(town, &plugin)?;
                Ok(out.show(&OnePlugin { plugin: plugin::find(town, &place, &trust.name)? }))
            }
            PluginVerb::Run(run) => {
                let (place, plugin) = found(&run.name, run.rig.as_ref())?;
                let target = run.target.as_deref().unwrap_or(&place.rig.target);
                let waiting = refinery::waiting(&place, target, town.now)?;
                let tip = place.ledger.store.read_ref(&format!("refs/heads/{target}"))?;
                let call = Call {
                    target,
                    tip: tip.map(|tip| tip.to_string()).unwrap_or_default(),
                    requests: waiting.into_iter().map(|request| (request.bead.id, request.mr.head)).collect(),
                };
                let called = plugin::by_hand(town, &place, &plugin, &call)?;
                let is_done = called.outcome.as_ref().is_some_and(|outcome| outcome.ending == Ending::Done);
                out.show(&called);
                Ok(if is_done { 0 } else { FAILED })
            }
            PluginVerb::History(history) => {
                let (_, mut plugin) = found(&history.name, history.rig.as_ref())?;
                plugin.outcomes.reverse();
                Ok(out.show(&Outcomes { outcomes: plugin.outcomes, now: town.now }))
            }
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct AllPlugins {
    all: Vec<Plugin>,
    #[serde(skip)]
    rig: Name,
    #[serde(skip)]
    now: Moment,
}

impl Show for AllPlugins {
    fn show(&self, page: &mut Page) {
        let row = |one: &Plugin| {
            let last = one.outcomes.last().map_or_else(
                || Cell::new(Style::Dim, "never called"),
                |last| Cell::new(style(last.ending), &format!("{} {}", last.ending.word(), last.at.ago(self.now))),
            );
            vec![
                Cell::from(escape(&one.name)),
                Cell::from(one.scope.as_str()),
                Cell::from(points(one)),
                Cell::new(if standing(one).1 { Style::Plain } else { Style::Bad }, standing(one).0),
                last,
                Cell::from(one.manifest.as_ref().map(|manifest| escape(&manifest.description)).unwrap_or_default()),
            ]
        };
        if self.all.is_empty() {
            page.line(format!("{} has no plugins: gt plugin add merge-oracle --rig {0}", self.rig));
            return;
        }
        let heading = ["PLUGIN", "OF", "CALLED", "HERE", "LAST", "WHAT FOR"];
        page.table(&heading, &self.all.iter().map(row).collect::<Vec<_>>());
    }
}

const fn style(ending: Ending) -> Style {
    match ending {
        Ending::Done => Style::Good,
        Ending::Failed => Style::Bad,
        Ending::TooSlow => Style::Warn,
    }
}

fn points(plugin: &Plugin) -> String {
    let points: Vec<&str> = plugin.manifest.iter().flat_map(|manifest| &manifest.points).map(|point| point.word()).collect();
    if points.is_empty() { "by hand".to_owned() } else { points.join(" ") }
}

/// How it stands on this machine, in words, and whether that is well.
const fn standing(plugin: &Plugin) -> (&'static str, bool) {
    match (plugin.fault.is_some(), plugin.has_program, plugin.is_trusted) {
        (true, _, _) => ("UNREADABLE", false),
        (_, false, _) => ("gets mail", true),
        (_, true, true) => ("trusted", true),
        (_, true, false) => ("NOT TRUSTED", false),
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct OnePlugin {
    plugin: Plugin,
}

impl Show for OnePlugin {
    fn show(&self, page: &mut Page) {
        let plugin = &self.plugin;
        page.line(format!("{} of the {}: {}", escape(&plugin.name), plugin.scope, standing(plugin).0));
        page.line(format!("  in         {}", escape(&plugin.dir.display().to_string())));
        page.line(format!("  known as   {}", plugin.address));
        page.line(format!("  called in  {}", points(plugin)));
        if let Some(fault) = &plugin.fault {
            page.line(format!("  fault      {}", escape(fault)));
        }
        if let Some(manifest) = plugin.manifest.as_ref().filter(|manifest| !manifest.text.is_empty()) {
            page.line("");
            page.block(0, &manifest.text);
        }
    }
}

impl Show for Called {
    fn show(&self, page: &mut Page) {
        let Some(outcome) = &self.outcome else { return };
        page.line(format!(
            "{} is {} after {} ms",
            self.plugin,
            page.paint(style(outcome.ending), outcome.ending.word()),
            outcome.took_millis
        ));
        if !outcome.said.is_empty() {
            page.block(2, &outcome.said);
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Outcomes {
    outcomes: Vec<Outcome>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Outcomes {
    fn show(&self, page: &mut Page) {
        let row = |one: &Outcome| {
            vec![
                Cell::from(one.at.ago(self.now)),
                Cell::from(one.point.map_or("by hand", |point| point.word())),
                Cell::from(escape(&one.target)),
                Cell::new(style(one.ending), one.ending.word()),
                Cell::number(&format!("{} ms", one.took_millis)),
                Cell::from(escape(one.said.lines().next().unwrap_or_default())),
            ]
        };
        if self.outcomes.is_empty() {
            page.line("it was never called");
            return;
        }
        page.table(&["WHEN", "AT", "TARGET", "ENDED", "TOOK", "SAID"], &self.outcomes.iter().map(row).collect::<Vec<_>>());
    }
}

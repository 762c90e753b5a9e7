//! `gt hooks`: the runtime hooks of agents' programs.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::runtime_hooks::Moment;
use crate::name::Name;
use crate::ops::runtime_hooks::{self, Installed, Laid, Listed, Outcome};
use crate::runtime::launch::Line;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<List>("hooks list"),
    Answer::of::<Synced>("hooks sync"),
    Answer::of::<Compared>("hooks diff"),
    Answer::of::<Installed>("hooks install"),
    Answer::of::<Installed>("hooks remove"),
];

/// What agents' programs call while they work: prime, mail, the last question before they stop, the guard
///
/// Sessions are given them when they are started; see docs/agents.md. gt hook, without the s, shows an assignment.
#[derive(Args)]
pub struct HooksArgs {
    #[command(subcommand)]
    verb: HooksVerb,
}

#[derive(Subcommand)]
enum HooksVerb {
    /// List what is known of each agent's hooks, and how it is given them
    List(ListArgs),
    /// Write the files of hooks that sessions are given, where they are not as they should be
    ///
    /// Each start of a session does so for itself.
    Sync,
    /// Show what gt hooks sync would change; ends with 1 when there is something
    Diff,
    /// Put hooks into your own file, for an agent that looks nowhere else
    ///
    /// Example: gt hooks install cursor
    Install(Named),
    /// Take them out of it again
    Remove(Named),
}

#[derive(Args)]
struct ListArgs {
    /// As the polecats of this rig are given them; the mayor when not given
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct Named {
    /// The agent
    name: String,
}

impl HooksArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            HooksVerb::List(list) => {
                let place = list.rig.as_ref().map(|rig| town.rig(rig)).transpose()?;
                Ok(out.show(&List(runtime_hooks::list(town, place.as_ref())?)))
            }
            HooksVerb::Sync => Ok(out.show(&Synced(runtime_hooks::sync(town)?))),
            HooksVerb::Diff => Ok(out.show(&Compared(runtime_hooks::compare(town)?))),
            HooksVerb::Install(named) => Ok(out.show(&runtime_hooks::install(town, &named.name)?)),
            HooksVerb::Remove(named) => Ok(out.show(&runtime_hooks::remove(town, &named.name)?)),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct List(Vec<Listed>);

fn words(moments: &[Moment]) -> String {
    moments.iter().map(|moment| moment.word()).collect::<Vec<_>>().join(" ")
}

impl Show for List {
    fn show(&self, page: &mut Page) {
        let row = |one: &Listed| -> Vec<Cell> {
            let given = match one.is_installed {
                Some(true) => format!("{}, installed", one.given),
                Some(false) => format!("{}, not installed", one.given),
                None => one.given.clone(),
            };
            [one.name.clone(), words(&one.moments), words(&one.lacks), given, one.remark.clone()].map(Cell::from).to_vec()
        };
        page.table(&["AGENT", "CALLS AT", "LACKS", "GIVEN BY", "REMARK"], &self.0.iter().map(row).collect::<Vec<_>>());
        for one in self.0.iter().filter(|one| one.words.len() > 2) {
            page.gap();
            let words = std::iter::once(one.name.clone()).chain(one.words.iter().cloned()).collect();
            let line = Line::Words { agent: one.name.clone(), words, input: None };
            page.line(format!("{} is started with:", one.name));
            page.verbatim(escape(&line.text()));
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Synced(Vec<Laid>);

impl Show for Synced {
    fn show(&self, page: &mut Page) {
        for one in &self.0 {
            let what = match one.outcome {
                Outcome::Written => "wrote",
                Outcome::Same => "as it should be:",
                Outcome::Removed => "removed",
            };
            page.line(format!("{what} {}", escape(&one.path.display().to_string())));
        }
    }

    fn nothing(&self) -> &'static str {
        "no agent with hooks in files is chosen"
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Compared(Vec<Laid>);

impl Show for Compared {
    fn show(&self, page: &mut Page) {
        for one in self.0.iter().filter(|one| one.outcome != Outcome::Same) {
            page.line(escape(&one.path.display().to_string()));
            page.diff(2, one.old.as_deref().unwrap_or_default(), one.new.as_deref().unwrap_or_default());
        }
    }

    fn nothing(&self) -> &'static str {
        "all files of hooks are as they should be"
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.0.iter().any(|one| one.outcome != Outcome::Same))
    }
}

impl Show for Installed {
    fn show(&self, page: &mut Page) {
        let path = |path: &std::path::Path| escape(&path.display().to_string());
        match self {
            Self::Installed { name, path: at } => {
                page.line(format!("the hooks of {name} stand in {}; they act only in sessions started by gt", path(at)));
            }
            Self::Already { name, path: at } => page.line(format!("the hooks of {name} stand in {} already", path(at))),
            Self::Removed { name, path: at } => page.line(format!("took the hooks of {name} out of {}", path(at))),
            Self::Absent { name, path: at } => page.line(format!("no hooks of {name} stand in {}", path(at))),
        }
    }
}

//! `gt rig`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::git::progress::Progress;
use crate::git::promised::Filter;
use crate::name::{Name, Prefix};
use crate::ops::rig::{self, Added};
use crate::ops::track;
use crate::ops::track::import::{Options, source};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] =
    &[Answer::of::<Added>("rig add"), Answer::of::<AddedWithBeads>("rig add"), Answer::of::<Rigs>("rig list")];

/// Add and list rigs, the projects of the town
#[derive(Args)]
pub struct RigArgs {
    #[command(subcommand)]
    verb: RigVerb,
}

#[derive(Subcommand)]
enum RigVerb {
    Add(Box<Add>),
    List(List),
}

/// Clone a project and manage its work
///
/// Example: gt rig add widgets https://example.org/widgets.git
#[derive(Args)]
struct Add {
    /// The rig's name and directory
    name: Name,
    /// The project's git URL or path
    url: String,
    /// The prefix of its ids; derived from the name when not given
    #[arg(long)]
    prefix: Option<Prefix>,
    /// The branch that work is merged into; the project's default when not given
    #[arg(long)]
    branch: Option<String>,
    /// Land on the branch of this remote (origin), by pushing to it, instead of the rig's own, which nobody pushes
    #[arg(long, value_name = "REMOTE")]
    land: Option<String>,
    /// Exchange the rig's ledger with this git remote: a URL, origin or none
    #[arg(long, value_name = "URL")]
    sync: Option<String>,
    /// Push branches and landings to the project by this URL instead of URL
    #[arg(long, value_name = "URL")]
    push_url: Option<String>,
    /// Link what this repository on this machine has already, and fetch only the rest
    #[arg(long, value_name = "DIR")]
    local_repo: Option<PathBuf>,
    /// As --local-repo, and take over branches with commits that the project has not
    #[arg(long, value_name = "DIR", conflicts_with = "local_repo")]
    adopt: Option<PathBuf>,
    /// Leave files out until they are needed: all of them, or those from a size on (blob:none, blob:limit=SIZE)
    #[arg(long, value_name = "SPEC")]
    filter: Option<Filter>,
    /// Show only this directory and the files at the top in sandboxes; may be given several times, '.' for everything
    #[arg(long, value_name = "DIR")]
    sparse: Vec<String>,
    /// Import the project's .beads/issues.jsonl of the bd tool, or FILE; ids stay where they can
    #[arg(long, value_name = "FILE", require_equals = true, num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "not asked, asked, asked with a file")]
    beads: Option<Option<PathBuf>>,
}

/// List the rigs of the town
#[derive(Args)]
struct List {}

impl RigArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            RigVerb::Add(add) => add.run(town, out),
            RigVerb::List(_) => Ok(out.show(&Rigs(rig::list(town)?))),
        }
    }
}

impl Add {
    fn run(self, town: &Town, out: Out) -> Result<u8> {
        // A file that is not there is found out before anything is cloned.
        let file = self.beads.as_ref().and_then(Option::as_ref).map(|file| source::of_file(town, file)).transpose()?;
        let plan = rig::Plan {
            prefix: self.prefix.or_else(|| track::import::prefix_of(&file.as_ref()?.bytes)),
            name: self.name,
            url: self.url,
            branch: self.branch,
            land: self.land,
            sync: self.sync,
            push_url: self.push_url,
            adopts: self.adopt.is_some(),
            local_repo: self.local_repo.or(self.adopt),
            filter: self.filter,
            sparse: self.sparse,
            keeps_ids: self.beads.is_some() && file.is_none(),
        };
        let added = rig::add(town, &plan, &Progress::to(out.progress()))?;
        if self.beads.is_none() {
            return Ok(out.show(&added));
        }
        let beads = taken_over(town, &plan.name, file).map_err(|error| {
            let told = Error::new(error.kind, format!("rig {} is added, but its beads are not: {}", plan.name, error.line()));
            told.hint(error.hint.unwrap_or_else(|| format!("gt bead import --rig {} --rename", plan.name)))
        })?;
        Ok(out.show(&AddedWithBeads { added, beads }))
    }
}

fn taken_over(town: &Town, name: &Name, file: Option<source::Lines>) -> Result<track::Imported> {
    let place = town.rig(name)?;
    let lines = file.map_or_else(|| source::of_project(&place), Ok)?;
    let options = Options { scope: Some(place.rig.prefix), rename: true, ..Options::default() };
    track::import(town, lines.bytes, &options)
}

#[derive(JsonSchema, Serialize)]
struct AddedWithBeads {
    #[serde(flatten)]
    added: Added,
    beads: track::Imported,
}

impl Show for AddedWithBeads {
    fn show(&self, page: &mut Page) {
        self.added.show(page);
        self.beads.show(page);
    }
}

impl Show for Added {
    fn show(&self, page: &mut Page) {
        let (verb, rig, sync, adopted, part) = match self {
            Self::New { rig, sync, adopted, part } => ("added", rig, sync, adopted, part),
            Self::Joined { rig, sync, adopted, part } => ("joined", rig, sync, adopted, part),
            Self::AlreadyThere { name } => return page.line(format!("rig {name} is here already")),
        };
        page.line(format!("{verb} rig {}: ids {}-…, target branch {}", rig.name, rig.prefix, escape(&rig.target)));
        if !rig.land_remote {
            page.line(format!(
                "what lands stays on its own {0}; with --land origin it would be pushed to origin/{0}",
                escape(&rig.target)
            ));
        }
        if let Some(filter) = &part.filter {
            page.line(format!("files are left out and fetched when they are needed ({})", escape(filter)));
        }
        if !part.shows.is_empty() {
            page.line(format!("sandboxes show only: {}", escape(&part.shows.join(", "))));
        }
        for branch in adopted {
            page.line(format!("taken over: branch {}", escape(branch)));
        }
        match sync {
            Some(url) => page.line(format!("its ledger is exchanged with {}", escape(url))),
            None => page.line("its ledger stays on this machine; to share it, add the rig with --sync URL"),
        }
        page.line(format!("next: gt config set gates.test.command '…' --rig {0}; gt bead create \"…\" --rig {0}", rig.name));
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Rigs(Vec<rig::Listed>);

impl Show for Rigs {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no rigs yet: gt rig add NAME URL");
        }
        let row = |one: &rig::Listed| {
            let target = if one.rig.land_remote { format!("origin/{}", one.rig.target) } else { one.rig.target.clone() };
            let gates = if one.gates.is_empty() { "none".to_owned() } else { one.gates.join(", ") };
            let here = if one.is_here { one.polecats.to_string() } else { "not here".to_owned() };
            vec![one.rig.name.to_string(), one.rig.prefix.to_string(), target, here, gates, one.rig.url.clone()]
        };
        page.table(&["RIG", "PREFIX", "TARGET", "POLECATS", "GATES", "URL"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

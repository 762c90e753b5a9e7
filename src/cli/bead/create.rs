//! The bead verbs that make: create and q.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::bead_id;
use super::given::{FieldArgs, TextArgs};
use super::pages::{Created, IdOnly};
use super::words::file_text;
use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Kind, Result};
use crate::model::bead::{Bead, DependencyKind};
use crate::model::dependency::parse_edge;
use crate::model::record::Object;
use crate::model::spelling::{issue_type, priority};
use crate::name::{BeadId, Prefix};
use crate::ops::track::sketch::{self, Sketches};
use crate::ops::track::{self, Draft};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Created>("bead create"),
    Answer::of::<CreatedAll>("bead create"),
    Answer::of::<CreatedGraph>("bead create"),
    Answer::of::<PlannedAll>("bead create"),
    Answer::of::<IdOnly>("bead q"),
];

/// What a file says of each bead itself: said beside it, it would be said of none.
const OF_FILES: [&str; 11] =
    ["title", "title_flag", "id", "description", "body_file", "stdin", "design", "design_file", "acceptance", "notes", "silent"];
/// What a graph says of each node itself, too.
const OF_GRAPHS: [&str; 8] = ["assignee", "due", "defer_until", "estimate", "external_ref", "metadata", "deps", "waits_for"];

/// File a bead, for example: gt create "Mend the pump" -t bug -p 1
///
/// A text may be - for standard input or @FILE for what is in a file (@@ begins a text with @).
#[derive(Args)]
pub struct Create {
    /// One line: what is to be done
    #[arg(required_unless_present_any = ["title_flag", "file", "graph"])]
    title: Option<String>,
    /// As TITLE
    #[arg(long = "title", id = "title_flag", value_name = "TITLE", hide = true, conflicts_with = "title")]
    title_flag: Option<String>,
    #[command(flatten)]
    texts: TextArgs,
    /// task, bug, feature, epic, chore, decision or question
    #[arg(short = 't', long = "type", default_value = "task")]
    issue_type: String,
    /// 0 critical … 4 backlog
    #[arg(short, long, default_value = "2")]
    priority: String,
    /// A label; several by commas or by naming it again
    #[arg(short, long = "label", alias = "labels", value_delimiter = ',')]
    label: Vec<String>,
    /// Make it a child of this bead, in its scope
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// What it depends on: ids or kind:id, by commas; blocks:ID makes that one wait for this
    #[arg(long, value_name = "[KIND:]ID", value_delimiter = ',')]
    deps: Vec<String>,
    /// A bead whose children it waits for
    #[arg(long, value_name = "ID", hide = true)]
    waits_for: Option<String>,
    #[command(flatten)]
    given: FieldArgs,
    /// The specification it belongs to
    #[arg(long, value_name = "NAME", hide = true)]
    spec_id: Option<String>,
    /// Kept only for a while, for machines; never ready
    #[arg(long)]
    ephemeral: bool,
    /// The rig it belongs to, or hq for the town; else the rig of the directory
    #[arg(long, alias = "prefix", value_name = "RIG")]
    rig: Option<String>,
    /// Give it this id instead of a drawn one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// File a bead for each ## heading of a Markdown file, with ### sections for its fields, all or none
    #[arg(short, long, value_name = "MARKDOWN", conflicts_with_all = OF_FILES.iter().chain(&["graph"]).copied())]
    file: Option<PathBuf>,
    /// File the nodes of a JSON graph and connect them by its edges, all or none
    #[arg(long, value_name = "JSON", conflicts_with_all = OF_FILES.iter().chain(&OF_GRAPHS).copied())]
    graph: Option<PathBuf>,
    /// Print only the id
    #[arg(long)]
    silent: bool,
    /// Only tell what would be filed, or why it would be refused
    #[arg(long, conflicts_with = "silent")]
    dry_run: bool,
    /// The bd tool's word for ids of another prefix; here the prefix says the scope
    #[arg(long, hide = true)]
    force: bool,
    /// The bd tool's word for what is so here: a child has labels of its own
    #[arg(long, hide = true)]
    no_inherit_labels: bool,
}

impl Create {
    /// Files the bead, or those of a file.
    ///
    /// # Errors
    /// As [`track::create`](crate::ops::track::create()) and [`sketch::create_all`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if let Some(sketches) = self.sketches(town)? {
            sketches.notes.iter().for_each(|note| out.note(note));
            let prefix = self.prefix_of_all(town, &sketches)?;
            if self.dry_run {
                let planned: Vec<Bead> = sketch::plan_all(town, &prefix, &sketches)?.into_iter().map(|(_, bead)| bead).collect();
                let both = planned.iter().zip(&sketches.beads);
                let drawn = both.filter(|(_, sketch)| sketch.draft.id.is_none()).map(|(bead, _)| bead.id.clone()).collect();
                return Ok(out.show(&PlannedAll(Planned::of(planned, &drawn)?)));
            }
            let made = sketch::create_all(town, &prefix, &sketches)?;
            if self.graph.is_some() {
                return Ok(out.show(&CreatedGraph { ids: made.into_iter().map(|(key, bead)| (key, bead.id)).collect() }));
            }
            return Ok(out.show(&CreatedAll(made.into_iter().map(|(_, bead)| bead).collect())));
        }
        let draft = self.draft(town)?;
        let prefix = self.prefix(town, &draft)?;
        let ledger = town.scope_of(&prefix)?;
        if self.dry_run {
            let planned = track::create::plan(town, &ledger, &prefix, &draft)?;
            // A child of a known parent is numbered: nobody draws.
            let is_drawn = draft.id.is_none() && draft.parent.is_none();
            let drawn = is_drawn.then(|| planned.id.clone()).into_iter().collect();
            return Ok(out.show(&PlannedAll(Planned::of(vec![planned], &drawn)?)));
        }
        let made = track::create(town, &ledger, &prefix, &draft)?;
        if self.silent { Ok(Out { json: false, ..out }.show(&IdOnly(made.id))) } else { Ok(out.show(&Created(made))) }
    }

    pub(super) fn run_quick(&self, town: &Town, out: Out) -> Result<u8> {
        if self.file.is_some() || self.graph.is_some() || self.dry_run {
            return Err(
                Error::usage("q files one bead and prints its id").hint("for more, or only to look: gt bead create --help")
            );
        }
        let draft = self.draft(town)?;
        let prefix = self.prefix(town, &draft)?;
        Ok(out.show(&IdOnly(track::create(town, &town.scope_of(&prefix)?, &prefix, &draft)?.id)))
    }

    /// The beads of the file or the graph, if one is named.
    fn sketches(&self, town: &Town) -> Result<Option<Sketches>> {
        match (&self.file, &self.graph) {
            (Some(file), _) => sketch::of_markdown(town, &read(town, file)?, &self.draft(town)?).map(Some),
            (None, Some(file)) => sketch::of_graph(town, &read(town, file)?, &self.draft(town)?).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn prefix_of_all(&self, town: &Town, sketches: &Sketches) -> Result<Prefix> {
        let bound = sketches.beads.iter().map(|sketch| &sketch.draft).find(|draft| draft.parent.is_some() || draft.id.is_some());
        self.prefix(town, bound.unwrap_or(&Draft::new("")))
    }

    fn draft(&self, town: &Town) -> Result<Draft> {
        let mut draft = Draft::new(self.title.as_ref().or(self.title_flag.as_ref()).map_or("", String::as_str));
        draft.issue_type = issue_type(&self.issue_type)?;
        draft.priority = priority(&self.priority)?;
        let texts = self.texts.read(town, None)?;
        draft.description = texts.description.unwrap_or_default();
        draft.design = texts.design.unwrap_or_default();
        draft.acceptance = texts.acceptance.unwrap_or_default();
        draft.notes = texts.notes.unwrap_or_default();
        draft.labels = self.label.iter().cloned().collect();
        draft.parent = self.parent.as_ref().map(|text| bead_id(town, text)).transpose()?;
        draft.id = self.id.as_ref().map(|text| text.parse()).transpose()?;
        let given = self.given.read(town)?;
        draft.assignee = given.assignee.flatten();
        draft.due_at = given.due_at.flatten();
        draft.defer_until = given.defer_until.flatten();
        draft.fields = given.fields;
        if self.ephemeral {
            draft.extra.insert("ephemeral".into(), true.into());
        }
        if let Some(spec) = &self.spec_id {
            draft.extra.insert("spec_id".into(), spec.as_str().into());
        }
        self.put_edges(town, &mut draft)?;
        Ok(draft)
    }

    /// The words of the `bd` tool: of all kinds only `blocks` says what the other bead does.
    fn put_edges(&self, town: &Town, draft: &mut Draft) -> Result<()> {
        for said in &self.deps {
            match said.trim().split_once(':') {
                Some(("blocks", id)) => draft.blocks.push(bead_id(town, id)?),
                Some(("blocked-by" | "depends-on", id)) => draft.dependencies.push((DependencyKind::Blocks, bead_id(town, id)?)),
                _ => {
                    let (kind, id) = parse_edge(said)?;
                    draft.dependencies.push((kind, bead_id(town, id)?));
                }
            }
        }
        if let Some(spawner) = &self.waits_for {
            draft.dependencies.push((DependencyKind::WaitsFor, bead_id(town, spawner)?));
        }
        Ok(())
    }

    /// The scope: that of the parent or the given id, else the rig named, else that of the directory, else the town.
    fn prefix(&self, town: &Town, draft: &Draft) -> Result<Prefix> {
        let named = self.rig.as_ref().map(|text| track::scope_named(town, text)).transpose()?;
        let bound = draft.parent.as_ref().or(draft.id.as_ref()).map(BeadId::prefix);
        match (named, bound) {
            (Some(named), Some(bound)) if named != bound => {
                Err(Error::usage(format!("--rig names the scope {named}, but the bead belongs to {bound}"))
                    .hint("leave --rig out: a child lives beside its parent"))
            }
            (Some(prefix), _) | (None, Some(prefix)) => Ok(prefix),
            (None, None) => Ok(town.prefix_here()?.unwrap_or_else(Prefix::hq)),
        }
    }
}

fn read(town: &Town, file: &std::path::Path) -> Result<String> {
    if town.dir.join(file).is_dir() {
        return Err(Error::new(Kind::Usage, format!("{} is a directory", file.display())).hint("name a file"));
    }
    file_text(town, file)
}

/// The new beads of a Markdown file.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct CreatedAll(Vec<Bead>);

impl Show for CreatedAll {
    fn show(&self, page: &mut Page) {
        for bead in &self.0 {
            page.line(format!("created {}: {}", bead.id, escape(&bead.title)));
        }
    }
}

/// The new beads of a graph.
#[derive(JsonSchema, Serialize)]
struct CreatedGraph {
    /// Their ids by their keys.
    ids: BTreeMap<String, BeadId>,
}

impl Show for CreatedGraph {
    fn show(&self, page: &mut Page) {
        for (key, id) in &self.ids {
            page.line(format!("created {id} as {}", escape(key)));
        }
    }
}

/// A bead as it would be filed: in the fields of a bead, but with an id only where that is known before.
#[derive(JsonSchema, Serialize)]
struct Planned {
    /// Always true.
    dry_run: bool,
    #[serde(flatten)]
    bead: Object,
}

impl Planned {
    /// Those of `beads`, of which those in `drawn` will have other ids.
    fn of(beads: Vec<Bead>, drawn: &BTreeSet<BeadId>) -> Result<Vec<Self>> {
        let is_drawn = |id: &BeadId| drawn.contains(id);
        let planned = |mut bead: Bead| {
            bead.dependencies.retain(|edge| !is_drawn(&edge.depends_on_id));
            bead.parent = bead.parent.filter(|parent| !is_drawn(parent));
            let fields = serde_json::to_value(&bead).map_err(|error| Error::bug(format!("write {}: {error}", bead.id)))?;
            let Value::Object(mut fields) = fields else { return Err(Error::bug("a bead is no JSON object")) };
            fields.remove("rev");
            if is_drawn(&bead.id) {
                fields.remove("id");
                let edges = fields.get_mut("dependencies").and_then(Value::as_array_mut).into_iter().flatten();
                edges.filter_map(Value::as_object_mut).for_each(|edge| drop(edge.remove("issue_id")));
            }
            Ok(Self { dry_run: true, bead: fields })
        };
        beads.into_iter().map(planned).collect()
    }
}

impl Show for Planned {
    fn show(&self, page: &mut Page) {
        let word = |field: &str| match self.bead.get(field) {
            Some(Value::String(text)) => escape(text),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let id = if self.bead.contains_key("id") { format!(" {}", word("id")) } else { String::new() };
        page.line(format!("would create a {}{id}, P{}: {}", word("issue_type"), word("priority"), word("title")));
    }
}

/// The beads that would be filed.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct PlannedAll(Vec<Planned>);

impl Show for PlannedAll {
    fn show(&self, page: &mut Page) {
        self.0.iter().for_each(|planned| planned.show(page));
    }
}

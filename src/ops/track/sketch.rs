//! Many new beads that speak of each other by names, all in one transaction: what a Markdown file or a graph describes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::model::bead::{Bead, DependencyKind};
use crate::model::dependency::{parse_edge, parse_kind};
use crate::model::outline;
use crate::model::record::Object;
use crate::model::spelling;
use crate::name::{BeadId, Prefix};
use crate::ops::mailbox;
use crate::ops::track::create::{Draft, create_in};
use crate::ops::track::depend::connect_in;
use crate::ops::track::fields::Fields;
use crate::ops::track::reach::Reach;
use crate::time::Moment;
use crate::town::Town;

/// A bead to be made.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// What the others call it.
    pub name: String,
    /// What it shall be.
    pub draft: Draft,
    /// The one of the others that it is a child of.
    pub parent: Option<String>,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// One of the new beads.
    New(String),
    /// A bead that is there.
    Known(BeadId),
}

/// An edge to be made: `from` depends on `to`.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The bead that depends.
    pub from: End,
    /// How.
    pub kind: DependencyKind,
    /// What it depends on.
    pub to: End,
}

/// Beads and edges.
#[derive(Clone, Debug, Default)]
pub struct Sketches {
    /// The beads.
    pub beads: Vec<Sketch>,
    /// The edges.
    pub edges: Vec<Edge>,
    /// What was said and is left out.
    pub notes: Vec<String>,
}

/// A bead that was made, and its name.
pub type Made = (String, Bead);

/// Makes all of them in the scope with `prefix`, or none; the answer is in their order.
///
/// # Errors
/// Usage, when two have one name, a name is of none, or they are each other's parents; else as
/// [`create`](crate::ops::track::create()) and [`connect`](crate::ops::track::connect).
pub fn create_all(town: &Town, prefix: &Prefix, sketches: &Sketches) -> Result<Vec<Made>> {
    let deed = town.deed("create", format!("create {} beads", sketches.beads.len()));
    let order = parents_first(&sketches.beads)?;
    town.scope_of(prefix)?.transact(&deed, |change| make_all(town, change, prefix, sketches, &order))
}

/// The beads that [`create_all`] would make now, which writes nothing.
///
/// # Errors
/// As [`create_all`].
pub fn plan_all(town: &Town, prefix: &Prefix, sketches: &Sketches) -> Result<Vec<Made>> {
    let order = parents_first(&sketches.beads)?;
    town.scope_of(prefix)?.rehearse(town.now, |change| make_all(town, change, prefix, sketches, &order))
}

fn make_all(town: &Town, change: &mut Change<'_>, prefix: &Prefix, sketches: &Sketches, order: &[&Sketch]) -> Result<Vec<Made>> {
    let mut reach = Reach::new(town);
    let mut ids: BTreeMap<&str, BeadId> = BTreeMap::new();
    for sketch in order {
        let mut draft = sketch.draft.clone();
        if let Some(parent) = &sketch.parent {
            draft.parent = ids.get(parent.as_str()).cloned();
        }
        let made = create_in(town, change, &mut reach, prefix, &draft).map_err(|error| of(&sketch.name, error))?;
        ids.insert(&sketch.name, made.id);
    }
    let id_of = |end: &End| match end {
        End::Known(id) => Ok(id.clone()),
        End::New(name) => ids.get(name.as_str()).cloned().ok_or_else(|| no_such(name)),
    };
    for edge in &sketches.edges {
        let (from, to) = (id_of(&edge.from)?, id_of(&edge.to)?);
        if from.prefix() != *prefix {
            return Err(Error::refused(format!("{from} lives in another scope, and one transaction writes one"))
                .hint(format!("connect them when the new beads are there: gt bead dep add {from} ID")));
        }
        connect_in(town, change, &mut reach, &from, &to, &edge.kind)?;
    }
    let made = |sketch: &Sketch| Ok((sketch.name.clone(), change.bead(&ids[sketch.name.as_str()])?));
    sketches.beads.iter().map(made).collect()
}

/// `error`, told of the bead that is called `name`.
fn of(name: &str, error: Error) -> Error {
    let told = Error::new(error.kind, format!("{name}: {}", error.line()));
    match error.hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

fn no_such(name: &str) -> Error {
    Error::usage(format!("none of the beads is called '{}'", name.escape_debug())).hint("name a key of the nodes, or an id")
}

/// The beads in such an order that parents come before their children.
fn parents_first(sketches: &[Sketch]) -> Result<Vec<&Sketch>> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for sketch in sketches {
        if !names.insert(&sketch.name) {
            return Err(
                Error::usage(format!("two beads are called '{}'", sketch.name.escape_debug())).hint("give each its own key")
            );
        }
    }
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut order = Vec::with_capacity(sketches.len());
    let mut open: Vec<&Sketch> = sketches.iter().collect();
    while !open.is_empty() {
        let before = open.len();
        let mut later = Vec::new();
        for sketch in open {
            match &sketch.parent {
                Some(parent) if !names.contains(parent.as_str()) => return Err(no_such(parent)),
                Some(parent) if !placed.contains(parent.as_str()) => later.push(sketch),
                _ => {
                    placed.insert(&sketch.name);
                    order.push(sketch);
                }
            }
        }
        if later.len() == before {
            let names: Vec<&str> = later.iter().map(|sketch| sketch.name.as_str()).collect();
            return Err(Error::usage(format!("{} are each other's parents", names.join(", "))).hint("leave one of them out"));
        }
        open = later;
    }
    Ok(order)
}

/// The beads of a Markdown file; what all of them shall be, whatever it says, is in `basis`.
///
/// # Errors
/// Usage, naming the line of what is wrong; not found, when it depends on what is not there.
pub fn of_markdown(town: &Town, text: &str, basis: &Draft) -> Result<Sketches> {
    let mut sketches = Sketches::default();
    for item in outline::read(text)? {
        let at = |section: &'static str| {
            let line = item.line_of(section);
            move |error: Error| of(&format!("line {line}"), error)
        };
        let mut draft = Draft { title: item.title.clone(), ..basis.clone() };
        draft.description = item.description.clone();
        draft.design = item.design.clone();
        draft.acceptance = item.acceptance.clone();
        draft.notes = item.notes.clone();
        draft.labels.extend(item.labels.iter().cloned());
        if let Some(word) = &item.issue_type {
            draft.issue_type = spelling::issue_type(word).map_err(at("type"))?;
        }
        if let Some(word) = &item.priority {
            draft.priority = spelling::priority(word).map_err(at("priority"))?;
        }
        if let Some(who) = &item.assignee {
            draft.assignee = Some(mailbox::recipient(town, who).map_err(at("assignee"))?.to_string());
        }
        for text in &item.dependencies {
            let (kind, id) = parse_edge(text).map_err(at("dependencies"))?;
            draft.dependencies.push((kind, town.resolve_bead(id).map_err(at("dependencies"))?.1));
        }
        sketches.beads.push(Sketch { name: format!("line {}", item.line), draft, parent: None });
    }
    Ok(sketches)
}

/// A graph as the `bd` tool reads it.
#[derive(Deserialize)]
struct Graph {
    nodes: Vec<Node>,
    #[serde(default)]
    edges: Vec<GraphEdge>,
}

#[derive(Deserialize)]
struct Node {
    key: String,
    title: String,
    id: Option<BeadId>,
    #[serde(rename = "type", alias = "issue_type")]
    issue_type: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    design: String,
    #[serde(default, alias = "acceptance")]
    acceptance_criteria: String,
    #[serde(default)]
    notes: String,
    external_ref: Option<String>,
    assignee: Option<String>,
    owner: Option<String>,
    #[serde(default, deserialize_with = "spelling::priority_in")]
    priority: Option<u8>,
    #[serde(alias = "estimate")]
    estimated_minutes: Option<u64>,
    due_at: Option<Moment>,
    defer_until: Option<Moment>,
    #[serde(default)]
    labels: BTreeSet<String>,
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    #[serde(alias = "parent")]
    parent_key: Option<String>,
    parent_id: Option<String>,
    #[serde(default)]
    deps: Vec<NodeDep>,
    #[serde(flatten)]
    rest: Object,
}

#[derive(Deserialize)]
struct NodeDep {
    #[serde(rename = "type")]
    kind: Option<String>,
    target: String,
}

#[derive(Deserialize)]
struct GraphEdge {
    from_key: Option<String>,
    from_id: Option<String>,
    to_key: Option<String>,
    to_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(flatten)]
    rest: Object,
}

/// Fields of a node that a bead keeps as they are.
const KEPT: [&str; 10] =
    ["spec_id", "ephemeral", "no_history", "wisp_type", "mol_type", "pinned", "event_kind", "actor", "target", "payload"];

/// The beads and edges of a graph: `{"nodes": [{"key", "title", …}], "edges": [{"from_key", "to_key", "type"}]}`.
///
/// # Errors
/// Usage, when it is no such graph; not found, when it names a bead that is not there.
pub fn of_graph(town: &Town, text: &str, basis: &Draft) -> Result<Sketches> {
    let graph: Graph = serde_json::from_str(text).map_err(|error| {
        Error::usage(format!("it is no graph: {error}"))
            .hint(r#"write {"nodes": [{"key": "a", "title": "…"}], "edges": [{"from_key": "a", "to_key": "b"}]}"#)
    })?;
    let keys: BTreeSet<String> = graph.nodes.iter().map(|node| node.key.clone()).collect();
    let known = |text: &str| town.resolve_bead(text).map(|(_, id)| End::Known(id));
    let end = |text: &str| if keys.contains(text) { Ok(End::New(text.to_owned())) } else { known(text) };
    let kind_of = |word: Option<&str>| word.map_or(Ok(DependencyKind::Blocks), parse_kind);
    let mut sketches = Sketches::default();
    for mut node in graph.nodes {
        let from = End::New(node.key.clone());
        for dep in std::mem::take(&mut node.deps) {
            sketches.edges.push(Edge { from: from.clone(), kind: kind_of(dep.kind.as_deref())?, to: end(&dep.target)? });
        }
        sketches.beads.push(sketch(town, node, basis, &mut sketches.notes)?);
    }
    for (n, edge) in graph.edges.into_iter().enumerate() {
        let one = |key: Option<String>, id: Option<String>, which: &str| match (key, id) {
            (Some(key), _) => Ok(End::New(key)),
            (None, Some(id)) => known(&id),
            (None, None) => Err(Error::usage(format!("edge {} says not {which}", n + 1)).hint("give from_key and to_key")),
        };
        let (from, to) = (one(edge.from_key, edge.from_id, "from where")?, one(edge.to_key, edge.to_id, "where to")?);
        sketches.notes.extend(edge.rest.keys().map(|field| format!("edge {}: '{field}' is left out", n + 1)));
        sketches.edges.push(Edge { from, kind: kind_of(edge.kind.as_deref())?, to });
    }
    Ok(sketches)
}

fn sketch(town: &Town, node: Node, basis: &Draft, notes: &mut Vec<String>) -> Result<Sketch> {
    let mut extra = basis.extra.clone();
    for (field, value) in node.rest {
        if KEPT.contains(&field.as_str()) {
            extra.insert(field, value);
        } else {
            notes.push(format!("node {}: '{field}' is left out", node.key));
        }
    }
    let parent_id = node.parent_id.map(|text| town.resolve_bead(&text)).transpose()?.map(|(_, id)| id);
    let draft = Draft {
        id: node.id,
        issue_type: node.issue_type.as_deref().map_or_else(|| Ok(basis.issue_type.clone()), spelling::issue_type)?,
        description: node.description,
        design: node.design,
        acceptance: node.acceptance_criteria,
        notes: node.notes,
        assignee: node.assignee.map(|who| mailbox::recipient(town, &who)).transpose()?.map(|who| who.to_string()),
        priority: node.priority.unwrap_or(basis.priority),
        due_at: node.due_at,
        defer_until: node.defer_until,
        labels: basis.labels.union(&node.labels).cloned().collect(),
        parent: parent_id.or_else(|| basis.parent.clone()).filter(|_| node.parent_key.is_none()),
        fields: Fields {
            owner: node.owner.map(Some),
            external_ref: node.external_ref.map(Some),
            estimate_minutes: node.estimated_minutes.map(Some),
            metadata: node.metadata.into_iter().map(|(key, value)| (key, Some(value))).collect(),
            ..Fields::default()
        },
        extra,
        ..Draft::new(&node.title)
    };
    Ok(Sketch { name: node.key, draft, parent: node.parent_key })
}

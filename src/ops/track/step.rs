//! One operation of a batch, read from a line of JSON. Unknown fields and words are refused.

mod shape;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::bead::DependencyKind;
use crate::model::dependency::{parse_edge, parse_kind};
use crate::model::record::Object;
use crate::model::spelling;
use crate::name::{BeadId, Prefix};
use crate::ops::mailbox;
use crate::ops::track::find::scope_named;
use crate::ops::track::{Draft, Edit, Fields};
use crate::town::Town;
use shape::{Create, Edge, End, Label, Remark, Update};

/// A bead that a line speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// By its id.
    Id(BeadId),
    /// By the place of an earlier step.
    Of(usize),
}

/// What a line does.
#[derive(Debug)]
pub(super) enum Act {
    /// A new bead.
    Create { draft: Box<Draft>, parent: Option<Who>, dependencies: Vec<(DependencyKind, Who)> },
    /// Changed fields, labels among them.
    Update { who: Who, edit: Box<Edit> },
    /// Done by hand.
    Close { who: Who, reason: String },
    /// Open again.
    Reopen { who: Who, reason: Option<String> },
    /// A remark.
    Comment { who: Who, text: String },
    /// An edge.
    Depend { who: Who, target: Who, kind: DependencyKind },
}

impl Act {
    /// The word for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Close { .. } => "close",
            Self::Reopen { .. } => "reopen",
            Self::Comment { .. } => "comment",
            Self::Depend { .. } => "dep add",
        }
    }
}

/// A line that was read.
#[derive(Debug)]
pub(super) struct Step {
    /// Its number, from 1.
    pub line: usize,
    /// The name it gives its bead.
    pub name: Option<String>,
    /// What it does.
    pub act: Act,
    /// The scope it changes.
    pub scope: Prefix,
}

impl Step {
    /// The earlier steps whose beads it speaks of.
    pub(super) fn speaks_of(&self) -> Vec<usize> {
        let whos: Vec<&Who> = match &self.act {
            Act::Create { parent, dependencies, .. } => parent.iter().chain(dependencies.iter().map(|(_, who)| who)).collect(),
            Act::Update { who, .. } | Act::Close { who, .. } | Act::Reopen { who, .. } | Act::Comment { who, .. } => vec![who],
            Act::Depend { who, target, .. } => vec![who, target],
        };
        whos.into_iter().filter_map(|who| if let Who::Of(at) = who { Some(*at) } else { None }).collect()
    }
}

/// The operations, as a hint names them.
const OPERATIONS: &str = "create, update, close, reopen, dep add, comment or label";

/// Reads lines one after the other.
pub(super) struct Reader<'t> {
    town: &'t Town,
    /// What was read so far.
    pub steps: Vec<Step>,
    names: BTreeMap<String, usize>,
    scopes: BTreeMap<String, Prefix>,
    people: BTreeMap<String, String>,
    here: Option<Prefix>,
}

impl<'t> Reader<'t> {
    /// Nothing read yet.
    pub(super) fn new(town: &'t Town) -> Self {
        let (steps, names, scopes, people) = (Vec::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { town, steps, names, scopes, people, here: None }
    }

    /// Reads one line and keeps its step.
    ///
    /// # Errors
    /// Usage, when it is no operation; not found, when it speaks of what is not there.
    pub(super) fn read(&mut self, line: usize, text: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(text).or_fail(Kind::Usage, || "it is not UTF-8")?;
        let mut object: Object = serde_json::from_str(text).map_err(|error| no_object(&error))?;
        let op = object.remove("op").and_then(|op| op.as_str().map(str::to_owned)).unwrap_or_default();
        let name = match object.remove("as") {
            None => None,
            Some(Value::String(name)) if is_name(&name) && !self.names.contains_key(&name) => Some(name),
            Some(other) => {
                return Err(Error::usage(format!("{other} cannot name a bead here")).hint("a letter first, and no name twice"));
            }
        };
        let (act, scope) = match op.as_str() {
            "create" => self.create(fields(&object)?)?,
            "update" => {
                check_nulls(&object)?;
                self.update(fields(&object)?)?
            }
            "close" => {
                let End { id, reason } = fields(&object)?;
                let (who, scope) = self.who(&id)?;
                (Act::Close { who, reason: reason.unwrap_or_else(|| "Closed".to_owned()) }, scope)
            }
            "reopen" => {
                let End { id, reason } = fields(&object)?;
                let (who, scope) = self.who(&id)?;
                (Act::Reopen { who, reason }, scope)
            }
            "comment" => {
                let Remark { id, text } = fields(&object)?;
                let (who, scope) = self.who(&id)?;
                (Act::Comment { who, text }, scope)
            }
            "dep" | "dep add" => {
                let Edge { id, depends_on_id, kind } = fields(&object)?;
                let (who, scope) = self.who(&id)?;
                let kind = kind.map_or(Ok(DependencyKind::Blocks), |word| parse_kind(&word))?;
                (Act::Depend { who, target: self.who(&depends_on_id)?.0, kind }, scope)
            }
            "label" => {
                let Label { id, add, remove } = fields(&object)?;
                let (who, scope) = self.who(&id)?;
                let edit = Edit { add_labels: add, remove_labels: remove, ..Edit::default() };
                (Act::Update { who, edit: Box::new(edit) }, scope)
            }
            other => {
                let message = format!("'{}' is no operation", other.escape_debug());
                return Err(Error::usage(message).hint(format!("\"op\" is {OPERATIONS}")));
            }
        };
        let at = self.steps.len();
        self.names.insert(line.to_string(), at);
        if let Some(name) = &name {
            self.names.insert(name.clone(), at);
        }
        self.steps.push(Step { line, name, act, scope });
        Ok(())
    }

    fn create(&mut self, line: Create) -> Result<(Act, Prefix)> {
        let parent = line.parent.as_ref().map(|text| self.who(text)).transpose()?;
        let mut dependencies = Vec::new();
        for text in &line.deps {
            let (kind, id) = parse_edge(text)?;
            dependencies.push((kind, self.who(id)?.0));
        }
        let named = line.rig.as_ref().map(|text| self.scope(text)).transpose()?;
        let bound = parent.as_ref().map(|(_, scope)| scope.clone()).or_else(|| line.id.as_ref().map(BeadId::prefix));
        let scope = match (named, bound) {
            (Some(named), Some(bound)) if named != bound => {
                return Err(Error::usage(format!("it names the scope {named}, but the bead belongs to {bound}"))
                    .hint("leave the rig out: a child lives beside its parent"));
            }
            (Some(scope), _) | (None, Some(scope)) => scope,
            (None, None) => self.here()?,
        };
        let draft = Draft {
            issue_type: spelling::issue_type(&line.issue_type)?,
            priority: line.priority.unwrap_or(2),
            description: line.description,
            design: line.design,
            acceptance: line.acceptance_criteria,
            notes: line.notes,
            labels: line.labels,
            id: line.id,
            assignee: line.assignee.map(|text| self.person(&text)).transpose()?,
            due_at: line.due_at,
            defer_until: line.defer_until,
            ..Draft::new(&line.title)
        };
        Ok((Act::Create { draft: Box::new(draft), parent: parent.map(|(who, _)| who), dependencies }, scope))
    }

    fn update(&mut self, line: Update) -> Result<(Act, Prefix)> {
        let (who, scope) = self.who(&line.id)?;
        let assignee = match line.assignee {
            Some(Some(text)) if !text.is_empty() => Some(Some(self.person(&text)?)),
            Some(_) => Some(None),
            None => None,
        };
        let fields = Fields {
            owner: line.owner,
            estimate_minutes: line.estimated_minutes,
            external_ref: line.external_ref,
            metadata: line.metadata.into_iter().map(|(key, value)| (key, (!value.is_null()).then_some(value))).collect(),
            labels: line.labels.map(Option::unwrap_or_default),
            parent: None,
        };
        let edit = Edit {
            status: line.status.as_deref().map(spelling::status).transpose()?,
            claim: line.claim,
            lease_millis: None,
            title: line.title,
            description: line.description.map(Option::unwrap_or_default),
            design: line.design.map(Option::unwrap_or_default),
            acceptance: line.acceptance_criteria.map(Option::unwrap_or_default),
            notes: line.notes.map(Option::unwrap_or_default),
            append_notes: line.append_notes,
            priority: line.priority,
            issue_type: line.issue_type.as_deref().map(spelling::issue_type).transpose()?,
            assignee,
            due_at: line.due_at,
            defer_until: line.defer_until,
            add_labels: line.add_labels,
            remove_labels: line.remove_labels,
            fields,
        };
        if edit == Edit::default() {
            return Err(Error::usage("nothing was said to change"));
        }
        Ok((Act::Update { who, edit: Box::new(edit) }, scope))
    }

    /// The bead that `text` names, by id or as that of an earlier line, and its scope.
    fn who(&self, text: &str) -> Result<(Who, Prefix)> {
        let Some(name) = text.strip_prefix('$') else {
            // Only full ids: what fits today may be ambiguous tomorrow, and a program has them.
            let id: BeadId = text.parse()?;
            let scope = id.prefix();
            return Ok((Who::Id(id), scope));
        };
        let at = self.names.get(name).copied().ok_or_else(|| {
            Error::usage(format!("{} is no earlier line", text.escape_debug()))
                .hint("$3 is the bead of line 3, $name that of the line with \"as\":\"name\"")
        })?;
        Ok((Who::Of(at), self.steps[at].scope.clone()))
    }

    fn scope(&mut self, text: &str) -> Result<Prefix> {
        if let Some(known) = self.scopes.get(text) {
            return Ok(known.clone());
        }
        let prefix = scope_named(self.town, text)?;
        self.scopes.insert(text.to_owned(), prefix.clone());
        Ok(prefix)
    }

    fn here(&mut self) -> Result<Prefix> {
        if self.here.is_none() {
            self.here = Some(self.town.prefix_here()?.unwrap_or_else(Prefix::hq));
        }
        Ok(self.here.clone().unwrap_or_else(Prefix::hq))
    }

    fn person(&mut self, text: &str) -> Result<String> {
        if let Some(known) = self.people.get(text) {
            return Ok(known.clone());
        }
        let address = mailbox::recipient(self.town, text)?.to_string();
        self.people.insert(text.to_owned(), address.clone());
        Ok(address)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// Fields that `null` empties.
const EMPTIED: [&str; 12] = [
    "description",
    "design",
    "acceptance_criteria",
    "acceptance",
    "notes",
    "assignee",
    "due_at",
    "defer_until",
    "owner",
    "estimated_minutes",
    "external_ref",
    "labels",
];

/// Refuses `null` where a bead cannot be without a value, or where it says nothing.
fn check_nulls(object: &Object) -> Result<()> {
    let wrong = object.iter().find(|(field, value)| value.is_null() && !EMPTIED.contains(&field.as_str()));
    wrong.map_or(Ok(()), |(field, _)| {
        Err(Error::usage(format!("'{}' cannot be null", field.escape_debug()))
            .hint("null empties a text, a time, labels, assignee, owner, estimated_minutes or external_ref"))
    })
}

/// A line that is no object; the parser's own word for the line is left out, since it sees no other.
fn no_object(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let fault = text.rsplit_once(" at line ").map_or(text.as_str(), |(fault, _)| fault);
    let message = format!("it is no JSON object: {fault}, at column {}", error.column());
    Error::usage(message).hint(r#"write {"op": "create", "title": "…"}, all of it in one line"#)
}

/// The shape of a line; what does not fit is told with the name of its field.
fn fields<T: DeserializeOwned>(object: &Object) -> Result<T> {
    let read = |object: Object| serde_json::from_value::<T>(Value::Object(object)).map_err(|error| error.to_string());
    read(object.clone()).map_err(|fault| {
        // A parser of values does not say where it failed: it is the field without which it fails no more, or elsewhere.
        let is_cause = |field: &&String| {
            let rest = object.iter().filter(|(name, _)| name != field).map(|(name, value)| (name.clone(), value.clone()));
            read(rest.collect()).err().is_none_or(|other| other != fault)
        };
        let names_one = fault.contains("field `");
        let field = object.keys().find(is_cause).filter(|_| !names_one).map(|field| format!("{field}: ")).unwrap_or_default();
        let said =
            Error::usage(field + &fault.replace("expected u8", "expected a number").replace("expected u64", "expected a number"));
        if fault.contains("read the time") { said.hint("write a time as 2026-12-01T08:00:00Z") } else { said }
    })
}

//! Many changes at once: operations as lines of JSON, every scope's in one transaction, all or nothing.
//!
//! A line may speak of the bead of an earlier one: `$3` is that of line 3, `$name` that of the line with `"as":"name"`.
//! All that can be refused without the state is refused before anything is written; with several scopes, all of them
//! are rehearsed before the first is written, so that only a race can leave the later ones unwritten.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::model::bead::{DependencyKind, Status};
use crate::name::{BeadId, Prefix};
use crate::ops::convoy;
use crate::ops::track::create::create_in;
use crate::ops::track::depend::connect_in;
use crate::ops::track::edit::{comment_in, update_in};
use crate::ops::track::end::{close_in, reopen_in};
use crate::ops::track::lines::{BadLine, at_line, numbered, refusal};
use crate::ops::track::reach::Reach;
use crate::ops::track::step::{Act, Reader, Step, Who};
use crate::ops::track::{Draft, Edit};
use crate::town::Town;

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Done {
    /// Its number, from 1.
    pub line: usize,
    /// The operation.
    pub op: &'static str,
    /// The bead.
    pub id: BeadId,
    /// The name that the line gave it.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the bead stands after the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Runs the operations of `bytes`, one transaction a scope, and tells of each line what became of it.
///
/// # Errors
/// Usage, naming the lines that cannot be read; else the first refusal, with its line. Nothing was written then.
pub fn batch(town: &Town, bytes: &[u8]) -> Result<Vec<Done>> {
    let steps = read(town, bytes)?;
    let mut order: Vec<Prefix> = Vec::new();
    for step in &steps {
        if !order.contains(&step.scope) {
            order.push(step.scope.clone());
        }
    }
    check_order(&steps, &order)?;
    let mut made = vec![None; steps.len()];
    if order.len() > 1 {
        for prefix in &order {
            let ledger = town.scope_of(prefix)?;
            ledger.rehearse(town.now, |change| run(town, change, prefix, &steps, &mut made, true))?;
        }
    }
    let mut done = Vec::new();
    for prefix in &order {
        let count = steps.iter().filter(|step| step.scope == *prefix).count();
        let deed = town.deed("batch", format!("batch of {count}"));
        let ledger = town.scope_of(prefix)?;
        done.extend(ledger.transact(&deed, |change| run(town, change, prefix, &steps, &mut made, false))?);
    }
    done.sort_by_key(|done| done.line);
    let closed = done.iter().filter(|done| done.status.as_ref().is_some_and(Status::is_closed));
    convoy::after_close(town, closed.map(|done| &done.id));
    Ok(done)
}

fn read(town: &Town, bytes: &[u8]) -> Result<Vec<Step>> {
    let mut reader = Reader::new(town);
    let mut bad = Vec::new();
    let mut total = 0;
    for (line, text) in numbered(bytes) {
        total += 1;
        if let Err(error) = reader.read(line, text) {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            bad.push(BadLine { line, fault: error.line() + &hint });
        }
    }
    if bad.is_empty() { Ok(reader.steps) } else { Err(refusal("batch", &bad, total)) }
}

/// A line speaks only of beads of its own scope or of scopes written before it.
fn check_order(steps: &[Step], order: &[Prefix]) -> Result<()> {
    let place = |prefix: &Prefix| order.iter().position(|one| one == prefix);
    for step in steps {
        for at in step.speaks_of() {
            if place(&steps[at].scope) > place(&step.scope) {
                let message = format!("it speaks of line {}, whose scope {} is written later", steps[at].line, steps[at].scope);
                return Err(at_line(
                    step.line,
                    Error::usage(message).hint("put the lines of that scope first, or into a batch of their own"),
                ));
            }
        }
    }
    Ok(())
}

/// The lines of one scope, in order, on `change`. `made` holds the bead of each line as far as it is known.
fn run(
    town: &Town,
    change: &mut Change<'_>,
    prefix: &Prefix,
    steps: &[Step],
    made: &mut [Option<BeadId>],
    is_rehearsal: bool,
) -> Result<Vec<Done>> {
    let mut reach = Reach::new(town);
    let given = steps.iter().filter_map(|step| match &step.act {
        Act::Create { draft, .. } => Some((draft.id.as_ref()?, &step.scope)),
        _ => None,
    });
    let given: BTreeMap<&BeadId, &Prefix> = given.collect();
    let mut done = Vec::new();
    for (at, step) in steps.iter().enumerate().filter(|(_, step)| step.scope == *prefix) {
        let mut scene = Scene { town, change, reach: &mut reach, prefix, steps, given: &given, made, is_rehearsal };
        let (id, status) = scene.act(step).map_err(|error| at_line(step.line, error))?;
        made[at] = Some(id.clone());
        done.push(Done { line: step.line, op: step.act.word(), id, name: step.name.clone(), status });
    }
    Ok(done)
}

/// What a step acts on.
struct Scene<'a, 's, 't> {
    town: &'t Town,
    change: &'a mut Change<'s>,
    reach: &'a mut Reach<'t>,
    prefix: &'a Prefix,
    steps: &'a [Step],
    /// The scopes of ids that lines give to their beads.
    given: &'a BTreeMap<&'a BeadId, &'a Prefix>,
    made: &'a [Option<BeadId>],
    is_rehearsal: bool,
}

impl Scene<'_, '_, '_> {
    fn act(&mut self, step: &Step) -> Result<(BeadId, Option<Status>)> {
        let town = self.town;
        let bead = match &step.act {
            Act::Create { draft, parent, dependencies } => self.create(draft, parent.as_ref(), dependencies)?,
            Act::Update { who, edit } => self.update(who, edit)?,
            Act::Close { who, reason } => close_in(town, self.change, &self.id(who)?, reason)?.bead,
            Act::Reopen { who, reason } => reopen_in(town, self.change, &self.id(who)?, reason.as_deref())?.bead,
            Act::Comment { who, text } => {
                let id = self.id(who)?;
                comment_in(town, self.change, &id, text)?
            }
            Act::Depend { who, target, kind } => {
                let id = self.id(who)?;
                if !self.is_only_promised(target) {
                    let target = self.id(target)?;
                    connect_in(town, self.change, self.reach, &id, &target, kind)?;
                }
                return Ok((id, None));
            }
        };
        Ok((bead.id, Some(bead.status)))
    }

    fn create(
        &mut self,
        draft: &Draft,
        parent: Option<&Who>,
        dependencies: &[(DependencyKind, Who)],
    ) -> Result<crate::model::bead::Bead> {
        let mut draft = draft.clone();
        draft.parent = parent.map(|who| self.id(who)).transpose()?;
        for (kind, who) in dependencies.iter().filter(|(_, who)| !self.is_only_promised(who)) {
            draft.dependencies.push((kind.clone(), self.id(who)?));
        }
        create_in(self.town, self.change, self.reach, self.prefix, &draft)
    }

    fn update(&mut self, who: &Who, edit: &Edit) -> Result<crate::model::bead::Bead> {
        let id = self.id(who)?;
        update_in(self.town, self.change, &id, edit)
    }

    fn id(&self, who: &Who) -> Result<BeadId> {
        match who {
            Who::Id(id) => Ok(id.clone()),
            Who::Of(at) => self.made[*at].clone().ok_or_else(|| Error::bug("a line speaks of a bead that is not made yet")),
        }
    }

    /// Whether a rehearsal cannot find `who`, since its scope is only rehearsed too.
    fn is_only_promised(&self, who: &Who) -> bool {
        let scope = match who {
            Who::Of(at) => Some(&self.steps[*at].scope),
            Who::Id(id) => self.given.get(id).copied(),
        };
        self.is_rehearsal && scope.is_some_and(|scope| scope != self.prefix)
    }
}

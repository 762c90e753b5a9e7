//! Slinging on another machine: the request is a record of the bead's scope, which travels with the ledger; the machine
//! that is asked slings when it hears of it, and writes back when it will not.

use schemars::JsonSchema;
use serde::Serialize;

use super::fit::{check, check_free};
use super::{Act, Plan, Slung, sling};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Change, tree};
use crate::model::address::Address;
use crate::model::mail::Letter;
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::model::request::SlingRequest;
use crate::model::scope::Machine;
use crate::name::BeadId;
use crate::ops::control::halt;
use crate::ops::{machine, post};
use crate::town::{RigPlace, Town};

/// The machine and the target there in `machine:rig`; `None`, when no machine is named.
///
/// # Errors
/// As [`machine::named`].
pub(super) fn elsewhere(town: &Town, target: &str) -> Result<Option<(Machine, String)>> {
    let Some((name, rest)) = target.split_once(':') else { return Ok(None) };
    Ok(Some((machine::named(town, name)?, rest.to_owned())))
}

/// Asks `machine` to sling the bead.
pub(super) fn ask(town: &Town, plan: &Plan, machine: &Machine, target: String) -> Result<Slung> {
    let (ledger, id) = town.resolve_bead(&plan.bead)?;
    let bead = ledger.state()?.bead(&id)?;
    check(town, plan, &bead)?;
    if plan.dry_run {
        let target = format!("{}:{target}", machine.name);
        return Ok(Slung::Would { bead: id, act: Act::Ask, target, base: plan.base.clone(), line: None, touches: Vec::new() });
    }
    let request = SlingRequest {
        v: SCHEMA_VERSION,
        bead: id.clone(),
        machine: machine.id.clone(),
        target: target.clone(),
        args: plan.args.clone(),
        model: plan.model.clone(),
        preset: plan.preset.clone(),
        merge: plan.merge,
        base: plan.base.clone(),
        review_only: plan.review_only,
        at_most: plan.at_most,
        force: plan.force,
        no_start: plan.no_start,
        asked_by: town.me.to_string(),
        asked_at: town.now,
        rev: Rev::default(),
        extra: Object::new(),
    };
    let deed = town.deed("sling-request", format!("ask {} to sling {id}", machine.name));
    ledger.transact(&deed, |change| {
        check_free(&change.bead(&id)?)?;
        change.put(&tree::request(&id), &request)
    })?;
    Ok(Slung::Asked { bead: id, machine: machine.name.clone(), target })
}

/// Refuses to sling here what another machine was asked to.
pub(super) fn check_not_asked(town: &Town, change: &Change<'_>, bead: &BeadId, force: bool) -> Result<()> {
    let request: Option<SlingRequest> = change.get(&tree::request(bead))?;
    match request.filter(|request| request.machine != town.machine && !force) {
        None => Ok(()),
        Some(request) => {
            let name = machine::name_of(town, &request.machine);
            Err(Error::refused(format!("machine {name} was asked to sling {bead}"))
                .hint(format!("take that back: gt unsling {bead}; or sling it here all the same with --force")))
        }
    }
}

/// Takes back the request to sling `bead`, and tells the machine that was asked; `None`, when there was none.
///
/// # Errors
/// As every transaction.
pub(super) fn take_back(town: &Town, bead: &BeadId) -> Result<Option<String>> {
    let ledger = town.scope_of(&bead.prefix())?;
    let path = tree::request(bead);
    if ledger.state()?.object(&path)?.is_none() {
        return Ok(None);
    }
    ledger.transact(&town.deed("unsling", format!("take back the request to sling {bead}")), |change| {
        let request: Option<SlingRequest> = change.get(&path)?;
        if request.is_some() {
            change.remove(&path);
        }
        Ok(request.map(|request| machine::name_of(town, &request.machine)))
    })
}

/// What became of a request of another machine.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Served {
    /// The bead.
    pub bead: BeadId,
    /// Who asked.
    pub asked_by: String,
    /// How it was slung.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slung: Option<Slung>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Slings what this machine was asked to in the rig at `place`. What cannot be slung ever is refused by a letter to who
/// asked; what cannot be slung now waits for the next time.
///
/// # Errors
/// Corrupt, when the ledger cannot be read; as every transaction.
pub fn serve(town: &Town, place: &RigPlace) -> Result<Vec<Served>> {
    if halt::check(town, Some(&place.rig.name)).is_err() {
        // What was asked waits for the end of the stop.
        return Ok(Vec::new());
    }
    let (requests, _) = place.ledger.state()?.all::<SlingRequest>("requests")?;
    let mut all = Vec::new();
    for request in requests.into_iter().filter(|request| request.machine == town.machine) {
        let plan = Plan {
            bead: request.bead.to_string(),
            target: Some(request.target.clone()),
            args: request.args.clone(),
            model: request.model.clone(),
            preset: request.preset.clone(),
            merge: request.merge,
            force: request.force,
            no_start: request.no_start,
            base: request.base.clone(),
            review_only: request.review_only,
            at_most: request.at_most,
            dry_run: false,
        };
        let (bead, asked_by) = (request.bead.clone(), request.asked_by.clone());
        let served = match sling(town, &plan) {
            // It is asked for until there is room.
            Ok(slung @ Slung::Waits { .. }) => Served { bead, asked_by, slung: Some(slung), error: None },
            Ok(slung) => {
                // Slung before, by a command that was killed: then the request is still there.
                take_back(town, &bead)?;
                Served { bead, asked_by, slung: Some(slung), error: None }
            }
            Err(error) => {
                if matches!(error.kind, Kind::Refused | Kind::NotFound | Kind::Usage) {
                    refuse(town, place, &request, &error)?;
                }
                Served { bead, asked_by, slung: None, error: Some(error.line()) }
            }
        };
        all.push(served);
    }
    Ok(all)
}

fn refuse(town: &Town, place: &RigPlace, request: &SlingRequest, error: &Error) -> Result<()> {
    let name = machine::name_of(town, &town.machine);
    let subject = format!("{} was not slung on {name}", request.bead);
    let body = format!("{}\n{}\n", error.line(), error.hint.as_deref().unwrap_or_default());
    let to: Address = request.asked_by.parse().unwrap_or(Address::Overseer(None));
    place.ledger.transact(&town.deed("sling-refuse", subject.clone()), |change| {
        change.remove(&tree::request(&request.bead));
        let write = |id| {
            let mut letter = Letter::new(id, Address::Deacon, to.clone(), &subject, &body, town.now)?;
            letter.refs = vec![request.bead.clone()];
            Ok(letter)
        };
        post::put(change, &to, write).map(drop)
    })
}

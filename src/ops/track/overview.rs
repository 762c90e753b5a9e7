//! How much work there is and where it stands, in a few numbers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::model::bead::{IssueType, Status};
use crate::model::brief::{Brief, Facts as _};
use crate::ops::track::census::epics;
use crate::ops::track::filter::Filter;
use crate::ops::track::find::{Found, Scopes};
use crate::ops::track::reach::{Reach, Shelves};
use crate::ops::track::ready::{Order, blocked, ready};
use crate::town::Town;

/// Numbers of work, in the names of the `bd` tool as far as that has them.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize)]
pub struct Overview {
    /// All, archived ones too, but not the records that gt keeps itself.
    pub total_issues: usize,
    /// Open.
    pub open_issues: usize,
    /// On a hook.
    pub hooked_issues: usize,
    /// At work.
    pub in_progress_issues: usize,
    /// Handed in.
    pub in_review_issues: usize,
    /// Waiting for another bead, or for somebody outside.
    pub blocked_issues: usize,
    /// Put aside.
    pub deferred_issues: usize,
    /// Standing references.
    pub pinned_issues: usize,
    /// Closed.
    pub closed_issues: usize,
    /// Work that can be begun.
    pub ready_issues: usize,
    /// Epics of which all children are closed.
    pub epics_eligible_for_closure: usize,
    /// From filed to closed, of what is closed.
    pub average_lead_time_hours: f64,
}

impl Overview {
    fn count(&mut self, status: &Status) {
        let place = match status {
            Status::Open => &mut self.open_issues,
            Status::Hooked => &mut self.hooked_issues,
            Status::InProgress => &mut self.in_progress_issues,
            Status::InReview => &mut self.in_review_issues,
            Status::Deferred => &mut self.deferred_issues,
            Status::Pinned => &mut self.pinned_issues,
            Status::Closed => &mut self.closed_issues,
            // Those that wait by hand are counted with those that wait for another bead.
            Status::Blocked | Status::Other(_) => return,
        };
        *place += 1;
    }
}

/// The numbers of what `filter` keeps in the asked scopes.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn overview(town: &Town, scopes: &Scopes, filter: &Filter) -> Result<Found<Overview>> {
    let mut reach = Reach::new(town);
    let mut found: Found<Overview> = Found::default();
    let mut told = Overview::default();
    let catalogs = found.catalogs(&mut reach, scopes)?;
    let archives = found.archives(&mut reach, &catalogs);
    let (mut lead_millis, mut ended) = (0_u64, 0_u32);
    for (prefix, catalog) in &catalogs {
        found.damaged.extend(catalog.damaged());
        let archive = archives.iter().find(|(other, ..)| other == prefix).map(|(_, archive, _)| archive.clone());
        for row in Shelves::new(catalog.clone(), archive).rows().filter(|row| filter.keeps_found(row)) {
            told.total_issues += 1;
            told.count(row.status());
            if !row.status().is_closed() {
                continue;
            }
            // One that cannot be read is told of with the damage.
            if let Some(at) = reach.brief_of(prefix, row).ok().and_then(|brief| brief.closed_at) {
                lead_millis = lead_millis.saturating_add(at.millis_since(row.created_at()));
                ended += 1;
            }
        }
    }
    told.ready_issues = ready::<Brief>(town, scopes, filter, Order::Hybrid, 1)?.found.total;
    told.blocked_issues = blocked::<Brief>(town, scopes, filter, 1)?.total;
    let open_epics = Filter { types: vec![IssueType::Epic], ..filter.clone() };
    let epics = epics(town, scopes, &open_epics)?.beads;
    told.epics_eligible_for_closure = epics.iter().filter(|epic| epic.eligible_for_close).count();
    told.average_lead_time_hours = hours(lead_millis, ended);
    found.total = told.total_issues;
    found.beads = vec![told];
    Ok(found)
}

/// The mean in hours, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "a tenth of an hour is exact enough")]
fn hours(millis: u64, count: u32) -> f64 {
    if count == 0 { 0.0 } else { (millis as f64 / f64::from(count) / 360_000.0).round() / 10.0 }
}

//! The bead verbs that give an overview: blocked, children, epic, count, stale.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::bead_id;
use super::pages::{ClosedBeads, Rows, note_faults};
use super::rows::{Lines, Question};
use super::which::{Place, Shape, SortArgs, Which, WhichEver};
use crate::cli::out::{Cell, Out, Page, Show, Style, cut_end, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::bead::{Bead, IssueType};
use crate::model::brief::Brief;
use crate::name::BeadId;
use crate::ops::track::reach::{Reach, Sight};
use crate::ops::track::{self, By, Filter, Found, Group, Listed, Progress, Scopes, Waiting};
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<AllWaiting<Bead>>("bead blocked"),
    Answer::of::<Rows<Bead>>("bead children"),
    Answer::of::<Epics>("bead epic status"),
    Answer::of::<Epics>("bead epic close-eligible"),
    Answer::of::<ClosedBeads>("bead epic close-eligible"),
    Answer::of::<Total>("bead count"),
    Answer::of::<Groups>("bead count"),
    Answer::of::<Rows<Bead>>("bead stale"),
];

/// List what is blocked, and by what, for example: gt blocked --rig widgets
#[derive(Args)]
pub struct Blocked {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    shape: Shape,
}

impl Blocked {
    /// Lists it.
    ///
    /// # Errors
    /// Usage or not found, when a filter is wrong.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match self.shape.template(out)? {
            Some(template) => {
                let found = self.find::<Bead>(town, out)?;
                Ok(out.show(&Lines::of(found.beads.iter().map(|waiting| &waiting.bead), template)?))
            }
            None if out.json => Ok(out.show(&AllWaiting(self.find::<Bead>(town, out)?.beads))),
            None => Ok(out.show(&AllWaiting(self.find::<Brief>(town, out)?.beads))),
        }
    }

    fn find<B: Listed>(&self, town: &Town, out: Out) -> Result<Found<Waiting<B>>> {
        let (filter, scopes) = self.which.asked(town)?;
        let found = track::blocked::<B>(town, &scopes, &filter, self.shape.limit)?;
        note_faults(&found, out);
        let (shown, total) = (found.beads.len(), found.total);
        out.note(&match total {
            _ if shown < total => format!("{shown} of {total} beads; --limit 0 shows all"),
            0 => "nothing is blocked".to_owned(),
            _ => format!("{total} blocked"),
        });
        Ok(found)
    }
}

#[derive(JsonSchema, Serialize)]
struct AllWaiting<B>(Vec<Waiting<B>>);

impl<B: Listed + JsonSchema + Serialize> Show for AllWaiting<B> {
    fn show(&self, page: &mut Page) {
        let longest = |word: fn(&B) -> &str| self.0.iter().map(|one| word(&one.bead).len()).max().unwrap_or(0);
        let (id_width, status_width) = (longest(|bead| bead.id()), longest(|bead| bead.status().word()));
        for Waiting { bead, blockers, .. } in &self.0 {
            let cells = [
                Cell::id(&format!("{:id_width$}", bead.id())),
                Cell::priority(bead.priority()),
                Cell::word(Style::of_status(bead.status()), &format!("{:status_width$}", bead.status().word())),
                Cell::from(bead.title()),
            ];
            page.row("", &cells);
            for blocker in blockers {
                page.row("  by ", &[Cell::from(format!("{}:", blocker.id)), Cell::from(blocker.why.as_str())]);
            }
            if blockers.is_empty() {
                page.line("  by hand");
            }
        }
    }
}

/// List the children of a bead, closed ones too, for example: gt bead children wi-x7k2m
#[derive(Args)]
pub struct Children {
    /// The parent
    id: String,
    #[command(flatten)]
    sort: SortArgs,
    #[command(flatten)]
    shape: Shape,
}

impl Question for Children {
    fn find<B: Listed>(&self, town: &Town, _: Out) -> Result<Found<B>> {
        let id = bead_id(town, &self.id)?;
        let scopes = Scopes { asked: vec![id.prefix()], others: Vec::new() };
        let filter = Filter { parent: Some(id), everything: true, ..Filter::default() };
        track::list(town, &scopes, &filter, self.sort.sort(), self.shape.limit)
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// How far epics are, for example: gt bead epic status
#[derive(Args)]
pub struct EpicArgs {
    #[command(subcommand)]
    verb: EpicVerb,
}

#[derive(Subcommand)]
enum EpicVerb {
    /// Show how many children of each open epic are closed
    Status {
        /// Only this epic, closed or not
        #[arg(conflicts_with_all = ["rig", "all"])]
        id: Option<String>,
        /// Only epics of which all children are closed
        #[arg(long)]
        eligible_only: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Close the epics of which all children are closed
    CloseEligible {
        /// Only tell which
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl EpicArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            EpicVerb::Status { id: Some(id), eligible_only, .. } => {
                let epic = one_epic(town, id)?;
                let is_shown = epic.eligible_for_close || !eligible_only;
                Ok(out.show(&Epics(is_shown.then_some(epic).into_iter().collect())))
            }
            EpicVerb::Status { id: None, eligible_only, place } => {
                let mut epics = open_epics(town, place, out)?;
                epics.retain(|epic| epic.eligible_for_close || !eligible_only);
                Ok(out.show(&Epics(epics)))
            }
            EpicVerb::CloseEligible { dry_run, place } => {
                let mut epics = open_epics(town, place, out)?;
                epics.retain(|epic| epic.eligible_for_close);
                if *dry_run {
                    return Ok(out.show(&Epics(epics)));
                }
                let ids: Vec<BeadId> = epics.into_iter().map(|one| one.epic.id).collect();
                Ok(out.show(&ClosedBeads(track::close_eligible(town, &ids)?)))
            }
        }
    }
}

fn one_epic(town: &Town, text: &str) -> Result<Progress> {
    let id = bead_id(town, text)?;
    let mut reach = Reach::new(town);
    let epic = match reach.bead(&id) {
        Sight::Seen(epic) => *epic,
        Sight::Missing => return Err(Error::not_found(format!("there is no bead {id}")).hint("gt list shows what there is")),
        Sight::Unreadable(fault) => return Err(Error::corrupt(format!("read {id}: {fault}"))),
    };
    if epic.issue_type != IssueType::Epic {
        return Err(Error::refused(format!("{id} is {}, not an epic", epic.issue_type.with_article()))
            .hint(format!("see its children: gt bead children {id}")));
    }
    track::progress(&mut reach, epic)
}

fn open_epics(town: &Town, place: &Place, out: Out) -> Result<Vec<Progress>> {
    let filter = Filter { types: vec![IssueType::Epic], ..Filter::default() };
    let found = track::epics(town, &place.scopes(town)?, &filter)?;
    note_faults(&found, out);
    Ok(found.beads)
}

#[derive(JsonSchema, Serialize)]
struct Epics(Vec<Progress>);

impl Show for Epics {
    fn show(&self, page: &mut Page) {
        for Progress { epic, total_children, closed_children, eligible_for_close, unreadable } in &self.0 {
            let note = if *eligible_for_close { "  may be closed" } else { "" };
            let bar = page.bar(*closed_children, *total_children);
            let room = page.columns().map_or(usize::MAX, |columns| columns.saturating_sub(58));
            let title = cut_end(&epic.title, room.max(12));
            page.line(format!("{bar}  {}  {}{note}", epic.id, escape(&title)));
            for id in unreadable {
                page.line(format!("  {id} cannot be read and counts as not closed"));
            }
        }
    }

    fn nothing(&self) -> &'static str {
        "no such epics"
    }
}

/// Count beads, closed ones too, for example: gt count --by-status --rig widgets
#[derive(Args)]
pub struct Count {
    #[command(flatten)]
    which: WhichEver,
    /// Count by this
    #[arg(long, value_enum, group = "grouping", value_name = "FIELD")]
    by: Option<By>,
    /// Count by status
    #[arg(long, group = "grouping")]
    by_status: bool,
    /// Count by type
    #[arg(long, group = "grouping")]
    by_type: bool,
    /// Count by priority
    #[arg(long, group = "grouping")]
    by_priority: bool,
    /// Count by assignee
    #[arg(long, group = "grouping")]
    by_assignee: bool,
    /// Count by label; a bead with two counts twice
    #[arg(long, group = "grouping")]
    by_label: bool,
}

impl Count {
    /// Counts them.
    ///
    /// # Errors
    /// Usage or not found, when a filter is wrong.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let asked = [
            (self.by_status, By::Status),
            (self.by_type, By::Type),
            (self.by_priority, By::Priority),
            (self.by_assignee, By::Assignee),
            (self.by_label, By::Label),
        ];
        let by = self.by.or_else(|| asked.into_iter().find_map(|(is_asked, by)| is_asked.then_some(by)));
        let (filter, scopes) = self.which.asked(town)?;
        let found: Found<Group> = track::count(town, &scopes, &filter, by)?;
        note_faults(&found, out);
        match by {
            None => Ok(out.show(&Total { count: found.total })),
            Some(_) => Ok(out.show(&Groups { total: found.total, groups: found.beads })),
        }
    }
}

#[derive(JsonSchema, Serialize)]
struct Total {
    count: usize,
}

impl Show for Total {
    fn show(&self, page: &mut Page) {
        page.line(self.count.to_string());
    }
}

#[derive(JsonSchema, Serialize)]
struct Groups {
    total: usize,
    groups: Vec<Group>,
}

impl Show for Groups {
    fn show(&self, page: &mut Page) {
        let rows = self.groups.iter().map(|one| vec![one.count.to_string(), one.group.clone()]);
        let total = vec![self.total.to_string(), "in all".to_owned()];
        page.table(&["BEADS", "GROUP"], &rows.chain([total]).collect::<Vec<_>>());
    }
}

/// List work that nothing happened to for long, the stalest first, for example: gt stale --days 14
#[derive(Args)]
pub struct Stale {
    #[command(flatten)]
    which: WhichEver,
    /// How long nothing happened, at least
    #[arg(short, long, default_value_t = 30)]
    days: u32,
    #[command(flatten)]
    shape: Shape,
}

impl Question for Stale {
    fn find<B: Listed>(&self, town: &Town, _: Out) -> Result<Found<B>> {
        const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
        let before = Moment::from_millis(town.now.millis().saturating_sub(i64::from(self.days) * DAY_MILLIS));
        let (filter, scopes) = self.which.asked(town)?;
        track::stale(town, &scopes, &filter, before, self.shape.limit)
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }
}

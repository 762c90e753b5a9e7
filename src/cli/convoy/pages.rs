//! What the verbs of convoys print for people.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Page, Show, Style, escape};
use crate::model::bead::Status;
use crate::ops::convoy::{
    Changed, Checked, Ending, Fed, Launched, Member, Rest, Settled, Settling, Staged, Story, Stranded, Summary, TRIES_MAX,
};
use crate::ops::sling::Tried;

/// Convoys, a line each.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Summaries(pub Vec<Summary>);

/// Convoys with their beads.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Stories(pub Vec<Story>);

/// Convoys that do not move.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct StrandedOnes {
    pub convoys: Vec<Stranded>,
    /// Whether there are convoys of which nothing can be told.
    #[serde(skip)]
    pub is_damaged: bool,
}

/// A convoy's line: id, progress, title, and what is special about it; `lead` stands before it.
pub fn show_line(page: &mut Page, lead: &str, convoy: &Summary) {
    let start = format!("{lead}{}  {}  ", page.paint(Style::Dim, convoy.id.as_str()), page.bar(convoy.closed, convoy.total));
    let mut end = String::new();
    if convoy.status.is_closed() {
        end.push_str("  (closed)");
    } else if convoy.total > 0 && convoy.closed == convoy.total {
        let next = if convoy.owned { format!("gt convoy land {}", convoy.id) } else { "gt convoy check".to_owned() };
        end.push_str(&format!("  (complete: {next})"));
    } else if convoy.is_staged {
        end.push_str(&format!("  (staged: gt convoy launch {})", convoy.id));
    } else if convoy.status != Status::Open {
        end.push_str(&format!("  ({})", escape(convoy.status.word())));
    }
    if let Some(fault) = &convoy.fault {
        end.push_str(&format!("  (damaged: {})", escape(fault)));
    }
    let title = page.fit(&convoy.title, &format!("{start}{end}"));
    page.line(format!("{start}{title}{end}"));
}

impl Show for Summaries {
    fn show(&self, page: &mut Page) {
        for convoy in &self.0 {
            show_line(page, "", convoy);
        }
    }

    fn nothing(&self) -> &'static str {
        "no convoys match"
    }
}

impl Show for Stories {
    fn show(&self, page: &mut Page) {
        for (n, story) in self.0.iter().enumerate() {
            if n > 0 {
                page.gap();
            }
            show_line(page, "", &story.summary);
            let owner = story.summary.owner.as_deref().unwrap_or("nobody");
            let watchers: Vec<String> = story.summary.watchers.iter().map(ToString::to_string).collect();
            let watched = if watchers.is_empty() { String::new() } else { format!(", watched by {}", watchers.join(", ")) };
            page.line(format!("  of {}{watched}", escape(owner)));
            if let Some(reason) = &story.summary.close_reason {
                page.line(format!("  closed: {}", escape(reason)));
            }
            for member in &story.beads {
                show_member(page, member);
            }
        }
    }

    fn nothing(&self) -> &'static str {
        "no convoy is open"
    }
}

fn show_member(page: &mut Page, member: &Member) {
    let Some(status) = &member.status else {
        let why = member.fault.as_deref().unwrap_or_default();
        return page.line(format!("  ? {} cannot be read: {}", member.id, escape(why)));
    };
    let mark = if status.is_closed() { "[x]" } else { "[ ]" };
    let wave = member.wave.map(|wave| format!("wave {wave}")).unwrap_or_default();
    let who = member.assignee.as_ref().filter(|_| !status.is_closed()).map(|who| format!("by {who}")).unwrap_or_default();
    let mr = member.mr.as_ref().map(|mr| format!("{} {}", mr.id, mr.state.word())).unwrap_or_default();
    let more = [who, mr].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    let cells = [
        Cell::from(mark),
        Cell::from(wave).dim(),
        Cell::id(member.id.as_str()),
        Cell::word(Style::of_status(status), &format!("({}{}", status.word(), if more.is_empty() { "):" } else { "" })),
        Cell::from(if more.is_empty() { String::new() } else { format!("{more}):") }),
        Cell::from(member.title.as_deref().unwrap_or_default()),
    ];
    page.row("  ", &cells);
}

impl Show for StrandedOnes {
    fn show(&self, page: &mut Page) {
        for convoy in &self.convoys {
            let why = match convoy.reason {
                Rest::Ready => "has ready work that nobody has",
                Rest::Stuck => "is stuck: nobody works on it, and nothing can be begun",
                Rest::Empty => "tracks nothing",
            };
            page.line(format!("{} {} {why}", convoy.id, escape(&convoy.title)));
            for id in &convoy.ready {
                page.line(format!("  ready: gt sling {id}"));
            }
            for held in &convoy.held {
                page.line(format!("  {} waits: {}", held.id, escape(&held.why)));
            }
        }
    }

    fn nothing(&self) -> &'static str {
        if self.is_damaged { "" } else { "no convoy is stranded" }
    }

    /// 70, when a convoy cannot be read: whether it is stranded cannot be told then.
    fn exit_code(&self) -> u8 {
        if self.is_damaged { crate::error::Kind::Corrupt.exit_code() } else { 0 }
    }
}

impl Show for Changed {
    fn show(&self, page: &mut Page) {
        let (id, title) = (&self.id, escape(&self.title));
        let beads = self.beads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        page.line(match self.outcome {
            Ending::Created => format!("convoy {id} tracks {}: {title}", count(self.total)),
            Ending::Added => format!("convoy {id} tracks {beads} too, {} in all", count(self.total)),
            Ending::Removed => format!("convoy {id} no longer tracks {beads}; {} are left", count(self.total)),
            Ending::Closed => format!("closed convoy {id}: {title}"),
            Ending::Landed => format!("landed convoy {id}: {title}"),
            Ending::Watched | Ending::Unwatched => format!("convoy {id} is {} now", verb_of(self.outcome)),
            Ending::Mountain => format!("convoy {id} is fed until all of it is done"),
            Ending::NoMountain => format!("convoy {id} is no longer fed until all of it is done"),
            Ending::Unchanged => match self.notes.split_first() {
                Some((first, _)) => first.clone(),
                None => format!("convoy {id} ({}) is so already", self.status),
            },
        });
        let said = usize::from(self.outcome == Ending::Unchanged);
        self.notes.iter().skip(said).for_each(|note| page.line(note));
        if self.has_landed && self.outcome != Ending::Landed {
            page.line(format!("with that all its beads are closed: convoy {id} has landed"));
        }
        told(page, "", &self.told);
    }
}

fn verb_of(outcome: Ending) -> &'static str {
    if outcome == Ending::Watched { "watched" } else { "not watched" }
}

fn count(beads: usize) -> String {
    if beads == 1 { "1 bead".to_owned() } else { format!("{beads} beads") }
}

fn told(page: &mut Page, lead: &str, addresses: &[crate::model::address::Address]) {
    if !addresses.is_empty() {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        page.line(format!("{lead}told {}", names.join(", ")));
    }
}

impl Show for Checked {
    fn show(&self, page: &mut Page) {
        for settled in &self.convoys {
            show_settled(page, settled);
        }
        for damaged in &self.damaged {
            page.line(format!("damaged: {}: {}", damaged.path, escape(&damaged.fault)));
        }
        if self.convoys.is_empty() && self.damaged.is_empty() {
            page.line("no convoy is open");
        }
    }

    /// 70, when a convoy cannot be read: what it waits for cannot be told then.
    fn exit_code(&self) -> u8 {
        let is_bad = !self.damaged.is_empty() || self.convoys.iter().any(|one| one.outcome == Settling::Unreadable);
        if is_bad { crate::error::Kind::Corrupt.exit_code() } else { 0 }
    }
}

fn show_fed(page: &mut Page, fed: &Fed) {
    for tried in &fed.beads {
        match tried {
            Tried::Slung(slung) => page.line(format!("  slung {}", slung.bead())),
            Tried::Failed { bead, error, .. } => {
                page.line(format!("  {} was not slung: {}", escape(bead), escape(&error.message)));
            }
        }
    }
    for id in &fed.skipped {
        page.line(format!("  {id} came back {TRIES_MAX} times and is skipped"));
    }
}

impl Show for Staged {
    fn show(&self, page: &mut Page) {
        page.line(format!("staged convoy {}: {}", self.id, escape(&self.title)));
        for (wave, n) in self.waves.iter().zip(1..) {
            let ids: Vec<&str> = wave.iter().map(crate::name::BeadId::as_str).collect();
            page.line(format!("  wave {n}: {}", ids.join(" ")));
        }
        for warning in &self.warnings {
            page.line(format!("  doubtful: {}", escape(&warning.text)));
        }
        let force = if self.warnings.is_empty() { "" } else { " --force" };
        page.line(format!("launch it: gt convoy launch {}{force}", self.id));
    }
}

impl Show for Launched {
    fn show(&self, page: &mut Page) {
        let again = if self.before.is_some() { " again" } else { "" };
        page.line(format!("launched convoy {}{again}: {}", self.staged.id, escape(&self.staged.title)));
        for (wave, n) in self.staged.waves.iter().zip(1..) {
            let ids: Vec<&str> = wave.iter().map(crate::name::BeadId::as_str).collect();
            page.line(format!("  wave {n}: {}", ids.join(" ")));
        }
        if let Some(before) = &self.before {
            match (before.only_assign, self.only_assign) {
                (true, false) => {
                    page.line("  its sessions are started from now on; before, its work was only assigned (--no-start)");
                }
                (false, true) => {
                    page.line("  its work is only assigned from now on (--no-start); before, its sessions were started");
                }
                _ => {}
            }
            if let Some(home) = &before.home {
                page.line(format!("  it is fed by this machine from now on; before, by machine {}", escape(home)));
            }
            if self.fed.is_nothing() {
                page.line("  nothing of it was ready to be slung that had not been slung before");
            }
        }
        show_fed(page, &self.fed);
    }

    /// 0, or the exit code of the first bead that could not be slung.
    fn exit_code(&self) -> u8 {
        let failed = self.fed.beads.iter().find_map(|one| match one {
            Tried::Slung(_) => None,
            Tried::Failed { error, .. } => Some(error.exit_code),
        });
        failed.unwrap_or(0)
    }
}

/// How a convoy stands and what was slung of it, in a line.
#[must_use]
pub fn settled_line(settled: &Settled) -> String {
    let slung: Vec<&str> = settled.fed.iter().flat_map(Fed::slung).map(crate::name::BeadId::as_str).collect();
    let slung = if slung.is_empty() { String::new() } else { format!("; slung {}", slung.join(" ")) };
    standing_line(settled, &slung)
}

fn standing_line(settled: &Settled, slung: &str) -> String {
    let done = settled.total - settled.open.len() - settled.unknown.len();
    let what = match settled.outcome {
        Settling::Landed => "has landed".to_owned(),
        Settling::Complete => format!("is complete and its owner's to land: gt convoy land {}", settled.id),
        Settling::Waits => format!("waits, {done} of {} are closed", count(settled.total)),
        Settling::Empty => "tracks nothing".to_owned(),
        Settling::Closed => "was closed before".to_owned(),
        Settling::Unreadable => format!("cannot be settled: {}", settled.fault.as_deref().unwrap_or_default()),
    };
    format!("convoy {} {what}{slung}: {}", settled.id, settled.title)
}

/// How a convoy stands, and what was slung and told of it.
pub fn show_settled(page: &mut Page, settled: &Settled) {
    page.line(escape(&standing_line(settled, "")));
    for rig in &settled.done_rigs {
        page.line(format!("  the share of {rig} is done, and the mayor knows"));
    }
    if let Some(fed) = &settled.fed {
        show_fed(page, fed);
    }
    if settled.has_stalled {
        page.line("  nothing of it has moved for half an hour; its owner was told");
    }
    for unknown in &settled.unknown {
        page.line(format!("  {} counts as not closed: {}", unknown.id, escape(&unknown.why)));
    }
    told(page, "  ", &settled.told);
    for to in &settled.untold {
        page.line(format!("  {to} has no mailbox any more and was not told"));
    }
}

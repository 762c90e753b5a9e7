//! What was done, how long it took and how well it went: figures by model, agent, rig, type, label or formula.
//!
//! All of it is read from the records as they stand, archived ones too: closed beads say when they were given out and
//! closed, merge requests say who handed in what and how it ended. Records of before a field existed lack it and are left
//! out of that figure alone. Nothing is written, and no history is walked.

mod career;
mod figures;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ledger::Damaged;
use crate::model::brief::Facts as _;
use crate::name::Prefix;
use crate::ops::track::Scopes;
use crate::ops::track::find::Shelf;
use crate::ops::track::reach::Reach;
use crate::time::Moment;
use crate::town::Town;
pub use career::{Career, Deed, career, worker};
pub use figures::{Figures, Tally};
pub use record::{Ended, Work};

/// What figures are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The model that the agent ran.
    Model,
    /// Who did it.
    #[value(alias = "agent")]
    Actor,
    /// The rig.
    Rig,
    /// The sort of work.
    Type,
    /// Labels: work with two counts twice.
    Label,
    /// The formula that it came from.
    Formula,
}

impl By {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Actor => "actor",
            Self::Rig => "rig",
            Self::Type => "type",
            Self::Label => "label",
            Self::Formula => "formula",
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Only those whose address fits: a part of it, or a pattern with `*`.
    pub actor: Option<String>,
    /// Whether the whole address must be that.
    pub is_whole: bool,
    /// Only what ended since.
    pub since: Option<Moment>,
    /// By what.
    pub group_by: Vec<By>,
}

/// Figures of one group.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Group {
    /// What its members have in common: a word for each field asked.
    pub group: Vec<String>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The answer.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Stats {
    /// By what it is grouped.
    pub group_by: Vec<By>,
    /// Since when.
    pub since: Option<Moment>,
    /// The groups, those with the most finished work first.
    pub groups: Vec<Group>,
    /// All together.
    pub total: Figures,
    /// Records that cannot be read.
    #[serde(skip)]
    pub damaged: Vec<Damaged>,
    /// What else a reader must know.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// The work and the requests of some scopes, as far as figures need them.
#[derive(Default)]
pub struct Ledgerful {
    /// Work that is closed, that somebody had, or that a request delivers.
    pub works: Vec<Work>,
    /// Requests that landed or were sent back.
    pub requests: Vec<Ended>,
    damaged: Vec<Damaged>,
    notes: Vec<String>,
}

/// Figures of the asked scopes.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn stats(town: &Town, scopes: &Scopes, question: &Question) -> Result<Stats> {
    let gathered = gather(town, scopes)?;
    let rigs = town.rigs()?.into_iter().map(|rig| (rig.prefix, rig.name.to_string()));
    let mut stats = stats_of(&gathered, &rigs.chain([(Prefix::hq(), "hq".to_owned())]).collect(), question);
    (stats.damaged, stats.notes) = gathered.into_faults();
    Ok(stats)
}

/// The fields asked for, of which there are at most two.
///
/// # Errors
/// Usage, when there are more, or one is named twice.
pub fn fields_of(fields: &[By]) -> Result<Vec<By>> {
    match fields {
        [a, b] if a == b => Err(Error::usage(format!("--group-by names {} twice", a.word())).hint("leave one out")),
        [] | [_] | [_, _] => Ok(fields.to_vec()),
        _ => Err(Error::usage("--group-by takes at most two fields").hint("for example: gt stats --group-by model,type")),
    }
}

/// Figures of what was gathered.
fn stats_of(gathered: &Ledgerful, rigs: &BTreeMap<Prefix, String>, question: &Question) -> Stats {
    let mut groups: BTreeMap<Vec<String>, Tally> = BTreeMap::new();
    let mut total = Tally::default();
    let mut put = |keys: Vec<Vec<String>>, what: &dyn Fn(&mut Tally)| {
        what(&mut total);
        for key in keys.into_iter().filter(|key| !key.is_empty()) {
            what(groups.entry(key).or_default());
        }
    };
    let is_asked = |actor: Option<&str>| {
        question
            .actor
            .as_deref()
            .is_none_or(|wanted| actor.is_some_and(|who| if question.is_whole { who == wanted } else { fits(who, wanted) }))
    };
    let is_recent = |at: Option<Moment>| question.since.is_none_or(|since| at.is_some_and(|at| at >= since));
    let by_id: BTreeMap<&str, &Work> = gathered.works.iter().map(|work| (work.id.as_str(), work)).collect();
    for work in &gathered.works {
        let keys = |actor: Option<&str>| keys(question, rigs, &work.id, actor, work.model.as_deref(), Some(work));
        if work.is_closed && is_asked(work.actor()) && is_recent(work.closed_at) {
            put(keys(work.actor()), &|tally| tally.close(work));
        }
        for (by, _) in work.escalations.iter().filter(|(by, at)| is_asked(Some(by)) && is_recent(Some(*at))) {
            put(keys(Some(by)), &|tally| tally.escalations += 1);
        }
    }
    for request in gathered.requests.iter().filter(|one| is_asked(Some(&one.author)) && is_recent(one.ended_at)) {
        let work = request.source.as_deref().and_then(|id| by_id.get(id)).copied();
        let model = request.model.as_deref().or_else(|| work.and_then(|work| work.model.as_deref()));
        put(keys(question, rigs, &request.id, Some(&request.author), model, work), &|tally| tally.end(request));
    }
    let mut groups: Vec<Group> = groups.into_iter().map(|(group, tally)| Group { group, figures: tally.figures() }).collect();
    groups.sort_by(|a, b| b.figures.finished.cmp(&a.figures.finished).then_with(|| a.group.cmp(&b.group)));
    let (damaged, notes) = (Vec::new(), Vec::new());
    Stats { group_by: question.group_by.clone(), since: question.since, groups, total: total.figures(), damaged, notes }
}

/// Every combination of what the work has of each field asked.
fn keys(
    question: &Question,
    rigs: &BTreeMap<Prefix, String>,
    id: &str,
    actor: Option<&str>,
    model: Option<&str>,
    work: Option<&Work>,
) -> Vec<Vec<String>> {
    const UNKNOWN: &str = "(unknown)";
    let mut all = vec![Vec::new()];
    for by in &question.group_by {
        let words = match by {
            By::Model => vec![model.unwrap_or(UNKNOWN).to_owned()],
            By::Actor => vec![actor.unwrap_or(UNKNOWN).to_owned()],
            By::Type => vec![work.map_or(UNKNOWN, |work| work.issue_type.as_str()).to_owned()],
            By::Rig => {
                let prefix = id.split_once('-').and_then(|(prefix, _)| prefix.parse().ok());
                vec![prefix.and_then(|prefix| rigs.get(&prefix).cloned()).unwrap_or_else(|| UNKNOWN.to_owned())]
            }
            By::Label => match work.map(|work| &work.labels) {
                Some(labels) if !labels.is_empty() => labels.clone(),
                _ => vec!["(no labels)".to_owned()],
            },
            By::Formula => {
                let formula = work.and_then(|work| work.formula.as_deref());
                vec![formula.unwrap_or("(no formula)").to_owned()]
            }
        };
        let longer = |key: &Vec<String>| words.iter().map(|word| [key.clone(), vec![word.clone()]].concat()).collect::<Vec<_>>();
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// Whether `text` has `pattern` in it, in which `*` stands for anything; with a `*` the whole of it must fit.
fn fits(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text.contains(pattern) };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((last, between)) = parts.split_last() else { return true };
    for part in between {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// Reads the work and the requests of `scopes`, those of their archives too.
///
/// # Errors
/// Not found or corrupt, when the only scope asked for cannot be read.
pub fn gather(town: &Town, scopes: &Scopes) -> Result<Ledgerful> {
    let mut reach = Reach::new(town);
    let mut found = crate::ops::track::Found::<crate::model::bead::Bead>::default();
    let mut gathered = Ledgerful::default();
    let catalogs: Vec<Shelf<'_>> = found.catalogs(&mut reach, scopes)?;
    let archives = found.archives(&mut reach, &catalogs);
    for (prefix, catalog) in &catalogs {
        gathered.damaged.extend(catalog.damaged());
        let rows: Vec<_> = catalog.rows().filter(record::is_asked).collect();
        gathered.add(&mut reach, prefix, &rows)?;
    }
    for (prefix, archive, catalog) in &archives {
        gathered.damaged.extend(archive.damaged());
        let rows: Vec<_> = archive.rows().filter(|row| !catalog.has(row.id()) && record::is_asked(row)).collect();
        gathered.add(&mut reach, prefix, &rows)?;
    }
    let unread = gathered.unread_sources();
    for (prefix, catalog) in &catalogs {
        let rows: Vec<_> = unread.iter().filter_map(|id| catalog.find(id)).collect();
        gathered.add(&mut reach, prefix, &rows)?;
    }
    gathered.notes = found.notes;
    Ok(gathered)
}

impl Ledgerful {
    fn add(&mut self, reach: &mut Reach<'_>, prefix: &Prefix, rows: &[crate::ledger::index::Row<'_>]) -> Result<()> {
        let Self { works, requests, damaged, .. } = self;
        reach.each_record(prefix, rows, record::read, |n, read| match read {
            Ok(record::Read::Work(work)) => works.push(*work),
            Ok(record::Read::Request(request)) => requests.push(*request),
            Ok(record::Read::Neither) => {}
            Err(error) => damaged.push(Damaged { path: rows[n].id().to_owned(), fault: error.line() }),
        })
    }

    /// What requests deliver and was not read: work that is not finished, and waits in the backlog again.
    fn unread_sources(&self) -> BTreeSet<String> {
        let known: BTreeSet<&str> = self.works.iter().map(|work| work.id.as_str()).collect();
        let sources = self.requests.iter().filter_map(|request| request.source.as_deref());
        sources.filter(|id| !known.contains(id)).map(str::to_owned).collect()
    }

    /// What was damaged and left out.
    #[must_use]
    pub fn into_faults(self) -> (Vec<Damaged>, Vec<String>) {
        (self.damaged, self.notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_part_of_an_address_or_has_stars() {
        let who = "widgets/polecats/toast";
        for yes in ["toast", "widgets", "widgets/*", "*toast", "w*/p*/t*", "*", who] {
            assert!(fits(who, yes), "{yes}");
        }
        for no in ["nux", "*/crew/*", "polecats*", "*polecats", "widgets/*/nux"] {
            assert!(!fits(who, no), "{no}");
        }
    }
}

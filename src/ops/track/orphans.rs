//! Orphans: beads that commits of the project name, as done it seems, and that nobody closed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::git::program;
use crate::model::bead::Status;
use crate::model::brief::Facts as _;
use crate::name::{BeadId, Prefix};
use crate::ops::track::find::Found;
use crate::ops::track::reach::Reach;
use crate::town::{RigPlace, Town};

/// How many commits of a project are read, the newest first.
const COMMITS_MAX: &str = "--max-count=20000";

/// A bead that a commit names and that is still open.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Orphan {
    /// The bead.
    pub id: BeadId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: Status,
    /// The newest commit that names it.
    pub commit: String,
    /// The first line of that.
    pub subject: String,
}

/// The orphans of the rigs at `places`, by id; what is in review waits for its merge and is none.
///
/// # Errors
/// External, when git cannot tell the history of the target branch; not found or corrupt, when a ledger cannot be read.
pub fn orphans(town: &Town, places: &[RigPlace]) -> Result<Found<Orphan>> {
    let mut reach = Reach::new(town);
    let mut found: Found<Orphan> = Found::default();
    for place in places {
        let catalog = reach.catalog(&place.rig.prefix)?;
        found.damaged.extend(catalog.damaged());
        for (id, (commit, subject)) in named(place)? {
            // It may have another prefix now.
            let renamed = || catalog.find(&format!("{}-{}", place.rig.prefix, id.suffix()));
            let Some(row) = catalog.find(id.as_str()).or_else(renamed) else { continue };
            let is_done = row.status().is_closed() || *row.status() == Status::InReview;
            if is_done || !row.issue_type().is_work() {
                continue;
            }
            let brief = reach.brief_of(&place.rig.prefix, row)?;
            found.beads.push(Orphan { id: brief.id, title: brief.title, status: brief.status, commit, subject });
        }
    }
    found.total = found.beads.len();
    Ok(found)
}

/// The beads that commits on the target branch of a rig name, here or at origin as last fetched, each with the newest of
/// these and its subject.
fn named(place: &RigPlace) -> Result<BTreeMap<BeadId, (String, String)>> {
    let target = format!("refs/heads/{}", place.rig.target);
    let git_dir = place.ledger.store.dir();
    let there = format!("refs/remotes/origin/{}", place.rig.target);
    let mut args = vec!["log", COMMITS_MAX, "-z", "--format=%h%x01%s%x01%B", &target];
    if place.ledger.store.read_ref(&there)?.is_some() {
        args.push(&there);
    }
    args.push("--");
    let output = program::bare(git_dir, &args)?;
    if !output.is_success() {
        let what = format!("read the commits of rig {} on {}: {}", place.rig.name, place.rig.target, output.last_line());
        return Err(Error::new(Kind::External, what));
    }
    let mut named = BTreeMap::new();
    for commit in output.text().split('\0') {
        let mut parts = commit.splitn(3, '\u{1}');
        let (Some(hash), Some(subject), Some(message)) = (parts.next(), parts.next(), parts.next()) else { continue };
        for id in ids_in(message, &place.rig.prefix) {
            named.entry(id).or_insert_with(|| (hash.trim().to_owned(), subject.to_owned()));
        }
    }
    Ok(named)
}

/// The ids of the scope `prefix` that stand in a text as words.
fn ids_in(text: &str, prefix: &Prefix) -> Vec<BeadId> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let words = text.split(|c| !is_part(c)).map(|word| word.trim_matches(['.', '-']));
    words.filter_map(|word| word.parse().ok()).filter(|id: &BeadId| id.prefix() == *prefix).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_found_where_they_stand_as_words() {
        let ids = super::ids_in("Mend (wi-x7k2m). See wi-b2c3d.1, swi-aaaaa and ga-x7k2m; wi- is none", &"wi".parse().unwrap());
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["wi-x7k2m", "wi-b2c3d.1"]);
    }
}

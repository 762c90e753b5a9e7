//! Fetches exactly named refs: complete and durable before anything refers to them.
//!
//! No ref is moved here, and nothing is taken that has another name than gt's grammar allows. What arrives is
//! received where nobody sees it, checked for holes, synced, and only then made visible. gix alone would do none
//! of the three, and would take a tip that is here without its history for one that needs no fetching.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::negotiate::{Algorithm, Graph, Negotiator};
use gix::protocol::fetch::negotiate::{Action, Round, one_round};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::transport::Service as Side;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::pack::{self, Received};
use crate::git::progress::Progress;
use crate::git::promised::{Filter, Promise};
use crate::git::reach;
use crate::git::remote::{Link, Place, Wire, agent, causes, is_plain};
use crate::git::{by_program, fault};
use crate::name::BeadId;
use crate::store::Store;
use crate::store::objects::Staging;

/// Prefixes of the names that gt takes from a remote.
const PREFIXES: &[&str] =
    &["refs/heads/", "refs/gt/ledger", "refs/gt/archive", "refs/gt/mr/", "refs/gt/beat/", "refs/gt/flattened/"];

/// The refs of the repository at `url` whose names gt takes: branches, ledger, archive, merge requests, beats and
/// histories that were flattened.
///
/// # Errors
/// Usage, when the URL is none; external, when the remote cannot be reached.
pub fn advertised(store: &Store, url: &str) -> Result<BTreeMap<String, ObjectId>> {
    let silent = Progress::silent();
    let mut link = Link::open(store, Place::parse(url)?, Side::UploadPack, &silent)?;
    let refs = link.refs(PREFIXES, &silent)?;
    Ok(refs.into_iter().filter(|one| is_ours(&one.name)).filter_map(|one| Some((one.name, one.id?))).collect())
}

/// Fetches what the refs `names` hold at `url`; a name that the remote lacks is absent in the answer.
///
/// All objects of the answer are here, with their history, on disk. No ref is moved.
///
/// # Errors
/// Usage, when the URL or a name is none that gt takes; external, when the remote cannot be reached or sends a
/// history with holes; io, when the objects cannot be written.
pub fn fetch(store: &Store, url: &str, names: &[String], progress: &Progress) -> Result<BTreeMap<String, ObjectId>> {
    if let Some(bad) = names.iter().find(|name| !is_ours(name)) {
        return Err(Error::usage(format!("'{}' is not a ref that gt fetches", bad.escape_debug())));
    }
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let place = Place::parse(url)?;
    // A filter is for the code. Of a ledger, and of what waits to be merged and may be gone there tomorrow, nothing is
    // ever left out.
    let promise = Promise::of(store).filter(|promise| promise.is_of(&place));
    let filter = promise.and_then(|promise| promise.filter);
    let (code, records): (Vec<_>, Vec<_>) = names.iter().partition(|name| filter.is_some() && name.starts_with("refs/heads/"));
    let mut found = BTreeMap::new();
    for (names, filter) in [(records, None), (code, filter.as_ref())] {
        if !names.is_empty() {
            found.extend(fetch_from(store, &place, &names, filter, progress)?);
        }
    }
    Ok(found)
}

fn fetch_from(
    store: &Store,
    place: &Place,
    names: &[&String],
    filter: Option<&Filter>,
    progress: &Progress,
) -> Result<BTreeMap<String, ObjectId>> {
    let mut link = Link::open(store, place.clone(), Side::UploadPack, progress)?;
    let prefixes: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let refs = link.refs(&prefixes, progress)?;
    let found: BTreeMap<String, ObjectId> =
        refs.into_iter().filter(|one| names.contains(&&one.name)).filter_map(|one| Some((one.name, one.id?))).collect();
    let tips: Vec<ObjectId> = found.values().copied().collect();
    receive(&mut link, store, &Lot { tips: &tips, whole: &[], filter }, progress)?;
    Ok(found)
}

/// Whether `name` is in the grammar of names that are taken from a remote.
fn is_ours(name: &str) -> bool {
    if let Some(id) = name.strip_prefix("refs/gt/mr/") {
        return id.parse::<BeadId>().is_ok();
    }
    if let Some(machine) = name.strip_prefix("refs/gt/beat/") {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        return (1..=32).contains(&machine.len()) && machine.chars().all(is_word);
    }
    if let Some(epoch) = name.strip_prefix("refs/gt/flattened/") {
        return (1..=9).contains(&epoch.len()) && !epoch.starts_with('0') && epoch.bytes().all(|b| b.is_ascii_digit());
    }
    match name {
        "refs/gt/ledger" | "refs/gt/archive" => true,
        _ => name.starts_with("refs/heads/") && is_plain(name),
    }
}

/// What is to be received.
#[derive(Clone, Copy)]
pub(crate) struct Lot<'a> {
    /// What the remote has.
    pub(crate) tips: &'a [ObjectId],
    /// Commits that are here with all their history, on disk, as are those that local refs hold.
    pub(crate) whole: &'a [ObjectId],
    /// Which files stay over there until they are asked for.
    pub(crate) filter: Option<&'a Filter>,
}

/// Receives what is reachable from the tips of `lot` and missing here.
///
/// A tip counts as present only with its whole history, so that what an earlier attempt left half done is fetched again.
pub(crate) fn receive(link: &mut Link<'_>, store: &Store, lot: &Lot<'_>, progress: &Progress) -> Result<()> {
    let mut known = reach::local_tips(store)?;
    known.extend(lot.whole);
    known.sort();
    known.dedup();
    let exists = |id| store.repo.has_object(id);
    let is_file_there = |id| lot.filter.is_some() || exists(id);
    let is_complete = |tip: &ObjectId| {
        exists(*tip) && reach::check_complete(&store.repo.objects, &is_file_there, std::slice::from_ref(tip), &known).is_ok()
    };
    let (complete, mut wants): (Vec<ObjectId>, Vec<ObjectId>) = lot.tips.iter().copied().partition(is_complete);
    // What is complete but held by no local ref may be another writer's, not yet on disk.
    let unheld: Vec<ObjectId> = complete.iter().copied().filter(|tip| known.binary_search(tip).is_err()).collect();
    let held_loosely = reach::beyond(&store.repo.objects, &unheld, &known)?;
    store.sync_objects(held_loosely.into_iter().map(|one| one.id))?;
    wants.sort();
    wants.dedup();
    if wants.is_empty() {
        return Ok(());
    }
    let shared = reach::commits_among(store, complete);
    // A remote that offers no filter any more sends everything, as git has it too.
    let filter = lot.filter.map(Filter::spec);
    let by_program = || {
        by_program::fetch(store, &link.place, &wants, filter)?;
        match filter {
            None => pack::complete(store, &wants, &known),
            Some(_) => reach::check_complete(&store.repo.objects, &is_file_there, &wants, &known),
        }
    };
    let kept = if let Some(wire) = &mut link.wire {
        let filter = filter.filter(|_| wire.can_filter());
        let talk = Talk { wants: &wants, shared: &shared, known: &known, filter };
        match exchange(wire, &link.place, store, &talk, progress) {
            Ok(received) if filter.is_some() => received.keep_promised(store, &wants, &known),
            Ok(received) => received.keep(store, &wants, &known),
            // gix 0.90 cannot read every thin pack that git sends ("as if the pack was still thin"); git can.
            Err(error) if fault::known(&error.message).is_some() => Err(error),
            Err(error) => {
                tracing::debug!("{}; asking git", error.line());
                by_program().map_err(|_| error)
            }
        }
    } else {
        by_program()
    };
    kept.map_err(|error| match error.kind {
        Kind::Corrupt => Error::external(format!("{} sent a history with holes", link.shown())).caused_by(error),
        _ => error,
    })
}

/// Agrees with the remote on what is missing and reads the pack it sends.
pub(crate) fn exchange(wire: &mut Wire, place: &Place, store: &Store, talk: &Talk<'_>, progress: &Progress) -> Result<Received> {
    let deed = || format!("fetch from {}", place.shown());
    let mut repo = store.repo.clone();
    // The negotiator asks for many objects that are not here; looking for new packs each time would be slow.
    repo.objects.refresh = gix::odb::store::RefreshMode::Never;
    let graph = repo.revision_graph(None);
    let mut haves = Haves { graph, negotiator: Algorithm::Consecutive.into_negotiator(), talk };
    let mut received = None;
    let mut staging = Some(Staging::create(&store.dir().join("objects"))?);
    let shallow = Shallow::NoChange;
    let options =
        Options { shallow_file: store.dir().join("shallow"), shallow: &shallow, tags: Tags::None, reject_shallow_remote: true };
    let context = Context {
        handshake: &mut wire.handshake,
        transport: &mut wire.transport.inner,
        user_agent: agent(),
        trace_packetlines: false,
    };
    let fetched = gix::protocol::fetch(
        &mut haves,
        |pack, progress, _stop| {
            if let Some(staging) = staging.take() {
                received = Some(Received::read(store, staging, pack, progress)?);
            }
            Ok(true)
        },
        progress.item("fetching"),
        &AtomicBool::new(false),
        context,
        options,
    );
    fetched.map_err(|error| wire.error("fetch from", place, &causes(&error)))?;
    received.or_fail(Kind::External, || format!("{}: it sent nothing", deed()))
}

/// What is talked about.
pub(crate) struct Talk<'a> {
    /// What is missing here: tips, or files one by one.
    pub(crate) wants: &'a [ObjectId],
    /// Commits that both have.
    pub(crate) shared: &'a [ObjectId],
    /// Commits that are here with all their history.
    pub(crate) known: &'a [ObjectId],
    /// What is to be left out, in the remote's words.
    pub(crate) filter: Option<&'a str>,
}

/// Our side of the talk.
struct Haves<'a, 'graph> {
    graph: Graph<'graph, 'graph>,
    negotiator: Box<dyn Negotiator>,
    talk: &'a Talk<'a>,
}

impl Negotiate for Haves<'_, '_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        for id in self.talk.shared {
            self.negotiator.known_common(*id, &mut self.graph)?;
        }
        for id in self.talk.known {
            self.negotiator.add_tip(*id, &mut self.graph)?;
        }
        Ok(Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        for id in self.talk.wants {
            arguments.want(id);
        }
        if let Some(filter) = self.talk.filter.filter(|_| arguments.can_use_filter()) {
            arguments.filter(filter);
        }
        !self.talk.wants.is_empty()
    }

    fn one_round(
        &mut self,
        state: &mut one_round::State,
        arguments: &mut Arguments,
        previous: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        gix::protocol::fetch::negotiate::one_round(&mut *self.negotiator, &mut self.graph, state, arguments, previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_grammar_are_taken() {
        for good in [
            "refs/heads/main",
            "refs/gt/ledger",
            "refs/gt/archive",
            "refs/gt/mr/wi-mr-abc12",
            "refs/gt/beat/a1b2c3d4",
            "refs/gt/flattened/12",
        ] {
            assert!(is_ours(good), "{good}");
        }
        for bad in [
            "refs/tags/v1",
            "refs/gt/ledger2",
            "refs/gt/mr/../x",
            "refs/gt/mr/",
            "refs/gt/beat/$(id)",
            "refs/gt/salvage/a/1",
            "refs/gt/flattened/0",
            "refs/gt/flattened/1x",
            "refs/heads/$(id)",
            "HEAD",
        ] {
            assert!(!is_ours(bad), "{bad}");
        }
    }
}

//! Pushes exact values with expected old values; never a wildcard, never by force.
//!
//! gix 0.90 has no push, so this is git's send-pack (gitprotocol-pack(5)) on gix's transport. A push carries object
//! ids, not names of local refs: a damaged local ref can therefore never delete a healthy one over there. What
//! the remote has is compared with what is expected before anything is sent, and the remote compares again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Write};
use std::ops::ControlFlow;

use gix::ObjectId;
use gix::objs::Kind as ObjectKind;
use gix::protocol::transport::Service as Side;
use gix::protocol::transport::client::blocking_io::Transport as _;
use gix::protocol::transport::client::{MessageKind, WriteMode};

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::fault;
use crate::git::progress::{Heard, Progress, one_line};
use crate::git::promised::Promise;
use crate::git::reach::{self, Found};
use crate::git::remote::{Link, Place, Wire, agent, causes};
use crate::git::{by_program, pack};
use crate::store::Store;
use crate::store::pack::{PackWriter, Place as Entry};

/// One ref to move at the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The ref's full name.
    pub name: String,
    /// What it must hold there; `None`: it must not exist.
    pub old: Option<ObjectId>,
    /// What it shall hold; `None`: it shall be deleted.
    pub new: Option<ObjectId>,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The remote holds the new value.
    Accepted,
    /// It does not, for the reason given in one line.
    Rejected(String),
}

/// Moves refs at `url`, all or none where the server can, and tells what became of each in the given order.
///
/// A ref that holds the new value already is accepted. When one was moved by another, nothing is sent.
///
/// # Errors
/// Usage, when URL or names are none; corrupt, when objects are missing here: nothing was sent then; external, when
/// the remote cannot be reached or hangs up. After that last one the refs may have moved: ask again.
pub fn push(store: &Store, url: &str, updates: &[Update], progress: &Progress) -> Result<Vec<(String, Outcome)>> {
    check(updates)?;
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let mut link = Link::open(store, Place::parse(url)?, Side::ReceivePack, progress)?;
    if link.wire.is_none() && updates.iter().all(|update| update.new.is_some()) {
        // git compares with what is there itself, on the one connection that it makes.
        check_tips(store, updates)?;
        let all: Vec<&Update> = updates.iter().collect();
        return Ok(in_order(updates, &mut by_program::push(store, &link.place, &all)?));
    }
    let theirs: BTreeMap<String, ObjectId> =
        link.refs(&["refs/"], progress)?.into_iter().filter_map(|one| Some((one.name, one.id?))).collect();
    let mut outcomes = match decide(updates, &theirs) {
        Plan::Settled(outcomes) => return Ok(outcomes),
        Plan::Send(outcomes) => outcomes,
    };
    let sent: Vec<&Update> = updates.iter().filter(|update| !outcomes.contains_key(&update.name)).collect();
    let objects = missing_there(store, &link.place, &sent, &theirs)?;
    match &mut link.wire {
        Some(wire) => {
            let heard = Heard::default();
            let report = send(wire, &link.place, store, (&sent, &objects), &heard, progress)?;
            outcomes.extend(sent.iter().map(|update| (update.name.clone(), report.outcome(&update.name, &heard))));
        }
        None => outcomes.extend(by_program::push(store, &link.place, &sent)?),
    }
    Ok(in_order(updates, &mut outcomes))
}

fn check(updates: &[Update]) -> Result<()> {
    let mut names = HashSet::new();
    for Update { name, old, new } in updates {
        let is_name = name.starts_with("refs/") && gix::validate::reference::name(name.as_str().into()).is_ok();
        if !is_name || !names.insert(name) {
            return Err(Error::usage(format!("'{}' is not a ref to push, or given twice", name.escape_debug())));
        }
        if [old, new].into_iter().flatten().any(ObjectId::is_null) {
            return Err(Error::bug(format!("push {name} with a null id")));
        }
    }
    Ok(())
}

/// What to do after seeing what the remote has.
#[derive(Debug, PartialEq)]
enum Plan {
    /// Nothing needs to be sent, or nothing may be.
    Settled(Vec<(String, Outcome)>),
    /// Those that are not here are to be sent.
    Send(BTreeMap<String, Outcome>),
}

fn decide(updates: &[Update], theirs: &BTreeMap<String, ObjectId>) -> Plan {
    let mut outcomes = BTreeMap::new();
    for Update { name, old, new } in updates {
        let actual = theirs.get(name).copied();
        if actual == *new {
            outcomes.insert(name.clone(), Outcome::Accepted);
        } else if actual != *old {
            let has = actual.map_or_else(|| "nothing".to_owned(), |id| id.to_hex_with_len(8).to_string());
            outcomes.insert(name.clone(), Outcome::Rejected(format!("moved: the remote has {has}")));
        }
    }
    let moved = updates.iter().find(|update| matches!(outcomes.get(&update.name), Some(Outcome::Rejected(_))));
    if let Some(moved) = moved {
        let why = format!("not sent, because {} moved", moved.name);
        for update in updates {
            outcomes.entry(update.name.clone()).or_insert_with(|| Outcome::Rejected(why.clone()));
        }
    }
    if outcomes.len() == updates.len() { Plan::Settled(in_order(updates, &mut outcomes)) } else { Plan::Send(outcomes) }
}

fn in_order(updates: &[Update], outcomes: &mut BTreeMap<String, Outcome>) -> Vec<(String, Outcome)> {
    let unknown = || Outcome::Rejected("the remote did not report on it".into());
    updates.iter().map(|update| (update.name.clone(), outcomes.remove(&update.name).unwrap_or_else(unknown))).collect()
}

/// Refuses to send what is not here at all.
fn check_tips(store: &Store, updates: &[Update]) -> Result<()> {
    match updates.iter().find(|update| update.new.is_some_and(|id| !store.repo.has_object(id))) {
        Some(Update { name, new: Some(id), .. }) => Err(hole(name, *id)),
        _ => Ok(()),
    }
}

fn hole(name: &str, id: ObjectId) -> Error {
    Error::corrupt(format!("push {name}: the object {id} is missing here"))
        .hint("nothing was sent; git fsck lists what else is missing")
}

/// Every object that the remote needs, oldest first; all of them are here, or are brought.
fn missing_there(store: &Store, to: &Place, sent: &[&Update], theirs: &BTreeMap<String, ObjectId>) -> Result<Vec<Found>> {
    let tips: Vec<ObjectId> = sent.iter().filter_map(|update| update.new).collect();
    let haves = reach::commits_among(store, theirs.values().copied());
    let mut objects = reach::beyond(&store.repo.objects, &tips, &haves)?;
    let is_absent = |one: &&Found| one.kind == ObjectKind::Blob && !store.repo.has_object(one.id);
    let mut absent: HashSet<ObjectId> = objects.iter().filter(is_absent).map(|one| one.id).collect();
    let Some(first) = absent.iter().next().copied() else { return Ok(objects) };
    let Some(promise) = Promise::of(store) else { return Err(hole(&sent[0].name, first)) };
    // A file that stands elsewhere than before is found as if it were new. Who promised to have it needs none.
    let held = if promise.is_of(to) || is_push_url(store, to) {
        absent.clone()
    } else {
        reach::held_below(&store.repo.objects, &objects, &absent)?
    };
    objects.retain(|one| !held.contains(&one.id));
    absent.retain(|id| !held.contains(id));
    promise.bring_into(store, &absent.into_iter().collect::<Vec<_>>(), &Progress::silent())?;
    Ok(objects)
}

/// Whether `place` is where the project is pushed to, by another URL than it is fetched from.
fn is_push_url(store: &Store, place: &Place) -> bool {
    let set = store.repo.config_snapshot().string("remote.origin.pushurl").map(|url| url.to_string());
    set.and_then(|url| Place::parse(&url).ok()).is_some_and(|own| own.text() == place.text())
}

/// Sends commands and pack, and reads the report.
fn send(
    wire: &mut Wire,
    place: &Place,
    store: &Store,
    (sent, objects): (&[&Update], &[Found]),
    heard: &Heard,
    progress: &Progress,
) -> Result<Report> {
    let deed = || format!("push to {}", place.shown());
    let has_side_band = wire.can("side-band-64k");
    let form = Form { may_be_thin: !wire.can("no-thin"), knows_offsets: wire.can("ofs-delta") };
    if sent.iter().any(|update| update.new.is_none()) && !wire.can("delete-refs") {
        return Err(Error::external(format!("{}: it does not delete refs", deed())));
    }
    let lines = commands(wire, sent);
    let mut bytes = Vec::new();
    let (written, read) = {
        let request = wire.transport.inner.request(WriteMode::Binary, MessageKind::Flush, false);
        let mut request = request.or_fail(Kind::External, deed)?;
        let commands = lines.iter().try_for_each(|line| request.write_all(line));
        let commands = commands.and_then(|()| request.write_message(MessageKind::Flush));
        let (raw, mut reader) = request.into_parts();
        // A remote that refuses early closes the line: its report says why, better than our write error does.
        let written = match commands {
            Err(error) => Err(error).or_fail(Kind::External, deed),
            Ok(()) if sent.iter().any(|update| update.new.is_some()) => write_pack(raw, store, objects, &form, progress),
            Ok(()) => {
                drop(raw);
                Ok(())
            }
        };
        if has_side_band {
            let (heard, progress) = (heard.clone(), progress.clone());
            reader.set_progress_handler(Some(Box::new(move |_is_error, text| {
                heard.hear(text);
                progress.say(&format!("remote: {}", String::from_utf8_lossy(text)));
                ControlFlow::Continue(())
            })));
        }
        (written, reader.read_to_end(&mut bytes))
    };
    if let Some(report) = Report::parse(&bytes, has_side_band) {
        return Ok(report);
    }
    // What cannot be read here is our own fault and not the remote's.
    if let Err(error) = &written
        && [Kind::Corrupt, Kind::Refused].contains(&error.kind)
    {
        return written.map(|()| Report { unpack_failure: None, refs: BTreeMap::new() });
    }
    let said = match (heard.joined(), read, written) {
        (said, ..) if fault::known(&said).is_some() => said,
        (said, Err(error), _) => format!("{}\n{said}", causes(&error)),
        (said, Ok(_), Err(error)) => format!("{}\n{said}", error.line()),
        (said, Ok(_), Ok(())) => format!("the remote hung up without a report\n{said}"),
    };
    Err(wire.error("push to", place, &said))
}

/// What the receiver understands of a pack.
struct Form {
    /// Deltas of what it has.
    may_be_thin: bool,
    /// Deltas that name their base by its distance.
    knows_offsets: bool,
}

/// The command lines: old value, new value and name of each ref, and what we can do after the first.
fn commands(wire: &Wire, sent: &[&Update]) -> Vec<Vec<u8>> {
    let null = ObjectId::null(gix::hash::Kind::Sha1);
    let report = if wire.can("report-status-v2") { "report-status-v2" } else { "report-status" };
    let mut can: Vec<String> =
        [report, "side-band-64k", "atomic", "quiet"].into_iter().filter(|one| wire.can(one)).map(str::to_owned).collect();
    if wire.can("object-format") {
        can.push("object-format=sha1".into());
    }
    if wire.can("agent") {
        can.push(format!("agent={}", agent().1.unwrap_or_default()));
    }
    let command = |(n, update): (usize, &&Update)| {
        let (old, new) = (update.old.unwrap_or(null), update.new.unwrap_or(null));
        let tail = if n == 0 { format!("\0 {}", can.join(" ")) } else { String::new() };
        format!("{old} {new} {}{tail}", update.name).into_bytes()
    };
    sent.iter().enumerate().map(command).collect()
}

/// Longest chain of deltas in a pack; receivers unpack by recursion.
const CHAIN_MAX: u32 = 40;

fn write_pack(out: impl Write, store: &Store, objects: &[Found], form: &Form, progress: &Progress) -> Result<()> {
    use gix::{Count as _, Progress as _};
    let deed = || "send the pack";
    let count = u32::try_from(objects.len()).or_fail(Kind::Refused, deed)?;
    let mut item = progress.item("sending objects");
    item.init(Some(objects.len()), None);
    let is_partial = Promise::of(store).is_some();
    let fresh: HashSet<ObjectId> = objects.iter().map(|one| one.id).collect();
    let mut sent: HashMap<ObjectId, (u32, Entry)> = HashMap::new();
    let mut writer = PackWriter::begin(std::io::BufWriter::new(out), count).or_fail(Kind::External, deed)?;
    for one in objects {
        let bytes = pack::object(store, one.id)?;
        // A base is one that the remote has, or one that stands before; else two could be deltas of each other.
        let depth_of = |base: &ObjectId| match sent.get(base) {
            Some((depth, _)) => Some(*depth),
            None => (form.may_be_thin && !fresh.contains(base)).then_some(0),
        };
        let based = one.base.and_then(|base| Some((base, depth_of(&base).filter(|depth| *depth < CHAIN_MAX)?)));
        let delta = match based {
            // What a partial clone left out is no base.
            Some((base, _)) if is_partial && !store.repo.has_object(base) => None,
            Some((base, depth)) => pack::delta(&pack::object(store, base)?, &bytes).map(|delta| (base, depth, delta)),
            None => None,
        };
        let (depth, written) = match delta {
            Some((base, depth, delta)) => {
                let near = sent.get(&base).map(|(_, entry)| *entry).filter(|_| form.knows_offsets);
                let written = match near {
                    Some(near) => writer.delta_near(near, &delta),
                    None => writer.delta(base, &delta),
                };
                (depth + 1, written)
            }
            None => (0, writer.whole(one.kind, &bytes)),
        };
        sent.insert(one.id, (depth, written.or_fail(Kind::External, deed)?));
        item.inc();
    }
    writer.finish().map(|_| ()).or_fail(Kind::External, deed)
}

/// What the remote reports.
#[derive(Debug, PartialEq)]
struct Report {
    /// Why the objects could not be stored.
    unpack_failure: Option<String>,
    /// By ref: why it was not moved, or nothing when it was.
    refs: BTreeMap<String, Option<String>>,
}

impl Report {
    /// Reads "unpack ok", "ok <ref>" and "ng <ref> <why>"; `None` when there is no report.
    fn parse(bytes: &[u8], is_framed: bool) -> Option<Self> {
        let lines = if is_framed { packet_lines(bytes) } else { bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect() };
        let mut report = None;
        let mut last = String::new();
        for line in lines {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some(unpack) = line.strip_prefix("unpack ") {
                let unpack_failure = (unpack != "ok").then(|| one_line(unpack));
                report = Some(Self { unpack_failure, refs: BTreeMap::new() });
            } else if let (Some(report), Some((word, rest))) = (&mut report, line.split_once(' ')) {
                let (name, why) = rest.split_once(' ').unwrap_or((rest, "for no reason given"));
                match word {
                    "ok" => drop(report.refs.insert(name.to_owned(), None)),
                    "ng" => drop(report.refs.insert(name.to_owned(), Some(one_line(why)))),
                    // A hook over there may put something else in its place (report-status-v2).
                    "option" if name == "new-oid" => {
                        let why = format!("the remote made it {} by a rule of its own", one_line(why));
                        report.refs.insert(last.clone(), Some(why));
                    }
                    _ => {}
                }
                if word != "option" {
                    last = name.to_owned();
                }
            }
        }
        report
    }

    fn outcome(&self, name: &str, heard: &Heard) -> Outcome {
        let said = heard.joined();
        match (self.refs.get(name), &self.unpack_failure) {
            (Some(None), None) => Outcome::Accepted,
            (_, Some(why)) if fault::known(&said).is_some_and(|fault| fault.name == fault::FULL) => {
                Outcome::Rejected(told(&format!("{}: {why}", fault::FULL), &said))
            }
            (_, Some(why)) => Outcome::Rejected(told(&format!("the remote could not store the objects: {why}"), &said)),
            (Some(Some(why)), None) => Outcome::Rejected(told(why, &said)),
            (None, None) => Outcome::Rejected(told("the remote did not report on it", &said)),
        }
    }
}

/// A reason with what the remote said besides.
pub(crate) fn told(why: &str, said: &str) -> String {
    if said.is_empty() { why.to_owned() } else { format!("{why} (the remote says: {said})") }
}

/// Splits the packet lines of gitprotocol-common(5); what is no packet line ends it.
fn packet_lines(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(4) {
        let len = std::str::from_utf8(head).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        match len {
            Some(len @ 0..4) => {
                if len == 0 {
                    break;
                }
                bytes = rest;
            }
            Some(len) if len - 4 <= rest.len() => {
                lines.push(rest[..len - 4].to_vec());
                bytes = &rest[len - 4..];
            }
            _ => break,
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ObjectId {
        ObjectId::from([byte; 20])
    }

    fn update(name: &str, old: Option<u8>, new: Option<u8>) -> Update {
        Update { name: name.into(), old: old.map(id), new: new.map(id) }
    }

    #[test]
    fn nothing_is_sent_when_one_of_them_moved() {
        let theirs = BTreeMap::from([("refs/heads/a".to_owned(), id(1)), ("refs/heads/b".to_owned(), id(2))]);
        let updates = [update("refs/heads/a", Some(1), Some(3)), update("refs/heads/b", Some(9), Some(4))];
        let Plan::Settled(outcomes) = decide(&updates, &theirs) else { panic!("it would be sent") };
        assert!(matches!(&outcomes[0].1, Outcome::Rejected(why) if why.contains("refs/heads/b moved")));
        assert!(matches!(&outcomes[1].1, Outcome::Rejected(why) if why.contains("moved: the remote has 02020202")));
    }

    #[test]
    fn what_is_there_already_is_accepted_without_sending() {
        let theirs = BTreeMap::from([("refs/heads/a".to_owned(), id(1))]);
        let updates = [update("refs/heads/a", None, Some(1)), update("refs/heads/gone", Some(5), None)];
        let Plan::Settled(outcomes) = decide(&updates, &theirs) else { panic!("it would be sent") };
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Accepted));
        assert_eq!(decide(&[update("refs/heads/n", None, Some(1))], &theirs), Plan::Send(BTreeMap::new()));
    }

    #[test]
    fn a_null_id_or_a_name_that_is_none_is_refused() {
        let null = Update { name: "refs/gt/ledger".into(), old: None, new: Some(ObjectId::null(gix::hash::Kind::Sha1)) };
        assert_eq!(check(&[null]).unwrap_err().kind, Kind::Bug);
        for bad in ["refs/heads/*", "main", "refs/heads/a:b", "refs/heads/a\0b", "-d"] {
            assert_eq!(check(&[update(bad, None, Some(1))]).unwrap_err().kind, Kind::Usage, "{bad}");
        }
        let twice = [update("refs/heads/a", None, Some(1)), update("refs/heads/a", None, Some(2))];
        assert_eq!(check(&twice).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn a_report_is_read_also_when_it_is_cut_short() {
        let text = b"000eunpack ok\n0015ok refs/gt/ledger0026ng refs/heads/a hook \x1bdeclined now0000";
        let report = Report::parse(text, true).unwrap();
        assert_eq!(report.refs["refs/gt/ledger"], None);
        assert_eq!(report.refs["refs/heads/a"].as_deref(), Some("hook  declined now"));
        assert_eq!(Report::parse(b"", true), None);
        assert_eq!(Report::parse(b"zzzz", true), None);
        assert_eq!(Report::parse(b"00", true), None);
        let heard = Heard::default();
        let failed = Report::parse(b"unpack disk full\nng refs/heads/a unpacker error\n", false).unwrap();
        assert!(matches!(failed.outcome("refs/heads/a", &heard), Outcome::Rejected(why) if why.contains("disk full")));
    }
}

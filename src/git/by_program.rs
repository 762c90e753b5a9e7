//! The way to remotes that gix does not go: the git program, for `http`, `https` and where `gt.transport = git` asks for it.
//!
//! It keeps the rules of the other way: no ref is moved by a fetch, a push carries object ids with expected old
//! values, and a URL is never taken for an option. git itself syncs what it receives (`core.fsync`).

use std::collections::BTreeMap;

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::one_line;
use crate::git::promised::Promise;
use crate::git::push::{self, Outcome, Update};
use crate::git::remote::{Advertised, Place, http_patience};
use crate::git::{fault, program};
use crate::store::Store;

fn talk(store: &Store, args: &[&str]) -> Result<program::Output> {
    talk_with(store, args, b"")
}

fn talk_with(store: &Store, args: &[&str], input: &[u8]) -> Result<program::Output> {
    let patience = http_patience(store)?;
    let all: Vec<&str> = patience.iter().map(String::as_str).chain(args.iter().copied()).collect();
    program::talking_with(store.dir(), &all, &[], input)
}

/// All refs of `place` that are UTF-8.
pub(crate) fn refs(store: &Store, place: &Place) -> Result<Vec<Advertised>> {
    let url = place.text();
    let output = talk(store, &["ls-remote", "--symref", "--", &url])?;
    if !output.is_success() {
        return Err(fault::error("reach", place, &output.stderr));
    }
    parse_refs(&output.text()).or_fail(Kind::External, || format!("list the refs of {}", place.shown()))
}

/// Reads the lines of git-ls-remote(1); `None` when one is none.
fn parse_refs(text: &str) -> Option<Vec<Advertised>> {
    let mut found: BTreeMap<String, Advertised> = BTreeMap::new();
    let blank = |name: &str| Advertised { name: name.to_owned(), id: None, peeled: None, target: None };
    for line in text.lines() {
        let (value, name) = line.split_once('\t')?;
        if let Some(target) = value.strip_prefix("ref: ") {
            found.entry(name.to_owned()).or_insert_with(|| blank(name)).target = Some(target.to_owned());
            continue;
        }
        let id = ObjectId::from_hex(value.as_bytes()).ok()?;
        match name.strip_suffix("^{}") {
            Some(tag) => found.entry(tag.to_owned()).or_insert_with(|| blank(tag)).peeled = Some(id),
            None => found.entry(name.to_owned()).or_insert_with(|| blank(name)).id = Some(id),
        }
    }
    Some(found.into_values().collect())
}

/// The name under which git is told of a remote that leaves out files: what it sends is marked as such only then.
const PROMISOR: &str = "gt-promisor";

/// Brings the objects reachable from `wants` here, but for files that `filter` leaves out; whether they are complete is
/// for the caller to check.
pub(crate) fn fetch(store: &Store, place: &Place, wants: &[ObjectId], filter: Option<&str>) -> Result<()> {
    let url = place.text();
    // In a partial clone that check takes a file that was left out and only moved for one that was not sent. Whether all
    // is here is looked at afterwards anyway.
    let is_checked = filter.is_some() || Promise::of(store).is_none();
    let mut settings = vec!["core.fsync=all".to_owned(), format!("fetch.fsckObjects={is_checked}")];
    let mut words = vec!["fetch", "--quiet", "--no-tags", "--refmap=", "--no-write-fetch-head", "--no-auto-maintenance"];
    words.extend(["--no-recurse-submodules", "--stdin"]);
    let option = filter.map(|filter| format!("--filter={filter}"));
    if let (Some(filter), Some(option)) = (filter, &option) {
        let remote = [("url", url.as_str()), ("promisor", "true"), ("partialclonefilter", filter)];
        settings.extend(remote.map(|(key, value)| format!("remote.{PROMISOR}.{key}={value}")));
        words.extend([option, "--", PROMISOR]);
    } else {
        words.extend(["--", &url]);
    }
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).chain(words).collect();
    let ids = wants.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let output = talk_with(store, &args, ids.as_bytes())?;
    if output.is_success() { Ok(()) } else { Err(fault::error("fetch from", place, &output.stderr)) }
}

/// Whether `place` leaves out files when it is asked to. git says so only where it lists what it hears.
pub(crate) fn can_filter(store: &Store, place: &Place) -> Result<bool> {
    let url = place.text();
    let words = ["ls-remote", "--", url.as_str(), "HEAD"];
    let all: Vec<String> = http_patience(store)?.into_iter().chain(words.map(str::to_owned)).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let output = program::talking_with(store.dir(), &all, &[("GIT_TRACE_PACKET", "2".into())], b"")?;
    if output.is_success() { Ok(hears_filter(&output.stderr)) } else { Err(fault::error("reach", place, &output.stderr)) }
}

/// Whether a list of packets, as git writes it, has one in which the remote offers filters: among what `fetch`
/// understands, or in older versions among what follows the first ref.
fn hears_filter(trace: &str) -> bool {
    let heard = trace.lines().filter_map(|line| line.split_once("packet:")?.1.split_once("< ").map(|(_, said)| said));
    heard.filter(|said| said.starts_with("fetch=") || said.contains("\\0")).any(|said| {
        let offered = said.trim_start_matches("fetch=").rsplit("\\0").next().unwrap_or_default();
        offered.split(' ').any(|one| one == "filter")
    })
}

/// Moves refs at `place` that hold their expected values, all or none, and tells what became of each.
pub(crate) fn push(store: &Store, place: &Place, updates: &[&Update]) -> Result<BTreeMap<String, Outcome>> {
    let url = place.text();
    let hex = |id: Option<ObjectId>| id.map(|id| id.to_string()).unwrap_or_default();
    // With the expected value given, the lease is the compare-and-swap that the protocol has; nothing is overwritten.
    let leases: Vec<String> =
        updates.iter().map(|update| format!("--force-with-lease={}:{}", update.name, hex(update.old))).collect();
    let specs: Vec<String> = updates.iter().map(|update| format!("{}:{}", hex(update.new), update.name)).collect();
    let mut args =
        vec!["push", "--porcelain", "--quiet", "--atomic", "--no-verify", "--no-follow-tags", "--no-recurse-submodules"];
    args.extend(leases.iter().map(String::as_str));
    args.extend(["--", &url]);
    args.extend(specs.iter().map(String::as_str));
    let output = talk(store, &args)?;
    let said: Vec<String> = output.stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(one_line).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    let mut outcomes = parse_report(&output.text(), &said.join("; "));
    if output.is_success() {
        // With --quiet git is silent about what went well.
        for update in updates {
            outcomes.entry(update.name.clone()).or_insert(Outcome::Accepted);
        }
    }
    let has_no_report = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(why) if why.starts_with(NO_REPORT));
    if outcomes.is_empty() || outcomes.values().any(has_no_report) {
        let is_hole = HOLES.iter().any(|words| output.stderr.contains(words));
        if is_hole {
            let message = format!("push to {}: an object is missing here: {}", place.shown(), one_line(output.last_line()));
            return Err(Error::corrupt(message).hint("nothing was sent; git fsck lists what else is missing"));
        }
        return Err(fault::error("push to", place, &output.stderr));
    }
    Ok(outcomes)
}

/// How git puts that it does not know how a push ended.
const NO_REPORT: &str = "remote failed to report status";
/// How git puts that something of what is to be sent is not here.
const HOLES: &[&str] =
    &["does not point to a valid object", "bad object", "missing object", "pack-objects died", "unable to read"];

/// Reads the lines of `git push --porcelain`: a flag, the two names and a summary, parted by tabs.
fn parse_report(text: &str, said: &str) -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        let (Some(flag), Some(names), Some(summary)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Some((_, name)) = names.split_once(':') else { continue };
        let outcome = if flag == "!" { Outcome::Rejected(reason(summary, said)) } else { Outcome::Accepted };
        outcomes.insert(name.to_owned(), outcome);
    }
    outcomes
}

/// The reason in a summary such as `[remote rejected] (hook declined)`, in the words of the other way.
fn reason(summary: &str, said: &str) -> String {
    let why = summary.split_once('(').map_or(summary, |(_, why)| why.strip_suffix(')').unwrap_or(why));
    match why {
        "stale info" => return "moved: the remote has something else".to_owned(),
        "atomic push failed" => return "not sent, because another ref moved".to_owned(),
        _ => {}
    }
    push::told(&one_line(why), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ls_remote_says_is_read() {
        let a = "a".repeat(40);
        let b = "b".repeat(40);
        let text =
            format!("ref: refs/heads/main\tHEAD\n{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/tags/v1\n{a}\trefs/tags/v1^{{}}\n");
        let refs = parse_refs(&text).unwrap();
        assert_eq!(refs.len(), 3);
        assert_eq!(refs[0].target.as_deref(), Some("refs/heads/main"));
        assert_eq!(refs[2].peeled, refs[0].id);
        assert_eq!(parse_refs("warning: nonsense"), None);
    }

    #[test]
    fn whether_a_remote_leaves_out_files_is_heard() {
        let new = "19:33:33.9 pkt-line.c:86  packet:  git< version 2\n19:33:33.9 pkt-line.c:86  packet:  git< fetch=";
        assert!(hears_filter(&format!("{new}shallow wait-for-done filter\n")));
        assert!(!hears_filter(&format!("{new}shallow wait-for-done\n")));
        let old = "19:33:33.9 pkt-line.c:86  packet:  ls-remote< 70f653c1099c450816872e128558d4cc44e2d4be HEAD\\0multi_ack";
        assert!(hears_filter(&format!("{old} filter agent=git/2.47\n")));
        assert!(!hears_filter(&format!("{old} agent=git/filter\n")));
        assert!(!hears_filter("19:33:33.9 packet:  git< 70f653c1099c450816872e128558d4cc44e2d4be refs/heads/a filter\n"));
        assert!(!hears_filter("19:33:33.9 packet:  git> fetch=filter\n"));
    }

    #[test]
    fn what_push_reports_is_read() {
        let text = "To x\n \tabc:refs/heads/a\tabc..def\n!\tabc:refs/heads/b\t[rejected] (stale info)\n\
            !\tabc:refs/heads/c\t[remote rejected] (pre-receive hook declined)\nDone\n";
        let outcomes = parse_report(text, "no");
        assert_eq!(outcomes["refs/heads/a"], Outcome::Accepted);
        let rejected = |why: &str| Outcome::Rejected(why.to_owned());
        assert_eq!(outcomes["refs/heads/b"], rejected("moved: the remote has something else"));
        assert_eq!(outcomes["refs/heads/c"], rejected("pre-receive hook declined (the remote says: no)"));
        assert_eq!(outcomes.len(), 3);
    }
}

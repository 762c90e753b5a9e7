//! The way to remotes that gix does not go: the git program, for `http`, `https` and where `gt.transport = git` asks for it.
//!
//! It keeps the rules of the other way: no ref is moved by a fetch, a push carries object ids with expected old
//! values, and a URL is never taken for an option. git itself syncs what it receives (`core.fsync`).

use std::collections::BTreeMap;

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::progress::one_line;
use crate::git::push::{self, Outcome, Update};
use crate::git::remote::{Advertised, Place, http_patience};
use crate::git::{fault, program};
use crate::store::Store;

/// How many ids one call of git is given; a command line has an end.
const IDS_MAX: usize = 1000;

fn talk(store: &Store, args: &[&str]) -> Result<program::Output> {
    let patience = http_patience(store)?;
    let all: Vec<&str> = patience.iter().map(String::as_str).chain(args.iter().copied()).collect();
    program::talking(store.dir(), &all)
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

/// Brings the objects reachable from `wants` here; whether they are complete is for the caller to check.
pub(crate) fn fetch(store: &Store, place: &Place, wants: &[ObjectId]) -> Result<()> {
    let url = place.text();
    for part in wants.chunks(IDS_MAX) {
        let ids: Vec<String> = part.iter().map(ToString::to_string).collect();
        let mut args = vec!["-c", "core.fsync=all", "-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--refmap="];
        args.extend(["--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--", &url]);
        args.extend(ids.iter().map(String::as_str));
        let output = talk(store, &args)?;
        if !output.is_success() {
            return Err(fault::error("fetch from", place, &output.stderr));
        }
    }
    Ok(())
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

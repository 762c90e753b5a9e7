//! The way to remotes that gix does not go: the git program, for `http`, `https` and where `gt.transport = git` asks for it.
//!
//! It keeps the rules of the other way: no ref is moved by a fetch, a push carries object ids with expected old
//! values, and a URL is never taken for an option. git itself syncs what it receives (`core.fsync`).

use std::collections::BTreeMap;

use gix::ObjectId;

use crate::error::{Error, Kind, OrFail, Result};
use crate::git::program;
use crate::git::progress::one_line;
use crate::git::push::{Outcome, Update};
use crate::git::remote::{Advertised, Place};
use crate::store::Store;

/// How many ids one call of git is given; a command line has an end.
const IDS_MAX: usize = 1000;

/// All refs of `place` that are UTF-8.
pub(crate) fn refs(store: &Store, place: &Place) -> Result<Vec<Advertised>> {
    let url = place.text();
    let output = program::bare(store.dir(), &["ls-remote", "--symref", "--", &url])?;
    if !output.is_success() {
        return Err(failed("reach", place, output.last_line()));
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
        let output = program::bare(store.dir(), &args)?;
        if !output.is_success() {
            return Err(failed("fetch from", place, output.last_line()));
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
    let output = program::bare(store.dir(), &args)?;
    let said: Vec<String> = output.stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(one_line).collect();
    let said = said.join("; ");
    let mut outcomes = parse_report(&output.text(), &said);
    if output.is_success() {
        // With --quiet git is silent about what went well.
        for update in updates {
            outcomes.entry(update.name.clone()).or_insert(Outcome::Accepted);
        }
    }
    if outcomes.is_empty() {
        return Err(failed("push to", place, output.last_line()));
    }
    Ok(outcomes)
}

/// Reads the lines of `git push --porcelain`: a flag, the two names and a summary, parted by tabs.
fn parse_report(text: &str, said: &str) -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        let (Some(flag), Some(names), Some(summary)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Some((_, name)) = names.split_once(':') else { continue };
        let said = if said.is_empty() { String::new() } else { format!(" (the remote says: {said})") };
        let outcome = if flag == "!" { Outcome::Rejected(format!("{}{said}", one_line(summary))) } else { Outcome::Accepted };
        outcomes.insert(name.to_owned(), outcome);
    }
    outcomes
}

fn failed(deed: &str, place: &Place, line: &str) -> Error {
    Error::external(format!("{deed} {}: {}", place.shown(), one_line(line)))
        .hint("check the URL and that git can reach it: git ls-remote URL")
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
        let text = "To x\n \tabc:refs/heads/a\tabc..def\n!\tabc:refs/heads/b\t[rejected] (stale info)\nDone\n";
        let outcomes = parse_report(text, "no");
        assert_eq!(outcomes["refs/heads/a"], Outcome::Accepted);
        assert!(
            matches!(&outcomes["refs/heads/b"], Outcome::Rejected(why) if why.contains("stale info") && why.contains("says: no"))
        );
        assert_eq!(outcomes.len(), 2);
    }
}

//! Faults at every call: `cargo test --test faults -- [--quick]`, which needs strace.
//!
//! Commands are killed, or get an error from the kernel, at the n-th call that changes a file. After each the old
//! or the new state stands and never a mix; success means that a fresh process reads it; a failure says so in one
//! line with the right code; the next command succeeds; git finds no fault. Then crowds: writers that are killed
//! at random, or work beside git's own maintenance, and locks that were left over.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, dead_code, missing_docs, unused_imports)]

#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/crowds.rs"]
mod crowds;
#[path = "faults/keeping.rs"]
mod keeping;
mod schema;
#[path = "faults/stories.rs"]
mod stories;
mod town;

use std::time::Instant;

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A sample of the long commands, and each fault once for each call of the short ones: within four minutes.
    Quick,
    /// Every call of every command with every fault, once and for ever.
    Long,
}

/// A part of the suite.
type Part = fn(Form) -> stories::Tally;

fn main() {
    let form = if std::env::args().any(|arg| arg == "--quick") { Form::Quick } else { Form::Long };
    let only: Option<String> = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    if let Err(why) = calls::check() {
        let is_required = std::env::var("GT_TEST_REQUIRE").is_ok_and(|tools| tools.split(',').any(|tool| tool == "strace"));
        assert!(!is_required, "strace does not work here: {why}");
        println!("faults at calls: NOT RUN, since strace does not work here: {why}");
        return;
    }
    let begin = Instant::now();
    let mut parts: Vec<(&str, Part)> = vec![
        ("create", stories::create),
        ("update", stories::update),
        ("mail", stories::mail),
        ("sling", stories::sling),
        ("done", stories::done),
        ("decay", keeping::decay),
        ("flatten", keeping::flatten),
        ("locks", crowds::left_over_locks),
        ("killed", crowds::killed_at_random),
        ("pack-refs", crowds::beside_pack_refs),
        ("kept", keeping::kept_and_killed),
        ("indexes", keeping::damaged_indexes),
    ];
    // git itself takes back objects that a writer has just written: shown here, and warned of in the documents.
    if form == Form::Long {
        parts.push(("gc", crowds::beside_gc));
    }
    let chosen = parts.into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name));
    let mut found = Vec::new();
    for (name, part) in chosen {
        let part_begin = Instant::now();
        let tally = part(form);
        println!("{name}: {}, {} faults, {:.0?}", tally.what, tally.faults.len(), part_begin.elapsed());
        tally.faults.iter().take(25).for_each(|fault| println!("  {fault}"));
        found.extend(tally.faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    println!("faults: {} in {:.0?}", found.len(), begin.elapsed());
    // Once more, where whoever sees only the end of the output sees them.
    assert!(found.is_empty(), "{} faults, the first:\n{}", found.len(), found[..found.len().min(10)].join("\n"));
}

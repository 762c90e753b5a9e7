//! Stacks requests onto the target in memory: each one merged onto the one below, each prefix a tree to gate.
//!
//! Promises that the commits of a stack change no path that their request did not change; renamed paths count
//! with their new name. What does not fit is told apart: conflicts with the target itself are for the author,
//! conflicts with a request ahead may pass.

use std::collections::BTreeSet;

use gix::ObjectId;

use super::event::short;
use super::look::{self, Request};
use crate::error::{Error, Result};
use crate::git::merge::{Merged, Stacker, merge_base};
use crate::git::{commits, diff};
use crate::model::plan::STACK_MAX;
use crate::name::BeadId;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::time::Moment;

/// A request that fits.
pub struct Placed {
    /// The request.
    pub request: Request,
    /// The tree below it.
    pub below: ObjectId,
    /// The tree with it.
    pub tree: ObjectId,
}

/// A request that does not fit now.
pub struct Aside {
    /// The request.
    pub request: Request,
    /// Why.
    pub why: Misfit,
}

/// Why a request does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The target already contains its head.
    Contained,
    /// It conflicts with the target in these paths.
    WithTarget(Vec<String>),
    /// It fits the target but not onto this request ahead, in these paths.
    WithAhead(BeadId, Vec<String>),
    /// Merged, it would change these paths, which its author did not touch.
    Foreign(Vec<String>),
    /// Its head cannot be used.
    Unfit(String),
}

/// A target with the requests that fit onto it.
pub struct Stack {
    /// The target's tip.
    pub tip: ObjectId,
    /// The tip's tree.
    pub tip_tree: ObjectId,
    /// What fits, bottom first.
    pub placed: Vec<Placed>,
    /// What does not.
    pub aside: Vec<Aside>,
}

/// Stacks `waiting` onto `tip`, at most [`STACK_MAX`] of them. All objects that it makes are durable afterwards.
///
/// # Errors
/// Corrupt, when objects cannot be read; io, when they cannot be written.
pub fn build(store: &Store, stacker: &mut Stacker<'_>, tip: ObjectId, waiting: Vec<Request>) -> Result<Stack> {
    let tip_tree = store.tree_of(tip)?;
    let mut stack = Stack { tip, tip_tree, placed: Vec::new(), aside: Vec::new() };
    let mut bases = Vec::new();
    for request in waiting {
        if stack.placed.len() == STACK_MAX {
            break;
        }
        match fit(store, stacker, &stack, &request)? {
            Fit::Onto { base, tree } => {
                bases.push(base);
                let below = stack.tree();
                stack.placed.push(Placed { request, below, tree });
            }
            Fit::Not(why) => stack.aside.push(Aside { request, why }),
        }
    }
    stacker.flush()?;
    stack.set_foreign_aside(store, &bases)?;
    Ok(stack)
}

enum Fit {
    Onto { base: ObjectId, tree: ObjectId },
    Not(Misfit),
}

fn fit(store: &Store, stacker: &mut Stacker<'_>, stack: &Stack, request: &Request) -> Result<Fit> {
    if let Some(why) = look::unfit(store, request)? {
        return Ok(Fit::Not(Misfit::Unfit(why)));
    }
    let head = request.head()?;
    let Some(fork) = merge_base(store, stack.tip, head)? else {
        return Ok(Fit::Not(Misfit::Unfit("it shares no history with the target".to_owned())));
    };
    if fork == head {
        return Ok(Fit::Not(Misfit::Contained));
    }
    let (base, theirs) = (store.tree_of(fork)?, store.tree_of(head)?);
    let files = match stacker.merge_trees(base, stack.tree(), theirs)? {
        Merged::Clean(tree) => return Ok(Fit::Onto { base, tree }),
        Merged::Conflict(files) => files,
    };
    if stack.placed.is_empty() {
        return Ok(Fit::Not(Misfit::WithTarget(files)));
    }
    if let Merged::Conflict(files) = stacker.merge_trees(base, stack.tip_tree, theirs)? {
        return Ok(Fit::Not(Misfit::WithTarget(files)));
    }
    for ahead in &stack.placed {
        if let Merged::Conflict(_) = stacker.merge_trees(base, ahead.tree, theirs)? {
            return Ok(Fit::Not(Misfit::WithAhead(ahead.request.bead.id.clone(), files)));
        }
    }
    Err(Error::bug(format!("{} conflicts with the stack but with none of its prefixes", request.bead.id)))
}

impl Stack {
    /// The tree of the whole stack.
    #[must_use]
    pub fn tree(&self) -> ObjectId {
        self.placed.last().map_or(self.tip_tree, |placed| placed.tree)
    }

    /// The requests of the prefix of `length`, bottom first.
    #[must_use]
    pub fn ids(&self, length: usize) -> Vec<BeadId> {
        self.placed[..length].iter().map(|placed| placed.request.bead.id.clone()).collect()
    }

    /// Takes a request, and all above it, out of the stack when its commit would change foreign paths.
    fn set_foreign_aside(&mut self, store: &Store, bases: &[ObjectId]) -> Result<()> {
        for (at, base) in bases.iter().enumerate() {
            let placed = &self.placed[at];
            let head_tree = store.tree_of(placed.request.head()?)?;
            let foreign = foreign_paths(store, *base, head_tree, placed.below, placed.tree)?;
            if !foreign.is_empty() {
                let first = self.placed.drain(at..).next().map(|placed| placed.request);
                self.aside.extend(first.map(|request| Aside { request, why: Misfit::Foreign(foreign) }));
                break;
            }
        }
        Ok(())
    }

    /// The commits of the prefix of `length`, bottom first, each on the one before; added to `batch`.
    ///
    /// Every one names the tree of the prefix as the one that was gated. Equal input gives equal commits, so what
    /// was gated is what lands: dates come from the request and never run backwards.
    ///
    /// # Errors
    /// Corrupt, when a head cannot be read.
    pub fn commits(
        &self,
        store: &Store,
        batch: &mut Batch,
        length: usize,
        committer: (&str, &str),
        is_gated: bool,
    ) -> Result<Vec<ObjectId>> {
        let gated = self.placed[..length].last().map(|placed| placed.tree).filter(|_| is_gated);
        let mut made: Vec<ObjectId> = Vec::with_capacity(length);
        let mut secs = commits::committed_at(store, self.tip)?.secs();
        for placed in &self.placed[..length] {
            let request = &placed.request;
            secs = secs.max(request.mr.submitted_at.secs());
            let (name, email) = commits::author(store, request.head()?)?;
            let parent = made.last().copied().unwrap_or(self.tip);
            let message = message(request, gated);
            let when = Moment::from_millis(secs.saturating_mul(1000));
            made.push(commits::create(batch, placed.tree, vec![parent], (&name, &email), committer, &message, when));
        }
        Ok(made)
    }
}

/// The worker's message with the queue's trailers; lines that look like the queue's own are dropped from it.
fn message(request: &Request, gated: Option<ObjectId>) -> String {
    let own = ["Gt-Mr:", "Gt-Tree-Gated:", "Bead:"];
    let lines = request.mr.message.lines().filter(|line| !own.iter().any(|key| line.starts_with(key)));
    let mut text = lines.collect::<Vec<_>>().join("\n").trim_end().to_owned();
    if text.is_empty() {
        text.clone_from(&request.bead.title);
    }
    text.push_str(if ends_with_trailers(&text) { "\n" } else { "\n\n" });
    for bead in &request.mr.source_beads {
        text.push_str(&format!("Bead: {bead}\n"));
    }
    text.push_str(&format!("Gt-Mr: {}\n", request.bead.id));
    if let Some(tree) = gated {
        text.push_str(&format!("Gt-Tree-Gated: {tree}\n"));
    }
    text
}

fn ends_with_trailers(text: &str) -> bool {
    let is_trailer = |line: &str| {
        let key = line.split_once(": ").map(|(key, _)| key).unwrap_or_default();
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    match text.rsplit_once("\n\n") {
        Some((_, last)) => !last.trim().is_empty() && last.lines().all(is_trailer),
        None => false,
    }
}

/// The paths that differ between `below` and `tree` though the request, which goes from `base` to `head`, did not
/// change them.
///
/// # Errors
/// Corrupt, when a tree cannot be read.
pub fn foreign_paths(store: &Store, base: ObjectId, head: ObjectId, below: ObjectId, tree: ObjectId) -> Result<Vec<String>> {
    let mut own = diff::changed_paths(store, base, head)?;
    let merged = diff::changed_paths(store, below, tree)?;
    if merged.is_subset(&own) {
        return Ok(Vec::new());
    }
    let moved: BTreeSet<String> =
        diff::renames(store, base, below)?.into_iter().filter(|(from, _)| own.contains(from)).map(|(_, to)| to).collect();
    own.extend(moved);
    Ok(merged.difference(&own).cloned().collect())
}

/// A command that shows the conflict of `head` with `tip` again.
#[must_use]
pub fn reproduce_conflict(store: &Store, tip: &str, head: &str) -> String {
    format!("git --git-dir {} merge-tree --write-tree {} {}", quoted(&store.dir().display().to_string()), short(tip), short(head))
}

/// `text` as one word for a shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-=:@%+,".contains(&b));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::{Bead, IssueType};
    use crate::model::merge_request::{MergeRequest, MrState};
    use crate::model::record::Object;

    fn request(message: &str) -> Request {
        let now = Moment::from_millis(0);
        let bead = Bead::new("wi-mr-a".parse().unwrap(), IssueType::MergeRequest, "Mend it", "x", now).unwrap();
        let mr = MergeRequest {
            state: MrState::Queued,
            branch: "b".into(),
            target: "main".into(),
            head: String::new(),
            base: String::new(),
            tree: String::new(),
            source_beads: vec!["wi-a".parse().unwrap()],
            author: "x".into(),
            submitted_at: now,
            message: message.into(),
            attempts: 0,
            landed_commit: None,
            alone: false,
            held_reason: None,
            blame: None,
            extra: Object::new(),
        };
        Request { bead, mr }
    }

    #[test]
    fn trailers_follow_the_message_and_join_those_that_are_there() {
        assert_eq!(
            message(&request("Mend the pump\n\nIt leaked."), None),
            "Mend the pump\n\nIt leaked.\n\nBead: wi-a\nGt-Mr: wi-mr-a\n"
        );
        let with_trailers = message(&request("Mend the pump\n\nCo-authored-by: A <a@b>\n"), None);
        assert_eq!(with_trailers, "Mend the pump\n\nCo-authored-by: A <a@b>\nBead: wi-a\nGt-Mr: wi-mr-a\n");
        assert_eq!(message(&request(""), None), "Mend it\n\nBead: wi-a\nGt-Mr: wi-mr-a\n");
    }

    #[test]
    fn nobody_can_claim_that_another_tree_was_gated() {
        let text = message(&request("Mend it\n\nGt-Tree-Gated: 123\nBead: wi-z"), None);
        assert_eq!(text, "Mend it\n\nBead: wi-a\nGt-Mr: wi-mr-a\n");
    }

    #[test]
    fn a_word_for_the_shell_is_one_word() {
        assert_eq!(quoted("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}

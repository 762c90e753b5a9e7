//! Stacks requests onto the target in memory: each one merged onto the one below, each prefix a tree to gate.
//!
//! Promises that the commits of a stack change no path that their request did not change; renamed paths count
//! with their new name. What does not fit is told apart: conflicts with the target itself are for the author,
//! conflicts with a request ahead may pass. How the commits look is said in [`super::shape`].

use std::collections::BTreeSet;

use gix::ObjectId;

use super::cut::{self, Cut, Cutting, Laid};
use super::event::short;
use super::kin::Kin;
use super::look::{self, Request};
use crate::error::{Error, Result};
use crate::git::merge::Stacker;
use crate::model::merge_request::{Mode, MrState};
use crate::model::plan::{Places, STACK_MAX};
use crate::name::BeadId;
use crate::store::Store;

/// A request that fits.
pub struct Placed {
    /// The request.
    pub request: Request,
    /// What it changes.
    pub(super) cut: Cut,
    /// The tree below it.
    pub below: ObjectId,
    /// The tree after each of its steps.
    pub(super) trees: Vec<ObjectId>,
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
    /// The target has it already, with this commit.
    Contained(ObjectId),
    /// It conflicts with the target in these paths.
    WithTarget(Vec<String>),
    /// It fits the target but not onto this request ahead, in these paths.
    WithAhead(BeadId, Vec<String>),
    /// Merged, it would change these paths, which its author did not touch.
    Foreign(Vec<String>),
    /// What it stands on is not there and will not come by itself now.
    Behind(Gap),
    /// Its head cannot be used.
    Unfit(String),
}

/// What is missing below a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The request that it stands on.
    pub parent: BeadId,
    /// How that one ended; none, when it only waits.
    pub lost: Option<MrState>,
    /// The commit of that one which the child is built upon.
    pub head: Option<ObjectId>,
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
    /// The commit at the top, while all below it are commits as their authors made them.
    untouched: Option<ObjectId>,
    /// Requests that leave the queue now or stand on such.
    leaving: BTreeSet<BeadId>,
}

/// What a request finds below it.
enum Below {
    /// All that it stands on.
    Whole,
    /// Something that is about to leave the queue; then it is looked at anew.
    Leaving,
    /// Not all that it stands on.
    Missing(Gap),
}

impl Misfit {
    /// Whether the request leaves the queue for it.
    const fn is_leaving(&self) -> bool {
        matches!(self, Self::Contained(_) | Self::WithTarget(_) | Self::Foreign(_))
    }
}

/// Stacks `waiting` onto `tip`, parents before children, at most [`STACK_MAX`] of them. All objects that it makes are
/// durable afterwards. A child of a request that leaves the queue with this stack is in none of its lists.
///
/// # Errors
/// Corrupt, when objects cannot be read; io, when they cannot be written.
pub(super) fn build(store: &Store, stacker: &mut Stacker<'_>, tip: ObjectId, waiting: Vec<Request>, kin: &Kin) -> Result<Stack> {
    let tip_tree = store.tree_of(tip)?;
    let mut stack =
        Stack { tip, tip_tree, placed: Vec::new(), aside: Vec::new(), untouched: Some(tip), leaving: BTreeSet::new() };
    for request in waiting {
        if stack.placed.len() == STACK_MAX {
            break;
        }
        match stack.below(kin, &request) {
            Below::Whole => {}
            Below::Leaving => {
                stack.leaving.insert(request.bead.id.clone());
                continue;
            }
            Below::Missing(gap) => {
                stack.aside.push(Aside { request, why: Misfit::Behind(gap) });
                continue;
            }
        }
        match fit(store, stacker, &stack, &request, kin)? {
            Fit::Onto(cut, trees) => stack.put(request, cut, trees)?,
            Fit::Not(why) => {
                if why.is_leaving() {
                    stack.leaving.insert(request.bead.id.clone());
                }
                stack.aside.push(Aside { request, why });
            }
        }
    }
    stacker.flush()?;
    stack.set_foreign_aside(store)?;
    Ok(stack)
}

enum Fit {
    /// It fits, with these trees after its steps.
    Onto(Cut, Vec<ObjectId>),
    Not(Misfit),
}

fn fit(store: &Store, stacker: &mut Stacker<'_>, stack: &Stack, request: &Request, kin: &Kin) -> Result<Fit> {
    if let Some(why) = look::unfit(store, request)? {
        return Ok(Fit::Not(Misfit::Unfit(why)));
    }
    let cut = match cut::cut(store, stacker, stack.tip, request, &kin.heads(&request.bead.id))? {
        Cutting::Whole(cut) => cut,
        Cutting::Contained => return Ok(Fit::Not(Misfit::Contained(request.head()?))),
        Cutting::Unfit(why) => return Ok(Fit::Not(Misfit::Unfit(why))),
    };
    if request.mr.mode == Mode::Ff {
        let trees = vec![cut.head];
        return Ok(match stack.why_not_forward(store, request.head()?)? {
            Some(why) => Fit::Not(Misfit::Unfit(why)),
            None => Fit::Onto(cut, trees),
        });
    }
    match cut::lay(stacker, &cut, stack.tree())? {
        Laid::Clean(trees) if stack.placed.is_empty() && cut.kept(stack.tip_tree, &trees).next().is_none() => {
            Ok(Fit::Not(Misfit::Contained(stack.tip)))
        }
        Laid::Clean(trees) => Ok(Fit::Onto(cut, trees)),
        Laid::Conflict(files) => whose(stacker, stack, (request, &cut), kin, files).map(Fit::Not),
    }
}

/// With whom `request` conflicts, which does not fit onto the stack because of `files`.
fn whose(
    stacker: &mut Stacker<'_>,
    stack: &Stack,
    (request, cut): (&Request, &Cut),
    kin: &Kin,
    files: Vec<String>,
) -> Result<Misfit> {
    let elders = kin.elders(&request.bead.id);
    let is_elder = |placed: &&Placed| elders.contains(&placed.request.bead.id);
    if stack.placed.iter().any(|placed| is_elder(&placed)) {
        return whose_with_elders(stacker, stack, cut, is_elder, files);
    }
    if stack.placed.is_empty() {
        return Ok(Misfit::WithTarget(files));
    }
    if let Laid::Conflict(files) = cut::lay(stacker, cut, stack.tip_tree)? {
        return Ok(Misfit::WithTarget(files));
    }
    for ahead in &stack.placed {
        if let Laid::Conflict(_) = cut::lay(stacker, cut, ahead.tree)? {
            return Ok(Misfit::WithAhead(ahead.request.bead.id.clone(), files));
        }
    }
    Err(Error::bug(format!("{} conflicts with the stack but with none of its prefixes", request.bead.id)))
}

/// As [`whose`], of a request that stands on others of the stack: these belong to its ground.
fn whose_with_elders(
    stacker: &mut Stacker<'_>,
    stack: &Stack,
    cut: &Cut,
    is_elder: impl Fn(&&Placed) -> bool,
    files: Vec<String>,
) -> Result<Misfit> {
    let others: Vec<&Placed> = stack.placed.iter().filter(|placed| !is_elder(placed)).collect();
    let mut ground = stack.tip_tree;
    for elder in stack.placed.iter().filter(is_elder) {
        match (cut::lay(stacker, &elder.cut, ground)?, others.first()) {
            (Laid::Clean(trees), _) => ground = trees.last().copied().unwrap_or(ground),
            // The elder itself needs another one: then that is in the way of neither alone.
            (Laid::Conflict(_), Some(other)) => return Ok(Misfit::WithAhead(other.request.bead.id.clone(), files)),
            (Laid::Conflict(_), None) => return Ok(Misfit::WithTarget(files)),
        }
    }
    if let Laid::Conflict(files) = cut::lay(stacker, cut, ground)? {
        return Ok(Misfit::WithTarget(files));
    }
    for other in &others {
        let Laid::Clean(trees) = cut::lay(stacker, &other.cut, ground)? else { continue };
        if let Laid::Conflict(_) = cut::lay(stacker, cut, trees.last().copied().unwrap_or(ground))? {
            return Ok(Misfit::WithAhead(other.request.bead.id.clone(), files));
        }
    }
    let together = others.first().map(|other| other.request.bead.id.clone());
    Ok(together.map_or(Misfit::WithTarget(files.clone()), |ahead| Misfit::WithAhead(ahead, files)))
}

impl Stack {
    /// The tree of the whole stack.
    #[must_use]
    pub fn tree(&self) -> ObjectId {
        self.placed.last().map_or(self.tip_tree, |placed| placed.tree)
    }

    /// The tree of the prefix of `length`.
    #[must_use]
    pub fn tree_at(&self, length: usize) -> ObjectId {
        self.placed[..length].last().map_or(self.tip_tree, |placed| placed.tree)
    }

    /// The requests of the prefix of `length`, bottom first.
    #[must_use]
    pub fn ids(&self, length: usize) -> Vec<BeadId> {
        self.placed[..length].iter().map(|placed| placed.request.bead.id.clone()).collect()
    }

    /// The requests of `set`, bottom first.
    #[must_use]
    pub fn of(&self, set: Places) -> Vec<BeadId> {
        set.iter().map(|place| self.placed[place].request.bead.id.clone()).collect()
    }

    /// What `request` finds below it.
    fn below(&self, kin: &Kin, request: &Request) -> Below {
        for tie in kin.ties(&request.bead.id) {
            let is_placed = || self.placed.iter().any(|placed| placed.request.bead.id == tie.parent);
            if tie.state == MrState::Landed || (tie.state.is_live() && is_placed()) {
                continue;
            }
            if self.leaving.contains(&tie.parent) {
                return Below::Leaving;
            }
            let lost = (!tie.state.is_live()).then_some(tie.state);
            return Below::Missing(Gap { parent: tie.parent.clone(), lost, head: tie.heads.first().copied() });
        }
        Below::Whole
    }

    /// Puts `request` on top.
    fn put(&mut self, request: Request, cut: Cut, trees: Vec<ObjectId>) -> Result<()> {
        let below = self.tree();
        let tree = trees.last().copied().unwrap_or(below);
        if request.mr.mode == Mode::Ff {
            self.untouched = Some(request.head()?);
        } else if cut.kept(below, &trees).next().is_some() {
            self.untouched = None;
        }
        self.placed.push(Placed { request, cut, below, trees, tree });
        Ok(())
    }

    /// What keeps `head` from being the next commit as it is; `None`: it stands on the top.
    fn why_not_forward(&self, store: &Store, head: ObjectId) -> Result<Option<String>> {
        if !store.is_ancestor(self.tip, head)? {
            return Ok(Some(
                "its head does not descend from the target's tip, as a fast-forward must; bring the branch up to date and hand it \
                 in again, or in another mode"
                    .to_owned(),
            ));
        }
        let is_on_top = match self.untouched {
            Some(top) => store.is_ancestor(top, head)?,
            None => false,
        };
        Ok((!is_on_top).then(|| "its head does not descend from what is ahead of it, as a fast-forward must".to_owned()))
    }

    /// Takes a request, and all above it, out of the stack when its commits would change foreign paths.
    fn set_foreign_aside(&mut self, store: &Store) -> Result<()> {
        for at in 0..self.placed.len() {
            let foreign = self.placed[at].foreign_paths(store)?;
            if !foreign.is_empty() {
                let first = self.placed.drain(at..).next().map(|placed| placed.request);
                self.aside.extend(first.map(|request| Aside { request, why: Misfit::Foreign(foreign) }));
                break;
            }
        }
        Ok(())
    }
}

impl Placed {
    /// Paths that its commits would change though it did not. A branch that lands as it is changes nothing else.
    fn foreign_paths(&self, store: &Store) -> Result<Vec<String>> {
        if self.request.mr.mode == Mode::Ff {
            return Ok(Vec::new());
        }
        let mut before = self.below;
        for (_, tree) in self.cut.kept(self.below, &self.trees) {
            let foreign = self.cut.foreign_paths(store, self.below, (before, tree))?;
            if !foreign.is_empty() {
                return Ok(foreign);
            }
            before = tree;
        }
        Ok(Vec::new())
    }
}

/// A command that shows the conflict of `request` with `tip` again.
#[must_use]
pub fn reproduce_conflict(store: &Store, tip: &str, request: &Request) -> String {
    let (repo, mr) = (quoted(&store.dir().display().to_string()), &request.mr);
    let [tip, head, base] = [tip, &mr.head, &mr.base].map(short);
    if mr.mode == Mode::Rebase {
        let dir = format!("/tmp/{}", request.bead.id);
        return format!("git --git-dir {repo} worktree add --detach {dir} {head} && git -C {dir} rebase --onto {tip} {base}");
    }
    let base = if mr.depends_on.is_empty() { String::new() } else { format!("--merge-base={base} ") };
    format!("git --git-dir {repo} merge-tree --write-tree {base}{tip} {head}")
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

    #[test]
    fn a_word_for_the_shell_is_one_word() {
        assert_eq!(quoted("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}

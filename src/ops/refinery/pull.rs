//! Landing by pull request, for targets that nobody may push: instead of moving the target, the gated commit is put on a
//! branch of the remote and the clerk opens or updates a pull request for it. The intent stays open until the target has
//! it, the target went elsewhere, or the pull request is closed.
//!
//! There is one branch for a target. Every step may be done again: what is on the branch already is not pushed, and the
//! clerk is asked once more for the same branch, which updates what is open. Nothing that somebody else put on the branch
//! is run over.

use gix::ObjectId;

use super::Queue;
use super::clerk::{self, Answer, Clerk, Errand, PullState};
use super::event::{Event, short};
use super::land::Attempt;
use super::look::{Request, object_id};
use crate::env::crash_point;
use crate::error::{Kind, Result};
use crate::git::progress::Progress;
use crate::git::push::{Outcome, Update};
use crate::git::{commits, fetch, push};
use crate::ledger::tree;
use crate::model::gate::{Intent, Landing};
use crate::model::merge_request::{Blame, MergeRequest};
use crate::model::notebook::Notebook;
use crate::model::protocol::Protocol;
use crate::name::BeadId;
use crate::store::Store;

/// How far back from the target's tip it is looked for what a merge button made of a landing.
const LINE_MAX: usize = 1_000;
/// The longest title of a pull request, in characters.
const TITLE_CHARS_MAX: usize = 120;

/// Whether the branch of the remote holds what it should.
enum Put {
    There,
    Not(String),
    Away(String),
}

/// The branch of the remote by which the queue asks for `target` to be moved.
pub(super) fn branch_for(target: &str) -> String {
    format!("gt/queue/{target}")
}

impl Queue<'_> {
    /// Opens the pull request of `intent`, or looks how it stands.
    ///
    /// # Errors
    /// Io or corrupt, when something cannot be read or written here.
    pub(super) fn by_pull_request(&self, clerk: &Clerk, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<Attempt> {
        match &intent.pull_request {
            Some(reference) => self.look_at_pull(clerk, intent, reference, say),
            None => self.open_pull(clerk, intent, say),
        }
    }

    fn open_pull(&self, clerk: &Clerk, intent: &Intent, say: &mut dyn FnMut(&Event)) -> Result<Attempt> {
        let branch = branch_for(&intent.target);
        let known = self.note_pushing(&branch, intent)?;
        crash_point("pull.noted");
        match self.put_branch(&branch, object_id(&intent.new)?, &known)? {
            Put::There => {}
            Put::Not(reason) => return Ok(self.stuck(reason, say)),
            Put::Away(reason) => {
                say(&Event::RemoteAway { reason: reason.clone() });
                return Ok(Attempt::RemoteAway(reason));
            }
        }
        crash_point("pull.pushed");
        let (title, body) = self.words_for(intent)?;
        let errand = Errand { action: "open", branch: &branch, commit: &intent.new, title: &title, body: &body, reference: "" };
        let line = match self.ask(clerk, &errand)? {
            Answer::Said(line) => line,
            Answer::Silent(reason) => return Ok(self.stuck(reason, say)),
        };
        let Some(reference) = clerk::reference_in(&line) else {
            return Ok(self.stuck("mq.pr.command did not end with a line that names the pull request".to_owned(), say));
        };
        crash_point("pull.opened");
        self.note_opened(intent, reference)?;
        crash_point("pull.recorded");
        let (target, mrs) = (intent.target.clone(), ids(intent));
        say(&Event::PullRequestOpened { target, mrs, reference: reference.to_owned() });
        Ok(Attempt::Waiting)
    }

    fn look_at_pull(&self, clerk: &Clerk, intent: &Intent, reference: &str, say: &mut dyn FnMut(&Event)) -> Result<Attempt> {
        let branch = branch_for(&intent.target);
        let (title, body) = self.words_for(intent)?;
        let errand = Errand { action: "status", branch: &branch, commit: &intent.new, title: &title, body: &body, reference };
        let line = match self.ask(clerk, &errand)? {
            Answer::Said(line) => line,
            Answer::Silent(reason) => return Ok(self.stuck(reason, say)),
        };
        match PullState::of(&line) {
            Some(PullState::Open) => {
                let (target, mrs) = (intent.target.clone(), ids(intent));
                say(&Event::PullRequestWaits { target, mrs, reference: reference.to_owned() });
                Ok(Attempt::Waiting)
            }
            Some(PullState::Merged) => Ok(Attempt::Merged),
            Some(PullState::Closed) => {
                self.send_all_back(intent, reference, say)?;
                Ok(Attempt::Closed)
            }
            None => Ok(self.stuck("mq.pr.command did not say open, merged or closed in its last line".to_owned(), say)),
        }
    }

    /// Nothing is lost: the intent waits, and the next run tries again.
    pub(super) fn stuck(&self, reason: String, say: &mut dyn FnMut(&Event)) -> Attempt {
        say(&Event::PullRequestStuck { target: self.target().to_owned(), reason });
        Attempt::Waiting
    }

    /// Notes what is about to be put on the branch; answers all that may be there by the queue's own hand.
    fn note_pushing(&self, branch: &str, intent: &Intent) -> Result<Vec<String>> {
        self.transact("pull-request", format!("put {} on {branch}", short(&intent.new)), |change| {
            let path = tree::notebook(&intent.target);
            let mut notebook = change.get(&path)?.unwrap_or_else(|| Notebook::new(&intent.target));
            if notebook.note_pushing(branch, &intent.new) {
                change.put(&path, &notebook)?;
            }
            Ok(notebook.pull_branch.map(|branch| branch.commits).unwrap_or_default())
        })
    }

    /// Makes `branch` of the remote hold `new`, when what it holds is one of `known` or nothing.
    fn put_branch(&self, branch: &str, new: ObjectId, known: &[String]) -> Result<Put> {
        let (store, name) = (&self.place.ledger.store, format!("refs/heads/{branch}"));
        let pushed = fetch::advertised(store, &self.place.project).and_then(|there| {
            let old = there.get(&name).copied();
            if old == Some(new) {
                return Ok(Put::There);
            }
            if old.is_some_and(|old| !known.contains(&old.to_string())) {
                return Ok(Put::Not(format!("{branch} at the remote holds commits of somebody else; remove it there")));
            }
            let outcomes =
                push::push(store, &self.place.push_url(), &[Update { name, old, new: Some(new) }], &Progress::silent())?;
            Ok(match outcomes.into_iter().next() {
                Some((_, Outcome::Rejected(why))) => Put::Not(format!("the remote does not take {branch}: {why}")),
                Some((_, Outcome::Accepted)) | None => Put::There,
            })
        });
        match pushed {
            Err(error) if error.kind == Kind::External => Ok(Put::Away(error.line())),
            pushed => pushed,
        }
    }

    /// Records the name of the pull request on the intent and on its requests, and that the push has arrived.
    fn note_opened(&self, intent: &Intent, reference: &str) -> Result<()> {
        self.transact("pull-request", format!("{} waits for {reference}", intent.id), |change| {
            let path = tree::intent(&intent.id);
            let Some(mut stands) = change.get::<Intent>(&path)? else { return Ok(()) };
            stands.pull_request = Some(reference.to_owned());
            change.put(&path, &stands)?;
            for landing in &intent.landings {
                let mut bead = change.bead(&landing.mr)?;
                let mut mr = MergeRequest::of(&bead)?;
                if mr.waits_for_pull_request().is_some() {
                    mr.pull_request = Some(reference.to_owned());
                    mr.put_into(&mut bead);
                    change.put_bead(&bead)?;
                }
            }
            let path = tree::notebook(&intent.target);
            let mut notebook = change.get(&path)?.unwrap_or_else(|| Notebook::new(&intent.target));
            notebook.note_pushed(&intent.new);
            change.put(&path, &notebook)
        })
    }

    /// Sends back all requests of `intent`, whose pull request was closed, and drops it; at once.
    fn send_all_back(&self, intent: &Intent, reference: &str, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let (state, old) = (self.place.ledger.state()?, object_id(&intent.old)?);
        let note = format!("the pull request {reference} was closed without a merge");
        let subject = format!("send back {} (pull request closed)", intent.landings.len());
        let events = self.transact("evict", subject, |change| {
            let mut events = Vec::new();
            for landing in &intent.landings {
                let bead = change.bead(&landing.mr)?;
                let request = Request { mr: MergeRequest::of(&bead)?, bead };
                if request.mr.head != landing.head {
                    continue;
                }
                let mut blame = Self::blame("pull-request-closed", old, &state, &request)?;
                blame.stack_commit.clone_from(&landing.commit);
                blame.note.clone_from(&note);
                let message = |bead: &BeadId, _: &Blame| Protocol::MergeFailed {
                    mr: landing.mr.clone(),
                    bead: bead.clone(),
                    gate: "pull request".to_owned(),
                    exit: None,
                    failing: Vec::new(),
                    log: note.clone(),
                    evidence: Vec::new(),
                };
                events.extend(self.put_back(change, &request, &blame, &message)?);
            }
            change.remove(&tree::intent(&intent.id));
            Ok(events)
        })?;
        self.unpin(intent)?;
        events.iter().for_each(say);
        Ok(())
    }

    /// `intent` as the target has it, when somebody's merge button made other commits of it: one between `old` and `tip`
    /// has exactly the tree that was gated.
    ///
    /// # Errors
    /// Corrupt, when history cannot be read.
    pub(super) fn merged_otherwise(&self, intent: &Intent, tip: ObjectId) -> Result<Option<Intent>> {
        let store = &self.place.ledger.store;
        let Some(line) = line_between(store, object_id(&intent.old)?, tip)? else { return Ok(None) };
        let tree = object_id(&intent.tree)?;
        let Some((last, _)) = line.iter().skip(1).find(|(_, other)| *other == tree).copied() else { return Ok(None) };
        let mut landed = Intent { new: last.to_string(), ..intent.clone() };
        let is_one = landed.landings.len() == 1;
        for landing in &mut landed.landings {
            let (commit, onto) = match (place_of(store, &line, &landing.commit)?, on(store, &line, landing)?) {
                (Some(at), Some(below)) if below < at => (line[at].0, line[below].0),
                // Several became one commit, which is nobody's alone: none of them is said to have added it.
                _ if !is_one => (last, last),
                _ => (last, object_id(&intent.old)?),
            };
            (landing.commit, landing.onto) = (commit.to_string(), Some(onto.to_string()));
        }
        Ok(Some(landed))
    }

    /// Removes the branch of the remote when no landing waits for it; best effort, and only while it is as the queue left it.
    ///
    /// # Errors
    /// Io or corrupt, when records cannot be read or written here.
    pub(super) fn tidy_pull_branch(&self, say: &mut dyn FnMut(&Event)) -> Result<()> {
        let state = self.place.ledger.state()?;
        let notebook = state.get::<Notebook>(&tree::notebook(self.target()))?;
        let Some(branch) = notebook.and_then(|notebook| notebook.pull_branch) else { return Ok(()) };
        if !self.place.rig.land_remote || state.intents()?.iter().any(|intent| intent.target == self.target()) {
            return Ok(());
        }
        let (store, name) = (&self.place.ledger.store, format!("refs/heads/{}", branch.name));
        // A remote that is away is asked again by the next run.
        let Ok(there) = fetch::advertised(store, &self.place.project) else { return Ok(()) };
        let at = there.get(&name).copied();
        let mut reason = None;
        match at {
            None => {}
            Some(at) if branch.commits.contains(&at.to_string()) => {
                let update = Update { name, old: Some(at), new: None };
                match push::push(store, &self.place.push_url(), &[update], &Progress::silent()) {
                    Ok(outcomes) => {
                        let refused = outcomes.into_iter().find_map(|(_, outcome)| match outcome {
                            Outcome::Rejected(why) => Some(why),
                            Outcome::Accepted => None,
                        });
                        reason = refused.map(|why| format!("the remote does not let it be removed: {why}"));
                    }
                    Err(_) => return Ok(()),
                }
            }
            Some(_) => reason = Some("somebody else moved it".to_owned()),
        }
        if let Some(reason) = reason {
            say(&Event::LeftBehind { what: format!("branch {} of the remote", branch.name), reason });
        }
        self.transact("pull-request", format!("{} is not needed any more", branch.name), |change| {
            let path = tree::notebook(self.target());
            if let Some(mut notebook) = change.get::<Notebook>(&path)? {
                notebook.pull_branch = None;
                change.put(&path, &notebook)?;
            }
            Ok(())
        })
    }

    /// Title and body of the pull request of `intent`. Titles are foreign text: they stand as code, so that nobody is
    /// mentioned and nothing is linked by them.
    fn words_for(&self, intent: &Intent) -> Result<(String, String)> {
        let state = self.place.ledger.state()?;
        let mut lines = Vec::new();
        let (mut title, mut order) = (String::new(), None);
        for landing in &intent.landings {
            let bead = state.bead(&landing.mr)?;
            let mr = MergeRequest::of(&bead)?;
            title = one_line(&mr.message);
            order = order.or_else(|| mr.force.as_ref().map(|force| one_line(&force.by)));
            let work: Vec<&str> = mr.source_beads.iter().map(BeadId::as_str).collect();
            let (name, author) = (title.replace('`', "'"), one_line(&mr.author).replace('`', "'"));
            lines.push(format!("- {} (work {}) by `{author}`: `{name}`", landing.mr, work.join(" ")));
        }
        if intent.landings.len() > 1 {
            title = format!("Merge {} requests into {}", intent.landings.len(), intent.target);
        }
        let gates: Vec<&str> = self.gates.iter().map(|gate| gate.name.as_str()).collect();
        let gated = match order {
            Some(by) => format!("It lands without gates, by order of `{}`.", by.replace('`', "'")),
            None if gates.is_empty() => "No gate is configured.".to_owned(),
            None => format!("Gates that were green on its tree {}: {}.", intent.tree, gates.join(", ")),
        };
        let body = format!(
            "The merge queue of {} asks for this to be merged into `{}`.\n\n{}\n\n{gated}\n\nMerge it in any way. When the target \
             moves on first, it is gated anew and this pull request is updated; closing it sends the requests back.\n",
            self.place.rig.name,
            intent.target,
            lines.join("\n")
        );
        Ok((title, body))
    }
}

fn ids(intent: &Intent) -> Vec<BeadId> {
    intent.landings.iter().map(|landing| landing.mr.clone()).collect()
}

fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().replace(char::is_control, " ");
    line.chars().take(TITLE_CHARS_MAX).collect()
}

/// The first parents from `old` up to `tip`, each with its tree; nothing, when `old` is not among them.
fn line_between(store: &Store, old: ObjectId, tip: ObjectId) -> Result<Option<Vec<(ObjectId, ObjectId)>>> {
    let (mut line, mut at) = (Vec::new(), tip);
    while line.len() < LINE_MAX {
        line.push((at, store.tree_of(at)?));
        if at == old {
            line.reverse();
            return Ok(Some(line));
        }
        let Some(first) = commits::parents(store, at)?.first().copied() else { break };
        at = first;
    }
    Ok(None)
}

/// Where on `line` the tree of `commit` stands first.
fn place_of(store: &Store, line: &[(ObjectId, ObjectId)], commit: &str) -> Result<Option<usize>> {
    let tree = store.tree_of(object_id(commit)?)?;
    Ok(line.iter().position(|(_, other)| *other == tree))
}

fn on(store: &Store, line: &[(ObjectId, ObjectId)], landing: &Landing) -> Result<Option<usize>> {
    landing.onto.as_ref().map_or(Ok(None), |onto| place_of(store, line, onto))
}

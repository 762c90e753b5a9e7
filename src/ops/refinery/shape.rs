//! The commits of a stack, by the mode of each request. Equal input gives equal commits, so what was gated is what
//! lands: dates come from requests and commits, and those of the refinery never run backwards.
//!
//! | mode | commits |
//! |---|---|
//! | squash | one: the worker's message, and who wrote the commits as co-authors |
//! | merge | one with two parents, the target first |
//! | rebase | each again, with its author, date and message; one that changes nothing any more is left out |
//! | ff | those of the branch as they are, without trailers |
//!
//! Every commit but those of `ff` names its work, its request, and the tree of the prefix as the one that was gated.

use std::collections::HashSet;

use gix::ObjectId;

use super::look::Request;
use super::stack::{Placed, Stack};
use crate::error::Result;
use crate::git::commits;
use crate::model::merge_request::Mode;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::time::Moment;

/// Most co-authors that a squashed commit names.
const COAUTHORS_MAX: usize = 30;
/// Trailers that only the queue may write.
const OWN_TRAILERS: [&str; 3] = ["Gt-Mr:", "Gt-Tree-Gated:", "Bead:"];
const COAUTHOR: &str = "Co-authored-by: ";

/// What the commits of a stack are written with.
struct Pen<'a> {
    store: &'a Store,
    committer: (&'a str, &'a str),
    /// The tree that was gated.
    gated: Option<ObjectId>,
}

impl Stack {
    /// The commits of the prefix of `length`, added to `batch`: for each request the last of its own, bottom first.
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
        let pen = Pen { store, committer, gated };
        let mut made: Vec<ObjectId> = Vec::with_capacity(length);
        let mut secs = commits::committed_at(store, self.tip)?.secs();
        for placed in &self.placed[..length] {
            secs = secs.max(placed.request.mr.submitted_at.secs());
            if placed.request.mr.mode == Mode::Ff {
                secs = secs.max(commits::committed_at(store, placed.request.head()?)?.secs());
            }
            let parent = made.last().copied().unwrap_or(self.tip);
            made.push(pen.write(batch, placed, parent, Moment::from_millis(secs.saturating_mul(1000)))?);
        }
        Ok(made)
    }
}

impl Pen<'_> {
    /// Writes the commits of one request onto `parent` and tells the last.
    fn write(&self, batch: &mut Batch, placed: &Placed, parent: ObjectId, when: Moment) -> Result<ObjectId> {
        let (store, request) = (self.store, &placed.request);
        let head = request.head()?;
        let whole = |batch: &mut Batch, parents: Vec<ObjectId>, coauthors: &[String]| -> Result<ObjectId> {
            let (name, email) = commits::author(store, head)?;
            let message = self.message(request, &request.mr.message, coauthors);
            Ok(commits::create(batch, placed.tree, parents, (&name, &email), self.committer, &message, when))
        };
        match request.mr.mode {
            Mode::Squash => whole(batch, vec![parent], &coauthors(store, head, &placed.cut.commits)?),
            Mode::Merge => whole(batch, vec![parent, head], &[]),
            Mode::Ff => Ok(head),
            Mode::Rebase => {
                let mut last = parent;
                for (step, tree) in placed.cut.kept(placed.below, &placed.trees) {
                    let message = self.message(request, &commits::message(store, step.commit)?, &[]);
                    last = commits::again(store, batch, step.commit, (tree, last), self.committer, &message, when)?;
                }
                Ok(last)
            }
        }
    }

    /// `text` with the queue's trailers; lines that look like the queue's own are dropped from it.
    fn message(&self, request: &Request, text: &str, coauthors: &[String]) -> String {
        let lines = text.lines().filter(|line| !OWN_TRAILERS.iter().any(|key| line.starts_with(key)));
        let mut text = lines.collect::<Vec<_>>().join("\n").trim_end().to_owned();
        if text.is_empty() {
            text.clone_from(&request.bead.title);
        }
        let named: HashSet<String> = text.lines().filter_map(coauthor_in).collect();
        text.push_str(if ends_with_trailers(&text) { "\n" } else { "\n\n" });
        for line in coauthors.iter().filter(|line| coauthor_in(line).is_none_or(|email| !named.contains(&email))) {
            text.push_str(&format!("{line}\n"));
        }
        for bead in &request.mr.source_beads {
            text.push_str(&format!("Bead: {bead}\n"));
        }
        text.push_str(&format!("Gt-Mr: {}\n", request.bead.id));
        if let Some(tree) = self.gated {
            text.push_str(&format!("Gt-Tree-Gated: {tree}\n"));
        }
        text
    }
}

/// A trailer for everyone but the author of `head` who wrote one of `own` or is named there as co-author, oldest first.
fn coauthors(store: &Store, head: ObjectId, own: &[ObjectId]) -> Result<Vec<String>> {
    let mut known = HashSet::from([commits::author(store, head)?.1.to_lowercase()]);
    let mut lines = Vec::new();
    for commit in own.iter().rev() {
        let (name, email) = commits::author(store, *commit)?;
        let message = commits::message(store, *commit)?;
        let author = format!("{COAUTHOR}{} <{email}>", if name.is_empty() { &email } else { &name });
        for line in std::iter::once(author.as_str()).chain(message.lines().map(str::trim_end)) {
            let Some(email) = coauthor_in(line) else { continue };
            if lines.len() < COAUTHORS_MAX && known.insert(email) {
                lines.push(line.to_owned());
            }
        }
    }
    Ok(lines)
}

/// The e-mail of whom a line names as co-author, in small letters.
fn coauthor_in(line: &str) -> Option<String> {
    let (key, rest) = line.split_at_checked(COAUTHOR.len())?;
    let email = rest.trim_end().strip_suffix('>')?.rsplit_once('<')?.1;
    (key.eq_ignore_ascii_case(COAUTHOR) && !email.is_empty() && !email.chars().any(char::is_control))
        .then(|| email.to_lowercase())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::{Bead, IssueType};
    use crate::model::merge_request::MergeRequest;

    fn message(text: &str, coauthors: &[String]) -> String {
        let now = Moment::from_millis(0);
        let bead = Bead::new("wi-mr-a".parse().unwrap(), IssueType::MergeRequest, "Mend it", "x", now).unwrap();
        let mr = MergeRequest {
            branch: "b".into(),
            target: "main".into(),
            head: String::new(),
            base: String::new(),
            tree: String::new(),
            source_beads: vec!["wi-a".parse().unwrap()],
            author: "x".into(),
            submitted_at: now,
            message: text.into(),
            mode: Mode::Squash,
            ..MergeRequest::blank(now)
        };
        let place = tempfile::TempDir::new().unwrap();
        let repo = place.path().join("a.git");
        crate::git::init::init_bare(&repo, "main").unwrap();
        let store = Store::open(&repo).unwrap();
        let pen = Pen { store: &store, committer: ("r", "r@x"), gated: None };
        let request = Request { bead, mr };
        pen.message(&request, &request.mr.message, coauthors)
    }

    #[test]
    fn trailers_follow_the_message_and_join_those_that_are_there() {
        assert_eq!(message("Mend the pump\n\nIt leaked.", &[]), "Mend the pump\n\nIt leaked.\n\nBead: wi-a\nGt-Mr: wi-mr-a\n");
        let with_trailers = message("Mend the pump\n\nCo-authored-by: A <a@b>\n", &[]);
        assert_eq!(with_trailers, "Mend the pump\n\nCo-authored-by: A <a@b>\nBead: wi-a\nGt-Mr: wi-mr-a\n");
        assert_eq!(message("", &[]), "Mend it\n\nBead: wi-a\nGt-Mr: wi-mr-a\n");
    }

    #[test]
    fn co_authors_are_named_once() {
        let lines = ["Co-authored-by: A <a@b>".to_owned(), "Co-authored-by: C <c@d>".to_owned()];
        let text = message("Mend it\n\nCo-Authored-By: A A <A@B>", &lines);
        assert_eq!(text, "Mend it\n\nCo-Authored-By: A A <A@B>\nCo-authored-by: C <c@d>\nBead: wi-a\nGt-Mr: wi-mr-a\n");
    }

    #[test]
    fn nobody_can_claim_that_another_tree_was_gated() {
        let text = message("Mend it\n\nGt-Tree-Gated: 123\nBead: wi-z", &[]);
        assert_eq!(text, "Mend it\n\nBead: wi-a\nGt-Mr: wi-mr-a\n");
    }

    #[test]
    fn what_names_a_co_author_is_told_from_what_only_looks_so() {
        assert_eq!(coauthor_in("co-authored-by: A B <A@x.org> "), Some("a@x.org".to_owned()));
        for other in [
            "Co-authored-by: A",
            "Co-authored-by: <>",
            "co-authored-bY",
            "Signed-off-by: A <a@b>",
            "Größe: Co-authored-by: A <a@b>",
        ] {
            assert_eq!(coauthor_in(other), None, "{other}");
        }
    }
}

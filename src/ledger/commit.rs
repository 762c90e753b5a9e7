//! What a change leaves in git: trees, the commit and its message, whose trailers the log reads.

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use crate::error::{Kind, OrFail, Result};
use crate::ledger::transact::{Actor, Deed};
use crate::ledger::tree;
use crate::model::record::Rev;
use crate::name::BeadId;
use crate::store::batch::Batch;
use crate::store::objects;
use crate::time::Moment;

/// The commit of a deed.
pub(super) fn commit_of(deed: &Deed<'_>, tree: ObjectId, parent: Option<ObjectId>, message: String) -> gix::objs::Commit {
    gix::objs::Commit {
        tree,
        parents: parent.into_iter().collect(),
        author: signature(deed.actor, deed.now),
        committer: signature(deed.actor, deed.now),
        encoding: None,
        message: message.into(),
        extra_headers: Vec::new(),
    }
}

/// The message of a deed's commit: its subject, and in trailers what the log reads.
pub(super) fn message<'a>(deed: &Deed<'_>, beads: impl IntoIterator<Item = &'a BeadId>, rev: &Rev) -> String {
    let mut message = format!("{}\n\nGt-Op: {}\n", subject_line(deed), deed.op);
    for bead in beads {
        message.push_str(&format!("Gt-Bead: {bead}\n"));
    }
    message.push_str(&format!("Gt-Agent: {}\nGt-Machine: {}\n", deed.actor.name, rev.machine));
    if let Some(model) = &deed.actor.model {
        let model: String = model.chars().filter(|c| !c.is_control()).collect();
        message.push_str(&format!("Gt-Model: {model}\n"));
    }
    message.push_str(&format!("Gt-Rev: {}\n", rev.number));
    message
}

/// The subject of `deed` as one line that is not too long.
pub(super) fn subject_line(deed: &Deed<'_>) -> String {
    deed.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn signature(actor: &Actor, now: Moment) -> gix::actor::Signature {
    let clean = |text: &str| -> String { text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect() };
    gix::actor::Signature {
        name: clean(&actor.name).into(),
        email: clean(&actor.email).into(),
        time: gix::date::Time { seconds: deed_secs(now), offset: 0 },
    }
}

/// git refuses times before 1970, so a clock that stands there is written as its start.
fn deed_secs(now: Moment) -> i64 {
    now.secs().max(0)
}

/// The tree `root` with each path set to its blob or removed; new trees go into `batch`.
///
/// # Errors
/// Corrupt, when a tree on the way cannot be read.
pub fn edit_tree(
    store: &crate::store::Store,
    root: ObjectId,
    edits: &[(&str, Option<ObjectId>)],
    batch: &mut Batch,
) -> Result<ObjectId> {
    let deed = || "edit the ledger's tree";
    let mut made = Batch::default();
    let new_root = {
        let find = batch.over(store);
        let mut editor = gix::objs::tree::Editor::new(objects::read_tree(&find, root)?, &find, gix::hash::Kind::Sha1);
        for (path, blob) in edits {
            let parts = tree::components(path)?;
            match blob {
                Some(id) => editor.upsert(parts, EntryKind::Blob, *id).or_fail(Kind::Corrupt, deed)?,
                None => editor.remove(parts).or_fail(Kind::Corrupt, deed)?,
            };
        }
        editor.write(|tree| Ok::<_, std::convert::Infallible>(made.add_value(tree))).or_fail(Kind::Corrupt, deed)?
    };
    batch.absorb(made);
    Ok(new_root)
}

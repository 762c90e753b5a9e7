//! Lines of another town under ids of this one: whose ids a file has, and each of them renamed, in texts too.

use std::collections::HashMap;

use serde_json::Value;

use crate::model::record::Object;
use crate::name::{BeadId, Prefix};

/// The prefix of the ids of a file: the one that most of them begin with, told by what stands before their last dash.
/// It may be one that no scope can have, such as the name of a directory.
#[must_use]
pub fn prefix_of<'i>(ids: impl IntoIterator<Item = &'i str>) -> Option<String> {
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut candidates: Vec<&str> = ids.iter().filter_map(|id| Some(root(id).rsplit_once('-')?.0)).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let count = |prefix: &str| {
        let begins = |id: &&&str| id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-'));
        let first = ids.partition_point(|id| *id < prefix);
        ids[first..].iter().take_while(|id| id.starts_with(prefix)).filter(begins).count()
    };
    // Of two that say the same of all ids, the longer one is the prefix.
    candidates
        .into_iter()
        .filter(|prefix| !prefix.is_empty())
        .max_by_key(|prefix| (count(prefix), prefix.len()))
        .map(str::to_owned)
}

/// An id without the numbers of children at its end.
fn root(mut id: &str) -> &str {
    while let Some((parent, last)) = id.rsplit_once('.') {
        if last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        id = parent;
    }
    id
}

/// Other ids for those of a file.
#[derive(Clone, Debug)]
pub struct Renames {
    from: String,
    to: Prefix,
    ids: HashMap<String, String>,
}

/// Texts in which beads are mentioned.
const TEXTS: [&str; 7] = ["title", "description", "design", "acceptance_criteria", "notes", "close_reason", "delete_reason"];

impl Renames {
    /// The ids of a file whose own ones begin with `from`, under the prefix `to`. Ids of others are kept when
    /// `is_scope` knows their prefix; else they follow whole after `to`.
    pub fn new<'i>(ids: impl IntoIterator<Item = &'i str>, from: &str, to: &Prefix, is_scope: impl Fn(&Prefix) -> bool) -> Self {
        let own = format!("{from}-");
        let renamed = |id: &str| {
            let is_kept = || id.parse::<BeadId>().is_ok_and(|id| is_scope(&id.prefix()));
            match id.strip_prefix(&own) {
                Some(rest) => Some(format!("{to}-{}", plain(rest))),
                None if is_kept() => None,
                None => Some(format!("{to}-{}", plain(id))),
            }
        };
        let ids = ids.into_iter().filter_map(|id| Some((id.to_owned(), renamed(id)?))).filter(|(old, new)| old != new).collect();
        Self { from: own, to: to.clone(), ids }
    }

    /// How many ids are renamed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether every id stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The new id for `id`, which need not be in the file.
    fn id(&self, id: &str) -> Option<String> {
        let unseen = || Some(format!("{}-{}", self.to, plain(id.strip_prefix(&self.from)?)));
        self.ids.get(id).cloned().or_else(unseen)
    }

    /// Renames the bead of a line, what it is connected with, and what its texts mention.
    pub fn apply(&self, object: &mut Object) {
        for field in ["id", "parent", "target", "moved_to"] {
            self.rename(object, field);
        }
        for (list, fields) in [
            ("dependencies", &["issue_id", "depends_on_id", "thread_id"][..]),
            ("comments", &["issue_id"]),
            ("bonded_from", &["source_id"]),
        ] {
            let parts = object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
            for part in parts.filter_map(Value::as_object_mut) {
                for field in fields {
                    self.rename(part, field);
                }
                self.mention(part, "text");
            }
        }
        for field in TEXTS {
            self.mention(object, field);
        }
    }

    fn rename(&self, object: &mut Object, field: &str) {
        let new = object.get(field).and_then(Value::as_str).and_then(|id| self.id(id));
        if let Some(new) = new {
            object.insert(field.to_owned(), new.into());
        }
    }

    fn mention(&self, object: &mut Object, field: &str) {
        let new = object.get(field).and_then(Value::as_str).and_then(|text| self.text(text));
        if let Some(new) = new {
            object.insert(field.to_owned(), new.into());
        }
    }

    /// `text` with the new ids of the file's beads; `None` when it mentions none.
    fn text(&self, text: &str) -> Option<String> {
        let mut new = String::new();
        let mut done = 0;
        let mut at = 0;
        while let Some(start) = text[at..].find(is_of_id).map(|n| at + n) {
            let end = text[start..].find(|c| !is_of_id(c)).map_or(text.len(), |n| start + n);
            let word = text[start..end].trim_end_matches(['.', '-', '_']);
            if let Some(id) = self.ids.get(word) {
                new.push_str(&text[done..start]);
                new.push_str(id);
                done = start + word.len();
            }
            at = end;
        }
        if done == 0 {
            return None;
        }
        new.push_str(&text[done..]);
        Some(new)
    }
}

fn is_of_id(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// `text` as a part of an id: in lower case, and what an id cannot have as a dash.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_file_is_what_most_ids_begin_with() {
        for (ids, prefix) in [
            (&["bd-a3f2", "bd-a3f2.1", "bd-docs-cleanup"][..], Some("bd")),
            (&["my-project-a1", "my-project-b2.3.1", "my-project-c"], Some("my-project")),
            (&["beads_rust-03c5", "beads_rust-05rjp"], Some("beads_rust")),
            (&["gt-1", "gt-2", "gt-mol-3", "hq-9"], Some("gt")),
            (&["v1.2-a", "v1.2-b"], Some("v1.2")),
            (&["nodash", "-x"], None),
            (&[], None),
        ] {
            assert_eq!(prefix_of(ids.iter().copied()).as_deref(), prefix, "{ids:?}");
        }
    }

    #[test]
    fn ids_are_renamed_where_they_stand_for_beads_and_in_texts() {
        let to: Prefix = "wi".parse().unwrap();
        let renames =
            Renames::new(["My-App-A1", "My-App-A1.2", "hq-x1", "other-9"], "My-App", &to, |prefix| prefix.as_str() == "hq");
        assert_eq!(renames.len(), 3);
        let mut object: Object = serde_json::from_str(
            r#"{"id":"My-App-A1.2","title":"As My-App-A1, größer","description":"(My-App-A1). My-App-A1.2; My-App-A19, xMy-App-A1",
            "dependencies":[{"issue_id":"My-App-A1.2","depends_on_id":"My-App-gone"},{"depends_on_id":"hq-x1"},
            {"depends_on_id":"other-9"},{"depends_on_id":"external:p:c"}],
            "comments":[{"id":1,"issue_id":"My-App-A1.2","text":"other-9…"}]}"#,
        )
        .unwrap();
        renames.apply(&mut object);
        assert_eq!((&object["id"], &object["title"]), (&"wi-a1.2".into(), &"As wi-a1, größer".into()));
        assert_eq!(object["description"], "(wi-a1). wi-a1.2; My-App-A19, xMy-App-A1");
        let targets: Vec<&str> =
            object["dependencies"].as_array().unwrap().iter().map(|edge| edge["depends_on_id"].as_str().unwrap()).collect();
        assert_eq!(targets, ["wi-gone", "hq-x1", "wi-other-9", "external:p:c"]);
        assert_eq!(
            (&object["comments"][0]["issue_id"], &object["comments"][0]["text"]),
            (&"wi-a1.2".into(), &"wi-other-9…".into())
        );
    }
}

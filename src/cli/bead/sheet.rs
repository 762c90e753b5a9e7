//! A bead as a text to edit: a line for each short field, then the long texts, each below a line with its name.
//!
//! Only what differs from the text that was handed out is taken for a change, so that what no editor touched is neither
//! read nor written.

use std::collections::BTreeMap;

use super::words::{minutes, when};
use super::{assignee, bead_id};
use crate::error::{Error, Result};
use crate::model::bead::Bead;
use crate::model::spelling::{issue_type, priority, status};
use crate::ops::track::Edit;
use crate::town::Town;

/// The long texts, in their order.
const SECTIONS: [&str; 4] = ["description", "design", "acceptance", "notes"];
/// The short fields, in their order.
const LINES: [&str; 12] =
    ["title", "type", "status", "priority", "assignee", "owner", "parent", "labels", "due", "defer", "estimate", "external-ref"];

/// The short field `name` of `bead`, in one line.
fn line_of(bead: &Bead, name: &str) -> String {
    let extra = |key: &str| match bead.extra.get(key) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let text = match name {
        "title" => bead.title.clone(),
        "type" => bead.issue_type.to_string(),
        "status" => bead.status.to_string(),
        "priority" => bead.priority.to_string(),
        "assignee" => bead.assignee.clone().unwrap_or_default(),
        "owner" => bead.owner.clone().unwrap_or_default(),
        "parent" => bead.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        "labels" => bead.labels.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        "due" => bead.due_at.map(|at| at.to_string()).unwrap_or_default(),
        "defer" => bead.defer_until.map(|at| at.to_string()).unwrap_or_default(),
        "estimate" => extra("estimated_minutes"),
        _ => extra("external_ref"),
    };
    text.lines().collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The long text `name` of `bead`.
pub fn text_of<'b>(bead: &'b Bead, name: &str) -> &'b str {
    match name {
        "description" => &bead.description,
        "design" => &bead.design,
        "acceptance" => &bead.acceptance_criteria,
        _ => &bead.notes,
    }
}

/// Sets the long text `name` in `edit`.
pub fn set_text(edit: &mut Edit, name: &str, text: String) {
    let place = match name {
        "description" => &mut edit.description,
        "design" => &mut edit.design,
        "acceptance" => &mut edit.acceptance,
        _ => &mut edit.notes,
    };
    *place = Some(text);
}

/// The beginning of lines that name a text: longer than any like it in the texts themselves.
fn fence(bead: &Bead) -> String {
    let mut fence = "===".to_owned();
    while SECTIONS.iter().any(|name| text_of(bead, name).lines().any(|line| line.starts_with(&format!("{fence} ")))) {
        fence.push('=');
    }
    fence
}

/// The text of `bead`.
#[must_use]
pub fn write(bead: &Bead) -> String {
    let mut text = format!(
        "# {}: change what you like; what is left as it is stays so, and an empty field is cleared.\n\
         # Lines that begin with # are left out up here. Times: 2d, 2026-12-01 or a moment. Labels: by commas.\n",
        bead.id
    );
    for name in LINES {
        text.push_str(format!("{name}: {}", line_of(bead, name)).trim_end());
        text.push('\n');
    }
    let fence = fence(bead);
    for name in SECTIONS {
        text.push_str(&format!("\n{fence} {name}\n"));
        let body = text_of(bead, name).trim_end();
        if !body.is_empty() {
            text.push_str(body);
            text.push('\n');
        }
    }
    text
}

/// The parts of a text by their names.
fn parts<'t>(bead: &Bead, text: &'t str) -> Result<BTreeMap<&'static str, Vec<&'t str>>> {
    let start = format!("{} ", fence(bead));
    let mut parts: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    let mut section = None;
    for line in text.lines() {
        let named = line.strip_prefix(&start).and_then(|name| SECTIONS.iter().find(|known| **known == name.trim()));
        let name = match (named, section) {
            (Some(name), _) => {
                section = Some(*name);
                if parts.insert(name, Vec::new()).is_some() {
                    return Err(twice(name));
                }
                continue;
            }
            (None, Some(name)) => name,
            (None, None) if line.trim().is_empty() || line.starts_with('#') => continue,
            (None, None) => {
                let name = line.split_once(':').map(|(name, _)| name.trim());
                let Some(name) = name.and_then(|name| LINES.iter().find(|known| **known == name)) else {
                    return Err(Error::usage(format!("'{}' is no line of a bead", line.escape_debug()))
                        .hint(format!("one of: {}; long texts stand below '{start}description'", LINES.join(", "))));
                };
                if parts.insert(name, vec![line.split_once(':').map_or("", |(_, value)| value.trim())]).is_some() {
                    return Err(twice(name));
                }
                continue;
            }
        };
        parts.entry(name).or_default().push(line);
    }
    Ok(parts)
}

fn twice(name: &str) -> Error {
    Error::usage(format!("{name} stands there twice")).hint("leave one of them")
}

/// What `text` changes in `bead`, of which [`write()`] made it.
///
/// # Errors
/// Usage or not found, when a line cannot be read.
pub fn read(town: &Town, bead: &Bead, text: &str) -> Result<Edit> {
    let mut edit = Edit::default();
    for (name, lines) in parts(bead, text)? {
        let new = lines.join("\n").trim_end().to_owned();
        if SECTIONS.contains(&name) {
            let new = new.trim_start_matches('\n');
            if new != text_of(bead, name).trim_end().trim_start_matches('\n').lines().collect::<Vec<_>>().join("\n") {
                set_text(&mut edit, name, new.to_owned());
            }
        } else if new != line_of(bead, name) {
            read_line(town, bead, &mut edit, name, &new)?;
        }
    }
    Ok(edit)
}

fn read_line(town: &Town, bead: &Bead, edit: &mut Edit, name: &str, new: &str) -> Result<()> {
    let word = || (!new.is_empty()).then(|| new.to_owned());
    match name {
        "title" => edit.title = Some(new.to_owned()),
        "type" => edit.issue_type = Some(issue_type(new)?),
        "status" => edit.status = Some(status(new)?),
        "priority" => edit.priority = Some(priority(new)?),
        "assignee" => edit.assignee = Some(assignee(town, new)?),
        "owner" => edit.fields.owner = Some(word()),
        "parent" => edit.fields.parent = Some(if new.is_empty() { None } else { Some(bead_id(town, new)?) }),
        "labels" => {
            let wanted: std::collections::BTreeSet<String> =
                new.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
            edit.add_labels = wanted.difference(&bead.labels).cloned().collect();
            edit.remove_labels = bead.labels.difference(&wanted).cloned().collect();
        }
        "due" => edit.due_at = Some(when(new, town.now)?),
        "defer" => edit.defer_until = Some(when(new, town.now)?),
        "estimate" => edit.fields.estimate_minutes = Some(minutes(new)?),
        _ => edit.fields.external_ref = Some(word()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bead::IssueType;
    use crate::time::Moment;

    fn bead() -> Bead {
        let mut bead = Bead::new("wi-a".parse().unwrap(), IssueType::Task, "Mend", "o", Moment::from_millis(0)).unwrap();
        bead.description = "\nOne\n\n=== notes\nis no heading\n".into();
        bead.labels = ["a".to_owned(), "b c".to_owned()].into();
        bead
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        let bead = bead();
        let text = write(&bead);
        assert!(text.contains("\n==== notes\n"), "{text}");
        let parts = parts(&bead, &text).unwrap();
        assert_eq!(parts["labels"], ["a, b c"]);
        assert!(parts["description"].contains(&"=== notes") && parts["notes"].is_empty());
        assert_eq!(parts.len(), LINES.len() + SECTIONS.len());
    }

    #[test]
    fn a_line_that_is_none_or_stands_twice_is_refused() {
        let bead = bead();
        assert!(parts(&bead, "colour: red").unwrap_err().hint.unwrap().contains("priority"));
        assert!(parts(&bead, "title: a\ntitle: b").is_err());
        assert!(parts(&bead, "==== notes\na\n==== notes\nb").is_err());
    }
}

//! Beads in a Markdown file, as the `bd` tool reads them: one a `##` heading, with `###` sections for its fields.
//!
//! What stands before the first `##` is for people. What stands between a heading and its first section is the
//! description. In a fenced block a `#` is no heading.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// A bead as a file tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The line of its heading, from 1.
    pub line: usize,
    /// Its heading.
    pub title: String,
    /// The text of `### Description`, else what stands before the first section.
    pub description: String,
    /// The text of `### Design`.
    pub design: String,
    /// The text of `### Acceptance Criteria`.
    pub acceptance: String,
    /// The text of `### Notes`.
    pub notes: String,
    /// The word of `### Type`.
    pub issue_type: Option<String>,
    /// The word of `### Priority`.
    pub priority: Option<String>,
    /// The word of `### Assignee`.
    pub assignee: Option<String>,
    /// The words of `### Labels`.
    pub labels: Vec<String>,
    /// The words of `### Dependencies`.
    pub dependencies: Vec<String>,
    /// The lines at which its sections begin, by their names in small letters.
    sections: BTreeMap<String, usize>,
}

impl Item {
    /// The line of the section that is called so, else of its heading.
    #[must_use]
    pub fn line_of(&self, section: &str) -> usize {
        self.sections.get(section).copied().unwrap_or(self.line)
    }
}

/// Reads the beads of a file.
///
/// # Errors
/// Usage, when there is none, or a section is not known; the line is named.
pub fn read(text: &str) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    let mut section: Option<(usize, &str)> = None;
    let mut body = String::new();
    let mut is_fenced = false;
    for (n, line) in text.lines().enumerate() {
        is_fenced ^= line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        let heading = |mark: &str| if is_fenced { None } else { line.strip_prefix(mark).map(str::trim) };
        if let Some(title) = heading("## ") {
            finish(&mut items, section.take(), &mut body)?;
            items.push(Item { line: n + 1, title: title.to_owned(), ..Item::default() });
        } else if let Some(name) = heading("### ") {
            finish(&mut items, section.take(), &mut body)?;
            section = Some((n + 1, name));
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    finish(&mut items, section, &mut body)?;
    if items.is_empty() {
        return Err(Error::usage("no line of the file begins with '## '").hint("write a bead as: ## Its title"));
    }
    Ok(items)
}

/// Gives the last bead the text that was read for it.
fn finish(items: &mut [Item], section: Option<(usize, &str)>, body: &mut String) -> Result<()> {
    let text = std::mem::take(body).trim().to_owned();
    let Some(item) = items.last_mut() else { return Ok(()) };
    let Some((line, name)) = section else {
        item.description = text;
        return Ok(());
    };
    let words = || text.split([',', ' ', '\n']).map(|word| word.trim_start_matches('-').trim()).filter(|word| !word.is_empty());
    let word = || Some(text.clone()).filter(|text| !text.is_empty());
    let small = name.to_lowercase();
    let section = if small == "deps" { "dependencies" } else { &small };
    item.sections.insert(section.to_owned(), line);
    match section {
        "description" => item.description = text,
        "design" => item.design = text,
        "acceptance criteria" | "acceptance" => item.acceptance = text,
        "notes" => item.notes = text,
        "type" => item.issue_type = word(),
        "priority" => item.priority = word(),
        "assignee" => item.assignee = word(),
        "labels" => item.labels = words().map(str::to_owned).collect(),
        "dependencies" => item.dependencies = words().map(str::to_owned).collect(),
        _ => {
            return Err(Error::usage(format!("line {line}: '{}' is no section of a bead", name.escape_debug())).hint(
                "sections: Description, Design, Acceptance Criteria, Notes, Type, Priority, Assignee, Labels, Dependencies",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_a_bead_and_its_sections_are_fields() {
        let items = read(
            "# Plan\nfor people\n\n## Größe prüfen\nfirst\n\n```\n## no heading\n```\n### Priority\n1\n### Type\nbug\n### Labels\na, b\nc\n\
             ### Deps\n- wi-1, related:wi-2\n## Second\r\n### Description\r\nx\r\n### Acceptance Criteria\n- y\n",
        )
        .unwrap();
        assert_eq!((items.len(), items[0].line, items[0].title.as_str()), (2, 4, "Größe prüfen"));
        assert_eq!(items[0].description, "first\n\n```\n## no heading\n```");
        assert_eq!((items[0].priority.as_deref(), items[0].issue_type.as_deref()), (Some("1"), Some("bug")));
        assert_eq!((items[0].labels.join(" "), items[0].dependencies.join(" ")), ("a b c".into(), "wi-1 related:wi-2".into()));
        assert_eq!((items[0].line_of("type"), items[0].line_of("dependencies"), items[0].line_of("design")), (12, 17, 4));
        assert_eq!((items[1].description.as_str(), items[1].acceptance.as_str()), ("x", "- y"));
    }

    #[test]
    fn a_file_without_beads_and_an_unknown_section_are_refused() {
        assert!(read("# only\n### Type\nbug").is_err());
        assert!(read("## a\n### Prio\n1").unwrap_err().message.contains("line 2: 'Prio'"));
    }
}

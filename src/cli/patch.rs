//! A change as people read it: a line of counts, then the patch, or a table of files.

use crate::cli::out::{Cell, Page, Style, escape};
use crate::ops::refinery::FileChange;

/// Shows what changed between two commits, `what` being whose change it is. Texts of a patch are foreign and escaped.
pub(super) fn show(
    page: &mut Page,
    what: &str,
    (base, head): (&str, &str),
    files: &[FileChange],
    patch: Option<&str>,
    is_cut: bool,
) {
    let short = |id: &str| escape(id.get(..8).unwrap_or(id));
    let sum = |of: fn(&FileChange) -> Option<u64>| files.iter().filter_map(of).sum::<u64>();
    let count = if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
    let (added, removed) = (sum(|file| file.added), sum(|file| file.removed));
    page.line(format!("{what}: {} to {}, {count}, +{added} -{removed}", short(base), short(head)));
    let Some(patch) = patch else {
        let count = |lines: Option<u64>| Cell::number(&lines.map_or_else(|| "-".to_owned(), |lines| lines.to_string()));
        let row = |file: &FileChange| {
            let old = file.old_path.as_ref().map(|old| format!(" (was {old})")).unwrap_or_default();
            vec![count(file.added), count(file.removed), Cell::from(format!("{}{old}", file.path))]
        };
        return page.table(&["CAME", "WENT", "FILE"], &files.iter().map(row).collect::<Vec<_>>());
    };
    page.gap();
    for line in patch.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Good,
            Some(b'-') => Style::Bad,
            Some(b'@') => Style::Given,
            Some(b' ' | b'\\') | None => Style::Plain,
            Some(_) => Style::Dim,
        };
        let line = page.paint(style, line);
        page.verbatim(line);
    }
    if is_cut {
        page.line("… cut here; the whole: git diff of these commits");
    }
}

//! Columns that line up, and that fit the terminal: no row is ever wrapped.

use super::colour::Style;
use super::escape;
use super::width::{cut_end, cut_start, pad, width, wrap};
use crate::model::bead::Status;

/// Columns between columns.
const GAP: usize = 2;
/// What part of the terminal the last column keeps while others can give way too: a title says more than an address.
const LAST_SHARE: (usize, usize) = (2, 5);
/// What any column keeps.
const WIDTH_MIN: usize = 5;

/// A piece of a row: foreign text made safe, and how it is shown.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    style: Style,
    cut: Cut,
    is_right: bool,
    is_word: bool,
}

/// Where a cell gives way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cut {
    #[default]
    End,
    Start,
    /// Nowhere: half of an id is none.
    Never,
}

impl Cell {
    /// Foreign text in `style`; it is escaped here.
    #[must_use]
    pub fn new(style: Style, text: &str) -> Self {
        Self { text: escape(text), style, ..Self::default() }
    }

    /// An id: quiet, and never cut.
    #[must_use]
    pub fn id(text: &str) -> Self {
        Self { cut: Cut::Never, ..Self::new(Style::Dim, text) }
    }

    /// A status, in its colour.
    #[must_use]
    pub fn status(status: &Status) -> Self {
        Self { cut: Cut::Never, ..Self::word(Style::of_status(status), status.word()) }
    }

    /// A word of ours in `style`; people read it without its underscores.
    #[must_use]
    pub fn word(style: Style, text: &str) -> Self {
        Self { is_word: true, ..Self::new(style, text) }
    }

    /// A priority, in its colour.
    #[must_use]
    pub fn priority(priority: u8) -> Self {
        Self { cut: Cut::Never, ..Self::new(Style::of_priority(priority), &format!("P{priority}")) }
    }

    /// An address, of which the end says most; `-` for nobody.
    #[must_use]
    pub fn address(text: Option<&str>) -> Self {
        let style = if text.is_some() { Style::Plain } else { Style::Dim };
        Self { cut: Cut::Start, ..Self::new(style, text.unwrap_or("-")) }
    }

    /// A number, at the right of its column.
    #[must_use]
    pub fn number(text: &str) -> Self {
        Self { is_right: true, cut: Cut::Never, ..Self::new(Style::Plain, text) }
    }

    /// Text in lines of at most `width` columns, no more than `most` lines; what is left over is cut.
    #[must_use]
    pub fn wrapped(text: &str, width: usize, most: usize) -> Vec<Self> {
        let mut lines = wrap(&escape(text), width);
        if lines.len() > most {
            let rest = lines.split_off(most.saturating_sub(1)).join(" ");
            lines.push(cut_end(&rest, width));
        }
        lines.into_iter().map(|text| Self { text, ..Self::default() }).collect()
    }

    /// The same, quieter.
    #[must_use]
    pub fn dim(self) -> Self {
        Self { style: Style::Dim, ..self }
    }

    /// The same, never cut.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { cut: Cut::Never, ..self }
    }

    /// The text as it is shown on a terminal, or elsewhere.
    fn shown(&self, is_terminal: bool) -> String {
        if self.is_word && is_terminal { self.text.replace('_', " ") } else { self.text.clone() }
    }

    fn fitted(&self, text: &str, most: usize) -> String {
        match self.cut {
            Cut::Start => cut_start(text, most),
            Cut::End | Cut::Never => cut_end(text, most),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(Style::Plain, &text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(Style::Plain, text)
    }
}

/// The lines of a table under its heading. The last column gives way first, then the widest of those that may; with no
/// `columns` (no terminal) none does.
pub(super) fn lines(heading: &[&str], rows: Vec<Vec<Cell>>, columns: Option<usize>, is_coloured: bool) -> Vec<String> {
    let is_right = |n: usize| rows.iter().filter_map(|row| row.get(n)).any(|cell| cell.is_right);
    let head =
        heading.iter().enumerate().map(|(n, word)| Cell { is_right: is_right(n), ..Cell::new(Style::Dim, word) }).collect();
    let rigid: Vec<bool> =
        (0..heading.len()).map(|n| rows.iter().filter_map(|row| row.get(n)).any(|cell| cell.cut == Cut::Never)).collect();
    let mut all: Vec<Vec<Cell>> = vec![head];
    all.extend(rows);
    for cell in all.iter_mut().flatten() {
        cell.text = cell.shown(columns.is_some());
    }
    let widest = |n: usize| all.iter().filter_map(|row| row.get(n)).map(|cell| width(&cell.text)).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..heading.len()).map(widest).collect();
    if let Some(columns) = columns {
        fit(&mut widths, &rigid, columns);
    }
    all.iter().map(|row| line(row, &widths, columns, is_coloured)).collect()
}

/// Makes columns narrower until they fit, or until none can give more.
fn fit(widths: &mut [usize], rigid: &[bool], columns: usize) {
    let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    let mut over = total.saturating_sub(columns);
    if let (Some(last), Some(false)) = (widths.last_mut(), rigid.last()) {
        let gives = over.min(last.saturating_sub(columns * LAST_SHARE.0 / LAST_SHARE.1));
        *last -= gives;
        over -= gives;
    }
    while over > 0 {
        let may = |n: &usize| !rigid.get(*n).copied().unwrap_or(false) && widths[*n] > WIDTH_MIN;
        let others = widths.len().saturating_sub(1);
        // Of equally wide ones the later one gives way; when the others have given all, the last one goes on.
        let widest = (0..others).filter(may).max_by_key(|n| (widths[*n], *n)).or_else(|| Some(others).filter(may));
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
        over -= 1;
    }
}

fn line(row: &[Cell], widths: &[usize], columns: Option<usize>, is_coloured: bool) -> String {
    let mut line = String::new();
    let mut left = columns.unwrap_or(usize::MAX);
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    for (n, cell) in row.iter().enumerate().take(last) {
        let room = widths.get(n).copied().unwrap_or(0);
        let text = cell.fitted(&cell.text, room.min(left));
        let padding = pad(&text, room.min(left));
        let painted = if is_coloured { cell.style.around(&text) } else { text };
        if cell.is_right {
            line.push_str(&padding);
        }
        line.push_str(&painted);
        if n + 1 == last {
            break;
        }
        if !cell.is_right {
            line.push_str(&padding);
        }
        left = left.saturating_sub(room + GAP);
        if left == 0 {
            break;
        }
        line.push_str(&" ".repeat(GAP));
    }
    line
}

/// Columns of rows beside each other, each `room` wide with `gap` between; a row is as in [`row`].
pub(super) fn beside(columns: &[Vec<Vec<Cell>>], room: usize, gap: usize, is_coloured: bool) -> Vec<String> {
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    let line = |n: usize| {
        let mut line = String::new();
        for (at, column) in columns.iter().enumerate() {
            let cells = column.get(n).map(Vec::as_slice).unwrap_or_default();
            line.push_str(&row(cells, Some(room), is_coloured));
            if at + 1 < columns.len() {
                line.push_str(&pad(&row(cells, Some(room), false), room + gap));
            }
        }
        line.trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

/// One row that is no part of a table: the cells with one space between them, of which the last gives way.
pub(super) fn row(cells: &[Cell], columns: Option<usize>, is_coloured: bool) -> String {
    let mut left = columns.unwrap_or(usize::MAX);
    let mut line = String::new();
    for (n, cell) in cells.iter().filter(|cell| !cell.text.is_empty()).enumerate() {
        if n > 0 {
            line.push(' ');
            left = left.saturating_sub(1);
        }
        let text = cell.fitted(&cell.shown(columns.is_some()), left);
        left = left.saturating_sub(width(&text));
        line.push_str(&if is_coloured { cell.style.around(&text) } else { text });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        let row = |id: &str, who: Option<&str>, title: &str| {
            vec![Cell::id(id), Cell::priority(0), Cell::status(&Status::InProgress), Cell::address(who), Cell::from(title)]
        };
        vec![
            row("wi-a", Some("widgets/polecats/toast"), "Mend the pump that leaks at the seal, and paint the tank after it"),
            row("wi-abcde", None, "検査する 検査する 検査する 検査する 検査する 検査する 検査する 🚀🚀"),
        ]
    }

    const HEADING: [&str; 5] = ["ID", "P", "STATUS", "ASSIGNEE", "TITLE"];

    #[test]
    fn no_row_is_wider_than_the_terminal_and_the_title_gives_way_first() {
        for columns in [10, 30, 50, 60, 80, 100, 200] {
            for line in lines(&HEADING, rows(), Some(columns), false) {
                assert!(width(&line) <= columns, "{columns}: {line}");
            }
        }
        let at_80 = lines(&HEADING, rows(), Some(80), false);
        assert!(at_80[1].contains("polecats/toast ") && at_80[1].ends_with('…'), "{at_80:?}");
        let at_50 = lines(&HEADING, rows(), Some(50), false);
        assert!(at_50[1].contains("…") && at_50[1].contains("oast ") && at_50[1].contains("wi-a "), "{at_50:?}");
    }

    #[test]
    fn without_a_terminal_nothing_is_cut_and_words_stay_as_they_are_typed() {
        let plain = lines(&HEADING, rows(), None, false);
        assert!(plain[1].ends_with("paint the tank after it") && plain[1].contains("in_progress"), "{plain:?}");
        assert!(lines(&HEADING, rows(), Some(80), false)[1].contains("in progress"));
    }

    #[test]
    fn colour_changes_no_column_and_foreign_text_does_not_get_through() {
        let bad = "\u{1b}[31mred\u{202e}x\u{7}\u{9b}1m";
        let rows = || vec![vec![Cell::id(bad), Cell::new(Style::Bad, bad)], vec![Cell::from("a"), Cell::from("b")]];
        let (plain, painted) = (lines(&["A", "B"], rows(), Some(60), false), lines(&["A", "B"], rows(), Some(60), true));
        let stripped = |line: &str| {
            let mut text = line.to_owned();
            for style in ["\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[0m"] {
                text = text.replace(style, "");
            }
            text
        };
        for (plain, painted) in plain.iter().zip(&painted) {
            assert_eq!(plain.trim_end(), stripped(painted).trim_end());
            assert!(!plain.chars().any(char::is_control) && !plain.contains('\u{202e}'), "{plain}");
        }
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let rows = vec![vec![Cell::number("9"), Cell::from("x")], vec![Cell::number("1000"), Cell::from("y")]];
        assert_eq!(lines(&["N", "WHAT"], rows, None, false), ["   N  WHAT", "   9  x", "1000  y"]);
    }
}

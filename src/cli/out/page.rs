//! What a person reads, and what it is written on: a terminal of some width, or something else.
//!
//! Elsewhere than on a terminal a page is the same whatever the width: nothing is cut, nothing is coloured unless that
//! is asked for.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use super::colour::{Color, Style};
use super::table::{self, Cell};
use super::width::{cut_end, painted_width, wrap, wrap_painted};
use super::{bar, diff, escape};
use crate::model::bead::Status;

/// The widest that running text gets; longer lines are hard to read.
const TEXT_COLUMNS_MAX: usize = 100;
/// The shortest that text is cut to.
const FIT_MIN: usize = 12;
/// The narrowest that anything is made to fit into.
const COLUMNS_MIN: usize = 20;

/// What a page is written on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paper {
    /// Columns and rows of the terminal; `None` when there is none.
    pub terminal: Option<(usize, usize)>,
    /// Whether standard output gets colour.
    pub is_coloured: bool,
    /// Whether standard error gets colour.
    pub is_coloured_beside: bool,
}

impl Paper {
    /// What standard output and standard error are, with colour as asked for.
    #[must_use]
    pub fn here(color: Color) -> Self {
        let terminal = size_of_terminal();
        Self {
            terminal,
            is_coloured: color.is_for(terminal.is_some()),
            is_coloured_beside: color.is_for(std::io::stderr().is_terminal()),
        }
    }

    /// The same terminal, as large as it is now.
    #[must_use]
    pub fn resized(self) -> Self {
        Self { terminal: self.terminal.and_then(|_| size_of_terminal()), ..self }
    }

    /// A terminal without colour, for tests and for what is laid out by hand.
    #[must_use]
    pub const fn terminal(columns: usize, rows: usize) -> Self {
        Self { terminal: Some((columns, rows)), is_coloured: false, is_coloured_beside: false }
    }
}

/// The columns and rows of standard output, when that is a terminal.
fn size_of_terminal() -> Option<(usize, usize)> {
    let stdout = std::io::stdout();
    let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(&stdout))?;
    let (columns, rows) = size.map_or((80, 24), |(columns, rows)| (usize::from(columns.0), usize::from(rows.0)));
    // A terminal that does not know its size says zero.
    Some((if columns == 0 { 80 } else { columns.max(COLUMNS_MIN) }, if rows == 0 { 24 } else { rows }))
}

/// What a person reads.
#[derive(Default)]
pub struct Page {
    text: String,
    paper: Paper,
}

impl Page {
    /// An empty page of `paper`.
    #[must_use]
    pub fn on(paper: Paper) -> Self {
        Self { text: String::new(), paper }
    }

    /// The columns of the terminal; `None` when there is none and nothing has to fit.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        self.paper.terminal.map(|(columns, _)| columns)
    }

    /// Adds a line; the caller escapes foreign parts with [`escape`] or [`Page::paint`]. On a terminal a long one is broken
    /// between words.
    pub fn line(&mut self, text: impl AsRef<str>) {
        let Some(columns) = self.columns() else { return self.verbatim(text) };
        for line in wrap_painted(text.as_ref(), columns) {
            self.verbatim(line);
        }
    }

    /// Adds a line as it is, whatever its length: what is to be copied, or has a form of its own.
    pub fn verbatim(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    /// Foreign text made safe and, on a terminal, cut to what a line has left beside `others`.
    #[must_use]
    pub fn fit(&self, text: &str, others: &str) -> String {
        let text = escape(text);
        match self.columns() {
            Some(columns) => cut_end(&text, columns.saturating_sub(painted_width(others)).max(FIT_MIN)),
            None => text,
        }
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Foreign text made safe and, where there is colour, in `style`; for use within a line.
    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        let text = escape(text);
        if self.paper.is_coloured { style.around(&text) } else { text }
    }

    /// `text` of at most `most` characters on a terminal; elsewhere nothing is cut.
    #[must_use]
    pub fn shortened(&self, text: &str, most: usize) -> String {
        if self.columns().is_some() { super::shorten(text, most) } else { text.to_owned() }
    }

    /// A status in its colour, for use within a line; on a terminal without its underscore.
    #[must_use]
    pub fn status(&self, status: &Status) -> String {
        let word = status.word();
        let word = if self.columns().is_some() { word.replace('_', " ") } else { word.to_owned() };
        self.paint(Style::of_status(status), &word)
    }

    /// Adds a line about a thing shown: what is said of it under a quiet name, indented.
    pub fn field(&mut self, name: &str, text: &str) {
        let name = self.paint(Style::Dim, &format!("{name}:"));
        self.line(format!("  {name} {}", escape(text)));
    }

    /// Adds several lines of foreign text, each indented by `indent` spaces and escaped; on a terminal long ones are
    /// broken between words.
    pub fn block(&mut self, indent: usize, text: &str) {
        let most = self.columns().map(|columns| columns.min(TEXT_COLUMNS_MAX).saturating_sub(indent).max(COLUMNS_MIN));
        for line in text.lines().map(escape) {
            for part in most.map_or_else(|| vec![line.clone()], |most| wrap(&line, most)) {
                let _ = writeln!(self.text, "{}", format!("{:indent$}{part}", "").trim_end());
            }
        }
    }

    /// Adds rows in aligned columns under a heading; cells are escaped. On a terminal they fit its width: the last column
    /// gives way first, then the widest ones.
    pub fn table<C: Into<Cell> + Clone>(&mut self, heading: &[&str], rows: &[Vec<C>]) {
        let rows = rows.iter().map(|row| row.iter().cloned().map(Into::into).collect()).collect();
        for line in table::lines(heading, rows, self.columns(), self.paper.is_coloured) {
            self.line(line.trim_end());
        }
    }

    /// Adds one row of cells with a space between them, behind `lead`, which is ours; on a terminal the last gives way.
    pub fn row(&mut self, lead: &str, cells: &[Cell]) {
        let room = self.columns().map(|columns| columns.saturating_sub(super::width::width(lead)));
        let row = table::row(cells, room, self.paper.is_coloured);
        let lead = self.paint(Style::Dim, lead);
        self.line(format!("{lead}{row}").trim_end());
    }

    /// Adds columns of rows beside each other, each `width` wide with `gap` between.
    pub fn side_by_side(&mut self, columns: &[Vec<Vec<Cell>>], width: usize, gap: usize) {
        for line in table::beside(columns, width, gap, self.paper.is_coloured) {
            self.line(line);
        }
    }

    /// A progress bar of twenty columns with its numbers: `█████░░░░░░░░░░░░░░░ 1/4`.
    #[must_use]
    pub fn bar(&self, done: usize, total: usize) -> String {
        let (full, rest) = bar::parts(done, total);
        format!("{}{} {done}/{total}", self.paint(Style::Good, &full), self.paint(Style::Dim, &rest))
    }

    /// Adds what changed from `old` to `new`, line by line with three lines around it, indented by `indent` spaces:
    /// `- ` before what went, `+ ` before what came. Adds nothing when they are the same.
    pub fn diff(&mut self, indent: usize, old: &str, new: &str) {
        for (style, line) in diff::lines(old, new) {
            let line = if self.paper.is_coloured { style.around(&line) } else { line };
            let _ = writeln!(self.text, "{:indent$}{line}", "");
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut page = Page::default();
        page.table(&["ID", "TITLE"], &[vec!["wi-a", "x"], vec!["wi-abcde", "y"]]);
        assert_eq!(page.into_text(), "ID        TITLE\nwi-a      x\nwi-abcde  y\n");
    }

    #[test]
    fn running_text_is_broken_on_a_terminal_only() {
        let text = "word ".repeat(50);
        let mut terminal = Page::on(Paper::terminal(40, 24));
        terminal.block(2, &text);
        assert!(terminal.into_text().lines().all(|line| line.len() <= 40 && line.starts_with("  word")));
        let mut plain = Page::default();
        plain.block(2, &text);
        assert_eq!(plain.into_text().lines().count(), 1);
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal_through_any_part_of_a_page() {
        let bad = "\u{1b}]0;x\u{7}\u{202e}\u{9b}31m\u{e0041}";
        let mut page = Page::on(Paper { is_coloured: true, ..Paper::terminal(200, 24) });
        page.block(0, bad);
        page.table(&["A"], &[vec![bad]]);
        page.row("", &[Cell::id(bad), Cell::from(bad)]);
        page.diff(0, bad, "");
        page.line(page.paint(Style::Bad, bad));
        let text = page.into_text();
        let is_ours = |sequence: &str| ["[0m", "[2m", "[1;31m"].iter().any(|ours| sequence.starts_with(ours));
        assert!(text.split('\u{1b}').skip(1).all(is_ours), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{9b}', '\u{7}', '\u{e0041}']), "{text:?}");
    }

    #[test]
    fn lines_are_broken_on_a_terminal_only_and_never_what_is_verbatim() {
        let text = format!("  note: {}", "word ".repeat(20).trim_end());
        let mut page = Page::on(Paper::terminal(30, 24));
        page.line(&text);
        assert!(page.text.lines().all(|line| line.len() <= 30) && page.text.contains("\n    word"), "{}", page.text);
        let mut page = Page::on(Paper::terminal(30, 24));
        page.verbatim(&text);
        assert_eq!(page.into_text(), format!("{text}\n"));
        assert_eq!(Page::on(Paper::terminal(30, 24)).fit("a title that is long", "wi-abc  ████"), "a title that is l…");
    }

    #[test]
    fn a_row_fits_the_terminal() {
        let mut page = Page::on(Paper::terminal(20, 24));
        page.row("├── ", &[Cell::id("wi-a"), Cell::from("Mend the pump and more")]);
        assert_eq!(page.into_text(), "├── wi-a Mend the p…\n");
    }
}

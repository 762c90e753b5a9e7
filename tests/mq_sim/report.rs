//! Tables on the screen, in Markdown.

/// A table: its head and its rows.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one with these columns.
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it under `title`.
    pub fn print(&self, title: &str) {
        println!("\n## {title}\n");
        let width =
            |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        for (at, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", width(at))).collect();
            println!("| {} |", cells.join(" | "));
            if at == 0 {
                let rules: Vec<String> = (0..row.len()).map(|at| "-".repeat(width(at))).collect();
                println!("|-{}-|", rules.join("-|-"));
            }
        }
    }
}

/// The figures to reach, one row each.
pub struct Bars {
    table: Table,
    /// Whether all were met.
    pub are_met: bool,
}

impl Bars {
    /// None yet.
    pub fn new() -> Self {
        Self { table: Table::new(&["figure", "ours", "beside", "ratio", "bar", ""]), are_met: true }
    }

    /// Adds one: what was measured and against what, and whether it is within its bar.
    pub fn add(&mut self, figure: &str, ours: &str, beside: &str, ratio: &str, bar: &str, is_met: bool) {
        self.are_met &= is_met;
        let met = if is_met { "met" } else { "MISSED" };
        self.table.row([figure, ours, beside, ratio, bar, met].map(str::to_owned).to_vec());
    }

    /// Prints them.
    pub fn print(&self) {
        self.table.print("Figures to reach");
    }
}

//! The table: rows with what was beside them, whether the bar is met, and facts that must hold.

use std::fmt::Write as _;

use serde_json::json;

use crate::times::median;

/// What a figure must keep.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// At most so much.
    Most(f64),
    /// At most so many times what is beside it.
    Times(f64),
    /// At most so much more than what is beside it.
    Plus(f64),
    /// At least so many times what is beside it.
    AtLeast(f64),
    /// Nothing: shown for comparison.
    None,
}

/// A figure.
pub struct Row {
    /// What was done; the same at every scale.
    pub what: String,
    /// How many beads there were.
    pub scale: usize,
    /// How often.
    pub count: usize,
    /// The figure.
    pub ours: f64,
    /// That beside it.
    pub beside: Option<f64>,
    /// What is beside it.
    pub beside_is: String,
    /// `ms`, `MB` or `/s`.
    pub unit: &'static str,
    /// What it must keep.
    pub bar: Bar,
}

impl Row {
    /// The medians of pairs of times.
    pub fn of(what: &str, scale: usize, (ours, beside): &(Vec<f64>, Vec<f64>), beside_is: &str, bar: Bar) -> Self {
        let what = what.to_owned();
        let beside_is = beside_is.to_owned();
        let medians = (median(ours), Some(median(beside)));
        Self { what, scale, count: ours.len(), ours: medians.0, beside: medians.1, beside_is, unit: "ms", bar }
    }

    fn ratio(&self) -> Option<f64> {
        self.beside.map(|beside| self.ours / beside)
    }

    fn limit(&self) -> Option<f64> {
        match self.bar {
            Bar::Most(most) => Some(most),
            Bar::Times(times) | Bar::AtLeast(times) => self.beside.map(|beside| beside * times),
            Bar::Plus(more) => self.beside.map(|beside| beside + more),
            Bar::None => None,
        }
    }

    fn is_met(&self) -> Option<bool> {
        let limit = self.limit()?;
        Some(if matches!(self.bar, Bar::AtLeast(_)) { self.ours >= limit } else { self.ours <= limit })
    }

    fn bar_text(&self) -> String {
        match self.bar {
            Bar::Most(most) => format!("≤ {most} {}", self.unit),
            Bar::Times(times) => format!("≤ {times} ×"),
            Bar::Plus(more) => format!("≤ + {more:.1} {}", self.unit),
            Bar::AtLeast(times) => format!("≥ {times} ×"),
            Bar::None => "–".to_owned(),
        }
    }

    fn verdict(&self) -> String {
        match (self.is_met(), self.limit()) {
            (Some(true), _) => "met".to_owned(),
            (Some(false), Some(limit)) => format!("**missed** by {}", figure((self.ours - limit).abs(), self.unit)),
            _ => "–".to_owned(),
        }
    }
}

fn figure(value: f64, unit: &str) -> String {
    let digits = match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// All that was measured.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    facts: Vec<(String, bool)>,
}

/// Rows whose figure may not grow with the ledger.
const STEADY: &str = "gt sync";
/// How much those may grow from the smallest scale to the largest.
const GROWTH_MAX: f64 = 2.0;

impl Report {
    /// Adds a row.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a fact that must hold.
    pub fn fact(&mut self, what: impl Into<String>, holds: bool) {
        self.facts.push((what.into(), holds));
    }

    /// What should hold and does not.
    pub fn wrong(&self) -> Vec<&str> {
        self.facts.iter().filter(|(_, holds)| !holds).map(|(what, _)| what.as_str()).collect()
    }

    /// Adds what became of the rows that must not grow, from the smallest scale to the largest.
    pub fn growth(&mut self) {
        let first = self.rows.iter().map(|row| row.scale).min().unwrap_or(0);
        let last = self.rows.iter().map(|row| row.scale).max().unwrap_or(0);
        let steady = |scale: usize| self.rows.iter().filter(move |row| row.scale == scale && row.what.starts_with(STEADY));
        let mut grown = Vec::new();
        for large in steady(last).filter(|_| first < last) {
            let Some(small) = steady(first).find(|row| row.what == large.what) else { continue };
            grown.push(Row {
                what: format!("{}: growth", large.what),
                beside: Some(small.ours),
                beside_is: format!("the same with {first} beads"),
                bar: Bar::Times(GROWTH_MAX),
                ..Row { what: String::new(), beside_is: String::new(), ..*large }
            });
        }
        self.rows.extend(grown);
    }

    /// The rows as Markdown, in groups of what was done, with the facts after them.
    pub fn table(&self) -> String {
        let mut text =
            "| what | beads | gt | beside it | what that is | ratio | bar | |\n|---|---|---|---|---|---|---|---|\n".to_owned();
        let mut done: Vec<&str> = Vec::new();
        for row in &self.rows {
            if done.contains(&row.what.as_str()) {
                continue;
            }
            done.push(&row.what);
            for row in self.rows.iter().filter(|other| other.what == row.what) {
                let beside = row.beside.map_or_else(|| "–".to_owned(), |beside| figure(beside, row.unit));
                let ratio = row.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
                let (ours, bar, verdict) = (figure(row.ours, row.unit), row.bar_text(), row.verdict());
                let _ = writeln!(
                    text,
                    "| {} | {} | {ours} | {beside} | {} | {ratio} | {bar} | {verdict} |",
                    row.what,
                    short(row.scale),
                    row.beside_is
                );
            }
        }
        if !self.facts.is_empty() {
            text.push_str("\n| fact | |\n|---|---|\n");
        }
        for (what, holds) in &self.facts {
            let _ = writeln!(text, "| {what} | {} |", if *holds { "holds" } else { "**WRONG**" });
        }
        text
    }

    /// All of it with where and when it was measured.
    pub fn json(&self, quick: bool) -> String {
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.what, "scale": row.scale, "n": row.count, "unit": row.unit, "gt": row.ours, "beside": row.beside,
                "beside_is": row.beside_is, "ratio": row.ratio(), "bar": row.bar_text(), "limit": row.limit(), "met": row.is_met(),
            })
        });
        let rows: Vec<_> = rows.collect();
        let facts: Vec<_> = self.facts.iter().map(|(what, holds)| json!({"fact": what, "holds": holds})).collect();
        let value = json!({"machine": machine(), "quick": quick, "rows": rows, "facts": facts});
        format!("{value:#}\n")
    }
}

/// 100,000 as people write it here.
pub fn short(scale: usize) -> String {
    if scale >= 1_000 && scale.is_multiple_of(1_000) { format!("{}k", scale / 1_000) } else { scale.to_string() }
}

/// What it ran on.
fn machine() -> serde_json::Value {
    let line = |file: &str, start: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        line.split_once(':').map_or(line.clone(), |(_, value)| value.trim().to_owned())
    };
    let said = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let temporary = std::env::temp_dir();
    json!({
        "date": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "git": said("git", &["--version"]),
        "kernel": said("uname", &["-srm"]),
        "processor": line("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": line("/proc/meminfo", "MemTotal"),
        "load": said("cat", &["/proc/loadavg"]),
        "file_system": said("df", &["--output=fstype", temporary.to_str().unwrap_or("/")]).lines().last().unwrap_or_default(),
        "gt": env!("CARGO_PKG_VERSION"),
    })
}

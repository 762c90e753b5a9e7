//! `gt gate`: the gates of a rig, run by hand and looked at.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::model::gate::{OnTimeout, Verdict};
use crate::name::{BeadId, Name};
use crate::ops::gates::{self, Asked, Judged, Kept, Listed, Log, Logs, Report};
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<AllGates>("gate list"),
    Answer::of::<Report>("gate run"),
    Answer::of::<KeptLogs>("gate log"),
    Answer::of::<Log>("gate log"),
];

/// List the gates that work must pass, run them, and read their logs
#[derive(Args)]
pub struct GateArgs {
    #[command(subcommand)]
    verb: GateVerb,
}

#[derive(Subcommand)]
enum GateVerb {
    List(List),
    Run(Run),
    Log(Logged),
}

/// List the gates of a rig: when they run, what they said last, how often they lie, how long they take
///
/// They are set by gt config, for example: gt config set gates.lint.command 'make lint' --rig widgets
#[derive(Args)]
struct List {
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

/// Run gates on a commit as the queue would, and record what they say
///
/// In a checkout of its own, of the committed tree. What is green here need not run again when the same tree lands. Ends
/// with exit code 0 when all are green, else 6. Example: gt gate run lint test
#[derive(Args)]
struct Run {
    /// The gates; those that a tree needs to land when none is named
    #[arg(value_name = "GATE")]
    names: Vec<String>,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// The commit, as git names it; that of the checkout here when not given
    #[arg(long, value_name = "REV")]
    commit: Option<String>,
    /// Also what is known to be green
    #[arg(long)]
    again: bool,
}

/// List gate runs, or print the log of one
///
/// Example: gt gate log test
#[derive(Args)]
struct Logged {
    /// The run, or the gate of which the newest run is meant; without one, runs are listed, newest first
    #[arg(value_name = "RUN|GATE")]
    what: Option<String>,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
    /// How many are listed
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

impl GateArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            GateVerb::List(list) => {
                let place = town.rig_or_here(list.rig.as_ref())?;
                let all = gates::list(town, &place)?;
                Ok(out.show(&AllGates { all, rig: place.rig.name.clone(), now: town.now }))
            }
            GateVerb::Run(run) => {
                let place = town.rig_or_here(run.rig.as_ref())?;
                let asked = Asked { names: run.names, commit: run.commit, is_again: run.again };
                let report = gates::run(town, &place, &asked, &mut |line| out.tell(line))?;
                Ok(out.show(&report))
            }
            GateVerb::Log(logged) => {
                let place = town.rig_or_here(logged.rig.as_ref())?;
                match &logged.what {
                    Some(what) => Ok(out.show(&gates::log(town, &place, what)?)),
                    None => Ok(out.show(&KeptLogs { logs: gates::logs(town, &place, logged.limit)?, now: town.now })),
                }
            }
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct AllGates {
    all: Vec<Listed>,
    #[serde(skip)]
    rig: Name,
    #[serde(skip)]
    now: Moment,
}

impl Show for AllGates {
    fn show(&self, page: &mut Page) {
        let row = |one: &Listed| {
            let (style, last) = match &one.last {
                Some(last) => (verdict_style(last.verdict), format!("{} {}", last.verdict.word(), last.at.ago(self.now))),
                None => (Style::Dim, "never ran".to_owned()),
            };
            let flakes = if one.runs == 0 { "-".to_owned() } else { format!("{:.1} %", one.flake_rate * 100.0) };
            vec![
                Cell::number(&one.gate.phase.to_string()),
                Cell::from(one.gate.name.as_str()),
                Cell::from(if one.gate.is_required { "required" } else { "reported" }),
                Cell::new(if one.untrusted.is_some() { Style::Bad } else { Style::Plain }, here(one)),
                Cell::new(style, &last),
                Cell::number(&flakes),
                Cell::number(&one.median_millis.map_or_else(|| "-".to_owned(), span)),
                Cell::from(definition(one)),
            ]
        };
        if !self.all.is_empty() {
            let heading = ["PHASE", "GATE", "FOR", "HERE", "LAST", "FLAKY", "TAKES", "COMMAND"];
            page.table(&heading, &self.all.iter().map(row).collect::<Vec<_>>());
        }
        for one in self.all.iter().filter_map(|one| one.untrusted.as_ref()) {
            page.line(format!("{} is not trusted here: gt trust shows it", escape(one)));
        }
        if self.all.is_empty() {
            page.line(format!("{} has no gates: gt config set gates.test.command 'make test' --rig {0}", self.rig));
        }
    }
}

fn here(one: &Listed) -> &'static str {
    if one.untrusted.is_some() { "NOT TRUSTED" } else { "trusted" }
}

/// The command with what is unusual about it.
fn definition(one: &Listed) -> String {
    let gate = &one.gate;
    let mut text = gate.command.replace('\n', "; ");
    let mut add = |what: String| text.push_str(&format!("  [{what}]"));
    if !gate.inputs.is_empty() {
        add(format!("reads {}", gate.inputs.join(" ")));
    }
    if !gate.env.is_empty() {
        let names: Vec<&str> = gate.env.iter().filter_map(|pair| pair.split_once('=')).map(|(name, _)| name).collect();
        add(format!("sets {}", names.join(" ")));
    }
    if gate.retries > 0 {
        add(format!("{} retries", gate.retries));
    }
    if gate.on_timeout == OnTimeout::Inconclusive {
        add(format!("after {} inconclusive", span(gate.timeout_millis)));
    }
    text
}

const fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Green => Style::Good,
        Verdict::Red => Style::Bad,
        Verdict::Inconclusive | Verdict::Infrastructure => Style::Warn,
    }
}

/// A length of time for people: `0.4 s`, `12 s`, `3 m 20 s`.
fn span(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..60_000 => format!("{} s", millis / 1000),
        _ => format!("{} m {} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

impl Show for Report {
    fn show(&self, page: &mut Page) {
        for one in &self.gates {
            page.line(format!("{} {}", page.paint(one.verdict.map_or(Style::Dim, verdict_style), word(one)), described(one)));
            for name in &one.failing {
                page.line(format!("  failing: {}", escape(name)));
            }
            if one.verdict != Some(Verdict::Green) && !one.log_tail.is_empty() {
                page.block(2, &one.log_tail);
                page.line(format!("  the whole log: gt gate log {} --rig {}", escape(&one.gate), self.rig));
            }
        }
        let commit = self.commit.get(..8).unwrap_or(&self.commit);
        let (style, outcome) = if self.is_green { (Style::Good, "green") } else { (Style::Bad, "not green") };
        let ran = if self.is_all_known() { "; nothing had to run" } else { "" };
        page.line(format!("commit {commit} of {} is {}{ran}", self.rig, page.paint(style, outcome)));
    }

    fn exit_code(&self) -> u8 {
        if self.is_green { 0 } else { crate::error::Kind::External.exit_code() }
    }
}

fn word(one: &Judged) -> &'static str {
    one.verdict.map_or("ended", Verdict::word)
}

fn described(one: &Judged) -> String {
    let exit = one.exit.filter(|code| *code != 0).map(|code| format!(", exit {code}")).unwrap_or_default();
    let how = match one.verdict {
        _ if one.is_known => "known already".to_owned(),
        None => "another was red first".to_owned(),
        Some(_) if one.attempts > 1 => format!("after {}, at try {}{exit}", span(one.took_millis), one.attempts),
        Some(_) => format!("after {}{exit}", span(one.took_millis)),
    };
    let reported = if one.is_required { "" } else { "; only reported" };
    format!("{} ({how}{reported})", escape(&one.gate))
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct KeptLogs {
    logs: Logs,
    #[serde(skip)]
    now: Moment,
}

impl Show for KeptLogs {
    fn show(&self, page: &mut Page) {
        if self.logs.runs.is_empty() {
            return page.line("no gate run is remembered");
        }
        let row = |one: &Kept| {
            vec![
                Cell::id(&one.run),
                Cell::from(one.gate.as_str()),
                Cell::new(verdict_style(one.verdict), one.verdict.word()).whole(),
                Cell::number(&span(one.took_millis)),
                Cell::from(one.at.ago(self.now)).dim(),
                Cell::from(if one.is_kept { "kept" } else { "last lines" }).dim(),
                Cell::from(one.commit.get(..8).unwrap_or(&one.commit)).dim(),
                Cell::from(subject(one)),
            ]
        };
        let heading = ["RUN", "GATE", "VERDICT", "TOOK", "AGE", "LOG", "COMMIT", "WHAT"];
        page.table(&heading, &self.logs.runs.iter().map(row).collect::<Vec<_>>());
        if self.logs.left_out > 0 {
            page.line(format!("{} older ones: --limit {}", self.logs.left_out, self.logs.runs.len() + self.logs.left_out));
        }
    }
}

fn subject(one: &Kept) -> String {
    let stack: Vec<&str> = one.stack.iter().map(BeadId::as_str).collect();
    match (&one.by, stack.is_empty()) {
        (Some(by), _) => format!("by hand of {by}"),
        (None, true) => "the target".to_owned(),
        (None, false) => stack.join(" + "),
    }
}

impl Show for Log {
    fn show(&self, page: &mut Page) {
        let run = &self.run;
        let exit = run.exit.filter(|code| *code != 0).map(|code| format!(", exit {code}")).unwrap_or_default();
        page.line(format!(
            "run {} of gate {}: {}{exit} after {} on {} ({})",
            escape(&run.run),
            escape(&run.gate),
            page.paint(verdict_style(run.verdict), run.verdict.word()),
            span(run.took_millis),
            escape(run.commit.get(..8).unwrap_or(&run.commit)),
            escape(&subject(run))
        ));
        for name in &run.failing {
            page.line(format!("failing: {}", escape(name)));
        }
        if !run.is_kept {
            page.line(format!("its whole log is not on this machine (it ran on {}); its last lines", escape(&run.machine)));
        }
        for line in self.text.lines() {
            page.verbatim(escape(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_as_exact_as_people_want_it() {
        for (millis, text) in [(0, "0.0 s"), (460, "0.4 s"), (9_990, "9.9 s"), (12_000, "12 s"), (200_500, "3 m 20 s")] {
            assert_eq!(span(millis), text);
        }
    }
}

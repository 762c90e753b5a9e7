//! `gt demo`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::out::{Out, Page, Show, escape, shorten};
use crate::error::Result;
use crate::ops::demo::{self, Shown};

/// Watch scripted agents work on a real repository, from beads to merged main and a second machine
///
/// Example: gt demo --repo . --keep /tmp/gt-demo
#[derive(Args)]
pub struct DemoArgs {
    /// The repository to work on a copy of; a small one is built when not given
    #[arg(long, value_name = "PATH|URL")]
    repo: Option<String>,
    /// At most this many agents side by side
    #[arg(long, default_value_t = 4, value_name = "N")]
    agents: usize,
    /// Build everything in DIR; a fresh temporary directory when not given
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl DemoArgs {
    /// Plays the demo, telling what happens as it happens.
    ///
    /// # Errors
    /// As [`demo::run`].
    pub fn run(&self, out: Out) -> Result<Shown> {
        let plan = demo::Plan { repo: self.repo.clone(), agents: self.agents, keep: self.keep.clone() };
        demo::run(&plan, &mut |line| out.tell(line))
    }
}

impl Show for Shown {
    fn show(&self, page: &mut Page) {
        page.gap();
        let mut rows = Vec::new();
        for row in &self.rows {
            let landed = row
                .landed
                .as_deref()
                .map_or_else(|| "not landed".to_owned(), |commit| format!("landed as {}", &commit[..commit.len().min(10)]));
            let sent_back: Vec<&String> = row.attempts.iter().filter(|fate| fate.starts_with("sent back")).collect();
            rows.push(vec![
                row.bead.clone(),
                row.title.clone(),
                landed,
                sent_back.first().map(|fate| shorten(fate, 80)).unwrap_or_default(),
            ]);
            rows.extend(
                sent_back.iter().skip(1).map(|fate| vec![String::new(), String::new(), String::new(), shorten(fate, 80)]),
            );
        }
        page.table(&["BEAD", "WORK", "OUTCOME", "BEFORE THAT"], &rows);
        page.gap();
        page.line(format!(
            "{} gate runs, {}.{} seconds. Look at it with plain git:",
            self.gate_runs,
            self.took_millis / 1000,
            self.took_millis % 1000 / 100
        ));
        let dir = self.dir.display();
        page.line(format!("  git --git-dir {dir}/hub/project.git log --stat {}", escape(&self.target)));
        page.line(format!("  git --git-dir {dir}/hub/project.git log refs/gt/ledger"));
        page.line(format!("  git --git-dir {dir}/laptop/widgets/.repo.git ls-tree -r --name-only refs/gt/ledger"));
        page.line("or with gt:");
        page.line(format!("  cd {dir}/laptop && gt status && gt log --rig widgets && gt mq list --all --rig widgets"));
        page.line(format!("All of it lies in {dir}; delete that directory when you have seen enough."));
    }
}

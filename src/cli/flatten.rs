//! `gt flatten`.

use clap::Args;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::scopes::ScopeArgs;
use crate::error::Result;
use crate::git::progress::Progress;
use crate::ops::flatten::{self, Flattened, Outcome, Report, Wish};
use crate::town::Town;

/// Replace a ledger's long history by one commit; what it was is kept aside
///
/// Example: gt flatten --rig widgets
#[derive(Args)]
pub struct FlattenArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
    /// Also when there are fewer than 1,000 commits
    #[arg(long)]
    force: bool,
    /// Only tell what would be done, without asking any remote
    #[arg(long)]
    dry_run: bool,
}

impl FlattenArgs {
    /// Flattens.
    ///
    /// # Errors
    /// As [`flatten::flatten`].
    pub fn run(self, town: &Town, out: Out) -> Result<Report> {
        let which = self.scopes.which();
        let wish = Wish { force: self.force, dry_run: self.dry_run };
        flatten::flatten(town, &which, wish, &Progress::to(out.progress()))
    }
}

impl Show for Report {
    fn show(&self, page: &mut Page) {
        self.0.iter().for_each(|one| page.line(escape(&line(one))));
    }

    fn exit_code(&self) -> u8 {
        let failed = self.0.iter().find_map(|one| match &one.outcome {
            Outcome::Failed { kind, .. } => Some(*kind),
            _ => None,
        });
        failed.map_or(0, crate::error::Kind::exit_code)
    }
}

fn line(one: &Flattened) -> String {
    let counted = |commits: usize| if commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") };
    let told = match &one.outcome {
        Outcome::Flattened { commits, epoch, .. } => {
            format!("{} replaced by one; what they were is kept at refs/gt/flattened/{epoch}", counted(*commits))
        }
        Outcome::WouldFlatten { commits } => format!("{} would be replaced by one", counted(*commits)),
        Outcome::TooShort { commits } => format!("left as it is, with {} there is too little to gain", counted(*commits)),
        Outcome::Elsewhere { home } => format!("its home is machine {home}; flatten it there"),
        Outcome::Failed { error, .. } => format!("failed: {error}"),
    };
    format!("{}: {told}", one.scope)
}

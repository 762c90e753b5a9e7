//! Verbs of the `bd` tool that a town has no need of, or has elsewhere: what prompts written for that tool call.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::prime::{Answered, PrimeArgs};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::git::progress::Progress;
use crate::ledger::sync::Options;
use crate::name::Prefix;
use crate::ops::scopes::Which;
use crate::ops::sync::{self, Report};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Report>("bead sync"),
    Answer::of::<Here>("bead init"),
    Answer::of::<Answered>("bead prime"),
    Answer::of::<Told>("bead info"),
    Answer::of::<Here>("bead where"),
    Answer::of::<Versions>("bead version"),
];

/// Exchange ledgers with their remotes, as gt sync; without a remote there is nothing to do
#[derive(Args)]
pub struct Sync {
    /// Only tell what would come and go
    #[arg(long, alias = "status")]
    dry_run: bool,
    /// Only receive
    #[arg(long, aliases = ["no-push", "import-only"])]
    fetch_only: bool,
    /// Only send
    #[arg(long, aliases = ["no-pull", "flush-only"], conflicts_with = "fetch_only")]
    push_only: bool,
    /// Why; every change here has said so already
    #[arg(short, long, hide = true)]
    message: Option<String>,
}

impl Sync {
    /// Only sends.
    pub(super) const fn only_push() -> Self {
        Self { dry_run: false, fetch_only: false, push_only: true, message: None }
    }

    /// Only receives.
    pub(super) const fn only_fetch() -> Self {
        Self { dry_run: false, fetch_only: true, push_only: false, message: None }
    }

    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let options = Options { push: !self.fetch_only, fetch: !self.push_only, dry_run: self.dry_run, ..Options::default() };
        Ok(out.show(&sync::exchange(town, &Which::All, &options, &Progress::to(out.progress()))?))
    }
}

/// Tell where beads are kept: there is a town already
#[derive(Args)]
pub struct Init {
    /// The prefix that ids shall have; that of the scope stays
    #[arg(short, long, hide = true)]
    prefix: Option<String>,
    /// How the bd tool would set itself up
    #[arg(long, hide = true)]
    stealth: bool,
    /// How the bd tool would set itself up
    #[arg(long, hide = true)]
    team: bool,
    /// How the bd tool would set itself up
    #[arg(long, hide = true)]
    contributor: bool,
    /// How the bd tool would set itself up
    #[arg(long, hide = true)]
    branch: Option<String>,
}

impl Init {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let here = Here::of(town)?;
        if let Some(asked) = self.prefix.as_ref().filter(|asked| **asked != here.prefix) {
            out.note(&format!("ids here begin with {}, not with {asked}; a rig of its own has its own prefix", here.prefix));
        }
        Ok(out.show(&here))
    }
}

/// Print what an agent must know, as gt prime
#[derive(Args)]
pub struct Prime {
    #[command(flatten)]
    prime: PrimeArgs,
    /// All of it, which is what is printed
    #[arg(long, hide = true)]
    full: bool,
}

impl Prime {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&self.prime.run(town, out)?))
    }
}

/// Tell where beads are kept
#[derive(Args)]
pub struct Where {}

impl Where {
    #[expect(clippy::unused_self, reason = "every verb runs alike")]
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Here::of(town)?))
    }
}

/// The scope of the directory.
#[derive(JsonSchema, Serialize)]
struct Here {
    /// The git directory of its ledger.
    path: String,
    /// What its ids begin with.
    prefix: String,
}

impl Here {
    fn of(town: &Town) -> Result<Self> {
        let prefix = town.prefix_here()?.unwrap_or_else(Prefix::hq);
        Ok(Self { path: town.scope_of(&prefix)?.store.dir().display().to_string(), prefix: prefix.to_string() })
    }
}

impl Show for Here {
    fn show(&self, page: &mut Page) {
        page.line(format!("beads are kept in the ledger of {}; ids begin with {}-", escape(&self.path), self.prefix));
    }
}

/// Tell how many beads there are, and where they are kept
#[derive(Args)]
pub struct Numbers {}

/// What the `bd` tool says of itself.
#[derive(JsonSchema, Serialize)]
struct Told {
    /// The git directory of the ledger.
    database_path: String,
    /// How it is reached: always `direct`.
    mode: &'static str,
    /// Always false: there is no daemon between.
    daemon_connected: bool,
    /// Beads in the scope, archived ones apart.
    issue_count: usize,
    /// What is set.
    config: Config,
}

#[derive(JsonSchema, Serialize)]
struct Config {
    /// What ids begin with.
    issue_prefix: String,
}

impl Numbers {
    #[expect(clippy::unused_self, reason = "every verb runs alike")]
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let here = Here::of(town)?;
        let ledger = town.scope_of(&here.prefix.parse()?)?;
        let issue_count = ledger.state()?.catalog()?.rows().count();
        let config = Config { issue_prefix: here.prefix };
        Ok(out.show(&Told { database_path: here.path, mode: "direct", daemon_connected: false, issue_count, config }))
    }
}

impl Show for Told {
    fn show(&self, page: &mut Page) {
        page.line(format!("ledger: {}", escape(&self.database_path)));
        page.line(format!("prefix: {}", self.config.issue_prefix));
        page.line(format!("beads: {}", self.issue_count));
    }
}

/// Print the version
#[derive(Args)]
pub struct Version {}

#[derive(JsonSchema, Serialize)]
struct Versions {
    /// That of this program.
    version: &'static str,
}

impl Version {
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "every verb runs alike")]
    pub(super) fn run(&self, _: &Town, out: Out) -> Result<u8> {
        Ok(out.show(&Versions { version: env!("CARGO_PKG_VERSION") }))
    }
}

impl Show for Versions {
    fn show(&self, page: &mut Page) {
        page.line(format!("gt {}", self.version));
    }
}

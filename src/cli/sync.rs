//! `gt sync`, `gt remote`.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::cli::scopes::ScopeArgs;
use crate::error::{Error, Result};
use crate::git::progress::Progress;
use crate::ledger::sync::Options;
use crate::name::{Name, Prefix};
use crate::ops::remote::{self, Remote};
use crate::ops::sync::{self, Report};
use crate::store::Store;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Report>("sync"),
    Answer::of::<Remotes>("remote add"),
    Answer::of::<Remotes>("remote list"),
    Answer::of::<Remotes>("remote remove"),
];

/// Exchange ledgers with their remotes: fetch, merge, push
///
/// Example: gt sync --rig widgets
#[derive(Args)]
pub struct SyncArgs {
    #[command(flatten)]
    scopes: ScopeArgs,
    /// Only send
    #[arg(long, conflicts_with = "fetch_only")]
    push_only: bool,
    /// Only receive
    #[arg(long)]
    fetch_only: bool,
    /// Only tell what would come and go, field by field
    #[arg(long)]
    dry_run: bool,
    /// Go on until interrupted: soon after each change here, and now and then for what changed elsewhere
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
}

impl SyncArgs {
    /// Exchanges, and tells the exit code.
    ///
    /// # Errors
    /// As [`sync::exchange`] and [`sync::watch`].
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let which = self.scopes.which();
        let options = Options { push: !self.fetch_only, fetch: !self.push_only, dry_run: self.dry_run, ..Options::default() };
        if self.watch {
            let mut tell = |report: &Report| out.tell_record(report);
            let mut complain = |error: &Error| {
                out.error(error);
            };
            return sync::watch(town, &which, &options, &mut tell, &mut complain).map(|never| match never {});
        }
        Ok(out.show(&sync::exchange(town, &which, &options, &Progress::to(out.progress()))?))
    }
}

impl Show for Report {
    fn show(&self, page: &mut Page) {
        for line in self.lines() {
            page.line(escape(&line));
        }
    }

    fn exit_code(&self) -> u8 {
        self.0.iter().find_map(|synced| synced.kind).map_or(0, crate::error::Kind::exit_code)
    }
}

/// Name the git remotes that ledgers are exchanged with from this machine
#[derive(Args)]
pub struct RemoteArgs {
    #[command(subcommand)]
    verb: RemoteVerb,
}

#[derive(Subcommand)]
enum RemoteVerb {
    /// Exchange a ledger with a git remote
    ///
    /// Example: gt remote add origin git@example.org:town.git
    Add {
        /// Its name on this machine
        name: String,
        /// Its git URL or path
        url: String,
        /// The ledger of this rig; else the town's
        #[arg(long)]
        rig: Option<Name>,
    },
    /// List the remotes of all ledgers
    List,
    /// Forget a remote; nothing is deleted there
    Remove {
        /// Its name
        name: String,
        /// The ledger of this rig; else the town's
        #[arg(long)]
        rig: Option<Name>,
    },
}

#[derive(JsonSchema, Serialize)]
struct Listed {
    scope: String,
    #[serde(flatten)]
    remote: Remote,
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Remotes(Vec<Listed>);

impl RemoteArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        let dir = |rig: Option<Name>| -> Result<std::path::PathBuf> {
            let ledger = match rig {
                Some(rig) => town.rig(&rig)?.ledger,
                None => town.scope_of(&Prefix::hq())?,
            };
            Ok(ledger.store.dir().to_owned())
        };
        match self.verb {
            RemoteVerb::Add { name, url, rig } => remote::add(&dir(rig)?, &name, &url)?,
            RemoteVerb::Remove { name, rig } => remote::remove(&dir(rig)?, &name)?,
            RemoteVerb::List => {}
        }
        // Opened anew: configuration is read when a store is opened.
        let of = |scope: String, dir: &std::path::Path| -> Result<Vec<Listed>> {
            Ok(remote::list(&Store::open(dir)?).into_iter().map(|remote| Listed { scope: scope.clone(), remote }).collect())
        };
        let mut listed = of("town".to_owned(), town.hq.store.dir())?;
        for place in town.places()? {
            listed.extend(of(format!("rig {}", place.rig.name), place.ledger.store.dir())?);
        }
        Ok(out.show(&Remotes(listed)))
    }
}

impl Show for Remotes {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no ledger is exchanged with anyone; gt remote add NAME URL names a remote");
        }
        let row = |one: &Listed| vec![one.scope.clone(), one.remote.name.clone(), one.remote.url.clone()];
        page.table(&["LEDGER", "REMOTE", "URL"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

//! `gt machine`: the machines of a town, and what is theirs.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::git::progress::Progress;
use crate::ledger::sync::Options;
use crate::name::Name;
use crate::ops::machine::{self, Evicted, Listed, Renewed, Taken};
use crate::ops::scopes::Which;
use crate::ops::sync;
use crate::time::Moment;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Machines>("machine list"),
    Answer::of::<Taken>("machine take"),
    Answer::of::<Evicted>("machine evict"),
    Answer::of::<Renewed>("machine renew"),
];

/// The machines of the town: who they are, what hangs on their hooks, whose home is where
#[derive(Args)]
pub struct MachineArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the machines
    List,
    /// Make this machine the home of a rig, or of the town: it works the queue and does the housekeeping from now on
    ///
    /// Syncs before and after. Example: gt machine take --rig widgets
    Take {
        /// The rig; else the town
        #[arg(long)]
        rig: Option<Name>,
        /// Though the remote cannot be reached, or a landing is under way there
        #[arg(long)]
        force: bool,
    },
    /// Take over what a machine that is gone held: its hooks are cleared, its homes are this machine's
    ///
    /// Syncs before and after. Example: gt machine evict laptop
    Evict {
        /// Its name, or the beginning of its id
        machine: String,
        /// Though it may be alive
        #[arg(long)]
        force: bool,
    },
    /// Give a copy of a town an identity of its own, so that both can go on
    ///
    /// Example: gt machine renew --name desktop
    Renew {
        /// Its name from now on; else the old one with a number
        #[arg(long, conflicts_with = "moved")]
        name: Option<String>,
        /// It is no copy: the town was brought here, and the other place is gone. It stays the machine that it was
        #[arg(long)]
        moved: bool,
    },
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Machines {
    machines: Vec<Listed>,
    #[serde(skip)]
    now: Moment,
}

impl MachineArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(self, town: &Town, out: Out) -> Result<u8> {
        match self.verb {
            Verb::List => Ok(out.show(&Machines { machines: machine::list(town)?, now: town.now })),
            Verb::Take { rig, force } => {
                exchange(town, force)?;
                let taken = machine::take(town, rig.as_ref(), force)?;
                out.note_undelivered(exchange(town, false));
                Ok(out.show(&taken))
            }
            Verb::Evict { machine, force } => {
                exchange(town, force)?;
                let gone = machine::named(town, &machine)?;
                let evicted = machine::evict(town, &gone, force)?;
                out.note_undelivered(exchange(town, false));
                Ok(out.show(&evicted))
            }
            Verb::Renew { name, moved } => Ok(out.show(&machine::renew(town, name.as_deref(), moved)?)),
        }
    }
}

/// Takes over the newest and gives what is here; what fails is an error, unless `force` is said.
fn exchange(town: &Town, force: bool) -> Result<()> {
    let report = sync::exchange(town, &Which::All, &Options::default(), &Progress::silent());
    let report = match report {
        Err(_) if force => return Ok(()),
        report => report?,
    };
    let fault = report.0.iter().find_map(|synced| Some((&synced.scope, synced.error.as_ref()?)));
    match fault.filter(|_| !force) {
        None => Ok(()),
        Some((scope, error)) => Err(Error::external(format!("{scope} was not exchanged: {error}"))
            .hint("nothing was taken over; what others know may be newer. With --force it is taken all the same")),
    }
}

impl Show for Machines {
    fn show(&self, page: &mut Page) {
        show_machines(page, &self.machines, self.now);
    }
}

/// Shows machines as a table, and what hangs on their hooks below it.
pub fn show_machines(page: &mut Page, machines: &[Listed], now: Moment) {
    let rows: Vec<Vec<String>> = machines.iter().map(|one| row(one, now)).collect();
    page.table(&["MACHINE", "ID", "HOME OF", "HOOKS", "HEARD"], &rows);
    for one in machines {
        for hung in &one.hooks {
            page.line(format!("  {}: {} on the hook of {}", escape(&one.name), hung.bead, hung.agent));
        }
    }
}

fn row(one: &Listed, now: Moment) -> Vec<String> {
    let heard = match (one.is_here, &one.replaced_by, one.heard_at) {
        (true, ..) => "this one".to_owned(),
        (_, Some(by), _) => format!("replaced by {by}"),
        (_, None, Some(at)) => at.ago(now),
        (_, None, None) => String::new(),
    };
    let (name, home) = (one.name.clone(), one.home_of.join(", "));
    vec![name, one.id.clone(), home, one.hooks.len().to_string(), heard]
}

impl Show for Taken {
    fn show(&self, page: &mut Page) {
        let Self { scope, from, was_so } = self;
        page.line(if *was_so {
            format!("this machine is the home of {scope} already")
        } else {
            format!("this machine is the home of {scope} now; until then it was {}", escape(from))
        });
    }
}

impl Show for Renewed {
    fn show(&self, page: &mut Page) {
        let name = escape(&self.name);
        page.line(match &self.was {
            Some(was) => format!("this is machine {name} ({}) now; {was} is the other one's alone", self.id),
            None => format!("this is machine {name} ({}), as before", self.id),
        });
    }
}

impl Show for Evicted {
    fn show(&self, page: &mut Page) {
        let machine = escape(&self.machine);
        page.line(format!("machine {machine} is evicted: {} hooks cleared", self.released.len()));
        for hung in &self.released {
            page.line(format!("  {} is off the hook of {}, and open", hung.bead, hung.agent));
        }
        for home in &self.homes {
            page.line(format!("  this machine is the home of {home} now"));
        }
        for (scope, error) in &self.failed {
            page.line(format!("  {scope} could not be written: {}; say it again when it can", escape(error)));
        }
    }

    fn exit_code(&self) -> u8 {
        if self.failed.is_empty() { 0 } else { crate::error::Kind::External.exit_code() }
    }
}

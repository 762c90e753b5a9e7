//! `gt crew`, `gt worktree`, `gt commit`: workspaces of people and long-lived agents.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, escape};
use crate::cli::polecat::Started;
use crate::cli::polecat::Stopped;
use crate::cli::schema::Answer;
use crate::cli::work::kept;
use crate::error::Result;
use crate::model::address::Address;
use crate::name::Name;
use crate::ops::commit::{self, Committed};
use crate::ops::crew::visit::{self, Ended, Visit};
use crate::ops::crew::{self, Made, Refreshed, Removed, Workspace};
use crate::ops::{session, trust};
use crate::runtime::process;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<AllMade>("crew add"),
    Answer::of::<Workspaces>("crew list"),
    Answer::of::<Workspace>("crew at"),
    Answer::of::<Started>("crew start"),
    Answer::of::<Stopped>("crew stop"),
    Answer::of::<Removed>("crew remove"),
    Answer::of::<AllRefreshed>("crew refresh"),
    Answer::of::<AllRefreshed>("crew pristine"),
    Answer::of::<Visit>("worktree"),
    Answer::of::<Visits>("worktree list"),
    Answer::of::<Ended>("worktree remove"),
    Answer::of::<Committed>("commit"),
];

/// Look after crew: full clones of the project, of people or of agents that live long
///
/// Example: gt crew add joe --rig widgets
#[derive(Args)]
pub struct CrewArgs {
    #[command(subcommand)]
    verb: CrewVerb,
}

#[derive(Args)]
struct Member {
    /// The member: its name, or as widgets/crew/joe
    name: String,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Args)]
struct Members {
    /// Of these members; of all when none is named
    names: Vec<String>,
    /// The rig; the one here when not given
    #[arg(long)]
    rig: Option<Name>,
}

#[derive(Subcommand)]
enum CrewVerb {
    /// Make a clone for each name, with the remotes origin (the project) and town (the rig's own repository)
    Add {
        /// The names, or as widgets/crew/joe
        #[arg(required = true)]
        names: Vec<String>,
        /// The rig; the one here when not given
        #[arg(long)]
        rig: Option<Name>,
        /// Begin on a new branch of this name; on the rig's target when not given
        #[arg(long)]
        branch: Option<String>,
    },
    /// List them with what each holds that is nowhere else
    List {
        /// Of this rig; else of all
        #[arg(long)]
        rig: Option<Name>,
    },
    /// Show a member's terminal here, or without one where its clone is
    At {
        #[command(flatten)]
        member: Member,
        /// Only print the directory, for example: cd "$(gt crew at joe --path)"
        #[arg(long)]
        path: bool,
    },
    /// Start an agent in a member's clone, unless one runs
    Start {
        #[command(flatten)]
        member: Member,
        /// This agent; as configured when not given
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
    },
    /// End a member's session; the clone stays
    Stop(Member),
    /// Remove a member's clone; refused while it holds work that is nowhere else
    Remove {
        #[command(flatten)]
        member: Member,
        /// Also with such work: it is kept in the rig's repository first
        #[arg(long)]
        force: bool,
    },
    /// Fetch both remotes, and move clean clones on the rig's target along with it
    Refresh(Members),
    /// Bring clones up to date as refresh does, and end with 1 when one is not as the target
    Pristine(Members),
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct AllMade(Vec<Made>);

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Workspaces(Vec<Workspace>);

#[derive(JsonSchema, Serialize)]
struct AllRefreshed {
    crew: Vec<Refreshed>,
    #[serde(skip)]
    is_asked: bool,
}

impl CrewArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let named = |member: &Member| crew::named(town, member.rig.as_ref(), &member.name);
        match &self.verb {
            CrewVerb::Add { names, rig, branch } => {
                let members = names.iter().map(|name| crew::named(town, rig.as_ref(), name)).collect::<Result<Vec<_>>>()?;
                let made = members.iter().map(|(place, name)| crew::add(town, place, name, branch.as_deref()));
                Ok(out.show(&AllMade(made.collect::<Result<_>>()?)))
            }
            CrewVerb::List { rig } => {
                let places = rig.as_ref().map_or_else(|| town.places(), |rig| Ok(vec![town.rig(rig)?]))?;
                let all = places.iter().map(|place| crew::list(town, place)).collect::<Result<Vec<_>>>()?;
                Ok(out.show(&Workspaces(all.into_iter().flatten().collect())))
            }
            CrewVerb::At { member, path } => {
                let (place, name) = named(member)?;
                let workspace = crew::look(town, &place, &name)?;
                let pane = process::find(&town.runtime_dir(), &workspace.address)?.and_then(|session| session.pane);
                if let Some(pane) = pane.filter(|_| !path && !out.json) {
                    pane.attach()?;
                    return Ok(0);
                }
                Ok(out.show(&workspace))
            }
            CrewVerb::Start { member, agent } => {
                let (place, name) = named(member)?;
                if let Some(agent) = agent {
                    trust::name_agent(town, agent)?;
                }
                Ok(out.show(&Started(crew::start(town, &place, &name, agent.as_deref())?)))
            }
            CrewVerb::Stop(member) => {
                let (place, name) = named(member)?;
                let agent = Address::Crew(place.rig.name.clone(), name);
                let was_running = process::stop(&town.runtime_dir(), &agent, session::GRACE_MILLIS)?;
                Ok(out.show(&Stopped { agent: agent.to_string(), was_running }))
            }
            CrewVerb::Remove { member, force } => {
                let (place, name) = named(member)?;
                Ok(out.show(&crew::remove(town, &place, &name, *force)?))
            }
            CrewVerb::Refresh(members) => Ok(out.show(&refresh(town, members, false)?)),
            CrewVerb::Pristine(members) => Ok(out.show(&refresh(town, members, true)?)),
        }
    }
}

fn refresh(town: &Town, members: &Members, is_asked: bool) -> Result<AllRefreshed> {
    let rig = members.rig.as_ref();
    let chosen = if members.names.is_empty() {
        let place = town.rig_or_here(rig)?;
        let all = crew::list(town, &place)?;
        let names = all.iter().map(|one| crew::named(town, rig, &one.address.to_string()));
        names.collect::<Result<Vec<_>>>()?
    } else {
        members.names.iter().map(|name| crew::named(town, rig, name)).collect::<Result<Vec<_>>>()?
    };
    let crew = chosen.iter().map(|(place, name)| crew::refresh(place, name)).collect::<Result<_>>()?;
    Ok(AllRefreshed { crew, is_asked })
}

fn warn(page: &mut Page, warnings: &[String]) {
    for warning in warnings {
        page.line(format!("warning: {}", escape(warning)));
    }
}

impl Show for AllMade {
    fn show(&self, page: &mut Page) {
        for one in &self.0 {
            page.line(format!("{} works on {} in {}", one.address, escape(&one.branch), escape(&one.dir.display().to_string())));
            warn(page, &one.warnings);
        }
    }
}

impl Show for Workspaces {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no crew yet; gt crew add NAME makes a clone");
        }
        let row = |one: &Workspace| {
            let held = if one.pending.is_none() { "-".to_owned() } else { one.pending.text() };
            vec![
                Cell::address(Some(&one.address.to_string())),
                Cell::from(one.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
                Cell::from(one.branch.clone().unwrap_or_else(|| "-".to_owned())),
                Cell::from(held),
            ]
        };
        page.table(&["CREW", "PROCESS", "BRANCH", "NOWHERE ELSE"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

impl Show for Workspace {
    fn show(&self, page: &mut Page) {
        page.line(escape(&self.dir.display().to_string()));
    }
}

impl Show for Removed {
    fn show(&self, page: &mut Page) {
        page.line(format!("the clone of {} is gone; its identity and mail stay", self.address));
        kept(page, self.salvage.as_deref());
    }
}

impl Show for AllRefreshed {
    fn show(&self, page: &mut Page) {
        for one in &self.crew {
            page.line(match &one.why {
                Some(why) => format!("{} stays as it is: {}", one.address, escape(why)),
                None if one.is_moved => format!("{} is up to date now", one.address),
                None => format!("{} is up to date", one.address),
            });
        }
        if self.crew.is_empty() {
            page.line("no crew yet; gt crew add NAME makes a clone");
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.is_asked && self.crew.iter().any(|one| one.why.is_some()))
    }
}

/// Work in another rig, as the crew member that you are: a worktree there, on a branch of its own
///
/// Example: gt worktree gadgets
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct WorktreeArgs {
    /// The rig
    #[arg(required = true)]
    rig: Option<Name>,
    #[command(subcommand)]
    verb: Option<WorktreeVerb>,
}

#[derive(Subcommand)]
enum WorktreeVerb {
    /// List the worktrees of crew in other rigs
    List,
    /// Remove your worktree in a rig; its branch stays
    Remove {
        /// The rig
        rig: Name,
        /// Also when it holds work that is nowhere else; that is salvaged first
        #[arg(long)]
        force: bool,
    },
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Visits(Vec<Visit>);

impl WorktreeArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match (&self.verb, &self.rig) {
            (Some(WorktreeVerb::Remove { rig, force }), _) => Ok(out.show(&visit::end(town, &town.rig(rig)?, *force)?)),
            (None, Some(rig)) => Ok(out.show(&visit::begin(town, &town.rig(rig)?)?)),
            (Some(WorktreeVerb::List), _) | (None, None) => Ok(out.show(&Visits(visit::list(town)?))),
        }
    }
}

impl Show for Visit {
    fn show(&self, page: &mut Page) {
        page.line(escape(&self.dir.display().to_string()));
        warn(page, &self.warnings);
    }
}

impl Show for Visits {
    fn show(&self, page: &mut Page) {
        if self.0.is_empty() {
            return page.line("no crew works in another rig; gt worktree RIG makes a worktree there");
        }
        let row = |one: &Visit| {
            let branch = one.branch.clone().unwrap_or_else(|| "-".to_owned());
            vec![one.address.to_string(), one.rig.to_string(), branch, one.dir.display().to_string()]
        };
        page.table(&["CREW", "RIG", "BRANCH", "WORKTREE"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

impl Show for Ended {
    fn show(&self, page: &mut Page) {
        page.line(format!("the worktree of {} in rig {} is gone", self.address, self.rig));
        if let Some(branch) = &self.branch {
            page.line(format!("its branch {} stays", escape(branch)));
        }
        kept(page, self.salvage.as_deref());
    }
}

/// Commit as the agent that acts, with the owner's e-mail; what follows is for git's own commit
///
/// Example: gt commit -am 'Mend the pump'
#[derive(Args)]
pub struct CommitArgs {
    /// Arguments of git commit
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl CommitArgs {
    /// Commits.
    ///
    /// # Errors
    /// As [`commit::commit`].
    pub fn run(&self, town: &Town) -> Result<Committed> {
        commit::commit(town, &self.words)
    }
}

impl Show for Committed {
    fn show(&self, page: &mut Page) {
        let who = self.author.as_ref().map_or_else(String::new, |author| format!(" by {}", escape(author)));
        page.line(format!("commit {}{who}", self.commit));
    }
}

//! `gt agents`, and short forms for one of them: `gt spawn`, `gt kill`, `gt sleep`, `gt wake`, `gt attach`, `gt capture`.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, Style, escape};
use crate::cli::polecat::{Nothing, Stopped};
use crate::cli::schema::Answer;
use crate::error::{Kind, Result};
use crate::model::roll::Doing;
use crate::name::Name;
use crate::ops::control::{self, Entry, Errand, Rested};
use crate::ops::sling::{self, Slung};
use crate::ops::{refinery, session};
use crate::runtime::process;
use crate::time;
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Roll>("agents"),
    Answer::of::<Slung>("spawn"),
    Answer::of::<Stopped>("kill"),
    Answer::of::<Rested>("sleep"),
    Answer::of::<Rested>("wake"),
    Answer::of::<Nothing>("attach"),
    Answer::of::<Errand>("capture"),
];

/// List all agents: what each does, its work, its session, its machine
///
/// Example: gt agents --rig widgets
#[derive(Args)]
pub struct AgentsArgs {
    /// Of this rig; else of the town
    #[arg(long)]
    rig: Option<Name>,
}

/// Start a polecat on a bead: gt sling in short
///
/// Example: gt spawn --issue wi-x7k2m
#[derive(Args)]
pub struct SpawnArgs {
    /// The bead
    #[arg(long, value_name = "ID")]
    issue: String,
    /// A rig or a polecat; the bead's rig when not given
    target: Option<String>,
}

/// End an agent's session; its hook keeps its work: gt session stop in short
///
/// Example: gt kill widgets/toast
#[derive(Args)]
pub struct KillArgs {
    /// The agent
    agent: String,
}

/// End a polecat's session and let nobody start it or give it work until gt wake
///
/// Its hook, sandbox and mail stay. Example: gt sleep widgets/toast
#[derive(Args)]
pub struct SleepArgs {
    /// The polecat
    agent: String,
}

/// Wake a polecat that was put to sleep, and start it when it has work
///
/// Example: gt wake widgets/toast
#[derive(Args)]
pub struct WakeArgs {
    /// The polecat
    agent: String,
}

/// Show the terminal of an agent here, to look on and to type: gt session attach in short
///
/// Leave it with Ctrl-B d. Example: gt attach widgets/toast
#[derive(Args)]
pub struct AttachArgs {
    /// The agent
    agent: String,
}

/// Run a command where an agent works, in your own name
///
/// Its words reach the program as they stand, no shell reads them. For people, the mayor and crew.
/// Example: gt capture widgets/toast git status --short
#[derive(Args)]
pub struct CaptureArgs {
    /// The agent
    agent: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
    words: Vec<String>,
    /// After this long it is ended
    #[arg(long, value_name = "TIME", default_value = "1m")]
    timeout: String,
}

/// The roll.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Roll(Vec<Entry>);

impl AgentsArgs {
    /// Calls the roll.
    ///
    /// # Errors
    /// As [`control::roll`].
    pub fn run(&self, town: &Town) -> Result<Roll> {
        control::roll(town, self.rig.as_ref()).map(Roll)
    }
}

impl SpawnArgs {
    /// Slings.
    ///
    /// # Errors
    /// As [`sling::sling`].
    pub fn run(&self, town: &Town) -> Result<Slung> {
        let plan = sling::Plan { bead: self.issue.clone(), target: self.target.clone(), ..sling::Plan::default() };
        sling::sling(town, &plan)
    }
}

impl KillArgs {
    /// Ends the session.
    ///
    /// # Errors
    /// Refused, when the identity may not; external, when it does not die.
    pub fn run(&self, town: &Town) -> Result<Stopped> {
        let agent = town.resolve_address(&self.agent)?;
        refinery::check_steers(&town.me, "end the sessions of others")?;
        let was_running = process::stop(&town.runtime_dir(), &agent, 5_000)?;
        Ok(Stopped { agent: agent.to_string(), was_running })
    }
}

impl SleepArgs {
    /// Puts it to sleep.
    ///
    /// # Errors
    /// As [`control::sleep`].
    pub fn run(&self, town: &Town) -> Result<Rested> {
        control::sleep(town, &town.resolve_address(&self.agent)?)
    }
}

impl WakeArgs {
    /// Wakes it.
    ///
    /// # Errors
    /// As [`control::wake`].
    pub fn run(&self, town: &Town) -> Result<Rested> {
        control::wake(town, &town.resolve_address(&self.agent)?)
    }
}

impl AttachArgs {
    /// Shows its terminal.
    ///
    /// # Errors
    /// As [`session::terminal`].
    pub fn run(&self, town: &Town) -> Result<u8> {
        session::terminal(town, &town.resolve_address(&self.agent)?)?.attach()?;
        Ok(0)
    }
}

impl CaptureArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// As [`control::errand`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let errand = control::errand(town, &town.resolve_address(&self.agent)?, &self.words, time::parse_millis(&self.timeout)?)?;
        if errand.exit != Some(0) {
            out.note(&format!("{}: {}", self.words.join(" "), errand.ended));
        }
        Ok(out.show(&errand))
    }
}

impl Show for Roll {
    fn show(&self, page: &mut Page) {
        let row = |one: &Entry| {
            let text = |value: Option<String>| Cell::from(value.unwrap_or_else(|| "-".to_owned()));
            vec![
                Cell::address(Some(&one.agent.to_string())),
                Cell::new(style(one.state), one.state.word()).whole(),
                text(one.bead.as_ref().map(ToString::to_string)).whole(),
                text(one.pid.map(|pid| pid.to_string())).whole(),
                text(one.terminal.clone().or_else(|| one.session.clone())),
                Cell::from(one.machine.as_str()),
            ]
        };
        page.table(&["AGENT", "STATE", "BEAD", "PROCESS", "SESSION", "MACHINE"], &self.0.iter().map(row).collect::<Vec<_>>());
    }
}

const fn style(doing: Doing) -> Style {
    match doing {
        Doing::Working | Doing::Running => Style::Busy,
        Doing::Idle | Doing::Asleep | Doing::Elsewhere => Style::Dim,
        Doing::Stalled | Doing::Zombie | Doing::Held => Style::Bad,
    }
}

impl Show for Rested {
    fn show(&self, page: &mut Page) {
        let work = self.bead.as_ref().map(|bead| format!("; {bead} stays on its hook")).unwrap_or_default();
        match (self.is_asleep, self.was_so) {
            (true, true) => page.line(format!("{} sleeps already{work}", self.agent)),
            (true, false) => page.line(format!("{} sleeps{work}: gt wake {}", self.agent, self.agent)),
            (false, true) => page.line(format!("{} is awake already", self.agent)),
            (false, false) => page.line(format!("{} is awake", self.agent)),
        }
        if let Some(pid) = self.pid {
            page.line(format!("it runs as process {pid}: gt peek {}", self.agent));
        }
    }
}

impl Show for Errand {
    fn show(&self, page: &mut Page) {
        for line in self.output.lines() {
            page.line(escape(line));
        }
    }

    fn exit_code(&self) -> u8 {
        if self.exit == Some(0) { 0 } else { Kind::External.exit_code() }
    }
}

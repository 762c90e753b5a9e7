//! Words in, one outcome out: the command tree and its dispatch.
//!
//! A command is a struct of arguments with a `run` that calls one verb; no logic lives here.

pub mod agent;
pub mod backup;
pub mod bead;
pub mod config;
pub mod convoy;
pub mod demo;
pub mod done;
pub mod explain;
pub mod flatten;
pub mod gate;
#[cfg(test)]
mod hints;
pub mod hub;
pub mod machine;
pub mod mail;
pub mod maintain;
pub mod mq;
pub mod nudge;
pub mod oracle;
pub mod out;
pub mod plugin;
pub mod polecat;
pub mod queue_stats;
pub mod redact;
pub mod reindex;
pub mod rig;
pub mod salvage;
pub mod schema;
pub mod scopes;
pub mod stats;
pub mod sync;
pub mod template;
pub mod town;
pub mod work;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::env::{self, Var};
use crate::error::{Error, Kind, Result};
use crate::ops::upkeep;
use crate::town::{Start, Town};
use bead::Question as _;
use out::{Color, Out, Paper};

/// Coordinates many coding agents on many git repositories; all state lives in git
#[derive(Parser)]
#[command(name = "gt", version, propagate_version = false, arg_required_else_help = true, infer_subcommands = false)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Work items: file, find, change, close and connect them
///
/// The verbs of gt bead; gt has the rest.
#[derive(Parser)]
#[command(name = "bd", version, propagate_version = false, arg_required_else_help = true, infer_subcommands = false)]
struct BdCli {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    bead: bead::BeadArgs,
}

/// Options of every command.
#[derive(clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Act as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// Act as this address, for example widgets/crew/joe
    #[arg(long, value_name = "ADDRESS", global = true)]
    actor: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Print no notes on standard error
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Use colour: always, never or auto, which is on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        global = true
    )]
    color: Color,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Install(town::Install),
    Rig(rig::RigArgs),
    Config(config::ConfigArgs),
    Trust(config::TrustArgs),
    Redact(redact::RedactArgs),
    Reindex(reindex::ReindexArgs),
    Status(town::StatusArgs),
    Log(town::LogArgs),
    Sling(work::SlingArgs),
    Unsling(work::UnslingArgs),
    Hook(work::HookArgs),
    Prime(work::PrimeArgs),
    Done(done::DoneArgs),
    Machine(machine::MachineArgs),
    Plugin(plugin::PluginArgs),
    Polecat(polecat::PolecatArgs),
    Salvage(salvage::SalvageArgs),
    Explain(explain::ExplainArgs),
    Whoami(explain::WhoamiArgs),
    Session(polecat::SessionArgs),
    Mayor(polecat::MayorArgs),
    Sync(sync::SyncArgs),
    Remote(sync::RemoteArgs),
    Hub(hub::HubArgs),
    Maintain(maintain::MaintainArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Flatten(flatten::FlattenArgs),
    Schema(schema::SchemaArgs),
    #[command(alias = "bd")]
    Bead(bead::BeadArgs),
    Create(bead::Create),
    Show(bead::Show),
    List(bead::List),
    Ready(bead::Ready),
    Blocked(bead::Blocked),
    Count(bead::Count),
    Stale(bead::Stale),
    Search(bead::Search),
    Update(bead::Update),
    Close(bead::Close),
    Convoy(convoy::ConvoyArgs),
    Undo(bead::Undo),
    Mail(mail::MailArgs),
    Send(mail::Send),
    Inbox(mail::Inbox),
    Nudge(nudge::NudgeArgs),
    Peek(nudge::PeekArgs),
    Mq(mq::MqArgs),
    Refinery(mq::RefineryArgs),
    Gate(gate::GateArgs),
    Stats(stats::StatsArgs),
    Cv(stats::CvArgs),
}

impl Command {
    /// The arguments of `gt stats` or `gt bead stats`, if this is one of them.
    fn stats(&mut self) -> Option<&mut stats::StatsArgs> {
        match self {
            Self::Stats(args) => Some(args),
            Self::Bead(args) => args.stats(),
            _ => None,
        }
    }
}

impl Command {
    /// Whether it may be run in a copy of a town: it reads, writes ledgers and nothing else, which the copy's refuse, or gives
    /// the copy what it lacks. Others might end the sessions of the town that was copied.
    const fn is_fit_for_copies(&self) -> bool {
        matches!(
            self,
            Self::Machine(_)
                | Self::Maintain(_)
                | Self::Backup(_)
                | Self::Status(_)
                | Self::Log(_)
                | Self::Show(_)
                | Self::List(_)
                | Self::Ready(_)
                | Self::Blocked(_)
                | Self::Count(_)
                | Self::Stale(_)
                | Self::Search(_)
                | Self::Bead(_)
                | Self::Inbox(_)
                | Self::Stats(_)
                | Self::Cv(_)
        )
    }
}

/// Runs the program with `args` (the first is its name) and tells the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let asked_json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let color = asked_color(&args);
    let typed: Vec<String> = args.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let cli = match parse(args, color) {
        Ok(cli) => cli,
        Err(error) if is_answer(&error) && !(asked_json && error.use_stderr()) => {
            let out = Out { json: asked_json, quiet: false, paper: Paper::here(color) };
            return out.answered(error.print(), if error.use_stderr() { 2 } else { 0 });
        }
        Err(error) => {
            return Out { json: asked_json, quiet: false, paper: Paper::here(color) }.error(&wrong_words(&error));
        }
    };
    let out = Out { json: cli.global.json, quiet: cli.global.quiet, paper: Paper::here(cli.global.color) };
    diagnose(cli.global.quiet);
    let (mut command, mut actor) = (cli.command, cli.global.actor);
    if let Some(stats) = command.stats() {
        // Whoever asks for figures acts as nobody: there the word says whose are meant.
        stats.of = stats.of.take().or_else(|| actor.take());
    }
    let start = Start { dir: cli.global.dir, actor };
    let code = run(command, &start, out).unwrap_or_else(|error| out.error(&explained(error, &typed)));
    upkeep::after_write(&start);
    code
}

/// Reads the command line. What is right is read with a tree of which only the command named is built, since building
/// all of it takes longer than many a command; whatever is not, the whole tree explains. Called as `bd`, the program is
/// `gt bead`, so that prompts and scripts written for that tool keep working.
fn parse(args: Vec<OsString>, color: Color) -> std::result::Result<Cli, clap::Error> {
    if is_called_bd(&args) {
        let bd = BdCli::command().color(color.for_help());
        let matches = bd.try_get_matches_from(without_setup(args))?;
        let BdCli { global, bead } = BdCli::from_arg_matches(&matches)?;
        return Ok(Cli { global, command: Command::Bead(bead) });
    }
    let read = deferred().try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    read.or_else(|_| {
        let whole = Cli::command().color(color.for_help());
        whole.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches))
    })
}

/// The colour that is asked for, before the words are understood: it is wanted for what is said of them too.
fn asked_color(args: &[OsString]) -> Color {
    let words: Vec<&str> = args.iter().take_while(|arg| *arg != "--").filter_map(|arg| arg.to_str()).collect();
    let joined = words.iter().find_map(|word| word.strip_prefix("--color="));
    let apart = words.windows(2).find(|pair| pair[0] == "--color").map(|pair| pair[1]);
    joined.or(apart).and_then(|word| <Color as clap::ValueEnum>::from_str(word, false).ok()).unwrap_or_default()
}

/// The command tree with every command left to be built when it is named.
fn deferred() -> clap::Command {
    fn later<A: clap::Args>(name: &'static str) -> clap::Command {
        clap::Command::new(name).defer(A::augment_args)
    }
    let root = clap::Command::new("gt").version(env!("CARGO_PKG_VERSION")).subcommand_required(true);
    <Global as clap::Args>::augment_args(root).subcommands(vec![
        later::<demo::DemoArgs>("demo"),
        later::<town::Install>("install"),
        later::<rig::RigArgs>("rig"),
        later::<config::ConfigArgs>("config"),
        later::<config::TrustArgs>("trust"),
        later::<redact::RedactArgs>("redact"),
        later::<reindex::ReindexArgs>("reindex"),
        later::<town::StatusArgs>("status"),
        later::<town::LogArgs>("log"),
        later::<work::SlingArgs>("sling"),
        later::<work::UnslingArgs>("unsling"),
        later::<work::HookArgs>("hook"),
        later::<work::PrimeArgs>("prime"),
        later::<done::DoneArgs>("done"),
        later::<machine::MachineArgs>("machine"),
        later::<plugin::PluginArgs>("plugin"),
        later::<polecat::PolecatArgs>("polecat"),
        later::<salvage::SalvageArgs>("salvage"),
        later::<explain::ExplainArgs>("explain"),
        later::<explain::WhoamiArgs>("whoami"),
        later::<polecat::SessionArgs>("session"),
        later::<polecat::MayorArgs>("mayor"),
        later::<sync::SyncArgs>("sync"),
        later::<sync::RemoteArgs>("remote"),
        later::<hub::HubArgs>("hub"),
        later::<maintain::MaintainArgs>("maintain"),
        later::<backup::BackupArgs>("backup"),
        later::<backup::RestoreArgs>("restore"),
        later::<flatten::FlattenArgs>("flatten"),
        later::<schema::SchemaArgs>("schema"),
        later::<bead::BeadArgs>("bead").alias("bd"),
        later::<bead::Create>("create"),
        later::<bead::Show>("show"),
        later::<bead::List>("list"),
        later::<bead::Ready>("ready"),
        later::<bead::Blocked>("blocked"),
        later::<bead::Count>("count"),
        later::<bead::Stale>("stale"),
        later::<bead::Search>("search"),
        later::<bead::Update>("update"),
        later::<bead::Close>("close"),
        later::<convoy::ConvoyArgs>("convoy"),
        later::<bead::Undo>("undo"),
        later::<mail::MailArgs>("mail"),
        later::<mail::Send>("send"),
        later::<mail::Inbox>("inbox"),
        later::<nudge::NudgeArgs>("nudge"),
        later::<nudge::PeekArgs>("peek"),
        later::<mq::MqArgs>("mq"),
        later::<mq::RefineryArgs>("refinery"),
        later::<gate::GateArgs>("gate"),
        later::<stats::StatsArgs>("stats"),
        later::<stats::CvArgs>("cv"),
    ])
}

/// Whether what was asked for is help or the version, or nothing at all was asked.
fn is_answer(error: &clap::Error) -> bool {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion)
}

/// Words that the command tree does not know, as an error like all others: one line, one hint.
fn wrong_words(error: &clap::Error) -> Error {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Error>());
    if let Some(Error { message, hint: Some(hint), .. }) = cause {
        return Error::usage(message.clone()).hint(hint.clone());
    }
    if is_answer(error) {
        return Error::usage("no command is given");
    }
    let text = error.to_string();
    let joined = |paragraph: &str| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.split("\n\n").map(joined);
    let message = paragraphs.next().unwrap_or_default();
    let said = Error::usage(message.strip_prefix("error: ").unwrap_or(&message));
    let mut rest: Vec<String> = paragraphs.collect();
    rest.sort_by_key(|paragraph| !paragraph.starts_with("tip: "));
    if let Some(verb) = bead_verb(error) {
        return said.hint(format!("gt bead {verb}"));
    }
    let first = rest.into_iter().find(|paragraph| paragraph.starts_with("tip: ") || paragraph.starts_with("Usage: "));
    match first {
        // How the command is called says nothing when all of it may be left out, or is a command again.
        Some(line) => match line.strip_prefix("Usage: ").map(|usage| (usage, usage.strip_suffix(" [OPTIONS]"))) {
            Some((_, Some(command))) => said.hint(format!("{command} --help explains it")),
            Some((usage, None)) => match usage.split_once(" <COMMAND>").map(|(path, _)| path.trim_end_matches(" [OPTIONS]")) {
                Some("gt") => said.hint("gt help lists the commands"),
                Some(path) => said.hint(format!("{path} --help lists its commands")),
                None => said.hint(usage),
            },
            None => said.hint(line.trim_start_matches("tip: ")),
        },
        None => said,
    }
}

/// The verb of beads that stands where a command of gt was expected.
fn bead_verb(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let named = (error.kind(), error.get(ContextKind::InvalidSubcommand));
    let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) = named else { return None };
    let is_of_root = error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains("gt [OPTIONS] <COMMAND>"));
    let root = Cli::command();
    let verb = root.find_subcommand("bead")?.find_subcommand(word)?;
    is_of_root.then(|| verb.get_name().to_owned())
}

/// `error` of the command that was `typed`; of wrong words for which no hint is known, that command's help knows more.
fn explained(error: Error, typed: &[String]) -> Error {
    if error.kind != Kind::Usage || error.hint.is_some() {
        return error;
    }
    match schema::command_of(typed) {
        Some(command) => error.hint(format!("gt {command} --help explains it")),
        None => error,
    }
}

/// Sends diagnostics to standard error: warnings, or what `GT_LOG` asks for.
fn diagnose(quiet: bool) {
    let asked = env::text(Var::Log).and_then(|level| level.parse().ok());
    let level = asked.unwrap_or(if quiet { tracing::Level::ERROR } else { tracing::Level::WARN });
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false).with_ansi(false);
    // A second one in the same process changes nothing.
    let _ = lines.without_time().try_init();
}

/// Flags of every command of the `bd` tool that say how it reaches its database.
const BD_SETUP: [&str; 5] = ["--no-daemon", "--sandbox", "--no-auto-flush", "--no-auto-import", "--no-db"];

fn is_called_bd(args: &[OsString]) -> bool {
    args.first().is_some_and(|name| std::path::Path::new(name).file_stem().is_some_and(|stem| stem == "bd"))
}

/// `args` without the words for a daemon and a database that are not here; they stand before the verb or at the end.
fn without_setup(mut args: Vec<OsString>) -> Vec<OsString> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let mut rest = args.split_off(end);
    args.retain(|arg| !BD_SETUP.iter().any(|word| arg == word));
    args.append(&mut rest);
    args
}

/// The town, with a warning when environment and directory name two identities.
fn find_town(start: &Start, out: Out) -> Result<Town> {
    let town = Town::find(start)?;
    if let Some(other) = &town.contradiction {
        out.note(&format!("warning: acting as {}, but this directory belongs to {other}", town.me));
    }
    Ok(town)
}

fn run(command: Command, start: &Start, out: Out) -> Result<u8> {
    match &command {
        Command::Demo(demo) => return Ok(out.show(&demo.run(out)?)),
        Command::Install(install) => return Ok(out.show(&install.run(out)?)),
        Command::Restore(restore) => return Ok(out.show(&restore.run(start)?)),
        Command::Hub(hub) => return hub.run(out),
        Command::Schema(schema) => return schema.run(out),
        // What a prompt is told of its mail must not fail with the town.
        Command::Mail(mail) => return mail.run(|| find_town(start, out), out),
        _ => {}
    }
    let town = &find_town(start, out)?;
    if !command.is_fit_for_copies() {
        town.hq.check_own()?;
    }
    run_in(command, town, out)
}

/// Runs a command that wants a town.
fn run_in(command: Command, town: &Town, out: Out) -> Result<u8> {
    match command {
        Command::Rig(args) => args.run(town, out),
        Command::Config(args) => args.run(town, out),
        Command::Trust(args) => args.run(town, out),
        Command::Redact(args) => args.run(town, out),
        Command::Reindex(args) => args.run(town, out),
        Command::Status(args) => Ok(out.show(&args.run(town)?)),
        Command::Log(args) => Ok(out.show(&args.run(town)?)),
        Command::Sling(args) => Ok(out.show(&args.run(town)?)),
        Command::Unsling(args) => Ok(out.show(&args.run(town)?)),
        Command::Hook(args) => Ok(out.show(&args.run(town)?)),
        Command::Prime(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Done(args) => args.run(town, out),
        Command::Machine(args) => args.run(town, out),
        Command::Plugin(args) => args.run(town, out),
        Command::Polecat(args) => args.run(town, out),
        Command::Salvage(args) => args.run(town, out),
        Command::Explain(args) => Ok(out.show(&args.run(town)?)),
        Command::Whoami(args) => Ok(out.show(&args.run(town)?)),
        Command::Session(args) => args.run(town, out),
        Command::Mayor(args) => args.run(town, out),
        Command::Sync(args) => args.run(town, out),
        Command::Remote(args) => args.run(town, out),
        Command::Maintain(args) => Ok(out.show(&args.run(town)?)),
        Command::Backup(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Flatten(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Convoy(args) => args.run(town, out),
        Command::Send(args) => args.run(town, out),
        Command::Inbox(args) => args.run(town, out),
        Command::Nudge(args) => Ok(out.show(&args.run(town)?)),
        Command::Peek(args) => Ok(out.show(&args.run(town, out)?)),
        Command::Mq(args) => args.run(town, out),
        Command::Refinery(args) => args.run(town, out),
        Command::Gate(args) => args.run(town, out),
        Command::Stats(args) => args.run(town, out),
        Command::Cv(args) => args.run(town, out),
        other => run_on_beads(other, town, out),
    }
}

/// The daily verbs of beads, and those that need no town, which were run before.
fn run_on_beads(command: Command, town: &Town, out: Out) -> Result<u8> {
    match command {
        Command::Bead(args) => args.run(town, out),
        Command::Create(args) => args.run(town, out),
        Command::Show(args) => args.run(town, out),
        Command::List(args) => args.run(town, out),
        Command::Ready(args) => args.run(town, out),
        Command::Blocked(args) => args.run(town, out),
        Command::Count(args) => args.run(town, out),
        Command::Stale(args) => args.run(town, out),
        Command::Search(args) => args.run(town, out),
        Command::Update(args) => args.run(town, out),
        Command::Close(args) => args.run(town, out),
        Command::Undo(args) => args.run(town, out),
        _ => unreachable!("run with a town, or before it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_that_is_built_late_has_the_commands_of_the_whole_one() {
        let names = |root: clap::Command| -> Vec<(String, Vec<String>)> {
            let commands = root.get_subcommands();
            commands.map(|one| (one.get_name().to_owned(), one.get_all_aliases().map(str::to_owned).collect())).collect()
        };
        assert_eq!(names(deferred()), names(Cli::command()), "a new command belongs into both, in the same place");
        deferred().debug_assert();
        Cli::command().debug_assert();
        BdCli::command().debug_assert();
    }

    #[test]
    fn what_is_said_before_and_after_a_command_is_read_by_both_trees() {
        for line in
            ["gt --json -C /x show wi-a", "gt show wi-a -q --actor mayor", "gt bd q title", "gt bead dep add wi-a wi-b --json"]
        {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let matches = deferred().try_get_matches_from(&args).unwrap();
            let (late, whole) = (Cli::from_arg_matches(&matches).unwrap().global, Cli::try_parse_from(&args).unwrap().global);
            assert_eq!(
                (late.dir, late.actor, late.json, late.quiet),
                (whole.dir, whole.actor, whole.json, whole.quiet),
                "{line}"
            );
        }
    }
}

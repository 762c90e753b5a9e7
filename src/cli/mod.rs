//! Words in, one outcome out: what is typed is read, run and answered.
//!
//! A command is a struct of arguments with a `run` that calls one verb; no logic lives here. All commands are listed in
//! [`command`].

pub mod account;
pub mod agent;
pub mod backup;
pub mod bead;
mod command;
pub mod config;
pub mod control;
pub mod convoy;
pub mod costs;
pub mod crew;
pub mod demo;
pub mod directive;
pub mod done;
pub mod explain;
pub mod flatten;
pub mod gate;
pub mod hand;
mod handoff;
#[cfg(test)]
mod hints;
pub mod hooks;
pub mod hub;
pub mod machine;
pub mod mail;
pub mod maintain;
pub mod mq;
pub mod namepool;
pub mod nudge;
pub mod oracle;
pub mod out;
mod patch;
pub mod plugin;
pub mod polecat;
pub mod prime;
pub mod prime_hook;
pub mod queue_stats;
pub mod redact;
pub mod refinery;
pub mod reindex;
pub mod rig;
pub mod roll;
pub mod salvage;
pub mod schema;
pub mod scopes;
pub mod signal;
pub mod sling;
pub mod stats;
pub mod sync;
pub mod template;
pub mod tier;
pub mod town;
pub mod work;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::env::{self, Var};
use crate::error::{Error, Kind};
use crate::ops::upkeep;
use crate::town::Start;
use command::Command;
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
    let code = command.run(&start, out).unwrap_or_else(|error| out.error(&explained(error, &typed)));
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
    let root = clap::Command::new("gt").version(env!("CARGO_PKG_VERSION")).subcommand_required(true);
    <Global as clap::Args>::augment_args(root).subcommands(command::deferred())
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

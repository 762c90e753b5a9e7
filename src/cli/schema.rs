//! `gt schema`: the JSON Schema of what every command prints with `--json`.
//!
//! Each file of the command line lists its answers beside the types they are made of; a test holds the list against
//! the command tree, and the tests that run commands hold what those print against the schemas.

use clap::Args;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::out::{Out, Page, Show};
use crate::error::{Error, Result};

/// One of the forms that what a command prints can have.
pub struct Answer {
    /// The words that name the command, without `gt`.
    command: &'static str,
    schema: fn() -> Schema,
    /// Whether every line is a document of its own.
    is_lines: bool,
}

impl Answer {
    /// `command` prints one `T`.
    pub const fn of<T: JsonSchema>(command: &'static str) -> Self {
        Self { command, schema: schema_of::<T>, is_lines: false }
    }

    /// `command` prints a `T` a line.
    pub const fn lines<T: JsonSchema>(command: &'static str) -> Self {
        Self { command, schema: schema_of::<T>, is_lines: true }
    }
}

fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// What commands print, file by file.
fn answers() -> impl Iterator<Item = &'static Answer> {
    let files: &[&[Answer]] = &[
        super::backup::ANSWERS,
        super::bead::bd::ANSWERS,
        super::bead::board::ANSWERS,
        super::bead::change::ANSWERS,
        super::bead::create::ANSWERS,
        super::bead::check::ANSWERS,
        super::bead::edit::ANSWERS,
        super::bead::former::ANSWERS,
        super::bead::gone::ANSWERS,
        super::bead::history::ANSWERS,
        super::bead::look::ANSWERS,
        super::bead::many::ANSWERS,
        super::bead::mark::ANSWERS,
        super::bead::memory::ANSWERS,
        super::bead::relocate::ANSWERS,
        super::bead::remark::ANSWERS,
        super::bead::prefix::ANSWERS,
        super::bead::state::ANSWERS,
        super::bead::survey::ANSWERS,
        super::bead::tree::ANSWERS,
        super::bead::undo::ANSWERS,
        super::bead::update::ANSWERS,
        super::account::ANSWERS,
        super::agent::ANSWERS,
        super::config::ANSWERS,
        super::directive::ANSWERS,
        super::gate::ANSWERS,
        super::handoff::ANSWERS,
        super::hand::ANSWERS,
        super::redact::ANSWERS,
        super::refinery::ANSWERS,
        super::control::ANSWERS,
        super::convoy::ANSWERS,
        super::costs::ANSWERS,
        super::mail::ANSWERS,
        super::mq::ANSWERS,
        super::crew::ANSWERS,
        super::namepool::ANSWERS,
        super::nudge::ANSWERS,
        super::oracle::ANSWERS,
        super::queue_stats::ANSWERS,
        super::hooks::ANSWERS,
        super::machine::ANSWERS,
        super::explain::ANSWERS,
        super::plugin::ANSWERS,
        super::salvage::ANSWERS,
        super::polecat::ANSWERS,
        super::prime::ANSWERS,
        super::rig::ANSWERS,
        super::roll::ANSWERS,
        super::signal::ANSWERS,
        super::sling::ANSWERS,
        super::stats::ANSWERS,
        super::sync::ANSWERS,
        super::tier::ANSWERS,
        super::town::ANSWERS,
        super::work::ANSWERS,
        ANSWERS,
    ];
    files.iter().copied().flatten()
}

/// Commands whose one answer lies in a file of its own.
const ANSWERS: &[Answer] = &[
    Answer::of::<crate::ops::demo::Shown>("demo"),
    Answer::of::<crate::ops::done::Done>("done"),
    Answer::of::<crate::ops::flatten::Report>("flatten"),
    Answer::of::<crate::ops::hub::Made>("hub init"),
    Answer::of::<crate::ops::maintain::Report>("maintain"),
    Answer::of::<super::reindex::AllMade>("reindex"),
    Answer::of::<super::reindex::AllChecked>("reindex"),
    Answer::of::<Schemas>("schema"),
];

/// The answer to `gt schema`.
#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Schemas(Map<String, Value>);

impl Show for Schemas {
    fn show(&self, page: &mut Page) {
        page.verbatim(serde_json::to_string_pretty(&self.0).unwrap_or_default());
    }
}

/// Print the JSON Schema of what commands print with --json
///
/// Without a command: those of all, by command, under "commands", and that of errors under "error".
/// Within a major version fields are added and none goes or changes its meaning.
///
/// Example: gt schema bead list
#[derive(Args)]
pub struct SchemaArgs {
    /// The words of the command
    command: Vec<String>,
}

impl SchemaArgs {
    /// Prints.
    ///
    /// # Errors
    /// Not found, when there is no such command or it prints no JSON.
    pub fn run(&self, out: Out) -> Result<u8> {
        if self.command.is_empty() {
            return Ok(out.show(&Schemas(all())));
        }
        // A command may be named as it is typed.
        let words = self.command.iter().map(String::as_str).skip_while(|word| matches!(*word, "gt" | "git-gt"));
        let name = words.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        let name = name.strip_prefix("bd ").map(|verb| format!("bead {verb}")).unwrap_or(name);
        Ok(out.show(&Schemas(of(&name).ok_or_else(|| missing(&name))?)))
    }
}

/// What is said of a command that prints no JSON itself.
fn missing(name: &str) -> Error {
    let starts = [format!("{name} "), format!("bead {name} ")];
    let verbs: Vec<&str> = answers()
        .filter_map(|answer| starts.iter().find_map(|start| answer.command.strip_prefix(start.as_str())))
        .fold(Vec::new(), |mut all, verb| {
            if !all.contains(&verb) {
                all.push(verb);
            }
            all
        });
    if verbs.is_empty() {
        return Error::not_found(format!("there is no command '{}'", name.escape_debug()))
            .hint("gt help lists the commands; gt schema without one prints the schemas of all");
    }
    let message = format!("'{}' is not one command but several, each with a schema of its own", name.escape_debug());
    Error::not_found(message).hint(format!("gt schema {name} VERB, of: {}", verbs.join(", ")))
}

/// The schemas of all commands, and that of errors.
fn all() -> Map<String, Value> {
    let commands: Map<String, Value> =
        answers().filter_map(|answer| Some((answer.command.to_owned(), of(answer.command)?.into()))).collect();
    Map::from_iter([("commands".to_owned(), commands.into()), ("error".to_owned(), error())])
}

/// The schema of what `command` (its words, without `gt`) prints with `--json`; that of a verb of beads also under its
/// short form. `None` when there is no such command.
#[must_use]
pub fn of(command: &str) -> Option<Map<String, Value>> {
    let full = format!("bead {command}");
    let name = [command, &full].into_iter().find(|name| answers().any(|answer| answer.command == *name))?;
    let mut forms: Vec<Map<String, Value>> = Vec::new();
    for answer in answers().filter(|answer| answer.command == name) {
        let Value::Object(mut form) = (answer.schema)().to_value() else { continue };
        if answer.is_lines {
            form.insert("$comment".into(), "one document a line".into());
        }
        forms.push(form);
    }
    let title = ("title".to_owned(), format!("gt {name}").into());
    if forms.len() == 1 {
        let mut form = forms.remove(0);
        form.extend([title]);
        return Some(form);
    }
    let mut definitions = Map::new();
    for form in &mut forms {
        form.remove("$schema");
        if let Some(Value::Object(more)) = form.remove("$defs") {
            definitions.extend(more);
        }
    }
    let schema = ("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    let any = ("anyOf".to_owned(), forms.into_iter().map(Value::Object).collect());
    Some(Map::from_iter([schema, title, any, ("$defs".to_owned(), definitions.into())]))
}

/// The schema of what any command prints with `--json` when it fails.
#[must_use]
pub fn error() -> Value {
    let text = json!({ "type": "string" });
    let fields = json!({ "kind": text, "message": text, "hint": text });
    let error = json!({ "type": "object", "properties": fields, "required": ["kind", "message", "hint"] });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "an error",
        "type": "object", "properties": { "error": error }, "required": ["error"],
    })
}

/// The words of the command that `args` (without the program's name) call; `None` when they call none.
#[must_use]
pub fn command_of(args: &[String]) -> Option<String> {
    let words = std::iter::once("gt").chain(args.iter().map(String::as_str));
    let matches = super::deferred().try_get_matches_from(words).ok()?;
    let (mut words, mut at) = (Vec::new(), &matches);
    while let Some((word, inner)) = at.subcommand() {
        words.push(word.to_owned());
        at = inner;
    }
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::CommandFactory;

    use super::*;

    /// Every command by its words, and whether it has no verbs below it.
    fn commands(command: &clap::Command, path: &str, into: &mut BTreeMap<String, bool>) {
        let mut verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help").peekable();
        into.insert(path.trim_start().to_owned(), verbs.peek().is_none());
        verbs.for_each(|verb| commands(verb, &format!("{path} {}", verb.get_name()), into));
    }

    #[test]
    fn every_command_has_a_schema_and_every_schema_a_command() {
        let mut found = BTreeMap::new();
        commands(&crate::cli::Cli::command(), "", &mut found);
        let without = found.iter().filter(|(command, is_leaf)| **is_leaf && of(command).is_none());
        let without: Vec<&String> = without.map(|(command, _)| command).collect();
        assert!(without.is_empty(), "what do these print with --json? {without:?}");
        let stray: Vec<&str> = answers().map(|answer| answer.command).filter(|name| !found.contains_key(*name)).collect();
        assert!(stray.is_empty(), "no such commands: {stray:?}");
    }

    #[test]
    fn one_definition_has_one_meaning_in_all_forms_of_an_answer() {
        for answer in answers() {
            let forms: Vec<Value> =
                answers().filter(|other| other.command == answer.command).map(|other| (other.schema)().to_value()).collect();
            for (n, form) in forms.iter().enumerate() {
                for (name, definition) in form["$defs"].as_object().into_iter().flatten() {
                    let same = |other: &Value| other["$defs"].get(name).is_none_or(|other| other == definition);
                    assert!(forms[n..].iter().all(same), "{name} of {} has two meanings", answer.command);
                }
            }
        }
    }
}

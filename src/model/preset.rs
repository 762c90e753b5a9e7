//! Presets: what gt knows of agents of each make, as a table, and the words that start one.
//!
//! A field that no source supports is empty; each entry of `presets.json` names its source. Words are never pasted into
//! a shell's line: they reach the program as they stand.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::agent::Backend;

/// What an agent is told first. Whoever it is learns the rest from gt, so nothing of a bead stands here.
pub const FIRST_WORDS: &str = "Run gt prime and do what it says.";
/// The longest name of a model.
const MODEL_CHARS_MAX: usize = 200;

/// How the first words reach an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Prompt {
    /// As the last argument
    #[default]
    Argument,
    /// On standard input, which ends after them
    Stdin,
    /// Typed into its terminal when it is ready
    Typed,
}

impl Prompt {
    /// The words in configuration.
    pub const WORDS: &'static [&'static str] = &["argument", "stdin", "typed"];

    /// The way of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "argument" => Some(Self::Argument),
            "stdin" => Some(Self::Stdin),
            "typed" => Some(Self::Typed),
            _ => None,
        }
    }

    /// The word in configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Stdin => "stdin",
            Self::Typed => "typed",
        }
    }
}

/// One form of a program: with a terminal or without.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Form {
    /// Arguments before all others, such as a subcommand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<String>,
    /// Arguments right before the first words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<String>,
    /// How the first words are given.
    pub prompt: Prompt,
}

/// What there is to know of one make of agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Preset {
    /// Its name in configuration.
    pub name: String,
    /// The program.
    pub program: String,
    /// Arguments that let it work without asking.
    pub args: Vec<String>,
    /// Variables that it needs besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The flag that a model's name follows; empty when it has none.
    pub model_flag: String,
    /// The words that a session's id follows to resume it; empty when that is not known.
    pub resume: Vec<String>,
    /// How it works without a terminal, when it does.
    pub alone: Option<Form>,
    /// How it works in a terminal, when it does.
    pub terminal: Option<Form>,
    /// What its terminal shows when it can be typed into; empty when that is not known.
    pub ready: String,
    /// The file in which it looks for a project's instructions; empty when that is not known.
    pub instructions: String,
    /// The variable that says where it keeps its login; empty when that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// What it says when its account may do no more for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<String>,
    /// Where this is known from.
    pub source: String,
}

/// The words that start an agent, and what it gets besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What it reads from standard input.
    pub input: Option<String>,
    /// What is typed into its terminal.
    pub typed: Option<String>,
}

/// The presets that come with gt.
///
/// # Errors
/// Bug, when the table cannot be read, which a test rules out.
pub fn built_in() -> Result<Vec<Preset>> {
    serde_json::from_str(include_str!("presets.json")).or_fail(Kind::Bug, || "read the table of presets")
}

impl Preset {
    /// An agent that nothing is known of yet: it takes its first words as an argument, wherever it runs.
    #[must_use]
    pub fn blank(name: &str) -> Self {
        let form = Some(Form::default());
        Self { name: name.to_owned(), alone: form.clone(), terminal: form, ..Self::default() }
    }

    /// Gives the first words in this way wherever that is possible, and runs only there.
    pub fn give_by(&mut self, prompt: Prompt) {
        for form in [&mut self.alone, &mut self.terminal].into_iter().flatten() {
            form.prompt = prompt;
            if prompt == Prompt::Typed {
                form.last.clear();
            }
        }
        match prompt {
            Prompt::Argument => {}
            Prompt::Stdin => self.terminal = None,
            Prompt::Typed => self.alone = None,
        }
    }

    /// How it is started on `backend` with `model`.
    ///
    /// # Errors
    /// Refused, when it does not run there, or has no flag for a model; usage, when the model's name cannot be one.
    pub fn start(&self, backend: Backend, model: Option<&str>) -> Result<Start> {
        let form = match backend {
            Backend::Process => self.alone.as_ref().ok_or_else(|| {
                Error::refused(format!("agent {} works in a terminal only, and sessions here have none", self.name))
                    .hint("give them one: gt config set session.backend tmux")
            })?,
            Backend::Tmux => self.terminal.as_ref().ok_or_else(|| {
                Error::refused(format!("agent {} reads its first words from standard input, not from a terminal", self.name))
                    .hint("let it run without one: gt config set session.backend process")
            })?,
        };
        let mut words = vec![self.program.clone()];
        words.extend(form.first.iter().chain(&self.args).cloned());
        if let Some(model) = model {
            check_model(model)?;
            if self.model_flag.is_empty() {
                return Err(Error::refused(format!("agent {} is not known to have a flag for its model", self.name))
                    .hint(format!("name it, if it has one: gt config set agents.{}.model_flag FLAG", self.name)));
            }
            words.extend([self.model_flag.clone(), model.to_owned()]);
        }
        words.extend(form.last.iter().cloned());
        let given = |prompt| (form.prompt == prompt).then(|| FIRST_WORDS.to_owned());
        words.extend(given(Prompt::Argument));
        Ok(Start { words, input: given(Prompt::Stdin), typed: given(Prompt::Typed) })
    }
}

/// Refuses what a program could take for something else than a model's name.
///
/// # Errors
/// Usage.
pub fn check_model(model: &str) -> Result<()> {
    let is_name = !model.trim().is_empty()
        && !model.starts_with('-')
        && model.chars().count() <= MODEL_CHARS_MAX
        && !model.chars().any(char::is_control);
    if is_name {
        return Ok(());
    }
    Err(Error::usage(format!("'{}' cannot be the name of a model", model.escape_debug()))
        .hint("it begins with no '-', has no control characters and at most 200 characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, backend: Backend, model: Option<&str>) -> String {
        let preset = built_in().unwrap().into_iter().find(|preset| preset.name == name).unwrap();
        preset.start(backend, model).unwrap().words.join("|")
    }

    #[test]
    fn every_preset_has_a_source_and_runs_on_both_backends() {
        let all = built_in().unwrap();
        let names: Vec<&str> = all.iter().map(|preset| preset.name.as_str()).collect();
        let wanted = ["claude", "codex", "gemini", "cursor", "opencode", "copilot", "amp", "auggie", "pi", "omp", "vibe"];
        assert_eq!(names, wanted);
        for preset in &all {
            assert!(!preset.source.is_empty() && !preset.program.is_empty(), "{}", preset.name);
            for backend in [Backend::Process, Backend::Tmux] {
                assert_eq!(preset.start(backend, None).unwrap().words[0], preset.program);
            }
        }
    }

    #[test]
    fn subcommand_arguments_model_and_first_words_stand_in_this_order() {
        let codex = "codex|exec|--dangerously-bypass-approvals-and-sandbox|--model|o3|Run gt prime and do what it says.";
        assert_eq!(line("codex", Backend::Process, Some("o3")), codex);
        let claude = "claude|--dangerously-skip-permissions|Run gt prime and do what it says.";
        assert_eq!(line("claude", Backend::Tmux, None), claude);
        assert_eq!(line("amp", Backend::Tmux, None), "amp|--dangerously-allow-all|--no-ide");
    }

    #[test]
    fn what_looks_like_a_flag_is_no_model_and_a_model_without_a_flag_is_refused() {
        let mut blank = Preset { program: "x".into(), ..Preset::blank("x") };
        assert_eq!(blank.start(Backend::Process, Some("m")).unwrap_err().kind, Kind::Refused);
        blank.model_flag = "-m".into();
        for model in ["", " ", "--yolo", "a\nb", "\u{1b}[2J"] {
            assert_eq!(blank.start(Backend::Process, Some(model)).unwrap_err().kind, Kind::Usage, "{model:?}");
        }
        assert!(blank.start(Backend::Process, Some("$(x) `y`; z")).unwrap().words.contains(&"$(x) `y`; z".to_owned()));
    }

    #[test]
    fn typed_words_need_a_terminal_and_standard_input_needs_none() {
        let mut typed = Preset { program: "x".into(), ..Preset::blank("x") };
        let mut fed = typed.clone();
        typed.give_by(Prompt::Typed);
        fed.give_by(Prompt::Stdin);
        assert!(typed.start(Backend::Process, None).is_err() && fed.start(Backend::Tmux, None).is_err());
        assert_eq!(typed.start(Backend::Tmux, None).unwrap().typed.as_deref(), Some(FIRST_WORDS));
        assert_eq!(fed.start(Backend::Process, None).unwrap().input.as_deref(), Some(FIRST_WORDS));
        for prompt in [Prompt::Argument, Prompt::Stdin, Prompt::Typed] {
            assert_eq!(Prompt::of(prompt.word()), Some(prompt));
        }
    }
}

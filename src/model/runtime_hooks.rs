//! Runtime hooks: what an agent's own program calls while it works, as a table; see `docs/agents.md`.
//!
//! A program that is not in the table, or a moment that it lacks, is one whose form no source of ours tells.

pub mod merge;
pub mod speech;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};

/// A program whose hooks are known, by the name of its preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Claude Code
    Claude,
    /// Codex
    Codex,
    /// Gemini CLI
    Gemini,
    /// Cursor's agent
    Cursor,
    /// OpenCode
    Opencode,
    /// GitHub Copilot CLI
    Copilot,
    /// Pi
    Pi,
    /// Oh My Pi
    Omp,
}

/// A moment at which it calls gt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// A session begins, goes on or was cleared: it is primed.
    Start,
    /// Its context is made smaller: what it was told once may be told again.
    Compact,
    /// It is given a prompt: it is told of mail and nudges.
    Prompt,
    /// It would stop: a polecat with unfinished work is told to finish.
    Stop,
    /// It would run a command: the guard decides.
    Guard,
}

impl Moment {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Start, Self::Compact, Self::Prompt, Self::Stop, Self::Guard];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Compact => "compact",
            Self::Prompt => "prompt",
            Self::Stop => "stop",
            Self::Guard => "guard",
        }
    }
}

/// How a program is given its hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// This flag, followed by the path of the first file.
    FileFlag(&'static str),
    /// This flag, followed by the directory.
    DirFlag(&'static str),
    /// This variable with the path of the first file.
    FileVariable(&'static str),
    /// This variable with the directory.
    DirVariable(&'static str),
    /// This flag before each setting, `key=value` in TOML; no file is written.
    Settings(&'static str),
    /// It looks only into this file, below the user's home or in the project; the user has it put into the former.
    UserFile(&'static str),
}

/// What is known of a program's hooks.
#[derive(Clone, Copy, Debug)]
pub struct Wired {
    /// The program.
    pub runtime: Runtime,
    /// Its preset.
    pub name: &'static str,
    /// How it is given them.
    pub given: Given,
    /// The files, by name, and their templates.
    pub files: &'static [(&'static str, &'static str)],
    /// The moments at which it calls gt.
    pub moments: &'static [Moment],
    /// What is worth knowing besides; may be empty.
    pub remark: &'static str,
    /// Where this is known from.
    pub source: &'static str,
}

/// The text in templates that stands for gt: in JSON for a word of a shell, in programs for a string.
const GT: &str = "{{gt}}";
/// The text in templates that stands for the program's own name.
const NAME: &str = "{{name}}";
/// The text in programs that stands for how they ask gt, and that.
const ASK: (&str, &str) = ("{{ask}}\n", include_str!("../../hooks/runtime/ask.js"));

use Moment::{Compact, Guard, Prompt, Start, Stop};

/// All programs whose hooks are known.
pub const ALL: &[Wired] = &[
    Wired {
        runtime: Runtime::Claude,
        name: "claude",
        given: Given::FileFlag("--settings"),
        files: &[("settings.json", include_str!("../../hooks/runtime/claude/settings.json"))],
        moments: &[Start, Compact, Prompt, Stop, Guard],
        remark: "",
        source: "code.claude.com/docs/en/hooks; code.claude.com/docs/en/cli-reference",
    },
    Wired {
        runtime: Runtime::Codex,
        name: "codex",
        given: Given::Settings("-c"),
        files: &[("hooks.json", include_str!("../../hooks/runtime/codex/hooks.json"))],
        moments: &[Start, Compact, Prompt, Stop, Guard],
        remark: "it skips them until somebody has reviewed them: start it once as gt hooks list shows and type /hooks",
        source: "developers.openai.com/codex/hooks; openai/codex, codex-rs/hooks",
    },
    Wired {
        runtime: Runtime::Gemini,
        name: "gemini",
        given: Given::FileVariable("GEMINI_CLI_SYSTEM_DEFAULTS_PATH"),
        files: &[("settings.json", include_str!("../../hooks/runtime/gemini/settings.json"))],
        moments: &[Start, Compact, Prompt, Stop, Guard],
        remark: "",
        source: "google-gemini/gemini-cli, docs/hooks/reference.md and docs/reference/configuration.md",
    },
    Wired {
        runtime: Runtime::Cursor,
        name: "cursor",
        given: Given::UserFile(".cursor/hooks.json"),
        files: &[("hooks.json", include_str!("../../hooks/runtime/cursor/hooks.json"))],
        moments: &[Start, Compact, Stop, Guard],
        remark: "it takes nothing from the hook at a prompt",
        source: "cursor.com/docs/agent/hooks",
    },
    Wired {
        runtime: Runtime::Opencode,
        name: "opencode",
        given: Given::DirVariable("OPENCODE_CONFIG_DIR"),
        files: &[("plugins/gt.js", include_str!("../../hooks/runtime/opencode/gt.js"))],
        moments: &[Start, Compact, Prompt, Stop, Guard],
        remark: "for plugins of its version 1",
        source: "opencode.ai/v1/docs/plugins; the types of @opencode-ai/plugin",
    },
    Wired {
        runtime: Runtime::Copilot,
        name: "copilot",
        given: Given::DirFlag("--plugin-dir"),
        files: &[
            ("plugin.json", include_str!("../../hooks/runtime/copilot/plugin.json")),
            ("hooks.json", include_str!("../../hooks/runtime/copilot/hooks.json")),
        ],
        moments: &[Compact, Stop, Guard],
        remark: "it takes nothing from the hooks at start and at a prompt",
        source: "github/docs, cli-hooks-reference.md; github/copilot-sdk, docs/features/plugin-directories.md",
    },
    Wired {
        runtime: Runtime::Pi,
        name: "pi",
        given: Given::FileFlag("--extension"),
        files: &[("gt.ts", include_str!("../../hooks/runtime/pi/gt.ts"))],
        moments: &[Start, Compact, Prompt, Stop, Guard],
        remark: "",
        source: "badlogic/pi-mono, packages/coding-agent/docs/extensions.md",
    },
    Wired {
        runtime: Runtime::Omp,
        name: "omp",
        given: Given::FileFlag("--extension"),
        files: &[("gt.ts", include_str!("../../hooks/runtime/pi/gt.ts"))],
        moments: &[Start, Compact, Prompt, Stop, Guard],
        remark: "with the extension of pi, whose form it shares",
        source: "can1357/oh-my-pi, docs/skills/examples/hello-extension",
    },
];

/// What is known of the hooks of the preset `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Wired> {
    ALL.iter().find(|wired| wired.name == name)
}

/// The roles that a key of hooks can be for.
const ROLES: [&str; 2] = ["mayor", "polecat"];

/// Refuses `key`, when it is about an agent's hooks and they cannot be changed by it.
///
/// # Errors
/// Refused, when the agent takes no hooks as JSON; usage, when there is no such role.
pub fn check_key(key: &str) -> Result<()> {
    let words: Vec<&str> = key.split('.').collect();
    let (name, role) = match words.as_slice() {
        ["agents", name, "hooks"] => (name, None),
        ["agents", name, "hooks", role] => (name, Some(role)),
        _ => return Ok(()),
    };
    if role.is_some_and(|role| !ROLES.contains(role)) {
        return Err(Error::usage(format!("no agent is started as '{}'", role.unwrap_or(&"").escape_debug()))
            .hint(format!("roles are {}", ROLES.join(", "))));
    }
    if find(name).is_some_and(Wired::is_merged) {
        return Ok(());
    }
    Err(Error::refused(format!("agent {name} takes no hooks from the configuration")).hint("gt hooks list shows which do"))
}

impl Wired {
    /// Whether what it is given is JSON that configuration may change.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        !matches!(self.given, Given::UserFile(_)) && self.files.iter().any(|(name, _)| name.ends_with(".json"))
    }

    /// The moments that it lacks, or of which we know nothing.
    #[must_use]
    pub fn lacks(&self) -> Vec<Moment> {
        Moment::ALL.into_iter().filter(|moment| !self.moments.contains(moment)).collect()
    }

    /// Its template of JSON, filled in: `gt` is the path of the program.
    ///
    /// # Errors
    /// Bug, when the template cannot be read, which a test rules out.
    pub fn settings(&self, gt: &str) -> Result<Value> {
        let (name, template) =
            self.files.iter().rfind(|(name, _)| name.ends_with(".json")).or_fail(Kind::Bug, || "find a template")?;
        let mut value = serde_json::from_str(template).or_fail(Kind::Bug, || format!("read the template {name}"))?;
        fill(&mut value, &format!("'{}'", gt.replace('\'', r"'\''")));
        Ok(value)
    }

    /// The template of the file `name` that is no JSON, or is left as it is, filled in.
    #[must_use]
    pub fn program(&self, template: &str, gt: &str) -> String {
        let text = |text: &str| Value::from(text).to_string();
        template.replace(ASK.0, ASK.1).replace(GT, &text(gt)).replace(NAME, &text(self.name))
    }
}

/// Puts the word for gt into every text.
fn fill(value: &mut Value, gt: &str) {
    match value {
        Value::String(text) => *text = text.replace(GT, gt),
        Value::Array(all) => all.iter_mut().for_each(|one| fill(one, gt)),
        Value::Object(all) => all.values_mut().for_each(|one| fill(one, gt)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preset;

    #[test]
    fn every_template_can_be_read_and_names_gt_where_it_is() {
        let presets = preset::built_in().unwrap();
        for wired in ALL {
            assert!(presets.iter().any(|preset| preset.name == wired.name), "{}", wired.name);
            assert!(!wired.source.is_empty() && !wired.moments.is_empty());
            assert_eq!(wired.moments.len() + wired.lacks().len(), Moment::ALL.len(), "{}", wired.name);
            let filled = match wired.files.iter().find(|(name, _)| !name.ends_with(".json")) {
                Some((_, template)) => wired.program(template, "/t own/gt"),
                None => wired.settings("/t own/it's/gt").unwrap().to_string(),
            };
            // In a file of the user there is no path of one town.
            let is_named = filled.contains("/t own/") || matches!(wired.given, Given::UserFile(_));
            assert!(!filled.contains("{{") && is_named, "{filled}");
        }
    }

    #[test]
    fn the_path_of_gt_is_one_word_of_a_shell() {
        let settings = find("claude").unwrap().settings("/a b/it's/gt").unwrap();
        let command = settings["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().unwrap();
        assert!(command.starts_with(r"'/a b/it'\''s/gt' signal stop"), "{command}");
    }

    #[test]
    fn hooks_are_set_only_for_agents_that_take_them_as_json() {
        assert!(check_key("agents.claude.hooks").is_ok() && check_key("agents.gemini.hooks.polecat").is_ok());
        assert!(check_key("agents.pi.args").is_ok() && check_key("gates.hooks.command").is_ok());
        for (key, kind) in [
            ("agents.pi.hooks", Kind::Refused),
            ("agents.cursor.hooks", Kind::Refused),
            ("agents.mine.hooks", Kind::Refused),
            ("agents.claude.hooks.witness", Kind::Usage),
        ] {
            assert_eq!(check_key(key).unwrap_err().kind, kind, "{key}");
        }
    }
}

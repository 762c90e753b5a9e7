//! What an agent's program says to a hook, and what it wants to hear: JSON in the form of each.

use serde_json::{Value, json};

use super::Runtime;

/// What the program says when it calls. Whatever is not there, or in no form that we know, is not heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The event, by the program's own name for it.
    pub event: String,
    /// Why a session begins: `startup`, `resume`, `clear`, `compact`; or how its context is made smaller.
    pub source: String,
    /// The session, by the program's own id.
    pub session: String,
    /// Whether it goes on only because a hook told it to.
    pub is_again: bool,
    /// The command that it would run.
    pub command: Option<String>,
}

impl Heard {
    /// What `bytes` say.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let Ok(Value::Object(said)) = serde_json::from_slice(bytes) else { return Self::default() };
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| said.get(*name)?.as_str());
            found.unwrap_or_default().to_owned()
        };
        let args = ["tool_input", "toolArgs"].iter().find_map(|name| said.get(*name)).cloned();
        let args = match args {
            // Some give the arguments as text of JSON.
            Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Some(args) => args,
            None => Value::Object(said.clone()),
        };
        Self {
            event: text(&["hook_event_name"]),
            source: text(&["source", "trigger"]),
            session: text(&["session_id", "sessionId", "conversation_id"]),
            is_again: said.get("stop_hook_active") == Some(&Value::Bool(true))
                || said.get("loop_count").and_then(Value::as_u64).is_some_and(|count| count > 0),
            command: args.get("command").and_then(line_of),
        }
    }

    /// Whether its context is about to be made smaller, rather than a session to begin: nothing that it is told now stays.
    #[must_use]
    pub fn is_before_compaction(&self) -> bool {
        matches!(self.event.as_str(), "PreCompact" | "PreCompress" | "preCompact")
    }

    /// Whether what it was told before is lost to it, or may be.
    #[must_use]
    pub fn has_forgotten(&self) -> bool {
        self.is_before_compaction() || matches!(self.source.as_str(), "resume" | "clear" | "compact")
    }
}

/// A line for a shell: text, or the words of one.
fn line_of(value: &Value) -> Option<String> {
    if let Some(words) = value.as_array() {
        let quoted = words.iter().filter_map(Value::as_str).map(|word| format!("'{}'", word.replace('\'', r"'\''")));
        return Some(quoted.collect::<Vec<_>>().join(" "));
    }
    value.as_str().map(str::to_owned)
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say<'a> {
    /// Go on as you would.
    Nothing,
    /// At the start of a session: this is what you must know.
    Start(&'a str),
    /// At a prompt: this besides.
    Prompt(&'a str),
    /// Do not stop, but do this.
    Finish(&'a str),
    /// Do not run this, because.
    Forbid(&'a str),
}

/// The answer that `runtime` understands.
#[must_use]
pub fn answer(runtime: Runtime, say: Say<'_>) -> Value {
    let context = |event: &str, text: &str| json!({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}});
    match (runtime, say) {
        // Some take nothing at a prompt, or at the start.
        (_, Say::Nothing) | (Runtime::Cursor | Runtime::Copilot, Say::Prompt(_)) | (Runtime::Copilot, Say::Start(_)) => json!({}),
        (Runtime::Claude | Runtime::Codex | Runtime::Gemini, Say::Start(text)) => context("SessionStart", text),
        (Runtime::Claude | Runtime::Codex, Say::Prompt(text)) => context("UserPromptSubmit", text),
        (Runtime::Claude | Runtime::Codex | Runtime::Copilot, Say::Finish(text)) => json!({"decision": "block", "reason": text}),
        (Runtime::Claude | Runtime::Codex, Say::Forbid(text)) => json!({"hookSpecificOutput": {
            "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": text}}),
        (Runtime::Gemini, Say::Prompt(text)) => context("BeforeAgent", text),
        (Runtime::Gemini, Say::Finish(text) | Say::Forbid(text)) => json!({"decision": "deny", "reason": text}),
        (Runtime::Cursor, Say::Start(text)) => json!({"additional_context": text}),
        (Runtime::Cursor, Say::Finish(text)) => json!({"followup_message": text}),
        (Runtime::Cursor, Say::Forbid(text)) => json!({"permission": "deny", "user_message": text, "agent_message": text}),
        (Runtime::Copilot, Say::Forbid(text)) => json!({"permissionDecision": "deny", "permissionDecisionReason": text}),
        // Their plugins are ours.
        (Runtime::Opencode | Runtime::Pi | Runtime::Omp, Say::Start(text) | Say::Prompt(text)) => json!({"context": text}),
        (Runtime::Opencode | Runtime::Pi | Runtime::Omp, Say::Finish(text)) => json!({"finish": text}),
        (Runtime::Opencode | Runtime::Pi | Runtime::Omp, Say::Forbid(text)) => json!({"forbid": text}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &Value) -> Heard {
        Heard::of(said.to_string().as_bytes())
    }

    #[test]
    fn the_command_is_found_in_the_form_of_each_program() {
        for said in [
            json!({"tool_name": "Bash", "tool_input": {"command": "git push -f"}}),
            json!({"toolName": "bash", "toolArgs": "{\"command\": \"git push -f\"}"}),
            json!({"toolName": "bash", "toolArgs": {"command": "git push -f"}}),
            json!({"command": "git push -f", "cwd": "/x"}),
        ] {
            assert_eq!(heard(&said).command.as_deref(), Some("git push -f"), "{said}");
        }
        let words = heard(&json!({"tool_input": {"command": ["bash", "-lc", "git push -f"]}}));
        assert_eq!(words.command.as_deref(), Some("'bash' '-lc' 'git push -f'"));
        assert_eq!(heard(&json!({"tool_name": "Read", "tool_input": {"file_path": "x"}})).command, None);
        assert_eq!(heard(&json!({"tool_input": "git push -f"})).command, None);
    }

    #[test]
    fn a_stop_that_a_hook_brought_about_is_known() {
        assert!(heard(&json!({"stop_hook_active": true})).is_again);
        assert!(heard(&json!({"loop_count": 1})).is_again);
        assert!(!heard(&json!({"stop_hook_active": false, "loop_count": 0})).is_again);
        assert!(!heard(&json!({"stop_hook_active": "true"})).is_again);
    }

    #[test]
    fn what_was_told_is_lost_with_the_context_that_held_it() {
        for source in ["resume", "clear", "compact"] {
            assert!(heard(&json!({"hook_event_name": "SessionStart", "source": source})).has_forgotten(), "{source}");
        }
        let before = heard(&json!({"hook_event_name": "PreCompact", "trigger": "auto"}));
        assert!(before.has_forgotten() && before.is_before_compaction());
        assert!(!heard(&json!({"source": "startup"})).has_forgotten());
    }

    #[test]
    fn what_makes_no_sense_is_not_heard() {
        for bytes in [&b""[..], b"{", b"[1]", b"null", b"\xff\xfe", b"{\"tool_input\": 3, \"source\": {}}"] {
            assert_eq!(Heard::of(bytes), Heard::default(), "{bytes:?}");
        }
    }

    #[test]
    fn every_program_is_told_in_a_form_of_its_own_and_nothing_is_an_empty_object() {
        for wired in super::super::ALL {
            assert_eq!(answer(wired.runtime, Say::Nothing), json!({}));
            assert_ne!(answer(wired.runtime, Say::Forbid("no")), json!({}), "{}", wired.name);
            assert_ne!(answer(wired.runtime, Say::Finish("do")), json!({}), "{}", wired.name);
            let is_told = |say| answer(wired.runtime, say) != json!({});
            assert_eq!(is_told(Say::Start("x")), wired.moments.contains(&super::super::Moment::Start), "{}", wired.name);
            assert_eq!(is_told(Say::Prompt("x")), wired.moments.contains(&super::super::Moment::Prompt), "{}", wired.name);
        }
    }
}

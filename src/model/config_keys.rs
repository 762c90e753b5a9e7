//! Configuration keys: what each may hold, and who may set it.
//!
//! Shared keys live in the ledger (town or rig scope); what a key may hold is checked when it is set.

mod table;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::cost::{Price, micros_of};
use crate::name::Name;
use crate::time::parse_millis;

pub use table::KEYS;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Any text.
    Text,
    /// A command line for `sh -c`; runs only on machines that trust it.
    Command,
    /// `true` or `false`.
    Bool,
    /// A length of time such as `10m`.
    Duration,
    /// A whole number.
    Number,
    /// An amount of money such as `12.50`.
    Amount,
    /// What a million tokens cost: four amounts.
    Price,
    /// A whole number between two others.
    Between(u32, u32),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Globs as in `.gitignore`.
    Globs,
    /// `NAME=value` pairs for an environment; they reach what runs only on machines that trust them.
    Pairs,
    /// The words of a command line, run without a shell; only on machines that trust them.
    Words,
    /// Names for agents.
    Names,
    /// The name of an agent; it runs only on machines that trust it.
    Agent,
    /// An object of JSON; it takes effect only on machines that trust it.
    Object,
    /// Colours and attributes as tmux names them, such as `bg=colour24,fg=white,bold`.
    Style,
}

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name; `*` stands for one word.
    pub name: &'static str,
    /// What it holds.
    pub key_type: KeyType,
    /// Its value when unset; empty: none.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// Finds the key that `name` is an instance of.
///
/// # Errors
/// Usage, naming the known keys.
pub fn find(name: &str) -> Result<&'static Key> {
    let fits = |key: &Key| {
        let (pattern, words): (Vec<&str>, Vec<&str>) = (key.name.split('.').collect(), name.split('.').collect());
        pattern.len() == words.len() && pattern.iter().zip(&words).all(|(p, w)| p == w || (*p == "*" && is_word(w)))
    };
    KEYS.iter().find(|key| fits(key)).ok_or_else(|| {
        let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        Error::usage(format!("there is no configuration key '{}'", name.escape_debug()))
            .hint(format!("known keys: {}", known.join(", ")))
    })
}

/// The name of `key` in git configuration, whose last words have no `_`.
#[must_use]
pub fn git_name(key: &str) -> String {
    match key.rsplit_once('.') {
        Some((group, last)) => format!("gt.{group}.{}", last.replace('_', "-")),
        None => format!("gt.{key}"),
    }
}

/// Whether a program may get the word: any text that is not empty and has no NUL.
fn is_plain_text(word: &str) -> bool {
    !word.is_empty() && !word.contains('\0')
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 40
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Whether the text is colours and attributes and nothing else: tmux would expand formats in it, which can run commands.
fn is_style(text: &str) -> bool {
    let is_plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_hex = |word: &str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let is_colour = |word: &str| word.strip_prefix('#').map_or_else(|| is_plain(word), is_hex);
    text.split(',').all(|part| match part.split_once('=') {
        Some((which, colour)) => matches!(which, "bg" | "fg") && is_colour(colour),
        None => ["bold", "dim", "italics", "underscore", "reverse", "default"].contains(&part),
    })
}

impl Key {
    /// Whether it decides what runs on a machine or what may land; workers may not set it.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        let decides = [
            "account.",
            "accounts.",
            "agent.",
            "agents.",
            "budget.",
            "gates.",
            "git.",
            "mq.",
            "polecats.",
            "prices.",
            "review.",
            "target.",
        ];
        self.key_type == KeyType::Command || decides.iter().any(|group| self.name.starts_with(group))
    }

    /// Whether its value takes effect on a machine only when its text was trusted there.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        let runs = matches!(self.key_type, KeyType::Command | KeyType::Pairs | KeyType::Words | KeyType::Agent | KeyType::Object);
        runs || self.name.starts_with("agents.")
    }

    /// Checks a value that another program may have written.
    ///
    /// # Errors
    /// Corrupt, when it is of another type: what is not understood is not taken for "off".
    pub fn check(&self, value: Value) -> Result<Value> {
        let words = |is_right: fn(&str) -> bool| {
            let list = value.as_array();
            list.is_some_and(|list| !list.is_empty() && list.iter().all(|one| one.as_str().is_some_and(is_right)))
        };
        let fits = match self.key_type {
            KeyType::Text | KeyType::Command => value.is_string(),
            KeyType::Duration => value.as_str().is_some_and(|text| parse_millis(text).is_ok()),
            KeyType::Amount => value.as_str().is_some_and(|text| micros_of(text).is_some()),
            KeyType::Price => value.as_str().is_some_and(|text| Price::of("", text).is_some()),
            KeyType::Bool => value.is_boolean(),
            KeyType::Number => value.is_u64(),
            KeyType::Between(least, most) => {
                value.as_u64().is_some_and(|number| (u64::from(least)..=u64::from(most)).contains(&number))
            }
            KeyType::Choice(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
            KeyType::Globs => words(is_glob),
            KeyType::Pairs => words(is_pair),
            KeyType::Words => words(is_plain_text),
            KeyType::Names => words(is_name),
            KeyType::Agent => value.as_str().is_some_and(is_word),
            KeyType::Object => value.is_object(),
            KeyType::Style => value.as_str().is_some_and(is_style),
        };
        if fits {
            return Ok(value);
        }
        Err(Error::corrupt(format!("the value of {} cannot be read: {value}", self.name))
            .hint("set it anew: gt config set KEY VALUE"))
    }

    /// Reads a value of this key's type from text.
    ///
    /// # Errors
    /// Usage, when the text is of another type.
    pub fn parse(&self, text: &str) -> Result<Value> {
        let wrong = |want: &str| Error::usage(format!("'{}' is not {want}, which {} needs", text.escape_debug(), self.name));
        match self.key_type {
            _ if text.trim().is_empty() => Err(wrong("a text").hint("to remove it: gt config unset KEY")),
            KeyType::Text | KeyType::Command => Ok(Value::from(text)),
            KeyType::Bool => text.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
            KeyType::Duration => parse_millis(text).map(|_| Value::from(text)),
            KeyType::Number => text.parse::<u32>().map(Value::from).map_err(|_| wrong("a whole number")),
            KeyType::Amount if micros_of(text).is_some() => Ok(Value::from(text)),
            KeyType::Amount => Err(wrong("an amount such as 12.50")),
            KeyType::Price if Price::of("", text).is_some() => Ok(Value::from(text)),
            KeyType::Price => Err(wrong("four amounts").hint("dollars for a million tokens, for example '3 15 3.75 0.30'")),
            KeyType::Between(least, most) => match text.parse::<u32>() {
                Ok(number) if (least..=most).contains(&number) => Ok(Value::from(number)),
                _ => Err(wrong(&format!("a whole number from {least} to {most}"))),
            },
            KeyType::Choice(choices) if choices.contains(&text) => Ok(Value::from(text)),
            KeyType::Choice(choices) => Err(wrong(&format!("one of {}", choices.join(", ")))),
            KeyType::Globs => list_of(text, is_glob).ok_or_else(|| {
                wrong("a list of globs").hint("separate them by spaces, without '..', for example 'src/** Cargo.toml !src/gen/'")
            }),
            KeyType::Pairs => list_of(text, is_pair).ok_or_else(|| {
                wrong("a list of NAME=value")
                    .hint("quote what has spaces, for example 'MODE=ci GREETING=\"a b\"'; GT_… are gt's own")
            }),
            KeyType::Words => list_of(text, is_plain_text).ok_or_else(|| {
                wrong("a list of words").hint("separate them by spaces and quote what has spaces; nothing is expanded")
            }),
            KeyType::Object => match serde_json::from_str(text) {
                Ok(value @ Value::Object(_)) => Ok(value),
                _ => Err(wrong("an object of JSON").hint("for example '{\"model\": \"opus\"}'")),
            },
            KeyType::Names => list_of(text, is_name).ok_or_else(|| {
                wrong("a list of names")
                    .hint("a name is a lower-case letter followed by up to 31 of a-z, 0-9 and _, and no reserved word")
            }),
            KeyType::Style if is_style(text) => Ok(Value::from(text)),
            KeyType::Style => Err(wrong("a style of tmux").hint("for example bg=colour24,fg=white,bold or bg=#203040")),
            KeyType::Agent if is_word(text) => Ok(Value::from(text)),
            KeyType::Agent => Err(wrong("the name of an agent").hint("gt config agent list shows them")),
        }
    }
}

/// The words of `text`, or of the JSON list that it is, when there is one and all are right.
fn list_of(text: &str, is_right: fn(&str) -> bool) -> Option<Value> {
    let words = match serde_json::from_str::<Vec<String>>(text) {
        Ok(list) => list,
        Err(_) => quoted_words(text)?,
    };
    (!words.is_empty() && words.iter().all(|word| is_right(word))).then(|| Value::from(words))
}

/// The words of `text`, split at spaces that stand in no quotes; `None` when a quote is left open.
fn quoted_words(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_within, mut open) = (false, None);
    for c in text.chars() {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (None, '\'' | '"') => open = Some(c),
            (None, c) if c.is_whitespace() => {
                is_within = false;
                continue;
            }
            (_, c) => {
                if !is_within {
                    words.push(String::new());
                }
                words.last_mut()?.push(c);
                is_within = true;
                continue;
            }
        }
        // A quote begins a word, though perhaps an empty one.
        if !is_within {
            words.push(String::new());
            is_within = true;
        }
    }
    open.is_none().then_some(words)
}

fn is_name(text: &str) -> bool {
    text.parse::<Name>().is_ok()
}

fn is_glob(text: &str) -> bool {
    let bare = text.trim_start_matches('!');
    !bare.is_empty() && !text.contains(['\0', '\n']) && !bare.split('/').any(|part| part == "..")
}

/// Whether `text` sets a variable that is not one of gt's own.
fn is_pair(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return false };
    let is_name = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    !name.is_empty() && is_name(name) && !name.starts_with("GT_") && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_or_value_is_refused() {
        assert!(find("gates.test.command").is_ok());
        for bad in ["gate.test.command", "gates..command", "gates.a b.command", "agent", "agent.command.x"] {
            assert!(find(bad).is_err(), "{bad}");
        }
        assert!(find("gates.test.timeout").unwrap().parse("soon").is_err());
        assert!(find("gates.require").unwrap().parse("maybe").is_err());
        for (key, bad) in [
            ("gates.test.retries", "10"),
            ("gates.test.retries", "-1"),
            ("gates.test.phase", "first"),
            ("gates.test.cpu_weight", "0"),
            ("gates.worktrees", "0"),
            ("gates.test.on_timeout", "green"),
            ("gates.test.inputs", "../secret"),
            ("gates.test.inputs", "!"),
            ("gates.test.inputs", "'open"),
            ("gates.test.env", "A"),
            ("gates.test.env", "1A=x"),
            ("gates.test.env", "GT_GATE=x"),
            ("gates.test.env", "A=1 =x"),
            ("gates.test.env", "[]"),
        ] {
            assert_eq!(find(key).unwrap().parse(bad).unwrap_err().kind, crate::error::Kind::Usage, "{key} {bad}");
        }
    }

    #[test]
    fn lists_are_read_by_words_and_as_they_are_shown() {
        let env = find("gates.test.env").unwrap();
        let value = env.parse(r#"A=1 B="x y" C='p "q"' D="#).unwrap();
        assert_eq!(value, serde_json::json!(["A=1", "B=x y", "C=p \"q\"", "D="]));
        assert_eq!(env.parse(&value.to_string()).unwrap(), value);
        assert_eq!(env.check(value.clone()).unwrap(), value);
        assert!(env.check(serde_json::json!(["GT_ROLE=mayor"])).is_err() && env.check(Value::from("A=1")).is_err());
        let inputs = find("gates.test.inputs").unwrap();
        assert_eq!(inputs.parse("src/** !src/gen/\n'a b'").unwrap(), serde_json::json!(["src/**", "!src/gen/", "a b"]));
        assert!(env.is_pinned() && env.is_guarded() && !inputs.is_pinned() && inputs.is_guarded());
        assert!(find("mq.mode").unwrap().parse("octopus").unwrap_err().message.contains("one of squash, merge, rebase, ff"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_damage_and_not_off() {
        let require = find("gates.require").unwrap();
        assert_eq!(require.check(Value::from("true")).unwrap_err().kind, crate::error::Kind::Corrupt);
        assert_eq!(require.check(Value::from(false)).unwrap(), Value::from(false));
        assert!(find("gates.test.timeout").unwrap().check(Value::from(5)).is_err());
    }

    #[test]
    fn a_style_is_colours_and_attributes_and_nothing_that_is_expanded() {
        let key = find("session.style.polecat").unwrap();
        for good in ["bg=colour24", "bg=#20aaFF,fg=white,bold", "default", "reverse,dim"] {
            assert!(key.parse(good).is_ok() && key.check(Value::from(good)).is_ok(), "{good}");
        }
        for bad in
            ["bg=#(touch x)", "#{pane_pid}", "bg=red fg=blue", "bg=", "bg=#12", "align=left", "bold,", "fill=red", "bg=red;"]
        {
            assert!(key.parse(bad).is_err() && key.check(Value::from(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_default_fits_its_key() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert!(key.parse(key.default).is_ok(), "{}", key.name);
        }
    }
}

//! Plugins: what `plugin.md` says of one, and how its runs ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::time::{self, Moment};

/// How long a plugin may take unless it says otherwise.
const TIMEOUT_MILLIS: u64 = 30_000;
/// The longest that it may say.
const TIMEOUT_MILLIS_MAX: u64 = 600_000;
/// How many outcomes are remembered.
const OUTCOMES_MAX: usize = 20;

/// Where a plugin can be called in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Before the merge queue of a target stacks and tests what waits.
    BeforeMerge,
}

impl Point {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BeforeMerge => "before-merge",
        }
    }
}

/// The front matter of `plugin.md`, TOML between two lines `+++`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Front {
    description: String,
    points: Vec<Point>,
    timeout: Option<String>,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Manifest {
    /// What it is for.
    pub description: String,
    /// Where it is called in.
    pub points: Vec<Point>,
    /// How long it is waited for, in milliseconds.
    pub timeout_millis: u64,
    /// What it says to an agent that plays it.
    pub text: String,
}

impl Manifest {
    /// Reads `plugin.md`. Without front matter all of it is text, and nothing calls the plugin by itself.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (front, text) = match text.strip_prefix("+++\n") {
            None => (Front::default(), text),
            Some(rest) => {
                let (front, text) = rest
                    .split_once("\n+++\n")
                    .or_else(|| Some((rest.strip_suffix("\n+++")?, "")))
                    .ok_or("its front matter has no end: a line +++")?;
                let front = toml::from_str(front).map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
                (front, text)
            }
        };
        let timeout_millis = match front.timeout.as_deref() {
            None => TIMEOUT_MILLIS,
            Some(text) => time::parse_millis(text).map_err(|error| format!("timeout: {}", error.line()))?,
        };
        if timeout_millis > TIMEOUT_MILLIS_MAX {
            return Err("timeout: more than 10m would keep everybody waiting".to_owned());
        }
        let Front { description, points, .. } = front;
        Ok(Self { description, points, timeout_millis, text: text.trim().to_owned() })
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It did what it is for.
    Done,
    /// It ended with another exit code than 0, by a signal, or could not start.
    Failed,
    /// It was not through in its time.
    TooSlow,
}

impl Ending {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TooSlow => "too slow",
        }
    }
}

/// A call that is over; recorded when it ends, so that one that was cut off counts as none.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Outcome {
    /// Where it was called in; none: by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<Point>,
    /// The target branch.
    #[serde(default)]
    pub target: String,
    /// A hash of what it was asked about: the same is not asked twice.
    #[serde(default)]
    pub about: String,
    /// How it ended.
    pub ending: Ending,
    /// Its exit code, when it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The last lines that it said. Foreign text.
    #[serde(default)]
    pub said: String,
    /// How long it took, in milliseconds.
    pub took_millis: u64,
    /// When it ended.
    pub at: Moment,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

/// `plugins/<name>.json`: the last outcomes of a plugin, newest last.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct History {
    /// Schema version.
    pub v: u64,
    /// The outcomes.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// Clock.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Default for History {
    fn default() -> Self {
        Self { v: SCHEMA_VERSION, outcomes: Vec::new(), rev: Rev::default(), extra: Object::new() }
    }
}

impl History {
    /// Takes note of `outcome`; the oldest goes when there are too many.
    pub fn note(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
        let surplus = self.outcomes.len().saturating_sub(OUTCOMES_MAX);
        self.outcomes.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_says_where_a_plugin_is_called_in_and_the_rest_is_text() {
        let text = "+++\ndescription = \"Looks\"\npoints = [\"before-merge\"]\ntimeout = \"5s\"\n+++\n\n# Looker\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!((manifest.points, manifest.timeout_millis), (vec![Point::BeforeMerge], 5000));
        assert_eq!((manifest.description.as_str(), manifest.text.as_str()), ("Looks", "# Looker"));
        let plain = Manifest::parse("# Only text\n").unwrap();
        assert!(plain.points.is_empty() && plain.timeout_millis == TIMEOUT_MILLIS);
        assert!(Manifest::parse("").is_ok() && Manifest::parse("+++\n\n+++").is_ok());
    }

    #[test]
    fn what_is_wrong_with_front_matter_is_told() {
        for (front, why) in [
            ("points = [\"after-lunch\"]", "after-lunch"),
            ("point = []", "point"),
            ("timeout = \"soon\"", "timeout"),
            ("timeout = \"1h\"", "10m"),
            ("points = ", "line 1"),
        ] {
            let told = Manifest::parse(&format!("+++\n{front}\n+++\n")).unwrap_err();
            assert!(told.contains(why), "{front}: {told}");
        }
        assert!(Manifest::parse("+++\npoints = []\n").unwrap_err().contains("no end"));
    }
}

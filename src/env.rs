//! Every environment variable that gt reads, in one place.
//!
//! Other modules ask here; `.clippy.toml` bans reading the environment elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A variable gt reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Var {
    /// `GT_ROOT`: the town, when not found above the current directory.
    Root,
    /// `GT_ACTOR`: the full address of whoever acts, e.g. `widgets/polecats/toast`.
    Actor,
    /// `GT_ROLE`: role or full address; used when `GT_ACTOR` is not set.
    Role,
    /// `GT_SESSION`: id of the agent session this process runs in.
    Session,
    /// `GT_MODEL`: the model that the acting agent runs.
    Model,
    /// `GT_NOW`: fixes the clock (RFC 3339); for tests.
    Now,
    /// `GT_SEED`: fixes the random source of ids; for tests.
    Seed,
    /// `GT_LOG`: level of diagnostics on standard error: error, warn, info, debug, trace.
    Log,
    /// `GT_CRASH_AT`: ends the process at a named step (`step`, or `step:3` for its third time); for tests, ignored unless `GT_SEED` is set too.
    CrashAt,
    /// `GT_UPKEEP`: `off`, so that no command starts maintenance by itself; for tests and measurements.
    Upkeep,
    /// `VISUAL`: the program that texts are edited with.
    Visual,
    /// `EDITOR`: the same, when `VISUAL` is not set.
    Editor,
    /// `GT_BEAD`: what the session works on.
    Bead,
    /// `HOME`: where programs of agents keep their things.
    Home,
    /// `CLAUDE_CONFIG_DIR`: where Claude Code keeps its things, when that is not in `HOME`.
    ClaudeConfigDir,
    /// `PATH`: where programs are looked up.
    Path,
    /// `NO_COLOR`: no colour unless `--color always` asks for it.
    NoColor,
    /// `TERM`: what the terminal is; a `dumb` one gets no colour.
    Term,
    /// `GT_PAGER`: the command that shows what is longer than the terminal is high; `cat` for none.
    GtPager,
    /// `PAGER`: the same, when `GT_PAGER` is not set.
    Pager,
    /// `GIT_TERMINAL_PROMPT`: `0`, so that nobody is asked for a password on the terminal.
    TerminalPrompt,
}

impl Var {
    /// The variable's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "GT_ROOT",
            Self::Actor => "GT_ACTOR",
            Self::Role => "GT_ROLE",
            Self::Session => "GT_SESSION",
            Self::Model => "GT_MODEL",
            Self::Now => "GT_NOW",
            Self::Seed => "GT_SEED",
            Self::Log => "GT_LOG",
            Self::CrashAt => "GT_CRASH_AT",
            Self::Upkeep => "GT_UPKEEP",
            Self::Visual => "VISUAL",
            Self::Editor => "EDITOR",
            Self::Bead => "GT_BEAD",
            Self::Home => "HOME",
            Self::ClaudeConfigDir => "CLAUDE_CONFIG_DIR",
            Self::Path => "PATH",
            Self::NoColor => "NO_COLOR",
            Self::Term => "TERM",
            Self::GtPager => "GT_PAGER",
            Self::Pager => "PAGER",
            Self::TerminalPrompt => "GIT_TERMINAL_PROMPT",
        }
    }
}

/// The value of `var` as text; `None` when unset, empty or not UTF-8.
#[must_use]
pub fn text(var: Var) -> Option<String> {
    os(var).and_then(|value| value.into_string().ok())
}

/// The value of `var` as it is; `None` when unset or empty.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this module owns the environment")]
pub fn os(var: Var) -> Option<OsString> {
    std::env::var_os(var.name()).filter(|value| !value.is_empty())
}

/// The value of `var` as a path.
#[must_use]
pub fn path(var: Var) -> Option<PathBuf> {
    os(var).map(PathBuf::from)
}

/// All variables of this process whose names pass `keep`.
#[expect(clippy::disallowed_methods, reason = "this module owns the environment")]
pub fn inherited(keep: impl Fn(&str) -> bool) -> Vec<(OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(&keep)).collect()
}

/// The current directory; `None` when it is gone.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this module owns the environment")]
pub fn current_dir() -> Option<PathBuf> {
    std::env::current_dir().ok()
}

/// The directory for temporary files.
#[must_use]
pub fn temporary_dir() -> PathBuf {
    std::env::temp_dir()
}

/// This executable's path; `None` when it cannot be told.
#[must_use]
pub fn executable() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// Ends the process on the spot when `GT_CRASH_AT` names this step; crash tests use it to stand in for a kill.
///
/// `step:3` waits for the third time that the step is reached. Ignored unless `GT_SEED` is set too, so that a
/// stray variable does not end real work.
pub fn crash_point(step: &str) {
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let Some(wanted) = text(Var::CrashAt).filter(|_| text(Var::Seed).is_some()) else { return };
    let (name, nth) = match wanted.split_once(':') {
        Some((name, nth)) => (name, nth.parse().unwrap_or(1)),
        None => (wanted.as_str(), 1),
    };
    if name == step && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == nth {
        std::process::abort();
    }
}

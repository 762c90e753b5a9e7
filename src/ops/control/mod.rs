//! The town as a whole: brought up, taken down, stopped in an emergency.
//!
//! Nothing here is needed for the state to be right: hooks, beads and merge requests stay as they are whatever runs. Only
//! sessions that this town started are ever signalled.
//!
//! ```text
//! up        starts what should run          down       ends what runs, asked first
//! shutdown  the same, with unsaved work     halt       an emergency: nothing starts, what runs is held
//!           saved and idle sandboxes gone
//! rest      an agent put to sleep, and woken     roll       all agents and what they do
//! errand    one command where an agent works
//! ```

mod down;
mod errand;
pub mod halt;
mod rest;
mod roll;
mod shutdown;
mod up;

pub use down::{Down, Ended, Ending, Scope, down};
pub use errand::{Errand, run as errand};
pub use rest::{Rested, asleep, check_awake, sleep, wake};
pub use roll::{Entry, roll};
pub use shutdown::{Sandbox, Shutdown, Then, shutdown};
pub use up::{Outcome, Start, Up, up};

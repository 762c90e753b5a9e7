//! Turns the progress of long work into lines for whoever watches.
//!
//! Lines come at most five times a second and hold no control characters, whatever a remote sends.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gix::progress::{Id, MessageLevel, Step, StepShared, UNKNOWN, Unit};
use gix::{Count, NestedProgress};

use crate::time::Stopwatch;

type Sink = dyn Fn(&str) + Send + Sync;

/// Where the progress of a fetch, push or clone is told.
#[derive(Clone)]
pub struct Progress(Option<Arc<Watch>>);

struct Watch {
    sink: Box<Sink>,
    clock: Stopwatch,
    /// When the next line may go out, in milliseconds of `clock`.
    due_millis: AtomicU64,
}

/// Pause between two lines.
const PAUSE_MILLIS: u64 = 200;
/// The longest line, in characters.
const LINE_CHARS_MAX: usize = 200;

impl Progress {
    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// Tells `sink`, in lines such as `receiving objects 45% (1200/2600)`.
    #[must_use]
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Watch { sink: Box::new(sink), clock: Stopwatch::start(), due_millis: AtomicU64::new(0) })))
    }

    /// Says one line now, whenever the last one was.
    pub fn say(&self, line: &str) {
        if let Some(watch) = &self.0 {
            (watch.sink)(&one_line(line));
        }
    }

    /// An item that gix reports to.
    pub(crate) fn item(&self, name: &str) -> Item {
        Item { watch: self.0.clone(), name: name.to_owned(), step: Arc::default(), max: None, unit: None }
    }
}

/// A strand of work inside gix; its steps become lines.
pub(crate) struct Item {
    watch: Option<Arc<Watch>>,
    name: String,
    step: StepShared,
    max: Option<Step>,
    unit: Option<Unit>,
}

impl Item {
    fn tell(&self) {
        let Some(watch) = &self.watch else { return };
        let now = watch.clock.millis();
        let due = watch.due_millis.load(Ordering::Relaxed);
        let is_ours = now >= due
            && watch.due_millis.compare_exchange(due, now + PAUSE_MILLIS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_ours {
            (watch.sink)(&self.line());
        }
    }

    fn line(&self) -> String {
        let name = spoken(&self.name);
        let step = self.step.load(Ordering::Relaxed);
        match self.max {
            Some(max) if max > 0 => {
                let shown = step.min(max);
                one_line(&format!("{name} {}% ({shown}/{max})", shown * 100 / max))
            }
            _ if step > 0 => one_line(&format!("{name} {step}")),
            _ => one_line(&name),
        }
    }
}

/// gix's names for its steps, as git's users know them.
fn spoken(name: &str) -> String {
    match name {
        "indexing" => "receiving objects".into(),
        "read pack" => "receiving bytes".into(),
        "Resolving" => "resolving deltas".into(),
        other => other.to_lowercase(),
    }
}

/// Foreign text as one line without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_control() || is_direction(c) { ' ' } else { c }).take(LINE_CHARS_MAX).collect();
    clean.trim().to_owned()
}

/// Characters that reorder what a terminal shows.
pub(crate) fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Count for Item {
    fn set(&self, step: Step) {
        self.step.store(step, Ordering::Relaxed);
        self.tell();
    }

    fn step(&self) -> Step {
        self.step.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.step.fetch_add(step, Ordering::Relaxed);
        self.tell();
    }

    fn counter(&self) -> Arc<AtomicUsize> {
        self.step.clone()
    }
}

impl gix::Progress for Item {
    fn init(&mut self, max: Option<Step>, unit: Option<Unit>) {
        self.max = max;
        self.unit = unit;
        self.step.store(0, Ordering::Relaxed);
    }

    fn unit(&self) -> Option<Unit> {
        self.unit.clone()
    }

    fn max(&self) -> Option<Step> {
        self.max
    }

    fn set_max(&mut self, max: Option<Step>) -> Option<Step> {
        std::mem::replace(&mut self.max, max)
    }

    fn set_name(&mut self, name: String) {
        self.name = name;
    }

    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }

    fn id(&self) -> Id {
        UNKNOWN
    }

    fn message(&self, _level: MessageLevel, _message: String) {}
}

impl NestedProgress for Item {
    type SubProgress = Self;

    fn add_child(&mut self, name: impl Into<String>) -> Self {
        Self { watch: self.watch.clone(), name: name.into(), step: Arc::default(), max: None, unit: None }
    }

    fn add_child_with_id(&mut self, name: impl Into<String>, _id: Id) -> Self {
        self.add_child(name)
    }
}

/// What a remote says beside its answer: kept for the error message, and told to whoever watches.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

/// How many lines of a remote are kept.
const HEARD_LINES_MAX: usize = 20;

impl Heard {
    /// Takes in a piece of side-band text.
    pub(crate) fn hear(&self, text: &[u8]) {
        let Ok(mut lines) = self.0.lock() else { return };
        for line in String::from_utf8_lossy(text).split(['\n', '\r']).map(one_line).filter(|line| !line.is_empty()) {
            if lines.len() < HEARD_LINES_MAX {
                lines.push(line);
            }
        }
    }

    /// The lines heard, joined; empty when there were none.
    pub(crate) fn joined(&self) -> String {
        self.0.lock().map(|lines| lines.join("; ")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use gix::Progress as _;

    use super::*;

    #[test]
    fn steps_become_few_lines_without_control_characters() {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = lines.clone();
        let progress = Progress::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        let mut item = progress.item("x").add_child("indexing");
        item.init(Some(2600), None);
        item.set(1200);
        for _ in 0..1000 {
            item.inc();
        }
        assert_eq!(*lines.lock().unwrap(), ["receiving objects 46% (1200/2600)"]);
        progress.say("bad\x1b[2Jnews\u{202e}\n");
        assert_eq!(lines.lock().unwrap()[1], "bad [2Jnews");
    }

    #[test]
    fn what_a_remote_says_is_kept_within_bounds() {
        let heard = Heard::default();
        for _ in 0..100 {
            heard.hear(b"no\x07\r\nway\n\n");
        }
        assert!(heard.joined().starts_with("no; way; no"));
        assert_eq!(heard.joined().split("; ").count(), HEARD_LINES_MAX);
    }
}

//! Plugins that are called in before the queue is worked: asked once about the same requests on the same tip, told, and
//! never obeyed.

use super::Queue;
use super::event::Event;
use super::look;
use crate::error::Result;
use crate::model::plugin::Point;
use crate::ops::plugin::{self, Call, Called};
use crate::time;

impl Queue<'_> {
    /// Calls the plugins of the rig that want to see what waits, when something does.
    ///
    /// # Errors
    /// Io or corrupt, when plugins or records cannot be read; as every transaction.
    pub(super) fn call_plugins(&self, say: &mut dyn FnMut(&Event)) -> Result<()> {
        if !plugin::is_any(self.town, self.place)? {
            return Ok(());
        }
        let waiting = look::waiting(self.place, self.target(), time::now()?)?;
        if waiting.is_empty() {
            return Ok(());
        }
        let tip = self.place.ledger.store.read_ref(&self.turn.target_ref())?;
        let call = Call {
            target: self.target(),
            tip: tip.map(|tip| tip.to_string()).unwrap_or_default(),
            requests: waiting.into_iter().map(|request| (request.bead.id, request.mr.head)).collect(),
        };
        for Called { plugin, outcome, passed_over } in plugin::at_point(self.town, self.place, Point::BeforeMerge, &call)? {
            let said = outcome.as_ref().and_then(|outcome| outcome.said.lines().next()).unwrap_or_default().to_owned();
            let outcome = passed_over.or_else(|| Some(outcome?.ending.word().to_owned())).unwrap_or_default();
            say(&Event::Plugin { plugin, outcome, said });
        }
        Ok(())
    }
}

//! Protocol messages: machine-readable mail, each kind with its typed payload, in one table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::mail::{Letter, LetterType};
use crate::model::record;
use crate::name::BeadId;
use crate::time::Moment;

/// How a polecat left its assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Handed in.
    Completed,
    /// Cannot go on; needs help.
    Escalated,
    /// Given back.
    Released,
}

/// A protocol message: the kind is the tag, the fields are the payload.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Protocol {
    /// Polecat to witness, with its first prime.
    PolecatStarted {
        /// The work.
        bead: BeadId,
        /// Its branch.
        branch: String,
        /// The session.
        session: String,
    },
    /// Polecat to witness.
    PolecatDone {
        /// How it ended.
        exit: Exit,
        /// The work.
        bead: BeadId,
        /// The merge request, when handed in.
        mr: Option<BeadId>,
        /// Its branch.
        branch: String,
    },
    /// Done to refinery.
    MergeReady {
        /// The merge request.
        mr: BeadId,
        /// The work.
        bead: BeadId,
        /// Its branch.
        branch: String,
        /// Who made it.
        polecat: String,
    },
    /// Refinery to witness and author.
    Merged {
        /// The merge request.
        mr: BeadId,
        /// The work.
        bead: BeadId,
        /// Its branch.
        branch: String,
        /// Where it went.
        target: String,
        /// As which commit.
        commit: String,
    },
    /// Refinery to witness and author.
    MergeFailed {
        /// The merge request.
        mr: BeadId,
        /// The work.
        bead: BeadId,
        /// The gate that was red.
        gate: String,
        /// Its exit code.
        exit: Option<i32>,
        /// Tests that failed, where they are known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failing: Vec<String>,
        /// Its last lines.
        log: String,
        /// Why it is this request and no other.
        evidence: Vec<String>,
    },
    /// Refinery to witness and author.
    ReworkRequest {
        /// The merge request.
        mr: BeadId,
        /// The work.
        bead: BeadId,
        /// Where it was to go.
        target: String,
        /// What conflicts.
        files: Vec<String>,
        /// The request's head.
        ours: String,
        /// The other side's commits.
        theirs: Vec<String>,
        /// The task that solves the conflict, when one was filed: the work waits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<BeadId>,
    },
    /// Refinery to author: the request waits, and nothing was sent back.
    MergeHeld {
        /// The merge request.
        mr: BeadId,
        /// The work.
        bead: BeadId,
        /// The request that is in the way, or that it stands on.
        other: BeadId,
        /// Why it waits and what helps.
        reason: String,
        /// What conflicts.
        files: Vec<String>,
        /// The request's head.
        ours: String,
        /// The other's head.
        theirs: Vec<String>,
    },
    /// Refinery to a plugin that an agent plays: what is about to be stacked and tested. A letter back is the answer.
    BeforeMerge {
        /// The target branch.
        target: String,
        /// Its tip.
        tip: String,
        /// The requests that wait, in order of their turn.
        mrs: Vec<BeadId>,
    },
    /// Refinery to the author of what was taken back.
    Reverted {
        /// The request that took it back.
        mr: BeadId,
        /// The work, open again.
        bead: BeadId,
        /// The request that was taken back.
        reverts: BeadId,
        /// As which commit.
        commit: String,
        /// Why.
        reason: String,
    },
    /// Refinery to witness and overseer: others move the target faster than the queue can.
    TargetContended {
        /// The branch.
        target: String,
        /// Its tip when the last race was lost.
        tip: String,
        /// How many were lost in a row.
        races: u32,
        /// How the last one was lost.
        reason: String,
        /// What would end it.
        advice: String,
    },
    /// Refinery to witness and overseer: somebody moved the target, and gt did not.
    TargetMoved {
        /// The branch.
        target: String,
        /// Where it was.
        old: String,
        /// Where it is; empty: it is gone.
        tip: String,
        /// What happened to it.
        what: String,
        /// The ref that keeps where it was.
        pin: String,
    },
    /// Refinery to witness and overseer: the target itself does not pass, and nobody is sent back for it.
    TargetRed {
        /// The branch.
        target: String,
        /// Its tip.
        tip: String,
        /// The gates that are red on it.
        gates: Vec<String>,
    },
    /// Refinery to witness and overseer: the queue stops, since gates give no verdict.
    QueueStopped {
        /// The branch.
        target: String,
        /// Its tip.
        tip: String,
        /// How many runs in a row gave none.
        runs: u32,
        /// What was wrong with the last one.
        reason: String,
    },
    /// Town to the witness of each rig of a batch, when its first work was slung.
    SwarmStart {
        /// The convoy.
        convoy: BeadId,
        /// The rig's share.
        beads: Vec<BeadId>,
        /// Who works on it.
        workers: Vec<String>,
    },
    /// Witness to mayor, when its rig's share of a batch is closed.
    SwarmComplete {
        /// The convoy.
        convoy: BeadId,
        /// The rig's share.
        beads: Vec<BeadId>,
        /// How it ended, in a line.
        outcome: String,
    },
    /// Town to a convoy's owner and watchers.
    ConvoyLanded {
        /// The convoy.
        convoy: BeadId,
        /// How it ended, in a line.
        summary: String,
    },
    /// A merge to those whose choice it was, when two differed.
    SyncConflict {
        /// The record's path.
        record: String,
        /// The unit within it; `all`: the whole record.
        unit: String,
        /// What stands.
        kept: String,
        /// What had to yield.
        overruled: String,
        /// The rule that decided.
        rule: String,
        /// The report: `conflicts/<it>.json` in the ledger of the record.
        report: String,
    },
    /// An agent to itself: what whoever goes on with its work must know.
    Handoff {
        /// What was on its hook.
        #[serde(default)]
        bead: Option<BeadId>,
        /// Its branch; empty when it has none.
        #[serde(default)]
        branch: String,
        /// What comes next, in a line.
        #[serde(default)]
        next: String,
        /// What else there is to know.
        #[serde(default)]
        notes: String,
        /// How its workspace stood, where that was gathered.
        #[serde(default)]
        state: String,
    },
    /// Anyone to the escalation chain.
    Help {
        /// Who asks.
        agent: String,
        /// The work.
        bead: BeadId,
        /// What is wrong.
        problem: String,
    },
}

/// What a record is called: the last part of its path, without the ending.
fn name_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".json").unwrap_or(name)
}

impl Protocol {
    /// The subject: kind and what it is about.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::PolecatStarted { bead, .. } => format!("POLECAT_STARTED {bead}"),
            Self::PolecatDone { bead, .. } => format!("POLECAT_DONE {bead}"),
            Self::MergeReady { mr, .. } => format!("MERGE_READY {mr}"),
            Self::Merged { mr, .. } => format!("MERGED {mr}"),
            Self::MergeFailed { mr, .. } => format!("MERGE_FAILED {mr}"),
            Self::ReworkRequest { mr, .. } => format!("REWORK_REQUEST {mr}"),
            Self::MergeHeld { mr, .. } => format!("MERGE_HELD {mr}"),
            Self::BeforeMerge { target, .. } => format!("BEFORE_MERGE {target}"),
            Self::Reverted { reverts, .. } => format!("REVERTED {reverts}"),
            Self::TargetContended { target, .. } => format!("TARGET_CONTENDED {target}"),
            Self::TargetMoved { target, .. } => format!("TARGET_MOVED {target}"),
            Self::TargetRed { target, .. } => format!("TARGET_RED {target}"),
            Self::QueueStopped { target, .. } => format!("QUEUE_STOPPED {target}"),
            Self::SwarmStart { convoy, .. } => format!("SWARM_START {convoy}"),
            Self::SwarmComplete { convoy, .. } => format!("SWARM_COMPLETE {convoy}"),
            Self::ConvoyLanded { convoy, .. } => format!("CONVOY_LANDED {convoy}"),
            Self::SyncConflict { record, unit, .. } => format!("SYNC_CONFLICT {} {unit}", name_of(record)),
            Self::Handoff { bead: Some(bead), .. } => format!("HANDOFF {bead}"),
            Self::Handoff { bead: None, .. } => "HANDOFF".to_owned(),
            Self::Help { bead, .. } => format!("HELP {bead}"),
        }
    }

    /// The beads it speaks of.
    #[must_use]
    pub fn refs(&self) -> Vec<BeadId> {
        match self {
            Self::PolecatStarted { bead, .. } | Self::Help { bead, .. } => vec![bead.clone()],
            Self::PolecatDone { bead, mr, .. } => std::iter::once(bead).chain(mr).cloned().collect(),
            Self::MergeReady { mr, bead, .. }
            | Self::Merged { mr, bead, .. }
            | Self::MergeFailed { mr, bead, .. }
            | Self::ReworkRequest { mr, bead, .. } => vec![bead.clone(), mr.clone()],
            Self::MergeHeld { mr, bead, other, .. } => vec![bead.clone(), mr.clone(), other.clone()],
            Self::Reverted { mr, bead, reverts, .. } => vec![bead.clone(), reverts.clone(), mr.clone()],
            Self::SwarmStart { convoy, beads, .. } | Self::SwarmComplete { convoy, beads, .. } => {
                std::iter::once(convoy).chain(beads).cloned().collect()
            }
            Self::BeforeMerge { mrs, .. } => mrs.clone(),
            Self::ConvoyLanded { convoy, .. } => vec![convoy.clone()],
            Self::Handoff { bead, .. } => bead.iter().cloned().collect(),
            Self::TargetContended { .. } | Self::TargetMoved { .. } | Self::TargetRed { .. } | Self::QueueStopped { .. } => {
                Vec::new()
            }
            Self::SyncConflict { record, .. } => name_of(record).parse().into_iter().collect(),
        }
    }

    /// The payload again as readable `Key: value` lines.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = String::new();
        for (key, value) in record::object_of(self).iter().filter(|(key, _)| *key != "kind") {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                other => other.to_string(),
            };
            let mut name = key.clone();
            name[..1].make_ascii_uppercase();
            body.push_str(&format!("{name}: {text}\n"));
        }
        body
    }

    /// The letter that carries it.
    ///
    /// # Errors
    /// Usage, when the texts in it break a limit.
    pub fn letter(&self, id: BeadId, from: Address, to: Address, now: Moment) -> Result<Letter> {
        let mut letter = Letter::new(id, from, to, &self.subject(), &self.body(), now)?;
        letter.letter_type = LetterType::Protocol;
        letter.refs = self.refs();
        letter.payload = Some(record::object_of(self));
        Ok(letter)
    }

    /// Reads the message from a letter: from its payload, else from text that an agent wrote by hand
    /// in the same form (`KIND <what>` as subject and `Key: value` lines as body).
    ///
    /// # Errors
    /// Usage, when it is not a protocol message or a field is missing.
    pub fn of(letter: &Letter) -> Result<Self> {
        let wrong = |e: serde_json::Error| {
            Error::usage(format!("'{}' is not a protocol message", letter.subject.escape_debug())).caused_by(e)
        };
        if let Some(payload) = &letter.payload {
            return serde_json::from_value(Value::Object(payload.clone())).map_err(wrong);
        }
        let kind = letter.subject.split_whitespace().next().unwrap_or_default();
        let mut payload = record::Object::new();
        payload.insert("kind".into(), kind.into());
        for (key, text) in letter.body.lines().filter_map(|line| line.split_once(':')) {
            let (key, text) = (key.trim().to_ascii_lowercase(), text.trim());
            let value = match key.as_str() {
                "files" | "theirs" | "evidence" | "failing" | "beads" | "workers" | "gates" | "mrs" => {
                    text.split(',').map(|item| Value::from(item.trim())).collect()
                }
                "exit" if kind == "MERGE_FAILED" => text.parse::<i32>().map_or(Value::Null, Value::from),
                "races" | "runs" => text.parse::<u32>().map_or(Value::Null, Value::from),
                _ => Value::from(text),
            };
            payload.insert(key, value);
        }
        serde_json::from_value(Value::Object(payload)).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind() -> Vec<Protocol> {
        let (bead, mr): (BeadId, BeadId) = ("wi-a1".parse().unwrap(), "wi-m1".parse().unwrap());
        let branch = "polecat/toast/wi-a1@x".to_owned();
        vec![
            Protocol::PolecatStarted { bead: bead.clone(), branch: branch.clone(), session: "s1".into() },
            Protocol::PolecatDone { exit: Exit::Completed, bead: bead.clone(), mr: Some(mr.clone()), branch: branch.clone() },
            Protocol::MergeReady { mr: mr.clone(), bead: bead.clone(), branch: branch.clone(), polecat: "w/polecats/t".into() },
            Protocol::Merged { mr: mr.clone(), bead: bead.clone(), branch, target: "main".into(), commit: "c".into() },
            Protocol::MergeFailed {
                mr: mr.clone(),
                bead: bead.clone(),
                gate: "test".into(),
                exit: Some(1),
                failing: vec!["a::b".into(), "c d".into()],
                log: "boom".into(),
                evidence: vec!["red".into()],
            },
            Protocol::Reverted {
                mr: mr.clone(),
                bead: bead.clone(),
                reverts: "wi-m2".parse().unwrap(),
                commit: "c".into(),
                reason: "it leaks".into(),
            },
            Protocol::BeforeMerge { target: "main".into(), tip: "c".into(), mrs: vec![mr.clone(), bead.clone()] },
            Protocol::ReworkRequest {
                mr,
                bead: bead.clone(),
                target: "main".into(),
                files: vec!["a".into(), "b".into()],
                ours: "c".into(),
                theirs: vec!["d".into()],
                task: Some("wi-a2".parse().unwrap()),
            },
            Protocol::TargetContended {
                target: "main".into(),
                tip: "c".into(),
                races: 3,
                reason: "moved".into(),
                advice: "protect it: gt config set target.protect true".into(),
            },
            Protocol::TargetRed { target: "main".into(), tip: "c".into(), gates: vec!["lint".into(), "test".into()] },
            Protocol::QueueStopped { target: "main".into(), tip: "c".into(), runs: 3, reason: "no disk".into() },
            Protocol::SwarmStart {
                convoy: "hq-cv-a".parse().unwrap(),
                beads: vec![bead.clone()],
                workers: vec!["w/polecats/t".into()],
            },
            Protocol::SwarmComplete { convoy: "hq-cv-a".parse().unwrap(), beads: vec![bead.clone()], outcome: "done".into() },
            Protocol::ConvoyLanded { convoy: "hq-cv-a".parse().unwrap(), summary: "2 of 2 beads: done".into() },
            Protocol::Handoff {
                bead: Some(bead.clone()),
                branch: "b".into(),
                next: "write the test".into(),
                notes: "the pump leaks".into(),
                state: "2 commits".into(),
            },
            Protocol::Help { agent: "w/polecats/t".into(), bead, problem: "stuck".into() },
        ]
    }

    fn held() -> Protocol {
        Protocol::MergeHeld {
            mr: "wi-m1".parse().unwrap(),
            bead: "wi-a1".parse().unwrap(),
            other: "wi-m2".parse().unwrap(),
            reason: "it waits".into(),
            files: vec!["a".into()],
            ours: "c".into(),
            theirs: vec!["d".into()],
        }
    }

    fn moved() -> Protocol {
        let what = "it was replaced; by T <t@x>: reset".to_owned();
        let (old, tip, pin) = ("b".into(), "c".into(), "refs/gt/pin/main/b".into());
        Protocol::TargetMoved { target: "main".into(), old, tip, what, pin }
    }

    fn letter(message: &Protocol) -> Letter {
        message.letter("wi-ml-1".parse().unwrap(), Address::Mayor, Address::Mayor, Moment::from_millis(0)).unwrap()
    }

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        for message in every_kind().into_iter().chain([moved(), held()]) {
            assert_eq!(Protocol::of(&letter(&message)).unwrap(), message);
        }
    }

    #[test]
    fn the_same_form_written_by_hand_is_read_too() {
        for message in every_kind().into_iter().chain([moved(), held()]) {
            let mut by_hand = letter(&message);
            by_hand.payload = None;
            assert_eq!(Protocol::of(&by_hand).unwrap(), message);
        }
    }

    #[test]
    fn a_plain_letter_is_no_protocol_message() {
        let plain =
            Letter::new("wi-ml-1".parse().unwrap(), Address::Mayor, Address::Mayor, "Hello", "Bead: x", Moment::from_millis(0))
                .unwrap();
        assert!(Protocol::of(&plain).is_err());
    }
}

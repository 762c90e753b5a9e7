//! A letter: durable mail between people, agents and programs. Its body never changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::bead::{check_text, check_title};
use crate::model::record::{Object, Rev, SCHEMA_VERSION};
use crate::name::{BeadId, Prefix, base36};
use crate::time::Moment;

/// What begins the keys of letters that several machines may write and only one of which is to arrive.
const ONCE: &str = "once-";

/// The key of a letter to `to` that is one letter, whoever writes it: `what` names what it tells.
#[must_use]
pub fn once_key(what: &str, to: &Address) -> String {
    format!("{ONCE}{what}-{}", to.as_component())
}

/// Whether `key` is one of those.
#[must_use]
pub fn is_once(key: &str) -> bool {
    key.starts_with(ONCE)
}

/// The id of a letter that came under `key`: it follows from the key, so that a second delivery finds the first without
/// reading the mailbox. `mark` ends the ids of one machine; without one they are longer, and the same everywhere.
///
/// # Errors
/// Bug, when `mark` can end no id.
pub fn keyed_id(prefix: &Prefix, key: &str, salt: u32, mark: &str) -> Result<BeadId> {
    let digits = format!("{:0>13}", base36(hash(&format!("{key}/{salt}"))));
    let digits = if mark.is_empty() { &digits[1..] } else { &digits[6..] };
    format!("{prefix}-ml-{digits}{mark}").parse().or_fail(Kind::Bug, || "name a letter")
}

/// 64-bit FNV-1a: spreads keys over ids; no enemy chooses the keys of this machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a letter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LetterType {
    /// To be known.
    Notification,
    /// To be done.
    Task,
    /// An answer.
    Reply,
    /// Work up for grabs.
    Scavenge,
    /// A call for attention.
    Escalation,
    /// Machine-readable; `payload` is typed.
    Protocol,
}

/// How soon a letter should be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// At once.
    Urgent,
    /// Soon.
    High,
    /// In its turn.
    Normal,
    /// When idle.
    Low,
}

/// A message in one recipient's mailbox.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Letter {
    /// Schema version.
    pub v: u64,
    /// Its id.
    pub id: BeadId,
    /// Who wrote it.
    pub from: Address,
    /// Whose mailbox it lies in.
    pub to: Address,
    /// Who else got it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<Address>,
    /// One line.
    pub subject: String,
    /// The text.
    #[serde(default)]
    pub body: String,
    /// When it was sent.
    pub sent_at: Moment,
    /// What it is for.
    #[serde(rename = "type")]
    pub letter_type: LetterType,
    /// How soon.
    pub priority: Urgency,
    /// The first letter of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<BeadId>,
    /// The letter it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<BeadId>,
    /// Beads it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<BeadId>,
    /// Typed fields of a protocol message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Object>,
    /// The outbox key it came by, when it came from another scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Moment>,
    /// Clock of the last change.
    #[serde(default)]
    pub rev: Rev,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: Object,
}

impl Letter {
    /// A letter not yet read.
    ///
    /// # Errors
    /// Usage, when subject or body break a limit.
    pub fn new(id: BeadId, from: Address, to: Address, subject: &str, body: &str, now: Moment) -> Result<Self> {
        check_title(subject).map_err(|e| Error::usage(e.message.replace("title", "subject")))?;
        check_text("body", body)?;
        Ok(Self {
            v: SCHEMA_VERSION,
            id,
            from,
            to,
            cc: Vec::new(),
            subject: subject.to_owned(),
            body: body.to_owned(),
            sent_at: now,
            letter_type: LetterType::Notification,
            priority: Urgency::Normal,
            thread: None,
            reply_to: None,
            refs: Vec::new(),
            payload: None,
            key: None,
            read_at: None,
            rev: Rev::default(),
            extra: Object::new(),
        })
    }

    /// Whether nobody has read it.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.read_at.is_none()
    }
}

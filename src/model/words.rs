//! The words of the `bd` tool for what a bead is, where it stands and how it depends on others, with all lawful moves
//! between statuses. A word of a newer version is kept as it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

macro_rules! word_enum {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $type {
            $($(#[$vdoc])* $variant,)*
            /// A word of a newer version; kept as it is.
            Other(String),
        }
        impl $type {
            /// The words that this version knows.
            pub const WORDS: &'static [&'static str] = &[$($word),*];
            /// The word as it is stored.
            #[must_use]
            pub fn word(&self) -> &str {
                match self { $(Self::$variant => $word,)* Self::Other(word) => word }
            }
        }
        crate::schema::text_schema!($type, { "examples": [$($word),*] });
        impl From<String> for $type {
            fn from(word: String) -> Self {
                match word.as_str() { $($word => Self::$variant,)* _ => Self::Other(word) }
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self { value.word().to_owned() }
        }
        impl FromStr for $type {
            type Err = Error;
            fn from_str(word: &str) -> Result<Self> {
                match Self::from(word.to_owned()) {
                    Self::Other(_) => Err(Error::usage(format!("'{}' is not a known word here", word.escape_debug()))
                        .hint(format!("one of: {}", Self::WORDS.join(", ")))),
                    known => Ok(known),
                }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.word()) }
        }
    };
}

word_enum! {
    /// What sort of item a bead is.
    IssueType {
        /// Plain work; the default.
        Task => "task",
        /// A fault to mend.
        Bug => "bug",
        /// Something new.
        Feature => "feature",
        /// A parent of other work.
        Epic => "epic",
        /// Upkeep.
        Chore => "chore",
        /// Something to decide.
        Decision => "decision",
        /// Something to answer.
        Question => "question",
        /// A batch of beads tracked to completion.
        Convoy => "convoy",
        /// A request to merge a branch.
        MergeRequest => "merge-request",
        /// An agent's identity.
        Agent => "agent",
        /// A role's definition.
        Role => "role",
        /// A rig.
        Rig => "rig",
        /// A running workflow.
        Molecule => "molecule",
        /// A step of a workflow.
        Step => "step",
        /// A workflow step that waits for something.
        Gate => "gate",
        /// A call for attention.
        Escalation => "escalation",
        /// Something that happened.
        Event => "event",
    }
}

impl IssueType {
    /// Whether beads of this type can be slung.
    #[must_use]
    pub fn is_work(&self) -> bool {
        matches!(self, Self::Task | Self::Bug | Self::Feature | Self::Chore | Self::Decision | Self::Question | Self::Step)
    }

    /// The word for it with its article: `a task`, `an epic`.
    #[must_use]
    pub fn with_article(&self) -> String {
        let article = if self.word().starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {}", self.word())
    }
}

word_enum! {
    /// Where a bead stands.
    Status {
        /// May be worked on when unblocked.
        Open => "open",
        /// On an agent's hook, its session not yet at work.
        Hooked => "hooked",
        /// An agent is at work.
        InProgress => "in_progress",
        /// Handed in; a merge request is queued.
        InReview => "in_review",
        /// Waits for a person or something outside.
        Blocked => "blocked",
        /// Not before `defer_until`.
        Deferred => "deferred",
        /// Done.
        Closed => "closed",
        /// A standing reference.
        Pinned => "pinned",
    }
}

impl Status {
    /// Whether a hand may move a bead from this status to `next`; sling, done and landing use their own moves,
    /// which this table lists too.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        use Status::{Blocked, Closed, Deferred, Hooked, InProgress, InReview, Open, Pinned};
        match self {
            Open => matches!(next, Hooked | InProgress | InReview | Blocked | Deferred | Closed | Pinned),
            Hooked => matches!(next, InProgress | Open | InReview | Blocked | Closed),
            InProgress => matches!(next, Open | InReview | Blocked | Closed),
            InReview => matches!(next, Open | Closed | Blocked),
            Blocked | Deferred => matches!(next, Open | Closed),
            Closed | Pinned => matches!(next, Open),
            // A status of another tool, or of a newer version: nobody here can do more with it than begin anew or end it.
            Self::Other(_) => matches!(next, Open | Closed),
        }
    }

    /// Whether the bead is done with.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self == Self::Closed
    }

    /// Whether an agent holds the bead on its hook.
    #[must_use]
    pub fn is_assigned_work(&self) -> bool {
        matches!(self, Self::Hooked | Self::InProgress)
    }
}

word_enum! {
    /// What one bead has to do with another.
    DependencyKind {
        /// The target must close first.
        Blocks => "blocks",
        /// The target is the parent.
        ParentChild => "parent-child",
        /// Runs only if the target failed.
        ConditionalBlocks => "conditional-blocks",
        /// All children of the target must close first.
        WaitsFor => "waits-for",
        /// The target must close by a merge.
        MergeBlocks => "merge-blocks",
        /// See also.
        Related => "related",
        /// Found while working on the target.
        DiscoveredFrom => "discovered-from",
        /// The same as the target.
        Duplicates => "duplicates",
        /// Replaces the target.
        Supersedes => "supersedes",
        /// A convoy tracks the target.
        Tracks => "tracks",
        /// Answers the target.
        RepliesTo => "replies-to",
        /// Checks the target.
        Validates => "validates",
    }
}

impl DependencyKind {
    /// Whether an unmet dependency of this kind keeps the bead from being ready.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        matches!(self, Self::Blocks | Self::ConditionalBlocks | Self::WaitsFor | Self::MergeBlocks)
    }
}

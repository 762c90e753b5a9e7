//! What `create` and `update` are told of a bead in the same words: its texts, and the fields beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::assignee;
use super::words::{KeyValue, file_text, minutes, text, when};
use crate::error::{Error, Result};
use crate::ops::track::Fields;
use crate::time::Moment;
use crate::town::Town;

/// The texts of a bead as they are said; `create --file` and `--graph` take none of them.
#[derive(Args)]
pub(super) struct TextArgs {
    /// What and why, in full
    #[arg(short, long, aliases = ["body", "message"], short_alias = 'm', value_name = "TEXT", allow_hyphen_values = true)]
    description: Option<String>,
    /// The description, from a file
    #[arg(long, alias = "description-file", value_name = "FILE", conflicts_with = "description", hide = true)]
    body_file: Option<PathBuf>,
    /// The description, from standard input
    #[arg(long, conflicts_with_all = ["description", "body_file"], hide = true)]
    stdin: bool,
    /// How it is to be done
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    design: Option<String>,
    /// How, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "design", hide = true)]
    design_file: Option<PathBuf>,
    /// When it is done
    #[arg(long, alias = "acceptance-criteria", value_name = "TEXT", allow_hyphen_values = true)]
    acceptance: Option<String>,
    /// What is known already, or was learned on the way
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    notes: Option<String>,
}

/// The texts of a bead; `None`: nothing was said.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) description: Option<String>,
    pub(super) design: Option<String>,
    pub(super) acceptance: Option<String>,
    pub(super) notes: Option<String>,
    /// The one that was given beside these.
    pub(super) more: Option<String>,
}

/// Where a text comes from.
enum Source<'a> {
    Said(&'a str),
    File(&'a Path),
}

impl Source<'_> {
    fn is_standard_input(&self) -> bool {
        match self {
            Self::Said(said) => matches!(*said, "-" | "@-"),
            Self::File(file) => file.as_os_str() == "-",
        }
    }

    fn read(&self, town: &Town) -> Result<String> {
        match self {
            Self::Said(said) => text(town, said),
            Self::File(file) => file_text(town, file),
        }
    }
}

impl TextArgs {
    /// Reads them, and `more`, which is a text too.
    ///
    /// # Errors
    /// Usage, when more than one is to come from standard input, which can be read once; else as [`text`].
    pub(super) fn read(&self, town: &Town, more: Option<&str>) -> Result<Texts> {
        fn said(text: Option<&String>) -> Option<Source<'_>> {
            text.map(|text| Source::Said(text))
        }
        fn file(path: Option<&PathBuf>) -> Option<Source<'_>> {
            path.map(|path| Source::File(path))
        }
        let stdin = self.stdin.then_some(Source::Said("-"));
        let sources = [
            file(self.body_file.as_ref()).or(stdin).or_else(|| said(self.description.as_ref())),
            file(self.design_file.as_ref()).or_else(|| said(self.design.as_ref())),
            said(self.acceptance.as_ref()),
            said(self.notes.as_ref()),
            more.map(Source::Said),
        ];
        if sources.iter().flatten().filter(|source| source.is_standard_input()).count() > 1 {
            return Err(Error::usage("standard input can be one text only").hint("give the others with @FILE"));
        }
        let [description, design, acceptance, notes, more] =
            sources.map(|source| source.map(|source| source.read(town)).transpose());
        Ok(Texts { description: description?, design: design?, acceptance: acceptance?, notes: notes?, more: more? })
    }
}

/// Fields of a bead as they are said; an empty one is for nothing.
#[derive(Args)]
pub(super) struct FieldArgs {
    /// Who has it; empty for nobody
    #[arg(short, long, value_name = "ADDRESS")]
    assignee: Option<String>,
    /// When it is due: a date, a time or a length such as 2d
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// Not ready before this
    #[arg(long = "defer", value_name = "WHEN")]
    defer_until: Option<String>,
    /// How long it will take: minutes, or a length such as 2h
    #[arg(short, long, value_name = "LENGTH")]
    estimate: Option<String>,
    /// What it is called elsewhere, for example gh-9
    #[arg(long, value_name = "NAME")]
    external_ref: Option<String>,
    /// A key of its own and what it holds, or a JSON object; KEY= takes the key away
    #[arg(long, alias = "set-metadata", value_name = "KEY=VALUE")]
    metadata: Vec<KeyValue>,
}

/// What of it was said; `Some(None)` takes a field away.
#[expect(clippy::option_option, reason = "not said, said to be nothing, and a value are three answers")]
pub(super) struct Given {
    pub(super) assignee: Option<Option<String>>,
    pub(super) due_at: Option<Option<Moment>>,
    pub(super) defer_until: Option<Option<Moment>>,
    pub(super) fields: Fields,
}

impl FieldArgs {
    /// Reads them.
    ///
    /// # Errors
    /// Usage or not found, when one cannot be read.
    pub(super) fn read(&self, town: &Town) -> Result<Given> {
        let mut metadata = BTreeMap::new();
        for KeyValue(pairs) in &self.metadata {
            metadata.extend(pairs.iter().cloned());
        }
        Ok(Given {
            assignee: self.assignee.as_ref().map(|text| assignee(town, text)).transpose()?,
            due_at: self.due.as_ref().map(|text| when(text, town.now)).transpose()?,
            defer_until: self.defer_until.as_ref().map(|text| when(text, town.now)).transpose()?,
            fields: Fields {
                estimate_minutes: self.estimate.as_deref().map(minutes).transpose()?,
                external_ref: self.external_ref.clone().map(word),
                metadata,
                ..Fields::default()
            },
        })
    }
}

/// A word that was said; empty is none.
pub(super) fn word(said: String) -> Option<String> {
    (!said.is_empty()).then_some(said)
}

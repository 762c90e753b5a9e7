//! The bead verb `update`: every field that a hand may set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::pages::Changed;
use super::words::{KeyValue, file_text, minutes, priority, text, when};
use super::{assignee, bead_id, bead_ids, issue_type, status};
use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::ops::track::{self, Edit, Fields};
use crate::time::parse_millis;
use crate::town::Town;

/// What this command prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Changed>("bead update")];

/// Change beads; what the state does not allow is refused. For example: gt update wi-x7k2m -p 1 --append-notes "Seal ordered"
///
/// A text may be - for standard input or @FILE for what is in a file (@@ begins a text with @); empty clears a field.
#[derive(Args)]
pub struct Update {
    /// Ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Move to this status
    #[arg(short, long)]
    status: Option<String>,
    /// Take it and start: assignee and status at once, or refuse
    #[arg(long, conflicts_with_all = ["status", "assignee"])]
    claim: bool,
    /// Take it only for so long, such as 30m; gt prime, hook and mail check of yours extend that
    #[arg(long, value_name = "LENGTH", requires = "claim")]
    lease: Option<String>,
    /// New title
    #[arg(long)]
    title: Option<String>,
    /// New description
    #[arg(short, long, aliases = ["body", "message"], short_alias = 'm', value_name = "TEXT", allow_hyphen_values = true)]
    description: Option<String>,
    /// The description, from a file
    #[arg(long, alias = "description-file", value_name = "FILE", conflicts_with = "description", hide = true)]
    body_file: Option<PathBuf>,
    /// The description, from standard input
    #[arg(long, conflicts_with_all = ["description", "body_file"], hide = true)]
    stdin: bool,
    /// The design, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "design", hide = true)]
    design_file: Option<PathBuf>,
    /// New design
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    design: Option<String>,
    /// New acceptance criteria
    #[arg(long, alias = "acceptance-criteria", value_name = "TEXT", allow_hyphen_values = true)]
    acceptance: Option<String>,
    /// New notes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    notes: Option<String>,
    /// Text to add at the end of the notes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append_notes: Option<String>,
    /// New priority
    #[arg(short, long)]
    priority: Option<String>,
    /// New type
    #[arg(short = 't', long = "type")]
    issue_type: Option<String>,
    /// New assignee; empty for nobody
    #[arg(short, long, value_name = "ADDRESS")]
    assignee: Option<String>,
    /// Who answers for it
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    /// When it is due; empty for never
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// Not ready before this; empty for at once
    #[arg(long = "defer", value_name = "WHEN")]
    defer_until: Option<String>,
    /// How long it will take: minutes, or a length such as 2h
    #[arg(short, long, value_name = "LENGTH")]
    estimate: Option<String>,
    /// What it is called elsewhere
    #[arg(long, value_name = "NAME")]
    external_ref: Option<String>,
    /// A key of its own and what it holds; KEY= takes it away
    #[arg(long, alias = "set-metadata", value_name = "KEY=VALUE")]
    metadata: Vec<KeyValue>,
    /// A key to take away
    #[arg(long, value_name = "KEY")]
    unset_metadata: Vec<String>,
    /// Labels to add
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    add_label: Vec<String>,
    /// Labels to take away
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    remove_label: Vec<String>,
    /// All its labels, instead of those it has; empty for none
    #[arg(long, value_name = "LABEL", value_delimiter = ',', conflicts_with_all = ["add_label", "remove_label"])]
    set_labels: Option<Vec<String>>,
    /// Make it a child of this bead; empty for of none
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Fields to empty
    #[arg(long, value_enum, value_name = "FIELD", value_delimiter = ',')]
    clear: Vec<Cleared>,
}

/// A field that can be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cleared {
    Description,
    Design,
    Acceptance,
    Notes,
    Assignee,
    Owner,
    Due,
    Defer,
    Estimate,
    ExternalRef,
    Labels,
    Parent,
}

impl Update {
    /// Changes them.
    ///
    /// # Errors
    /// As [`track::update`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let edit = self.edit(town)?;
        if edit == Edit::default() {
            return Err(Error::usage("nothing was said to change").hint("gt update --help lists what can be changed"));
        }
        Ok(out.show(&Changed(track::update(town, &bead_ids(town, &self.ids)?, &edit)?)))
    }

    fn edit(&self, town: &Town) -> Result<Edit> {
        let read = |said: &Option<String>| said.as_ref().map(|said| text(town, said)).transpose();
        let of_file = |file: Option<&PathBuf>, said: &Option<String>| {
            file.map_or_else(|| read(said), |file| file_text(town, file).map(Some))
        };
        let body = self.body_file.clone().or_else(|| self.stdin.then(|| PathBuf::from("-")));
        if self.texts().filter(|said| *said == "-").count() > 1 {
            return Err(Error::usage("standard input can be one text only").hint("give the other with @FILE"));
        }
        let mut edit = Edit {
            status: self.status.as_ref().map(|text| status(text)).transpose()?,
            claim: self.claim,
            lease_millis: self.lease.as_deref().map(parse_millis).transpose()?,
            title: self.title.clone(),
            description: of_file(body.as_ref(), &self.description)?,
            design: of_file(self.design_file.as_ref(), &self.design)?,
            acceptance: read(&self.acceptance)?,
            notes: read(&self.notes)?,
            append_notes: read(&self.append_notes)?,
            priority: self.priority.as_ref().map(|text| priority(text)).transpose()?,
            issue_type: self.issue_type.as_ref().map(|text| issue_type(text)).transpose()?,
            assignee: self.assignee.as_ref().map(|text| assignee(town, text)).transpose()?,
            due_at: self.due.as_ref().map(|text| when(text, town.now)).transpose()?,
            defer_until: self.defer_until.as_ref().map(|text| when(text, town.now)).transpose()?,
            add_labels: self.add_label.iter().cloned().collect(),
            remove_labels: self.remove_label.iter().cloned().collect(),
            fields: self.fields(town)?,
        };
        self.clear.iter().try_for_each(|field| clear(&mut edit, *field))?;
        Ok(edit)
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.description, &self.design, &self.acceptance, &self.notes, &self.append_notes].into_iter().flatten()
    }

    fn fields(&self, town: &Town) -> Result<Fields> {
        let word = |said: &Option<String>| said.clone().map(|said| (!said.is_empty()).then_some(said));
        let parent = |said: &String| if said.is_empty() { Ok(None) } else { bead_id(town, said).map(Some) };
        let mut metadata = BTreeMap::new();
        for KeyValue(pairs) in &self.metadata {
            metadata.extend(pairs.iter().cloned());
        }
        metadata.extend(self.unset_metadata.iter().map(|key| (key.clone(), None)));
        Ok(Fields {
            owner: word(&self.owner),
            estimate_minutes: self.estimate.as_deref().map(minutes).transpose()?,
            external_ref: word(&self.external_ref),
            metadata,
            labels: self.set_labels.as_ref().map(|labels| labels.iter().filter(|label| !label.is_empty()).cloned().collect()),
            parent: self.parent.as_ref().map(parent).transpose()?,
        })
    }
}

/// Empties a field for which nothing else was said.
fn clear(edit: &mut Edit, field: Cleared) -> Result<()> {
    fn empty<T>(place: &mut Option<T>, nothing: T) -> bool {
        let was_said = place.is_some();
        *place = Some(nothing);
        was_said
    }
    let Edit { description, design, acceptance, notes, assignee, due_at, defer_until, fields, .. } = edit;
    let was_said = match field {
        Cleared::Description => empty(description, String::new()),
        Cleared::Design => empty(design, String::new()),
        Cleared::Acceptance => empty(acceptance, String::new()),
        Cleared::Notes => empty(notes, String::new()),
        Cleared::Assignee => empty(assignee, None),
        Cleared::Owner => empty(&mut fields.owner, None),
        Cleared::Due => empty(due_at, None),
        Cleared::Defer => empty(defer_until, None),
        Cleared::Estimate => empty(&mut fields.estimate_minutes, None),
        Cleared::ExternalRef => empty(&mut fields.external_ref, None),
        Cleared::Labels => empty(&mut fields.labels, std::collections::BTreeSet::new()),
        Cleared::Parent => empty(&mut fields.parent, None),
    };
    if was_said {
        let name = field.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        return Err(Error::usage(format!("{name} is to be set and cleared")).hint("leave one of them out"));
    }
    Ok(())
}

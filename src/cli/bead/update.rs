//! The bead verb `update`: every field that a hand may set.

use clap::{Args, ValueEnum};

use super::given::{FieldArgs, TextArgs, word};
use super::pages::Changed;
use super::{bead_id, bead_ids};
use crate::cli::convoy::settled_line;
use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::spelling::{issue_type, priority, status};
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
    #[command(flatten)]
    texts: TextArgs,
    /// Text to add at the end of the notes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append_notes: Option<String>,
    /// New priority
    #[arg(short, long)]
    priority: Option<String>,
    /// New type
    #[arg(short = 't', long = "type")]
    issue_type: Option<String>,
    #[command(flatten)]
    given: FieldArgs,
    /// Who answers for it
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
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
        let (beads, convoys) = track::update_and_tell(town, &bead_ids(town, &self.ids)?, &edit)?;
        let code = out.show(&Changed(beads));
        for convoy in &convoys {
            out.note(&settled_line(convoy));
        }
        Ok(code)
    }

    fn edit(&self, town: &Town) -> Result<Edit> {
        let texts = self.texts.read(town, self.append_notes.as_deref())?;
        let given = self.given.read(town)?;
        let mut edit = Edit {
            status: self.status.as_deref().map(status).transpose()?,
            claim: self.claim,
            lease_millis: self.lease.as_deref().map(parse_millis).transpose()?,
            title: self.title.clone(),
            description: texts.description,
            design: texts.design,
            acceptance: texts.acceptance,
            notes: texts.notes,
            append_notes: texts.more,
            priority: self.priority.as_deref().map(priority).transpose()?,
            issue_type: self.issue_type.as_deref().map(issue_type).transpose()?,
            assignee: given.assignee,
            due_at: given.due_at,
            defer_until: given.defer_until,
            add_labels: self.add_label.iter().cloned().collect(),
            remove_labels: self.remove_label.iter().cloned().collect(),
            fields: self.fields(town, given.fields)?,
        };
        self.clear.iter().try_for_each(|field| clear(&mut edit, *field))?;
        Ok(edit)
    }

    fn fields(&self, town: &Town, mut fields: Fields) -> Result<Fields> {
        let parent = |said: &String| if said.is_empty() { Ok(None) } else { bead_id(town, said).map(Some) };
        fields.metadata.extend(self.unset_metadata.iter().map(|key| (key.clone(), None)));
        fields.owner = self.owner.clone().map(word);
        fields.labels = self.set_labels.as_ref().map(|labels| labels.iter().filter(|label| !label.is_empty()).cloned().collect());
        fields.parent = self.parent.as_ref().map(parent).transpose()?;
        Ok(fields)
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

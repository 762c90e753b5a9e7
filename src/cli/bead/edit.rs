//! The bead verb `edit`: a bead, or one of its texts, in the editor.
//!
//! What was typed is never lost: whatever keeps it from being written leaves it in a file and names that.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::pages::Changed;
use super::sheet;
use crate::cli::out::{Out, Page, Show};
use crate::cli::schema::Answer;
use crate::env::{self, Var};
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::bead::Bead;
use crate::name::BeadId;
use crate::ops::track::{self, Edit};
use crate::runtime::editor;
use crate::town::Town;

/// What this command prints with `--json`.
pub const ANSWERS: &[Answer] = &[Answer::of::<Changed>("bead edit"), Answer::of::<Unchanged>("bead edit")];

/// Change a bead in $VISUAL or $EDITOR: all of it, or one text; for example: gt bead edit wi-x7k2m --notes
///
/// What others change meanwhile stays; where both changed the same field nothing is written and your text is kept in a file.
#[derive(Args)]
pub struct EditArgs {
    /// The bead
    id: String,
    /// Only its title
    #[arg(long, group = "text")]
    title: bool,
    /// Only its description
    #[arg(short, long, group = "text")]
    description: bool,
    /// Only its design
    #[arg(long, group = "text")]
    design: bool,
    /// Only its acceptance criteria
    #[arg(long, group = "text")]
    acceptance: bool,
    /// Only its notes
    #[arg(long, group = "text")]
    notes: bool,
}

impl EditArgs {
    pub(super) fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let (ledger, id) = town.resolve_bead(&self.id)?;
        let base = ledger.state()?.bead(&id)?;
        let editor = env::os(Var::Visual).or_else(|| env::os(Var::Editor)).ok_or_else(|| {
            Error::refused("neither VISUAL nor EDITOR names an editor")
                .hint(format!("without one: gt update {id} --description @FILE"))
        })?;
        let before = match self.field() {
            None => sheet::write(&base),
            Some("title") => format!("{}\n", base.title),
            Some(name) => sheet::text_of(&base, name).to_owned(),
        };
        let file = draft(town, &id, &before)?;
        let edited = editor::edit(&editor, &file, &town.dir);
        let after = std::fs::read_to_string(&file).or_fail(Kind::Io, || format!("read {}", file.display()))?;
        if after == before || after.trim().is_empty() {
            let _ = std::fs::remove_file(&file);
            edited?;
            if after != before {
                out.note(&format!("the text came back empty, which changes nothing; to clear a field: {}", self.clearing(&id)));
            }
            return Ok(out.show(&Unchanged { id, changed: false }));
        }
        let written = edited.and_then(|()| self.read(town, &base, &after)).and_then(|edit| write(town, &base, &edit));
        match written {
            Ok(bead) => {
                let _ = std::fs::remove_file(&file);
                match bead {
                    Some(bead) => Ok(out.show(&Changed(vec![bead]))),
                    None => Ok(out.show(&Unchanged { id, changed: false })),
                }
            }
            Err(error) => Err(keeping(error, &file)),
        }
    }

    /// The command that clears what was to be edited.
    fn clearing(&self, id: &BeadId) -> String {
        match self.field() {
            None | Some("title") => format!("gt update {id} --clear FIELD"),
            Some(name) => format!("gt update {id} --clear {name}"),
        }
    }

    /// The one text that is to be edited.
    fn field(&self) -> Option<&'static str> {
        let asked = [
            (self.title, "title"),
            (self.description, "description"),
            (self.design, "design"),
            (self.acceptance, "acceptance"),
            (self.notes, "notes"),
        ];
        asked.into_iter().find_map(|(is_asked, name)| is_asked.then_some(name))
    }

    fn read(&self, town: &Town, base: &Bead, after: &str) -> Result<Edit> {
        let mut edit = Edit::default();
        match self.field() {
            None => return sheet::read(town, base, after),
            Some("title") => edit.title = Some(after.trim().to_owned()),
            Some(name) => sheet::set_text(&mut edit, name, after.trim_end().to_owned()),
        }
        Ok(edit)
    }
}

/// The bead after `edit`; `None` when that changes nothing.
fn write(town: &Town, base: &Bead, edit: &Edit) -> Result<Option<Bead>> {
    if *edit == Edit::default() { Ok(None) } else { track::revise(town, base, edit).map(Some) }
}

/// A new file with `text`, which lasts until the text is in the bead.
fn draft(town: &Town, id: &BeadId, text: &str) -> Result<PathBuf> {
    let dir = town.runtime_dir().join("edits");
    std::fs::create_dir_all(&dir).or_fail(Kind::Io, || format!("make {}", dir.display()))?;
    for n in 1..1000 {
        let path = dir.join(format!("{id}-{n}.md"));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).or_fail(Kind::Io, || format!("write {}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).or_fail(Kind::Io, || format!("make {}", path.display())),
        }
    }
    Err(Error::refused(format!("there are a thousand texts for {id} in {}", dir.display()))
        .hint("take what you need from them and remove them"))
}

/// `error`, with word of where the text is.
fn keeping(error: Error, file: &Path) -> Error {
    let told = Error::new(error.kind, format!("{}; your text is kept in {}", error.line(), file.display()));
    told.hint(error.hint.unwrap_or_else(|| "nothing was changed".to_owned()))
}

/// A bead of which nothing was changed.
#[derive(JsonSchema, Serialize)]
struct Unchanged {
    id: BeadId,
    changed: bool,
}

impl Show for Unchanged {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} stays as it is", self.id));
    }
}

//! Lists of beads, asked once and shown in one of three ways: for a person, in JSON, or by a template.

use schemars::JsonSchema;
use serde::Serialize;

use super::forest::Forest;
use super::pages::{Rows, note_rows};
use super::which::Shape;
use crate::cli::out::{Out, Page, Show};
use crate::cli::template::Template;
use crate::error::{Error, Result};
use crate::model::bead::Bead;
use crate::model::brief::Brief;
use crate::ops::track::{Found, Listed};
use crate::town::Town;

/// A question whose answer is a list of beads: in brief for people, in full for programs and templates.
pub trait Question {
    /// What is to be listed.
    ///
    /// # Errors
    /// Usage or not found, when a filter is wrong.
    fn find<B: Listed>(&self, town: &Town, out: Out) -> Result<Found<B>>;

    /// How it is to be shown.
    fn shape(&self) -> &Shape;

    /// Whether a person is to see it as a tree by parents.
    fn is_tree(&self) -> bool {
        false
    }

    /// Shows it.
    ///
    /// # Errors
    /// As [`Question::find`].
    fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match self.shape().template(out)? {
            Some(template) => {
                let found = self.find::<Bead>(town, out)?;
                note_rows(&found, out);
                Ok(out.show(&Lines::of(&found.beads, template)?))
            }
            None if out.json => Ok(out.show(&Rows::of(self.find::<Bead>(town, out)?, out))),
            None if self.is_tree() => {
                let found = self.find::<Brief>(town, out)?;
                note_rows(&found, out);
                Ok(out.show(&Forest::of(found.beads)))
            }
            None => Ok(out.show(&Rows::of(self.find::<Brief>(town, out)?, out))),
        }
    }
}

impl Shape {
    /// The template, if one is given.
    ///
    /// # Errors
    /// Usage, when JSON is asked for too.
    pub fn template(&self, out: Out) -> Result<Option<&Template>> {
        match &self.format {
            Some(_) if out.json => {
                Err(Error::usage("--format and --json exclude each other").hint("take one of them: --json has all fields"))
            }
            format => Ok(format.as_ref()),
        }
    }
}

/// Rows as a template makes them.
#[derive(JsonSchema, Serialize)]
pub struct Lines(Vec<String>);

impl Lines {
    /// A line for each of `beads`.
    ///
    /// # Errors
    /// A bug, when a bead cannot be written as JSON.
    pub fn of<'b>(beads: impl IntoIterator<Item = &'b Bead>, template: &Template) -> Result<Self> {
        let line = |bead: &Bead| -> Result<String> {
            let fields = serde_json::to_value(bead).map_err(|error| Error::bug(format!("write {}: {error}", bead.id)))?;
            Ok(template.fill(&fields))
        };
        Ok(Self(beads.into_iter().map(line).collect::<Result<_>>()?))
    }
}

impl Show for Lines {
    fn show(&self, page: &mut Page) {
        self.0.iter().for_each(|line| page.verbatim(line));
    }
}

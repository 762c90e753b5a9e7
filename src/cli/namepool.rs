//! `gt namepool`: where polecats have their names from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::config::Setting;
use crate::error::{Error, Kind, OrFail, Result};
use crate::name::Name;
use crate::ops::polecat::pool::{self, Shown};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Shown>("namepool"),
    Answer::of::<Shown>("namepool show"),
    Answer::of::<Themes>("namepool themes"),
    Answer::of::<Chosen>("namepool set"),
    Answer::of::<Chosen>("namepool add"),
    Answer::of::<Chosen>("namepool create"),
    Answer::of::<Gone>("namepool delete"),
    Answer::of::<Gone>("namepool reset"),
];

/// Most bytes of a file of names.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Show and change where polecats have their names from: a theme of 50, numbers from 51 on after it
///
/// Example: gt namepool set minerals --rig widgets
#[derive(Args)]
pub struct NamepoolArgs {
    #[command(subcommand)]
    verb: Option<NamepoolVerb>,
    /// The rig; for changes the whole town when not given
    #[arg(long, global = true)]
    rig: Option<Name>,
}

#[derive(Subcommand)]
enum NamepoolVerb {
    /// Show the names of a rig in order, and which are in use
    Show,
    /// List themes, or the names of one
    Themes {
        /// Of this theme only
        theme: Option<String>,
    },
    /// Let new polecats have their names from a theme
    Set {
        /// The theme: mad-max, minerals, wasteland, or one of your own
        theme: String,
    },
    /// Add a name that is taken before those of the theme
    Add {
        /// The name
        name: String,
    },
    /// Make a theme of your own, with up to 50 names
    ///
    /// Example: gt namepool create rivers rhine danube elbe
    Create {
        /// Its name
        theme: String,
        /// Its names
        #[arg(required_unless_present = "from_file", conflicts_with = "from_file")]
        names: Vec<String>,
        /// Names from this file, separated by blanks or lines; lines that begin with # say nothing
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
    },
    /// Forget a theme of your own that nobody uses
    Delete {
        /// Its name
        theme: String,
    },
    /// Go back to the theme that the town, or gt, begins with
    Reset,
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Themes(BTreeMap<String, Vec<String>>);

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Chosen(Setting);

#[derive(JsonSchema, Serialize)]
struct Gone {
    /// The theme that is forgotten; nothing, when the pool is as it was in the beginning.
    theme: Option<String>,
}

impl NamepoolArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// As the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let place = self.rig.as_ref().map(|rig| town.rig(rig)).transpose()?;
        let place = place.as_ref();
        Ok(match self.verb.as_ref().unwrap_or(&NamepoolVerb::Show) {
            NamepoolVerb::Show => out.show(&pool::show(town, &town.rig_or_here(self.rig.as_ref())?)?),
            NamepoolVerb::Themes { theme: None } => out.show(&Themes(pool::themes(town, place)?)),
            NamepoolVerb::Themes { theme: Some(theme) } => {
                out.show(&Themes([(theme.clone(), pool::theme(town, place, theme)?)].into()))
            }
            NamepoolVerb::Set { theme } => out.show(&Chosen(pool::choose(town, place, theme)?)),
            NamepoolVerb::Add { name } => out.show(&Chosen(pool::add(town, place, name)?)),
            NamepoolVerb::Create { theme, names, from_file } => {
                let names = from_file.as_ref().map_or_else(|| Ok(names.clone()), |file| read(&town.dir.join(file)))?;
                out.show(&Chosen(pool::create(town, place, theme, &names)?))
            }
            NamepoolVerb::Delete { theme } => {
                pool::delete(town, place, theme)?;
                out.show(&Gone { theme: Some(theme.clone()) })
            }
            NamepoolVerb::Reset => {
                pool::reset(town, place)?;
                out.show(&Gone { theme: None })
            }
        })
    }
}

fn read(file: &std::path::Path) -> Result<Vec<String>> {
    let deed = || format!("read {}", file.display());
    let bytes = std::fs::metadata(file).or_fail(Kind::NotFound, deed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Error::usage(format!("{} is no list of names: it has {bytes} bytes", file.display())));
    }
    let text = std::fs::read_to_string(file).or_fail(Kind::Io, deed)?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

impl Show for Shown {
    fn show(&self, page: &mut Page) {
        page.line(format!("polecats of {} have names of the theme {}", self.rig, escape(&self.theme)));
        if !self.own.is_empty() {
            page.line(format!("before these: {}", self.own.join(" ")));
        }
        page.block(2, &self.names.join(" "));
        let in_use: Vec<&str> = self.in_use.iter().map(Name::as_str).collect();
        let names = if in_use.is_empty() { String::new() } else { format!(": {}", in_use.join(" ")) };
        page.line(format!("{} of at most {} in use{names}", in_use.len(), self.max));
    }
}

impl Show for Themes {
    fn show(&self, page: &mut Page) {
        for (theme, names) in &self.0 {
            page.line(format!("{} ({})", escape(theme), names.len()));
            page.block(2, &names.join(" "));
        }
    }
}

impl Show for Chosen {
    fn show(&self, page: &mut Page) {
        page.line(format!("{} is set", self.0.key));
        page.line("gt namepool shows the names; sandboxes that are there keep theirs");
    }
}

impl Show for Gone {
    fn show(&self, page: &mut Page) {
        page.line(match &self.theme {
            Some(theme) => format!("the theme {} is forgotten", escape(theme)),
            None => "the pool is as it was in the beginning".to_owned(),
        });
    }
}

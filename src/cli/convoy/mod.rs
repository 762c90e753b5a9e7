//! `gt convoy`: batches of beads, tracked to their end.

mod pages;

use std::collections::BTreeSet;

use clap::{Args, Subcommand};

use crate::cli::out::Out;
use crate::cli::schema::Answer;
use crate::error::{Error, Result};
use crate::model::address::Address;
use crate::model::bead::Status;
use crate::model::merge_request::Way;
use crate::model::spelling::status;
use crate::name::BeadId;
use crate::ops::convoy::{self, Asked, Draft, Order};
use crate::ops::mailbox;
use crate::ops::track::LIMIT;
use crate::town::Town;
use pages::{Stories, StrandedOnes, Summaries};
pub use pages::{settled_line, show_line, show_settled};

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<convoy::Changed>("convoy create"),
    Answer::of::<convoy::Changed>("convoy add"),
    Answer::of::<convoy::Changed>("convoy remove"),
    Answer::of::<convoy::Changed>("convoy close"),
    Answer::of::<convoy::Changed>("convoy land"),
    Answer::of::<convoy::Changed>("convoy watch"),
    Answer::of::<convoy::Changed>("convoy unwatch"),
    Answer::of::<convoy::Changed>("convoy mountain"),
    Answer::of::<convoy::Staged>("convoy stage"),
    Answer::of::<convoy::Launched>("convoy launch"),
    Answer::of::<convoy::Checked>("convoy check"),
    Answer::of::<StrandedOnes>("convoy stranded"),
    Answer::of::<Summaries>("convoy list"),
    Answer::of::<Stories>("convoy list"),
    Answer::of::<Stories>("convoy status"),
];

/// Track a batch of beads, of any rig, until all are closed
#[derive(Args)]
pub struct ConvoyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Create(Create),
    List(List),
    Status(StatusArgs),
    Add(Members),
    Remove(Members),
    Close(Close),
    Land(One),
    Check(Check),
    Stranded(StrandedArgs),
    Watch(Watch),
    Unwatch(Watch),
    Stage(Stage),
    Launch(Launch),
    Mountain(Mountain),
}

/// Make a convoy, for example: gt convoy create 'Summer repairs' wi-x7k2m ga-b3d1a
#[derive(Args)]
struct Create {
    /// One line: what it is about
    name: String,
    /// What it tracks: ids, or unique beginnings of them
    #[arg(value_name = "BEAD")]
    beads: Vec<String>,
    /// Who else hears when it lands; may be named again
    #[arg(long, value_name = "ADDRESS", alias = "watch")]
    notify: Vec<String>,
    /// Whose it is, who hears when it lands; you when not given
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    /// Let its owner land it, instead of the close of its last bead
    #[arg(long)]
    owned: bool,
    /// How its work lands when it is done
    #[arg(long, value_enum, value_name = "WAY", default_value = "mr")]
    merge: Way,
    /// Track all work below this epic too
    #[arg(long, value_name = "ID")]
    from_epic: Option<String>,
}

/// List the open convoys
#[derive(Args)]
struct List {
    /// Closed ones too
    #[arg(long)]
    all: bool,
    /// Only those of this status: open or closed
    #[arg(short, long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,
    /// What each tracks, below it
    #[arg(long)]
    tree: bool,
    /// Rows to show; 0 for all
    #[arg(short = 'n', long, default_value_t = LIMIT)]
    limit: usize,
}

/// Show convoys with what each of their beads does; the open ones when none is named
#[derive(Args)]
struct StatusArgs {
    /// Convoys
    #[arg(value_name = "CONVOY")]
    ids: Vec<String>,
}

/// Let a convoy track more, or less
///
/// Example: gt convoy add hq-cv-a1b2c wi-x7k2m
#[derive(Args)]
struct Members {
    /// The convoy
    convoy: String,
    /// Beads
    #[arg(required = true, value_name = "BEAD")]
    beads: Vec<String>,
}

/// Close a convoy by hand; its beads stay as they are
#[derive(Args)]
struct Close {
    /// The convoy
    convoy: String,
    /// Why; its owner and watchers are told
    #[arg(short, long)]
    reason: String,
    /// Though beads of it are not closed
    #[arg(long)]
    force: bool,
}

/// Land a convoy that is its owner's to land, when all its beads are closed
#[derive(Args)]
struct One {
    /// The convoy
    convoy: String,
}

/// Land what is complete: after a killed command, or after other machines closed beads
#[derive(Args)]
struct Check {
    /// Only this convoy
    convoy: Option<String>,
}

/// Show convoys with ready work that nobody has, those that are stuck, and empty ones
#[derive(Args)]
struct StrandedArgs {}

/// Say who is to hear of a convoy's landing
#[derive(Args)]
struct Watch {
    /// The convoy
    convoy: String,
    /// Who; you when not given
    address: Option<String>,
}

/// Order work into waves, to be launched: an epic, beads, or a convoy again
///
/// Example: gt convoy stage wi-x7k2m
#[derive(Args)]
struct Stage {
    /// An epic, epics and work beads, or one convoy
    #[arg(required = true, value_name = "EPIC|BEAD|CONVOY")]
    beads: Vec<String>,
    /// The convoy's title; that of the first bead when not given
    #[arg(long)]
    title: Option<String>,
}

/// Stage work and sling what waits for nothing; the rest follows as its blockers are closed
///
/// Example: gt convoy launch hq-cv-a1b2c
#[derive(Args)]
struct Launch {
    #[command(flatten)]
    work: Stage,
    /// Though something is doubtful
    #[arg(long)]
    force: bool,
    /// Only assign, now and later; sessions are started by a second sling
    #[arg(long)]
    no_start: bool,
}

/// Keep feeding a launched convoy: what comes back is slung again, three times in all
#[derive(Args)]
struct Mountain {
    /// The convoy, or the epic that it was launched for
    #[arg(value_name = "CONVOY|EPIC")]
    id: String,
    /// No longer
    #[arg(long)]
    off: bool,
}

impl Stage {
    fn order(&self, town: &Town) -> Result<Order> {
        let id = |text: &String| match convoy::resolve(town, text) {
            Ok(id) => Ok(id),
            Err(_) => bead_id(town, text),
        };
        let beads = self.beads.iter().map(id).collect::<Result<_>>()?;
        Ok(Order { beads, title: self.title.clone(), ..Order::default() })
    }
}

impl Mountain {
    fn convoy(&self, town: &Town) -> Result<BeadId> {
        let error = match convoy::resolve(town, &self.id) {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        let Ok(epic) = bead_id(town, &self.id) else { return Err(error) };
        convoy::staged_for(town, &epic)?.ok_or_else(|| {
            Error::refused(format!("{epic} has no convoy that was launched")).hint(format!("first: gt convoy launch {epic}"))
        })
    }
}

impl ConvoyArgs {
    /// Runs the verb and tells the exit code.
    ///
    /// # Errors
    /// Those of the verb.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        match &self.verb {
            Verb::Create(args) => Ok(out.show(&convoy::create(town, &args.draft(town)?)?)),
            Verb::List(args) => args.run(town, out),
            Verb::Status(args) => args.run(town, out),
            Verb::Add(args) => {
                let beads: Vec<BeadId> = args.beads.iter().map(|text| bead_id(town, text)).collect::<Result<_>>()?;
                Ok(out.show(&convoy::add(town, &convoy::resolve(town, &args.convoy)?, &beads)?))
            }
            Verb::Remove(args) => {
                // What is gone can be named in full.
                let id = |text: &String| bead_id(town, text).or_else(|error| text.parse().map_err(|_| error));
                let beads: Vec<BeadId> = args.beads.iter().map(id).collect::<Result<_>>()?;
                Ok(out.show(&convoy::remove(town, &convoy::resolve(town, &args.convoy)?, &beads)?))
            }
            Verb::Close(args) => {
                if args.reason.trim().is_empty() {
                    return Err(Error::usage("the reason is empty").hint("say why the convoy ends"));
                }
                Ok(out.show(&convoy::close(town, &convoy::resolve(town, &args.convoy)?, &args.reason, args.force)?))
            }
            Verb::Land(args) => Ok(out.show(&convoy::land(town, &convoy::resolve(town, &args.convoy)?)?)),
            Verb::Check(args) => {
                let one = args.convoy.as_ref().map(|text| convoy::resolve(town, text)).transpose()?;
                Ok(out.show(&convoy::check(town, one.as_ref())?))
            }
            Verb::Stage(args) => Ok(out.show(&convoy::stage(town, &args.order(town)?)?)),
            Verb::Launch(args) => {
                let order = Order { force: args.force, no_start: args.no_start, ..args.work.order(town)? };
                Ok(out.show(&convoy::launch(town, &order)?))
            }
            Verb::Mountain(args) => Ok(out.show(&convoy::mountain(town, &args.convoy(town)?, !args.off)?)),
            Verb::Stranded(_) => {
                let (convoys, damaged) = convoy::stranded(town)?;
                for damaged in &damaged {
                    out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
                }
                Ok(out.show(&StrandedOnes { convoys, is_damaged: !damaged.is_empty() }))
            }
            Verb::Watch(args) => Ok(out.show(&convoy::watch(town, &convoy::resolve(town, &args.convoy)?, &args.who(town)?)?)),
            Verb::Unwatch(args) => Ok(out.show(&convoy::unwatch(town, &convoy::resolve(town, &args.convoy)?, &args.who(town)?)?)),
        }
    }
}

fn bead_id(town: &Town, text: &str) -> Result<BeadId> {
    town.resolve_bead(text).map(|(_, id)| id)
}

impl Create {
    fn draft(&self, town: &Town) -> Result<Draft> {
        let watchers: BTreeSet<Address> = self.notify.iter().map(|text| mailbox::recipient(town, text)).collect::<Result<_>>()?;
        Ok(Draft {
            title: self.name.clone(),
            beads: self.beads.iter().map(|text| bead_id(town, text)).collect::<Result<_>>()?,
            owner: self.owner.as_ref().map_or_else(|| Ok(town.me.clone()), |text| mailbox::recipient(town, text))?,
            watchers,
            owned: self.owned,
            merge: self.merge,
            from_epic: self.from_epic.as_ref().map(|text| bead_id(town, text)).transpose()?,
        })
    }
}

impl List {
    fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let statuses: Vec<Status> = self.status.iter().map(|text| status(text)).collect::<Result<_>>()?;
        let found = convoy::list(town, &Asked { all: self.all, statuses, limit: self.limit })?;
        for damaged in &found.damaged {
            out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
        }
        if found.total > found.stories.len() {
            out.note(&format!("{} of {}; --limit 0 shows all", found.stories.len(), found.total));
        }
        if self.tree {
            return Ok(out.show(&Stories(found.stories)));
        }
        Ok(out.show(&Summaries(found.stories.into_iter().map(|story| story.summary).collect())))
    }
}

impl StatusArgs {
    fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if self.ids.is_empty() {
            let found = convoy::list(town, &Asked::default())?;
            for damaged in &found.damaged {
                out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
            }
            return Ok(out.show(&Stories(found.stories)));
        }
        let ids: Vec<BeadId> = self.ids.iter().map(|text| convoy::resolve(town, text)).collect::<Result<_>>()?;
        Ok(out.show(&Stories(convoy::stories(town, &ids)?)))
    }
}

impl Watch {
    fn who(&self, town: &Town) -> Result<Address> {
        self.address.as_ref().map_or_else(|| Ok(town.me.clone()), |text| mailbox::recipient(town, text))
    }
}

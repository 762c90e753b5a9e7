//! `gt mail …` and its short forms `gt send` and `gt inbox`.

pub(super) mod inject;

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Cell, Out, Page, Show, Style, escape, shorten};
use crate::cli::schema::Answer;
use crate::error::{Error, Kind, OrFail, Result};
use crate::model::address::Address;
use crate::model::bead::TITLE_CHARS_MAX;
use crate::model::mail::{Letter, LetterType, Urgency};
use crate::ops::mailbox::{self, Numbered};
use crate::ops::post::{self, Mailing, Sent};
use crate::ops::track::LIMIT;
use crate::time::Moment;
use crate::town::Town;
pub use inject::Injected;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<SentAll>("mail send"),
    Answer::of::<Rows>("mail inbox"),
    Answer::of::<Read>("mail read"),
    Answer::of::<Read>("mail peek"),
    Answer::of::<SentAll>("mail reply"),
    Answer::of::<Checked>("mail check"),
    Answer::of::<Injected>("mail check"),
    Answer::of::<SentAll>("send"),
    Answer::of::<Rows>("inbox"),
];

/// Durable mail between people and agents
#[derive(Args)]
pub struct MailArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Send(Send),
    Inbox(Inbox),
    /// Read a letter and mark it as read
    Read(Which),
    /// Read a letter and leave it unread
    Peek(Which),
    Reply(Reply),
    Check(Check),
}

/// Has `say` tell a prompt of mail and nudges, or of a town that cannot be read; a nudge that it could not tell waits again.
pub fn tell(town: impl FnOnce() -> Result<Town>, say: impl FnOnce(&Injected) -> u8) -> u8 {
    let told = town().and_then(|town| {
        // A queue of nudges that cannot be read must not keep mail from being told.
        let nudges = mailbox::nudges(&town).unwrap_or_default();
        Ok((mailbox::injection(&town, &nudges)?, nudges))
    });
    match told {
        Ok((told, nudges)) => {
            let code = say(&Injected::new(Ok(told)));
            if code == 0 {
                nudges.told();
            }
            code
        }
        Err(error) => say(&Injected::new(Err(error))),
    }
}

impl MailArgs {
    /// Runs the verb. A prompt is told about a town that cannot be opened, and goes on.
    ///
    /// # Errors
    /// Those of the verb.
    pub fn run(&self, town: impl FnOnce() -> Result<Town>, out: Out) -> Result<u8> {
        if let Verb::Check(Check { inject: true }) = self.verb {
            return Ok(tell(town, |injected| out.show(injected)));
        }
        let town = &town()?;
        match &self.verb {
            Verb::Send(args) => args.run(town, out),
            Verb::Inbox(args) => args.run(town, out),
            Verb::Read(which) => Ok(out.show(&Read(mailbox::mark_read(town, mailbox::find(town, &which.letter)?)?))),
            Verb::Peek(which) => Ok(out.show(&Read(mailbox::find(town, &which.letter)?))),
            Verb::Reply(args) => args.run(town, out),
            Verb::Check(_) => Ok(out.show(&Checked { unread: mailbox::unread(town)? })),
        }
    }
}

/// The text of a letter.
#[derive(Args)]
struct Body {
    /// The text
    #[arg(short = 'm', long = "message", alias = "body", value_name = "BODY")]
    message: Option<String>,
    /// Take the text from standard input
    #[arg(long, conflicts_with = "message")]
    stdin: bool,
    /// Take the text from a file
    #[arg(long, conflicts_with_all = ["message", "stdin"])]
    file: Option<PathBuf>,
}

impl Body {
    fn read(&self) -> Result<String> {
        if self.stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).or_fail(Kind::Io, || "read the letter from standard input")?;
            return Ok(text);
        }
        if let Some(file) = &self.file {
            return std::fs::read_to_string(file).or_fail(Kind::Usage, || format!("read the letter from {}", file.display()));
        }
        Ok(self.message.clone().unwrap_or_default())
    }
}

/// Send a letter, for example: gt send mayor -s "Need a decision" -m "Which pump?"
#[derive(Args)]
pub struct Send {
    /// Who gets it
    #[arg(required = true, value_name = "ADDRESS")]
    to: Vec<String>,
    /// One line
    #[arg(short, long)]
    subject: String,
    #[command(flatten)]
    body: Body,
    /// How soon it should be read
    #[arg(long, value_enum, default_value = "normal")]
    priority: Urgency,
    /// The same as --priority urgent
    #[arg(long, conflicts_with = "priority")]
    urgent: bool,
    /// What it is for
    #[arg(long = "type", value_enum, default_value = "notification")]
    letter_type: LetterType,
    /// The letter that it answers
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
    /// Who gets it besides
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    cc: Vec<String>,
}

impl Send {
    /// Sends it.
    ///
    /// # Errors
    /// Not found, with near matches, when a recipient is not known; as [`post::send`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        if self.letter_type == LetterType::Protocol {
            return Err(
                Error::refused("protocol messages are written by the commands that they announce").hint("leave --type out")
            );
        }
        let all = |texts: &[String]| texts.iter().map(|text| mailbox::recipient(town, text)).collect::<Result<Vec<Address>>>();
        let mailing = Mailing {
            to: all(&self.to)?,
            cc: all(&self.cc)?,
            subject: self.subject.clone(),
            body: self.body.read()?,
            letter_type: self.letter_type,
            priority: if self.urgent { Urgency::Urgent } else { self.priority },
            answers: self.reply_to.as_ref().map(|text| mailbox::find(town, text)).transpose()?,
        };
        Ok(out.show(&SentAll(post::send(town, &mailing)?)))
    }
}

/// Answer a letter
#[derive(Args)]
struct Reply {
    /// Its number in the inbox, or its id
    #[arg(value_name = "ID|N")]
    letter: String,
    #[command(flatten)]
    body: Body,
}

impl Reply {
    fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let letter = mailbox::find(town, &self.letter)?;
        let subject = letter.subject.strip_prefix("Re: ").unwrap_or(&letter.subject);
        let mailing = Mailing {
            to: vec![letter.from.clone()],
            cc: Vec::new(),
            subject: shorten(&format!("Re: {subject}"), TITLE_CHARS_MAX),
            body: self.body.read()?,
            letter_type: LetterType::Reply,
            priority: letter.priority,
            answers: Some(letter),
        };
        Ok(out.show(&SentAll(post::send(town, &mailing)?)))
    }
}

/// Which letter.
#[derive(Args)]
struct Which {
    /// Its number in the inbox, or its id
    #[arg(value_name = "ID|N")]
    letter: String,
}

/// Ask whether there is unread mail: exit 0 when there is, 1 when there is none
#[derive(Args)]
struct Check {
    /// Print what an agent's prompt should know of it; always exit 0
    #[arg(long)]
    inject: bool,
}

/// List letters, newest first
#[derive(Args)]
pub struct Inbox {
    /// Whose; yours when not given
    address: Option<String>,
    /// Only unread ones
    #[arg(long)]
    unread: bool,
    /// All, not only the newest
    #[arg(long)]
    all: bool,
}

impl Inbox {
    /// Lists them.
    ///
    /// # Errors
    /// Not found, with near matches, when the address is not known.
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let of = self.address.as_ref().map_or_else(|| Ok(town.me.clone()), |text| mailbox::recipient(town, text))?;
        // Whatever a command that was cut short left in an outbox is due now.
        out.note_undelivered(post::deliver(town));
        let mailbox = mailbox::mailbox(town, &of)?;
        for damaged in &mailbox.damaged {
            out.note(&format!("damaged: {}: {}", damaged.path, damaged.fault));
        }
        let unread = mailbox.unread().count();
        let mut rows: Vec<Numbered> = mailbox.letters.into_iter().filter(|n| !self.unread || n.letter.is_unread()).collect();
        rows.reverse();
        let total = rows.len();
        if !self.all {
            rows.truncate(LIMIT);
        }
        if rows.len() < total {
            out.note(&format!("{} of {total} letters, {unread} unread; --all shows all", rows.len()));
        } else {
            out.note(&format!("{total} letter{}, {unread} unread", if total == 1 { "" } else { "s" }));
        }
        Ok(out.show(&Rows { rows, now: town.now }))
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(transparent)]
struct Rows {
    rows: Vec<Numbered>,
    #[serde(skip)]
    now: Moment,
}

impl Show for Rows {
    fn show(&self, page: &mut Page) {
        if self.rows.is_empty() {
            return;
        }
        let row = |Numbered { n, letter }: &Numbered| {
            let style = if letter.is_unread() { Style::Bold } else { Style::Plain };
            vec![
                Cell::new(style, &format!("{n}{}", if letter.is_unread() { "*" } else { "" })).whole(),
                Cell::id(letter.id.as_str()),
                Cell::address(Some(&letter.from.to_string())),
                Cell::new(urgency_style(letter.priority), urgency(letter.priority)).whole(),
                Cell::from(letter.sent_at.ago(self.now)).dim(),
                Cell::new(style, &letter.subject),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.rows.iter().map(row).collect();
        page.table(&["N", "ID", "FROM", "PRIORITY", "SENT", "SUBJECT"], &rows);
    }
}

fn urgency(priority: Urgency) -> &'static str {
    match priority {
        Urgency::Urgent => "urgent",
        Urgency::High => "high",
        Urgency::Normal => "normal",
        Urgency::Low => "low",
    }
}

const fn urgency_style(priority: Urgency) -> Style {
    match priority {
        Urgency::Urgent => Style::Bad,
        Urgency::High => Style::Warn,
        Urgency::Normal => Style::Plain,
        Urgency::Low => Style::Dim,
    }
}

#[derive(JsonSchema, Serialize)]
struct SentAll(Vec<Sent>);

impl Show for SentAll {
    fn show(&self, page: &mut Page) {
        for Sent { to, id } in &self.0 {
            page.line(match id {
                Some(id) => format!("sent {id} to {to}"),
                None => format!("the letter to {to} waits in the outbox until its scope can be reached"),
            });
        }
    }
}

#[derive(JsonSchema, Serialize)]
struct Read(Letter);

impl Show for Read {
    fn show(&self, page: &mut Page) {
        let letter = &self.0;
        page.line(format!("Letter:  {}", letter.id));
        page.line(format!("From:    {}", letter.from));
        page.line(format!("To:      {}", letter.to));
        if !letter.cc.is_empty() {
            let cc: Vec<String> = letter.cc.iter().map(ToString::to_string).collect();
            page.line(format!("Cc:      {}", cc.join(", ")));
        }
        page.line(format!("Sent:    {} ({})", letter.sent_at, urgency(letter.priority)));
        page.line(format!("Subject: {}", escape(&letter.subject)));
        if let Some(answered) = &letter.reply_to {
            page.line(format!("Answers: {answered}"));
        }
        page.gap();
        page.block(0, &letter.body);
    }
}

#[derive(JsonSchema, Serialize)]
struct Checked {
    unread: usize,
}

impl Show for Checked {
    fn show(&self, page: &mut Page) {
        page.line(match self.unread {
            0 => "no unread mail".to_owned(),
            1 => "1 unread letter: gt inbox --unread".to_owned(),
            n => format!("{n} unread letters: gt inbox --unread"),
        });
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.unread == 0)
    }
}

//! `gt account`: logins of agents' makers, and which may do no more for a while.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::out::{Out, Page, Show, escape};
use crate::cli::schema::Answer;
use crate::error::Result;
use crate::ops::account::{self, Account};
use crate::town::Town;

/// What these commands print with `--json`.
pub const ANSWERS: &[Answer] = &[
    Answer::of::<Accounts>("account list"),
    Answer::of::<Accounts>("account add"),
    Answer::of::<Accounts>("account default"),
    Answer::of::<Accounts>("account remove"),
    Answer::of::<Accounts>("account status"),
];

/// Logins of agents' makers: which are used on this machine, and which may do no more for a while
#[derive(Args)]
pub struct AccountArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List accounts, the one that is taken first of each agent before the others
    List,
    /// Add the account that an agent's program keeps in a directory
    ///
    /// Log in there first, as CLAUDE_CONFIG_DIR=DIR claude does. Example: gt account add work ~/.claude-work
    Add(Add),
    /// Take this account first from now on
    Default {
        /// The account
        name: String,
    },
    /// Forget an account; its directory stays
    Remove {
        /// The account
        name: String,
    },
    /// Show which accounts may do no more for a while; exit 1 when one may not
    Status,
}

#[derive(Args)]
struct Add {
    /// Its name
    name: String,
    /// The directory in which the agent's program keeps it
    #[arg(value_name = "DIR")]
    place: PathBuf,
    /// The agent it is for
    #[arg(long, default_value = "claude", value_name = "NAME")]
    agent: String,
}

/// Accounts.
#[derive(JsonSchema, Serialize)]
pub struct Accounts {
    accounts: Vec<Account>,
    /// Whether what is asked is which may go on.
    #[serde(skip)]
    is_status: bool,
}

impl AccountArgs {
    /// Lists, adds, chooses, removes, looks.
    ///
    /// # Errors
    /// As the functions of [`account`].
    pub fn run(&self, town: &Town, out: Out) -> Result<u8> {
        let accounts = match &self.verb {
            Verb::List | Verb::Status => account::list(town)?,
            Verb::Add(add) => account::add(town, &add.name, &add.agent, &add.place)?,
            Verb::Default { name } => account::make_default(town, name)?,
            Verb::Remove { name } => account::remove(town, name)?,
        };
        Ok(out.show(&Accounts { accounts, is_status: matches!(self.verb, Verb::Status) }))
    }
}

impl Show for Accounts {
    fn show(&self, page: &mut Page) {
        if self.accounts.is_empty() {
            return page.line("no accounts; agents use the login that they have by themselves");
        }
        let row = |account: &Account| {
            let state =
                account.limited.as_ref().map_or_else(|| "may work".to_owned(), |limit| format!("until {}", limit.resets_at));
            let dir = account.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default();
            let first = if account.is_default { "first" } else { "" };
            vec![account.agent.clone(), account.name.clone(), first.to_owned(), state, dir]
        };
        page.table(&["AGENT", "ACCOUNT", "TAKEN", "LIMITED", "DIRECTORY"], &self.accounts.iter().map(row).collect::<Vec<_>>());
        for account in self.accounts.iter().filter(|_| self.is_status) {
            if let Some(limit) = &account.limited {
                page.line(format!("{} of session {}: {}", account.name, escape(&limit.session), escape(&limit.said)));
            }
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.is_status && self.accounts.iter().any(|account| account.limited.is_some()))
    }
}

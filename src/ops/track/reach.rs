//! Beads of every scope of the town, read when first asked for and only as far as asked.
//!
//! A scope is seen at the commit at which it was first looked at, so that one question has one answer.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::{Error, Kind, Result};
use crate::ledger::index::{Catalog, Hit, Query, Row};
use crate::ledger::{Ledger, State, read, tree};
use crate::model::bead::{Bead, DependencyKind};
use crate::model::brief::{Brief, Facts as _};
use crate::model::tombstone::Tombstone;
use crate::name::{BeadId, Prefix};
use crate::town::{MOVES_MAX, Town};

/// What can be said of a bead somewhere in the town, in full or in brief.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight<B = Bead> {
    /// There it is.
    Seen(Box<B>),
    /// Its scope has no such bead.
    Missing,
    /// Its scope or its record cannot be read, and why.
    Unreadable(String),
}

struct Seen {
    ledger: Ledger,
    tip: gix::ObjectId,
    catalog: Option<Rc<Catalog>>,
    archive: OnceCell<Option<Rc<Catalog>>>,
    /// Archived beads that were read one by one.
    reads: usize,
}

/// How many archived beads are read one by one before all of them are looked at in brief.
const READS_MAX: usize = 32;

/// All beads of a scope in brief: those of its ledger, and behind them those that only its archive has.
pub struct Shelves {
    catalog: Rc<Catalog>,
    archive: Option<Rc<Catalog>>,
}

impl Shelves {
    /// Those of a ledger and of the archive behind it; where both have a bead the ledger is right.
    #[must_use]
    pub fn new(catalog: Rc<Catalog>, archive: Option<Rc<Catalog>>) -> Self {
        Self { catalog, archive }
    }

    fn both<'a, T>(&'a self, find: impl Fn(&'a Catalog) -> Vec<T>, row: impl Fn(&T) -> Row<'a>) -> Vec<T> {
        let mut found = find(&self.catalog);
        let archived = self.archive.iter().flat_map(|archive| find(archive));
        found.extend(archived.filter(|one| !self.catalog.has(row(one).id())));
        found
    }

    /// All of them.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let archived = self.archive.iter().flat_map(|archive| archive.rows());
        self.catalog.rows().chain(archived.filter(|row| !self.catalog.has(row.id())))
    }

    /// The children of `id`.
    #[must_use]
    pub fn children(&self, id: &BeadId) -> Vec<Row<'_>> {
        self.both(|catalog| catalog.children(id), |row| *row)
    }

    /// Beads of the ledger that cannot be read and may be children of `id`.
    #[must_use]
    pub fn lost_children(&self, id: &BeadId) -> Vec<BeadId> {
        self.catalog.lost_children(id)
    }

    /// Those that depend on `id`, and how.
    #[must_use]
    pub fn needed_by(&self, id: &BeadId) -> Vec<(Row<'_>, DependencyKind)> {
        self.both(|catalog| catalog.needed_by(id), |(row, _)| *row)
    }
}

impl Seen {
    fn state(&self) -> Result<State<'_>> {
        self.ledger.state_at(self.tip)
    }
}

/// The town's scopes, as far as they were looked at.
pub struct Reach<'t> {
    town: &'t Town,
    scopes: BTreeMap<Prefix, std::result::Result<Seen, (Kind, String)>>,
    /// How many tombstones are being followed.
    moves: usize,
}

impl<'t> Reach<'t> {
    /// Nothing looked at yet.
    #[must_use]
    pub fn new(town: &'t Town) -> Self {
        Self { town, scopes: BTreeMap::new(), moves: 0 }
    }

    fn scope(&mut self, prefix: &Prefix) -> Result<&mut Seen> {
        let town = self.town;
        let open = || -> Result<Seen> {
            let ledger = town.scope_of(prefix)?;
            let tip = ledger.tip()?.ok_or_else(|| Error::not_found(format!("scope {prefix} holds no ledger")))?;
            Ok(Seen { ledger, tip, catalog: None, archive: OnceCell::new(), reads: 0 })
        };
        // A scope that could not be reached is not asked again within one question.
        let entry = self.scopes.entry(prefix.clone()).or_insert_with(|| open().map_err(|error| (error.kind, error.line())));
        entry.as_mut().map_err(|(kind, line)| Error::new(*kind, line.clone()))
    }

    /// The bead `id`, wherever it lives or was moved to. What cannot be read is an answer, not a failure.
    pub fn bead(&mut self, id: &BeadId) -> Sight {
        let seen = match self.scope(&id.prefix()) {
            Ok(seen) => seen,
            Err(error) => return Sight::Unreadable(format!("its scope cannot be reached: {}", error.line())),
        };
        match seen.state().and_then(|state| state.find_bead(id)) {
            Ok(Some(bead)) => Sight::Seen(Box::new(bead)),
            Ok(None) => self.moved(id, Self::bead),
            Err(error) => Sight::Unreadable(error.line()),
        }
    }

    /// What became of the bead `id`, which is not there: the one that it was moved to, as `look` sees it.
    fn moved<B>(&mut self, id: &BeadId, look: impl Fn(&mut Self, &BeadId) -> Sight<B>) -> Sight<B> {
        match self.tombstone(id).map(|stone| stone.and_then(|stone| stone.moved_to)) {
            Ok(None) => Sight::Missing,
            Ok(Some(next)) if self.moves < MOVES_MAX => {
                self.moves += 1;
                let seen = look(self, &next);
                self.moves -= 1;
                seen
            }
            Ok(Some(_)) => Sight::Unreadable(format!("{id} was moved more than {MOVES_MAX} times")),
            Err(error) => Sight::Unreadable(error.line()),
        }
    }

    /// What stands for the bead `id`, if it was deleted or moved.
    ///
    /// # Errors
    /// Not found, when its scope cannot be reached; corrupt, when it cannot be read.
    pub fn tombstone(&mut self, id: &BeadId) -> Result<Option<Tombstone>> {
        self.scope(&id.prefix())?.state()?.tombstone(id)
    }

    /// The bead `id` in brief: from the scope's catalog when that was asked for before, else from its record alone.
    pub fn brief(&mut self, id: &BeadId) -> Sight<Brief> {
        let catalog = self.scope(&id.prefix()).ok().and_then(|seen| seen.catalog.clone());
        if let Some(catalog) = catalog {
            let found = catalog.find(id.as_str()).map(|row| self.brief_of(&id.prefix(), row));
            match (found, catalog.fault(&tree::bead(id))) {
                (Some(Ok(brief)), _) => return Sight::Seen(Box::new(brief)),
                (Some(Err(error)), _) => return Sight::Unreadable(error.line()),
                (None, Some(fault)) => return Sight::Unreadable(fault.to_owned()),
                (None, None) => return self.archived_brief(id),
            }
        }
        match self.bead(id) {
            Sight::Seen(bead) => Sight::Seen(Box::new(Brief::of(&bead))),
            Sight::Missing => Sight::Missing,
            Sight::Unreadable(fault) => Sight::Unreadable(fault),
        }
    }

    /// The bead `id` in brief, if it is in its scope's archive: by its record, unless many were asked for.
    fn archived_brief(&mut self, id: &BeadId) -> Sight<Brief> {
        let prefix = id.prefix();
        let seen = match self.scope(&prefix) {
            Ok(seen) => seen,
            Err(error) => return Sight::Unreadable(error.line()),
        };
        seen.reads += 1;
        let found = if seen.reads > READS_MAX {
            self.archive(&prefix).and_then(|archive| {
                let fault = archive.as_ref().and_then(|archive| archive.fault(&tree::bead(id)).map(str::to_owned));
                match fault {
                    Some(fault) => Err(Error::corrupt(fault)),
                    None => Ok(archive.and_then(|archive| archive.find(id.as_str())?.brief())),
                }
            })
        } else {
            seen.ledger.archive().and_then(|archive| match archive {
                Some(archive) => Ok(archive.find_bead(id)?.as_ref().map(Brief::of)),
                None => Ok(None),
            })
        };
        match found {
            Ok(Some(brief)) => Sight::Seen(Box::new(brief)),
            Ok(None) => self.moved(id, Self::brief),
            Err(error) => Sight::Unreadable(error.line()),
        }
    }

    /// All beads of the scope with `prefix`, in brief.
    ///
    /// # Errors
    /// Not found, when the scope cannot be reached; corrupt, when its trees cannot be read.
    pub fn catalog(&mut self, prefix: &Prefix) -> Result<Rc<Catalog>> {
        let seen = self.scope(prefix)?;
        if let Some(catalog) = &seen.catalog {
            return Ok(catalog.clone());
        }
        let catalog = Rc::new(seen.state()?.catalog()?);
        seen.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    /// All beads in the archive of the scope with `prefix`, in brief; `None` when it has none. One that the scope's
    /// catalog has too is as it stands there.
    ///
    /// # Errors
    /// As [`Reach::catalog`].
    pub fn archive(&mut self, prefix: &Prefix) -> Result<Option<Rc<Catalog>>> {
        let seen = self.scope(prefix)?;
        if let Some(archive) = seen.archive.get() {
            return Ok(archive.clone());
        }
        let catalog = seen.ledger.archive()?.map(|archive| archive.catalog()).transpose()?.map(Rc::new);
        Ok(seen.archive.get_or_init(|| catalog).clone())
    }

    /// All beads of the scope with `prefix` in brief, archived ones too.
    ///
    /// # Errors
    /// As [`Reach::catalog`].
    pub fn shelves(&mut self, prefix: &Prefix) -> Result<Shelves> {
        Ok(Shelves::new(self.catalog(prefix)?, self.archive(prefix)?))
    }

    /// Beads of the scope with `prefix`, or of its archive, that `query` fits.
    ///
    /// # Errors
    /// As [`Reach::catalog`].
    pub fn hits(&mut self, prefix: &Prefix, is_archive: bool, query: &Query) -> Result<Vec<Hit>> {
        let seen = self.scope(prefix)?;
        if is_archive {
            return seen.ledger.archive()?.map_or(Ok(Vec::new()), |archive| archive.hits(query));
        }
        seen.state()?.hits(query)
    }

    /// The bead of a row of the catalog or archive of `prefix`, in full.
    ///
    /// # Errors
    /// Not found, when the scope cannot be reached; corrupt, when the record cannot be read.
    pub fn in_full(&mut self, prefix: &Prefix, row: Row<'_>) -> Result<Bead> {
        let seen = self.scope(prefix)?;
        match row.blob() {
            Some(blob) => read::bead_with(&seen.ledger.store, row.id(), blob),
            None => seen.state()?.bead(&row.id().parse()?),
        }
    }

    /// Gives `take` what `read` makes of the record of each of `rows` of the catalog or archive of `prefix`, by its place
    /// there, in no order.
    ///
    /// # Errors
    /// Not found, when the scope cannot be reached; corrupt, when its objects cannot be read at all.
    pub fn each_record<T: Send>(
        &mut self,
        prefix: &Prefix,
        rows: &[Row<'_>],
        read: impl Fn(Result<&[u8]>) -> T + Sync,
        mut take: impl FnMut(usize, T),
    ) -> Result<()> {
        let (mut records, mut places) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for (n, row) in rows.iter().enumerate() {
            if let Some(blob) = row.blob() {
                records.push((row.id().to_owned(), blob));
                places.push(n);
                continue;
            }
            // A place of the index that is damaged: the tree knows the record.
            let bytes = self.in_full(prefix, *row).map(|bead| serde_json::to_vec(&bead).unwrap_or_default());
            take(
                n,
                match bytes {
                    Ok(bytes) => read(Ok(&bytes)),
                    Err(error) => read(Err(error)),
                },
            );
        }
        self.scope(prefix)?.state()?.each_record(&records, |_, bytes| read(bytes), |n, value| take(places[n], value))
    }

    /// The bead of a row of the catalog or archive of `prefix`, in brief.
    ///
    /// # Errors
    /// Those of [`Reach::in_full`], when a place of the index is damaged.
    pub fn brief_of(&mut self, prefix: &Prefix, row: Row<'_>) -> Result<Brief> {
        row.brief().map_or_else(|| self.in_full(prefix, row).map(|bead| Brief::of(&bead)), Ok)
    }

    /// Beads that cannot be read and may be children of `id`; no answer may take them for done.
    ///
    /// # Errors
    /// As [`Reach::catalog`].
    pub fn lost_children(&mut self, id: &BeadId) -> Result<Vec<BeadId>> {
        Ok(self.catalog(&id.prefix())?.lost_children(id))
    }

    /// The children of `id`, which live in its scope, as far as they can be read.
    ///
    /// # Errors
    /// As [`Reach::catalog`].
    pub fn children(&mut self, id: &BeadId) -> Result<Vec<Brief>> {
        let catalog = self.catalog(&id.prefix())?;
        catalog.children(id).into_iter().map(|row| self.brief_of(&id.prefix(), row)).collect()
    }
}

//! Objects of one write: collected in memory, found by whoever builds upon them, written together.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::objs::{Kind as ObjectKind, WriteTo};

use crate::store::Store;

/// Objects that are to become durable together.
#[derive(Default)]
pub struct Batch(pub(super) BTreeMap<ObjectId, (ObjectKind, Vec<u8>)>);

impl Batch {
    /// Adds an object by its bytes and tells its id.
    ///
    /// # Panics
    /// Never: hashing memory does not fail.
    pub fn add(&mut self, kind: ObjectKind, bytes: Vec<u8>) -> ObjectId {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, &bytes).expect("hashing memory cannot collide here");
        self.0.entry(id).or_insert((kind, bytes));
        id
    }

    /// Adds a commit or tree value and tells its id.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    pub fn add_value(&mut self, value: &dyn WriteTo) -> ObjectId {
        let mut bytes = Vec::new();
        value.write_to(&mut bytes).expect("writing to memory succeeds");
        self.add(value.kind(), bytes)
    }

    /// The bytes of a blob in the batch.
    #[must_use]
    pub fn blob(&self, id: ObjectId) -> Option<&[u8]> {
        self.0.get(&id).map(|(_, bytes)| bytes.as_slice())
    }

    /// Whether the object is in the batch.
    #[must_use]
    pub fn has(&self, id: ObjectId) -> bool {
        self.0.contains_key(&id)
    }

    /// Takes over all objects of `other`.
    pub fn absorb(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lets trees that are still in the batch be found while a tree is edited.
pub struct BatchOver<'a> {
    batch: &'a Batch,
    store: &'a Store,
}

impl Batch {
    /// A view of `store` in which the batch's objects already exist.
    #[must_use]
    pub fn over<'a>(&'a self, store: &'a Store) -> BatchOver<'a> {
        BatchOver { batch: self, store }
    }
}

impl gix::objs::Find for BatchOver<'_> {
    fn try_find<'b>(&self, id: &gix::oid, buffer: &'b mut Vec<u8>) -> gix::error::Result<Option<gix::objs::Data<'b>>> {
        if let Some((kind, bytes)) = self.batch.0.get(id) {
            buffer.clear();
            buffer.extend_from_slice(bytes);
            return Ok(Some(gix::objs::Data { kind: *kind, object_hash: gix::hash::Kind::Sha1, data: buffer }));
        }
        self.store.repo.objects.try_find(id, buffer)
    }
}

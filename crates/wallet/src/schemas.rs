//! Who has to keep to the schemas of a space.
//!
//! What is written through this wallet's own calls (the SDK, the window, the command line) has to match the schema of its
//! type, if the space has one. What comes as changes of documents, from DXOS's clients and from other devices, is
//! merged as it is: refusing it would part the replicas for good. It is shown as not matching, and an edit is refused
//! only for what it makes worse, so that there is a way out.

use halo_echo::query::{Query, evaluate};
use halo_echo::schema::{SCHEMA, Schemas};
use halo_echo::{Index, Item, SpaceId};

use crate::error::WalletError;
use crate::held::Batch;
use crate::open::Open;
use crate::spaces::DocumentUpdated;

impl Open {
    /// The schemas of a space, by its name in the store.
    pub(crate) fn schemas(&self, space: &str) -> Result<Schemas, WalletError> {
        let items = self.store.items(space);
        let mut schemas = Schemas::default();
        for id in evaluate::<_, WalletError>(&Query::of_type(SCHEMA), &items)? {
            items.item(&id)?.iter().for_each(|item| schemas.add(item));
        }
        Ok(schemas)
    }

    /// How an item does not match the schema of its type, in sentences.
    pub(crate) fn mismatch(&self, space: &str, item: &Item) -> Result<Vec<String>, WalletError> {
        Ok(self.schemas(space)?.check(item).iter().map(ToString::to_string).collect())
    }

    /// Changes documents of one space, as [`Self::together`] does, if the items in them match their schemas then.
    /// `of_schemas` says that a schema may be among them.
    pub(crate) fn together_by_schema(
        &mut self,
        space: SpaceId,
        of_schemas: bool,
        work: impl FnOnce(&mut Self, &mut Batch) -> Result<(), WalletError>,
    ) -> Result<Vec<DocumentUpdated>, WalletError> {
        let before = self.schemas(&space.to_string())?;
        self.together(space, |open, batch| {
            work(open, batch)?;
            if before.is_empty() && !of_schemas { Ok(()) } else { open.check_schemas(space, &before, batch) }
        })
    }

    fn check_schemas(&mut self, space: SpaceId, before: &Schemas, batch: &Batch) -> Result<(), WalletError> {
        let name = space.to_string();
        let mut items: Vec<Item> = batch.new_items().cloned().collect();
        for document in batch.changed() {
            if let Some(held) = self.spaces.hold(&self.store, space, document)? {
                items.extend(Item::all_in(document, &held.document.objects()));
            }
        }
        // With the schemas that this very change brings.
        let mut schemas = self.schemas(&name)?;
        items.iter().for_each(|item| schemas.add(item));
        for item in &items {
            let mut found = schemas.check(item);
            if found.is_empty() {
                continue;
            }
            let there = self.store.items(&name).item(&item.id)?;
            let known = there.map(|there| before.check(&there)).unwrap_or_default();
            found.retain(|mismatch| !known.contains(mismatch));
            if let Some(mismatch) = found.into_iter().next() {
                let of = item.typename.clone().unwrap_or_default();
                let of = of.strip_prefix("dxn:type:").unwrap_or(&of).to_owned();
                return Err(WalletError::Mismatch { of, property: mismatch.property, why: mismatch.why });
            }
        }
        Ok(())
    }
}

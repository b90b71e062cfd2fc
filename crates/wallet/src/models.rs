//! Places in items that are read and edited by a model: texts with their marks and cursors, counters, nested values.

use halo_echo::{Document, Heads, Item, NamedModel, Side, SpaceId};
use serde_json::Value;

use crate::collection::By;
use crate::error::WalletError;
use crate::handle::Wallet;
use crate::request::Scope;
use crate::spaces::{NO_ITEM, PROPERTIES};

/// Cursors in one call.
const MOST_CURSORS: usize = 1_000;

/// A property of an item, with dots between names; an empty one means all properties.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct InItem {
    /// The item.
    pub id: String,
    /// The property.
    #[serde(default)]
    pub property: String,
}

impl Wallet {
    /// What a property reads as by a model, and the version it is.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`]; [`WalletError::Echo`] if it is not of that model.
    pub async fn read_model(
        &self,
        by: &By,
        id: SpaceId,
        at: InItem,
        model: String,
    ) -> Result<(Value, Heads), WalletError> {
        self.look_at(by, id, at, move |document, at| {
            Ok(NamedModel::find(&model)?.read(document, &at.id, &at.property)?)
        })
        .await
    }

    /// Edits a property by a model, as it was at a version, and gives what it reads as then.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::Mismatch`]; [`WalletError::Echo`] if it is
    /// not of that model, there is no such version, or the edit does not fit.
    pub async fn edit_model(
        &self,
        by: &By,
        id: SpaceId,
        at: InItem,
        model: String,
        version: Option<Heads>,
        edit: Value,
    ) -> Result<(Value, Heads), WalletError> {
        self.change_items(by.clone(), id, move |open| {
            let model = NamedModel::find(&model)?;
            let change = |document: &mut Document, pen, found: &Item| {
                model.edit(document, pen, (&found.id, &at.property), version.as_deref(), &edit)
            };
            let documents = open.edit(id, &at.id, change)?;
            let item = open.item_of(id, &at.id)?;
            let held = open.spaces.hold(&open.store, id, item.document)?.ok_or(NO_ITEM)?;
            Ok((documents, item.is_of(PROPERTIES), model.read(&held.document, &at.id, &at.property)?))
        })
        .await
    }

    /// Cursors before the letters at these positions of a text, as it was at a version.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::BadInput`] for too many;
    /// [`WalletError::Echo`] if there is no such text, version or place.
    pub async fn text_cursors(
        &self,
        by: &By,
        id: SpaceId,
        at: InItem,
        version: Option<Heads>,
        positions: Vec<(usize, Side)>,
    ) -> Result<Vec<String>, WalletError> {
        at_most(positions.len())?;
        self.look_at(by, id, at, move |document, at| {
            let cursor = |(position, side): &(usize, Side)| {
                document.cursor((&at.id, &at.property), version.as_deref(), *position, *side)
            };
            Ok(positions.iter().map(cursor).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Where cursors of a text are now, and the version that is.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Forbidden`], [`WalletError::BadInput`] for too many;
    /// [`WalletError::Echo`] if there is no such text, or one is no cursor of it.
    pub async fn cursor_positions(
        &self,
        by: &By,
        id: SpaceId,
        at: InItem,
        cursors: Vec<String>,
    ) -> Result<(Vec<usize>, Heads), WalletError> {
        at_most(cursors.len())?;
        self.look_at(by, id, at, move |document, at| {
            let position = |cursor: &String| document.cursor_position(&at.id, &at.property, cursor);
            Ok((cursors.iter().map(position).collect::<Result<_, _>>()?, document.heads()))
        })
        .await
    }

    async fn look_at<T: Send + 'static>(
        &self,
        by: &By,
        id: SpaceId,
        at: InItem,
        look: impl FnOnce(&Document, &InItem) -> Result<T, WalletError> + Send + 'static,
    ) -> Result<T, WalletError> {
        let by = by.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.visit(&by, id, Scope::Spaces)?;
            let document = open.item_of(id, &at.id)?.document;
            let held = open.spaces.hold(&open.store, id, document)?.ok_or(NO_ITEM)?;
            look(&held.document, &at)
        })
        .await
    }
}

fn at_most(count: usize) -> Result<(), WalletError> {
    if count > MOST_CURSORS {
        let what = "at most 1,000 cursors are looked at in one call".to_owned();
        return Err(WalletError::BadInput { what });
    }
    Ok(())
}

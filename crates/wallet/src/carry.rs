//! Spaces that an app carries from one place to another: all documents of one out, a new one of such documents in.

use halo_echo::{Document, DocumentId, Item, NewItem, SpaceId};

use crate::collection::By;
use crate::error::WalletError;
use crate::handle::{Wallet, beside};
use crate::open::Open;
use crate::request::{GrantId, Scope};
use crate::spaces::{NO_SPACE, PROPERTIES, SpaceView, properties};
use crate::view::Event;

/// More bytes of documents are not carried by an app; the owner can write them to a file.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Items in one transaction.
const BATCH: usize = 1_000;

impl Wallet {
    /// Every document of a space that an app sees, whole.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`], [`WalletError::NotFound`]; [`WalletError::BadInput`] for more than 64 MiB.
    pub async fn documents_of(
        &self,
        grant: &GrantId,
        space: SpaceId,
    ) -> Result<Vec<(DocumentId, Vec<u8>)>, WalletError> {
        let by = By::App(grant.clone());
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.visit(&by, space, Scope::Spaces)?;
            let name = open.spaces.rows.get(&space).ok_or(NO_SPACE)?.id.clone();
            let (mut found, mut size) = (Vec::new(), 0);
            for id in open.store.documents(&name)? {
                let id = DocumentId::from_bytes(&id)?;
                if id == crate::dxos::place_in(space) {
                    continue;
                }
                let bytes = open.store.document(id.as_bytes())?.concat();
                size += bytes.len();
                if size > MOST_BYTES {
                    let what = "a space of more than 64 MiB is exported in HALO".to_owned();
                    return Err(WalletError::BadInput { what });
                }
                found.push((id, bytes));
            }
            Ok(found)
        })
        .await
    }

    /// Makes a space of documents that another one had, with their items as they were last.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces:write`; [`WalletError::Echo`] for what are no documents.
    pub async fn space_of_documents(
        &self,
        grant: &GrantId,
        documents: Vec<Vec<u8>>,
    ) -> Result<SpaceView, WalletError> {
        let items = beside(move || items_in(&documents)).await?;
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let app = open.app(&grant, Scope::SpacesWrite)?;
            let space = open.space_of_items(app, items)?;
            engine.tell(Event::Spaces);
            Ok(space)
        })
        .await
    }
}

impl Open {
    fn space_of_items(&mut self, app: String, mut items: Vec<Item>) -> Result<SpaceView, WalletError> {
        let about_itself =
            items.iter().position(|item| item.is_of(PROPERTIES)).map(|at| items.swap_remove(at));
        items.retain(|item| !item.is_of(PROPERTIES));
        let about_itself = match about_itself {
            Some(item) => NewItem::copy_of(item),
            None => properties(None)?,
        };
        let space = self.begin_space(Some((app, false)), Some(about_itself))?;
        let items: Vec<NewItem> = items.into_iter().map(NewItem::copy_of).collect();
        for some in items.chunks(BATCH) {
            if let Err(error) = self.add_items(space.id, some) {
                // Half of it would look like the whole.
                self.leave_space(space.id)?;
                return Err(error);
            }
        }
        Ok(space)
    }
}

fn items_in(documents: &[Vec<u8>]) -> Result<Vec<Item>, WalletError> {
    let mut items = Vec::new();
    for bytes in documents {
        let nowhere = DocumentId::from_random([0; 16]);
        items.extend(Item::all_in(nowhere, &Document::load(bytes)?.objects()));
    }
    items.retain(|item| !item.deleted);
    // Two documents may claim one id; the first of them holds.
    items.sort_by(|one, other| one.id.cmp(&other.id));
    items.dedup_by(|one, other| one.id == other.id);
    Ok(items)
}

//! What a replica believes: Automerge documents in DXOS's layout, the items in them, and what a query finds.
//!
//! Pure: no clock, no randomness, no files. Bytes come in from apps and other devices, so everything that reads them
//! has limits. What is in memory here is a view; whoever keeps the documents says when something is durable.

mod columns;
mod document;
mod error;
mod fresh;
mod guard;
mod ids;
mod index;
mod item;
mod kept;
pub mod model;
pub mod query;
pub mod replication;
pub mod schema;
mod strict;
mod sync;
mod terms;
mod write;

pub use automerge::ChangeHash;
pub use document::{Change, Document, Heads, LARGEST_CHUNK, LARGEST_DOCUMENT, Version};
pub use error::EchoError;
pub use fresh::{Beginning, NewDocument};
pub use ids::{DocumentId, SpaceId};
pub use index::{Index, MemoryIndex, Near};
pub use item::{Item, ItemKind, reference_of};
pub use model::{
    CounterEdit, CounterModel, Expand, Mark, Model, NamedModel, ObjectEdit, ObjectModel, Side, Site, Splice,
    Spot, TextEdit, TextModel, TextView,
};
pub use sync::SyncState;
pub use terms::{Place, Term, TermValue};
pub use write::{NewItem, Pen, item_id, reference};

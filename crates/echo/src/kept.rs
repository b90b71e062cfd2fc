//! Bytes that a space keeps beside its items, each under a name: what an app was given about its user elsewhere.
//!
//! They lie in a document that has no items, so that no query finds them, and replicate as everything in a space does.

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ReadDoc, ScalarValue, Value as Stored};

use crate::document::Document;
use crate::error::EchoError;
use crate::model::refused;
use crate::write::Pen;

/// Where in the document they are.
const PLACE: &str = "kept";

impl Document {
    /// Keeps bytes under names; what has a name already is left alone. Returns the change, for feed and peers.
    ///
    /// # Errors
    /// [`EchoError::Malformed`] for a document that is laid out otherwise.
    pub fn keep_bytes(&mut self, pen: Pen, named: &[(String, Vec<u8>)]) -> Result<Vec<u8>, EchoError> {
        let there = self.kept_bytes();
        let fresh: Vec<_> =
            named.iter().filter(|(name, _)| !there.iter().any(|(other, _)| other == name)).collect();
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        self.write(pen, None, |tx| {
            let place = match tx.get(ROOT, PLACE).map_err(refused)? {
                Some((Stored::Object(ObjType::Map), place)) => place,
                _ => tx.put_object(ROOT, PLACE, ObjType::Map).map_err(refused)?,
            };
            fresh
                .iter()
                .try_for_each(|(name, bytes)| {
                    tx.put(&place, name.as_str(), ScalarValue::Bytes(bytes.clone()))
                })
                .map_err(refused)
        })
    }

    /// What is kept, by name.
    #[must_use]
    pub fn kept_bytes(&self) -> Vec<(String, Vec<u8>)> {
        let view = self.view();
        let Ok(Some((Stored::Object(ObjType::Map), place))) = view.get(ROOT, PLACE) else {
            return Vec::new();
        };
        view.keys(&place)
            .filter_map(|name| match view.get(&place, name.as_str()) {
                Ok(Some((Stored::Scalar(value), _))) => match value.as_ref() {
                    ScalarValue::Bytes(bytes) => Some((name, bytes.clone())),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }
}

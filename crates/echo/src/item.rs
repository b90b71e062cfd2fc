//! Items: the objects and relations in a document (DXOS's `DatabaseDirectory` and `ObjectStructure`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::DocumentId;

/// Objects are things, relations connect two of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// A thing.
    #[default]
    Object,
    /// From a source to a target.
    Relation,
}

/// One item, as a query sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id: a ULID, as the app made it.
    pub id: String,
    /// The document it is in.
    #[serde(skip, default = "nowhere")]
    pub document: DocumentId,
    /// Object or relation.
    #[serde(default)]
    pub kind: ItemKind,
    /// Its type: `dxn:type:example.org/type/Task:0.1.0`.
    #[serde(default)]
    pub typename: Option<String>,
    /// Deleted, and can be restored.
    #[serde(default)]
    pub deleted: bool,
    /// Where a relation comes from.
    #[serde(default)]
    pub source: Option<String>,
    /// Where it leads.
    #[serde(default)]
    pub target: Option<String>,
    /// The item it belongs to.
    #[serde(default)]
    pub parent: Option<String>,
    /// Its names elsewhere: source and id.
    #[serde(default)]
    pub keys: Vec<(String, String)>,
    /// What it is filed under: words, or the names (DXN) of items that are tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Its properties.
    #[serde(default)]
    pub data: Value,
}

const fn nowhere() -> DocumentId {
    DocumentId::from_random([0; 16])
}

/// The id of the item that `{"/": "dxn:echo:@:ID"}` refers to; also of one in another space.
#[must_use]
pub fn reference_of(value: &Value) -> Option<&str> {
    let dxn = value.get("/")?.as_str()?;
    let id = dxn.strip_prefix("dxn:echo:")?.rsplit(':').next()?;
    (!id.is_empty()).then_some(id)
}

impl Item {
    /// Every item in a document, by its [`crate::Document::objects`].
    #[must_use]
    pub fn all_in(document: DocumentId, objects: &Value) -> Vec<Self> {
        objects
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(id, object)| Self::read(document, id, object))
            .collect()
    }

    pub(crate) fn read(document: DocumentId, id: &str, object: &Value) -> Option<Self> {
        // An object that is still being written has no system part yet.
        let system = object.get("system").filter(|system| system.is_object())?;
        let reference = |name| system.get(name).and_then(reference_of).map(str::to_owned);
        let kind = match system.get("kind").and_then(Value::as_str) {
            Some("relation") => ItemKind::Relation,
            _ => ItemKind::Object,
        };
        let keys = object.pointer("/meta/keys").and_then(Value::as_array).map(|keys| {
            let text = |key: &Value, name| key.get(name).and_then(Value::as_str).map(str::to_owned);
            keys.iter().filter_map(|key| Some((text(key, "source")?, text(key, "id")?))).collect()
        });
        let tags = object.pointer("/meta/tags").and_then(Value::as_array).map(|tags| {
            let text = |tag: &Value| tag.as_str().or_else(|| tag.get("/")?.as_str()).map(str::to_owned);
            tags.iter().filter_map(text).collect()
        });
        Some(Self {
            id: id.to_owned(),
            document,
            kind,
            typename: system.pointer("/type/~1").and_then(Value::as_str).map(str::to_owned),
            deleted: system.get("deleted").and_then(Value::as_bool).unwrap_or_default(),
            source: reference("source"),
            target: reference("target"),
            parent: reference("parent"),
            keys: keys.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
            data: object.get("data").cloned().unwrap_or(Value::Null),
        })
    }

    /// Ids of the items that its properties refer to, with the property each is in (dots between names).
    #[must_use]
    pub fn references(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect(&self.data, &mut String::new(), &mut found);
        found
    }

    /// Whether it is of a type; a type without a version means all of them. An item without a type is DXOS's `Expando`.
    #[must_use]
    pub fn is_of(&self, typename: &str) -> bool {
        let mine = self.typename.as_deref().unwrap_or(EXPANDO);
        if mine == typename {
            return true;
        }
        let (my_name, my_version) = split_version(mine);
        let (name, version) = split_version(typename);
        my_name == name && (my_version.is_none() || version.is_none())
    }
}

/// The type of items that have none.
pub(crate) const EXPANDO: &str = "dxn:type:dxos.org/type/Expando";

/// Name and version of `dxn:type:NAME[:VERSION]`; other DXNs are names as a whole.
pub(crate) fn split_version(typename: &str) -> (&str, Option<&str>) {
    match typename.strip_prefix("dxn:type:").and_then(|rest| rest.split_once(':')) {
        Some((name, version)) => (typename.get(..9 + name.len()).unwrap_or(typename), Some(version)),
        None => (typename, None),
    }
}

fn collect(value: &Value, path: &mut String, found: &mut Vec<(String, String)>) {
    if let Some(id) = reference_of(value) {
        found.push((path.clone(), id.to_owned()));
        return;
    }
    let length = path.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                collect(value, path, found);
                path.truncate(length);
            }
        }
        // An element counts as the property that holds the list.
        Value::Array(list) => list.iter().for_each(|value| collect(value, path, found)),
        _ => {}
    }
}

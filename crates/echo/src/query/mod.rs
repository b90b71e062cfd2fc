//! DXOS's query AST (`@dxos/echo-protocol` 0.8.3, `QueryAST`), read from JSON.
//!
//! Later versions of it know more, which is read as they write it: `order`, `limit`, `skip`, `hierarchy-traversal`, and a filter
//! `contains` for lists.

mod eval;
mod filter;
mod live;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::EchoError;

pub use eval::{evaluate, find};
pub use live::Judged;

/// Longer queries are refused before they are read.
pub const LONGEST: usize = 64 * 1024;
/// A query may not have more clauses and filters.
const MOST_NODES: usize = 1_000;
/// Nor be nested deeper.
const DEEPEST: usize = 32;

/// A query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Query {
    /// Every item that a filter takes.
    Select {
        /// Which.
        filter: Filter,
    },
    /// Those of a selection that a filter takes.
    Filter {
        /// Of these.
        selection: Box<Self>,
        /// Which.
        filter: Filter,
    },
    /// What a property of the anchors refers to.
    ReferenceTraversal {
        /// From these.
        anchor: Box<Self>,
        /// Through this.
        property: String,
    },
    /// What refers to the anchors.
    IncomingReferences {
        /// To these.
        anchor: Box<Self>,
        /// Through this; `null` for any.
        #[serde(default)]
        property: Option<String>,
        /// Only of this type.
        #[serde(default)]
        typename: Option<String>,
    },
    /// Relations of the anchors.
    Relation {
        /// Of these.
        anchor: Box<Self>,
        /// Whether the anchor is the source or the target.
        direction: Direction,
        /// Only these.
        #[serde(default)]
        filter: Option<Filter>,
    },
    /// Ends of relations.
    RelationTraversal {
        /// Of these relations.
        anchor: Box<Self>,
        /// Which end.
        direction: End,
    },
    /// Parents or children of the anchors.
    HierarchyTraversal {
        /// Of these.
        anchor: Box<Self>,
        /// Which way.
        direction: Way,
    },
    /// What any of them finds.
    Union {
        /// Of these.
        queries: Vec<Self>,
    },
    /// What one finds and the other does not.
    SetDifference {
        /// These.
        source: Box<Self>,
        /// But not these.
        exclude: Box<Self>,
    },
    /// In an order; the default is by id, which is by age.
    Order {
        /// Of these.
        query: Box<Self>,
        /// By this, then by that.
        #[serde(alias = "order")]
        by: Vec<OrderBy>,
    },
    /// Without the first so many.
    Skip {
        /// Of these.
        query: Box<Self>,
        /// How many.
        skip: usize,
    },
    /// No more than so many.
    Limit {
        /// Of these.
        query: Box<Self>,
        /// How many.
        limit: usize,
    },
    /// With options.
    Options {
        /// Of this.
        query: Box<Self>,
        /// Which.
        options: Options,
    },
}

/// Whether an anchor is source or target of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The anchor is the source.
    Outgoing,
    /// The anchor is the target.
    Incoming,
    /// Either.
    Both,
}

/// An end of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it leads.
    Target,
    /// Either.
    Both,
}

/// Up or down the hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To the parent.
    ToParent,
    /// To the children.
    ToChildren,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBy {
    /// By what.
    #[serde(default)]
    pub kind: OrderKind,
    /// A property, with dots between names.
    #[serde(default)]
    pub property: String,
    /// Largest first.
    #[serde(default)]
    pub descending: bool,
    /// The same as DXOS says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Turn>,
}

/// By what an order goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderKind {
    /// A property.
    #[default]
    Property,
    /// Ids, and so age.
    Natural,
    /// How well a text fits; everything that fits, fits equally well here.
    Rank,
}

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

impl OrderBy {
    pub(crate) fn is_descending(&self) -> bool {
        self.direction.map_or(self.descending, |direction| direction == Turn::Desc)
    }
}

/// What a whole query looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Only in these spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_ids: Option<Vec<String>>,
    /// What becomes of deleted items.
    #[serde(default)]
    pub deleted: Deleted,
}

/// What becomes of deleted items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deleted {
    /// They are left out, and whatever is below them in the hierarchy.
    #[default]
    Exclude,
    /// They count as the others.
    Include,
    /// Nothing else counts. What is only below a deleted item is not deleted itself: restoring that item brings it back.
    Only,
}

/// A filter: of an item, or of one property's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Filter {
    /// By type, ids and properties; all must fit.
    Object {
        /// Of this type; `null` for any.
        #[serde(default)]
        typename: Option<String>,
        /// One of these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Vec<String>>,
        /// Each with a filter of its own.
        #[serde(default)]
        props: std::collections::BTreeMap<String, Self>,
        /// Known elsewhere by one of these.
        #[serde(default, rename = "foreignKeys", skip_serializing_if = "Option::is_none")]
        foreign_keys: Option<Vec<ForeignKey>>,
    },
    /// Against one value.
    Compare {
        /// How.
        operator: Operator,
        /// With what.
        #[serde(default)]
        value: Value,
    },
    /// One of these values.
    In {
        /// Which.
        values: Vec<Value>,
    },
    /// A list that has this value.
    Contains {
        /// Which.
        value: Value,
    },
    /// From and up to, both included.
    Range {
        /// The first that fits.
        from: Value,
        /// The last that fits.
        to: Value,
    },
    /// Every word occurs in some text of it.
    TextSearch {
        /// The words.
        text: String,
        /// How to look for them: by words, which are indexed, or by likeness, which is not known here.
        #[serde(default, rename = "searchKind", skip_serializing_if = "Option::is_none")]
        kind: Option<SearchKind>,
    },
    /// Filed under this tag. Not of DXOS 0.8.3, whose items have no tags.
    Tag {
        /// Which.
        tag: String,
    },
    /// The opposite.
    Not {
        /// Of this.
        filter: Box<Self>,
    },
    /// All of them.
    And {
        /// Which.
        filters: Vec<Self>,
    },
    /// Any of them.
    Or {
        /// Which.
        filters: Vec<Self>,
    },
}

/// How to look for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchKind {
    /// By its words.
    FullText,
    /// By likeness: refused, since there is no index for it.
    Vector,
}

/// A name of an item elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Where.
    pub source: String,
    /// The name.
    pub id: String,
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

impl Query {
    /// Every item of a type.
    #[must_use]
    pub fn of_type(typename: &str) -> Self {
        let (id, props, foreign_keys) = (None, std::collections::BTreeMap::new(), None);
        Self::Select {
            filter: Filter::Object { typename: Some(typename.to_owned()), id, props, foreign_keys },
        }
    }

    /// Reads a query; length first, then structure, then how much it asks for.
    ///
    /// # Errors
    /// [`EchoError::TooLarge`], [`EchoError::Malformed`], [`EchoError::Query`].
    pub fn parse(json: &str) -> Result<Self, EchoError> {
        if json.len() > LONGEST {
            return Err(EchoError::TooLarge { what: "a query", size: json.len(), most: LONGEST });
        }
        let query: Self = serde_json::from_str(json).map_err(|error| EchoError::malformed("query", error))?;
        let mut nodes = 0;
        query.measure(1, &mut nodes)?;
        Ok(query)
    }

    /// The options around it; those of the outermost clause.
    #[must_use]
    pub fn options(&self) -> Options {
        match self {
            Self::Options { options, .. } => options.clone(),
            Self::Order { query, .. } | Self::Limit { query, .. } | Self::Skip { query, .. } => {
                query.options()
            }
            _ => Options::default(),
        }
    }

    fn measure(&self, depth: usize, nodes: &mut usize) -> Result<(), EchoError> {
        count(depth, nodes)?;
        let depth = depth + 1;
        match self {
            Self::Select { filter } => filter.measure(depth, nodes),
            Self::Filter { selection, filter } => {
                filter.measure(depth, nodes)?;
                selection.measure(depth, nodes)
            }
            Self::Relation { anchor, filter, .. } => {
                filter.iter().try_for_each(|filter| filter.measure(depth, nodes))?;
                anchor.measure(depth, nodes)
            }
            Self::ReferenceTraversal { anchor, .. }
            | Self::IncomingReferences { anchor, .. }
            | Self::RelationTraversal { anchor, .. }
            | Self::HierarchyTraversal { anchor, .. } => anchor.measure(depth, nodes),
            Self::Union { queries } => queries.iter().try_for_each(|query| query.measure(depth, nodes)),
            Self::SetDifference { source, exclude } => {
                source.measure(depth, nodes)?;
                exclude.measure(depth, nodes)
            }
            Self::Order { query, .. }
            | Self::Limit { query, .. }
            | Self::Skip { query, .. }
            | Self::Options { query, .. } => query.measure(depth, nodes),
        }
    }
}

impl Filter {
    fn measure(&self, depth: usize, nodes: &mut usize) -> Result<(), EchoError> {
        count(depth, nodes)?;
        let depth = depth + 1;
        match self {
            Self::Object { props, .. } => props.values().try_for_each(|filter| filter.measure(depth, nodes)),
            Self::Not { filter } => filter.measure(depth, nodes),
            Self::And { filters } | Self::Or { filters } => {
                filters.iter().try_for_each(|filter| filter.measure(depth, nodes))
            }
            Self::TextSearch { kind: Some(SearchKind::Vector), .. } => {
                Err(EchoError::Query { why: "it looks for what is alike, for which there is no index" })
            }
            Self::Compare { .. }
            | Self::In { .. }
            | Self::Contains { .. }
            | Self::Range { .. }
            | Self::TextSearch { .. }
            | Self::Tag { .. } => Ok(()),
        }
    }
}

const fn count(depth: usize, nodes: &mut usize) -> Result<(), EchoError> {
    *nodes += 1;
    if depth > DEEPEST {
        return Err(EchoError::Query { why: "it is nested more than 32 deep" });
    }
    if *nodes > MOST_NODES {
        return Err(EchoError::Query { why: "it has more than 1,000 parts" });
    }
    Ok(())
}

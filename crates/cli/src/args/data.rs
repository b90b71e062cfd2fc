//! What is said of spaces and items.

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Spaces {
    /// All of them, oldest first
    List,
    /// Make one that no app sees yet
    Create {
        /// What it is called
        #[arg(long)]
        name: String,
    },
    /// Give a space another name
    Rename {
        /// The space, or the beginning of its name
        id: String,
        /// What it is called from now on
        #[arg(long)]
        name: String,
    },
    /// Let an app see a space
    Share {
        /// The space, or the beginning of its name
        id: String,
        /// The app's grant, as `halo apps list` shows it, or the beginning
        app: String,
    },
    /// Hide a space from an app again
    Unshare {
        /// The space, or the beginning of its name
        id: String,
        /// The app's grant, as `halo apps list` shows it, or the beginning
        app: String,
    },
    /// Make a snapshot of a space now, and drop the blocks that it stands for and that every device has
    Compact {
        /// The space, or the beginning of its name
        id: String,
    },
    /// Write a space to a new file: for yourself, or to a passphrase, or its items as JSON for reading
    Export {
        /// The space, or the beginning of its name
        id: String,
        /// The file; it must not exist yet
        file: std::path::PathBuf,
        /// Seal it with a passphrase, read from standard input, instead of for yourself
        #[arg(long, conflicts_with = "plain")]
        passphrase_stdin: bool,
        /// Ask for a passphrase to seal it with
        #[arg(long, conflicts_with = "plain")]
        passphrase: bool,
        /// The items as JSON, which anybody can read
        #[arg(long)]
        plain: bool,
    },
    /// Read a space from a file: into the space that it was, or into a new one
    Import {
        /// The file
        file: std::path::PathBuf,
        /// It was sealed with a passphrase: read that from standard input
        #[arg(long)]
        passphrase_stdin: bool,
        /// It was sealed with a passphrase: ask for it
        #[arg(long)]
        passphrase: bool,
    },
    /// Leave a space; whoever is its only member deletes it with everything in it
    Leave {
        /// The space, or the beginning of its name
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// In which space.
#[derive(clap::Args)]
pub(crate) struct InSpace {
    /// The space, or the beginning of its name
    #[arg(long, value_name = "ID")]
    pub(crate) space: String,
}

#[derive(Subcommand)]
pub(crate) enum Items {
    /// All of a space
    List(InSpace),
    /// One item
    Get {
        /// The item, or the beginning of its name
        id: String,
        #[command(flatten)]
        space: InSpace,
    },
    /// Add an item, or write all properties of one
    Put {
        /// Its properties, as a JSON object; `-` reads it from standard input
        data: String,
        #[command(flatten)]
        space: InSpace,
        /// Of which item; without it a new one is made
        #[arg(long, conflicts_with = "kind", required_unless_present = "kind")]
        id: Option<String>,
        /// The type of a new item, for instance example.org/type/Task:0.1.0
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only write these properties and leave the others; `null` removes one
        #[arg(long, requires = "id")]
        merge: bool,
        #[command(flatten)]
        place: ItemPlace,
    },
    /// Delete an item; `restore` takes it back
    Delete {
        /// The item, or the beginning of its name
        id: String,
        #[command(flatten)]
        space: InSpace,
    },
    /// Take back that an item was deleted
    Restore {
        /// The whole name of the item
        id: String,
        #[command(flatten)]
        space: InSpace,
    },
    /// Find items
    Query(FindItems),
}

/// What an item is besides its properties.
#[derive(clap::Args)]
pub(crate) struct ItemPlace {
    /// The item that it belongs to; an empty one takes it out of where it is
    #[arg(long, value_name = "ID")]
    pub(crate) parent: Option<String>,
    /// For a new relation: where it comes from
    #[arg(long, value_name = "ID", requires = "target", conflicts_with = "id")]
    pub(crate) source: Option<String>,
    /// For a new relation: where it leads
    #[arg(long, value_name = "ID", requires = "source", conflicts_with = "id")]
    pub(crate) target: Option<String>,
    /// Its name in another program; repeat for several. They take the place of those it had
    #[arg(long = "key", value_name = "SOURCE=ID")]
    pub(crate) keys: Vec<String>,
    /// What it is filed under; repeat for several. They take the place of those it had, and an empty one of all
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct FindItems {
    #[command(flatten)]
    pub(crate) space: InSpace,
    /// A query in DXOS's form, as JSON; `-` reads it from standard input
    #[arg(conflicts_with_all = ["kind", "conditions", "text", "tag", "key", "deleted"])]
    pub(crate) query: Option<String>,
    /// Only items of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Only where a property has this value; repeat for several
    #[arg(long = "where", value_name = "PROPERTY=VALUE")]
    pub(crate) conditions: Vec<String>,
    /// Only with these words in them
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Only filed under this
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only with this name in another program
    #[arg(long, value_name = "SOURCE=ID")]
    pub(crate) key: Option<String>,
    /// Only deleted ones
    #[arg(long)]
    pub(crate) deleted: bool,
}

-- Format 2: spaces, and the documents and items in them. `bytes` is what the documents of a space take.

CREATE TABLE space (
    id      TEXT NOT NULL PRIMARY KEY,
    key     BLOB NOT NULL CHECK (length(key) = 32),
    root    BLOB NOT NULL CHECK (length(root) = 16),
    created INTEGER NOT NULL,
    -- The identity's own one, of which there is one at most.
    halo    INTEGER NOT NULL DEFAULT 0 CHECK (halo IN (0, 1)),
    bytes   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX space_halo ON space (halo) WHERE halo = 1;

-- When a credential that another device said was first seen here. Those that are not here were never in doubt.
CREATE TABLE credential_seen (
    id   BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which apps see a space. By the app and not by its grant: who comes back after being revoked finds their data.
CREATE TABLE space_app (
    app     TEXT NOT NULL,
    space   TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    made    INTEGER NOT NULL CHECK (made IN (0, 1)),
    default_of_app INTEGER NOT NULL CHECK (default_of_app IN (0, 1)),
    PRIMARY KEY (app, space)
) STRICT, WITHOUT ROWID;
CREATE INDEX space_app_space ON space_app (space);
CREATE UNIQUE INDEX space_app_default ON space_app (app) WHERE default_of_app = 1;

-- Which app wrote as which of Automerge's actors, for the history of items.
CREATE TABLE writer (
    space TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    actor BLOB NOT NULL,
    app   TEXT NOT NULL,
    PRIMARY KEY (space, actor)
) STRICT, WITHOUT ROWID;

-- A document is what was saved last and the changes since.
CREATE TABLE document (
    id    BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    space TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    saved BLOB NOT NULL
) STRICT;
CREATE INDEX document_space ON document (space);
CREATE TABLE document_change (
    position INTEGER PRIMARY KEY,
    document BLOB NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    bytes    BLOB NOT NULL
) STRICT;
CREATE INDEX document_change_document ON document_change (document);

-- Who may read what: epochs carry the content key, sealed to each device. One may be here before its space is.
CREATE TABLE epoch (
    id     BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    space  TEXT NOT NULL,
    number INTEGER NOT NULL,
    -- Which device began it: nobody writes under what one began that is out by now.
    by     BLOB NOT NULL CHECK (length(by) = 32),
    bytes  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX epoch_space ON epoch (space, number);
-- The content key of an epoch that was begun before this device was let in, sealed to it later.
CREATE TABLE epoch_share (
    epoch BLOB NOT NULL PRIMARY KEY CHECK (length(epoch) = 32),
    space TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX epoch_share_space ON epoch_share (space);

-- What devices said in a space, as signed chains of sealed blocks. Written in the transaction of the changes they carry.
CREATE TABLE feed (
    key    BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    space  TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    length INTEGER NOT NULL,
    head   BLOB NOT NULL CHECK (length(head) = 32),
    forked INTEGER NOT NULL CHECK (forked IN (0, 1)),
    -- So many blocks are in the documents; the others wait for what their writer had seen.
    applied INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX feed_space ON feed (space);
CREATE TABLE block (
    feed      BLOB NOT NULL REFERENCES feed (key) ON DELETE CASCADE,
    sequence  INTEGER NOT NULL,
    header    BLOB NOT NULL CHECK (length(header) = 136),
    sealed    BLOB NOT NULL,
    signature BLOB CHECK (length(signature) = 64),
    PRIMARY KEY (feed, sequence)
) STRICT;

-- What queries look at; written in the transaction of the change that caused it, and can be made anew from the documents.
CREATE TABLE item (
    number   INTEGER PRIMARY KEY,
    space    TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    id       TEXT NOT NULL,
    document BLOB NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    deleted  INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    json     TEXT NOT NULL,
    UNIQUE (space, id, document)
) STRICT;
CREATE INDEX item_there ON item (space) WHERE deleted = 0;
CREATE INDEX item_document ON item (document);

-- Where a term is, in one space: type, neighbour, foreign key, or a property.
CREATE TABLE item_place (
    number INTEGER PRIMARY KEY,
    space  TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    UNIQUE (space, name)
) STRICT;
-- Terms: numbers as REAL, texts as TEXT, flags as BLOB, so that each kind is a range of its own.
CREATE TABLE item_term (
    place INTEGER NOT NULL REFERENCES item_place (number) ON DELETE CASCADE,
    value ANY NOT NULL,
    item  INTEGER NOT NULL,
    PRIMARY KEY (place, value, item)
) STRICT, WITHOUT ROWID;

-- Words come in lower case with blanks between, and every other sign is a letter to this tokenizer: one word, one token.
CREATE VIRTUAL TABLE item_words USING fts5 (
    words, content = '', contentless_delete = 1, detail = 'none', tokenize = 'ascii', prefix = '2 3'
);

-- Everything a space says at a timeframe: a file, sealed and signed, named by its hash. Blocks that it covers can go. One
-- that this device is making has another name until it is whole; one that a peer sends is not taken before it is.
CREATE TABLE snapshot (
    id    BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    space TEXT NOT NULL REFERENCES space (id) ON DELETE CASCADE,
    size  INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2))
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_space ON snapshot (space);
CREATE TABLE snapshot_chunk (
    snapshot BLOB NOT NULL REFERENCES snapshot (id) ON DELETE CASCADE ON UPDATE CASCADE,
    start    INTEGER NOT NULL,
    bytes    BLOB NOT NULL CHECK (length(bytes) > 0),
    PRIMARY KEY (snapshot, start)
) STRICT;

-- Where a feed begins since older blocks were dropped: so many, the last of them with this name.
CREATE TABLE feed_base (
    feed   BLOB NOT NULL PRIMARY KEY REFERENCES feed (key) ON DELETE CASCADE,
    length INTEGER NOT NULL,
    head   BLOB NOT NULL CHECK (length(head) = 32)
) STRICT, WITHOUT ROWID;
-- How many blocks of a feed another device said it has: what it lacks is not dropped.
CREATE TABLE confirmed (
    device BLOB NOT NULL CHECK (length(device) = 32),
    feed   BLOB NOT NULL REFERENCES feed (key) ON DELETE CASCADE,
    length INTEGER NOT NULL,
    PRIMARY KEY (device, feed)
) STRICT, WITHOUT ROWID;
CREATE INDEX confirmed_feed ON confirmed (feed);

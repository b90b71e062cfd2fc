-- Format 1. STRICT, so that a value of another type is refused when written, not when read.

-- Signed bytes, exactly as they came.
CREATE TABLE credential (
    position INTEGER PRIMARY KEY,
    id       BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    bytes    BLOB NOT NULL
) STRICT;

-- Secrets, sealed by the keystore before they come here.
CREATE TABLE sealed (
    slot  TEXT NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What only this device knows of a grant; what was allowed is in its credential. Times in ms since 1970.
CREATE TABLE app_grant (
    id        BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    client_id TEXT NOT NULL,
    process   TEXT,
    instances TEXT NOT NULL,
    created   INTEGER NOT NULL,
    last_used INTEGER
) STRICT, WITHOUT ROWID;

-- Refresh tokens by their hash. A used one stays until it expires: using it again gives a thief away.
CREATE TABLE refresh (
    hash      BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    family    BLOB NOT NULL CHECK (length(family) = 16),
    app_grant BLOB NOT NULL REFERENCES app_grant (id) ON DELETE CASCADE,
    binding   TEXT NOT NULL,
    issued    INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    used      INTEGER NOT NULL CHECK (used IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_family ON refresh (family);
CREATE INDEX refresh_app_grant ON refresh (app_grant);
CREATE INDEX refresh_expires ON refresh (expires);

CREATE TABLE mute (
    asker TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The activity log. Entries are added, never changed.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    body      BLOB NOT NULL,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'the log is not edited'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
    BEGIN SELECT raise(ABORT, 'the log is not shortened'); END;

-- What an engine cannot hold. Values are JSON, so that a new field of the domain needs no migration; a column beside
-- the JSON is there only where something is looked up or tied together by it.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    id    TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    data  TEXT NOT NULL
) STRICT;

CREATE INDEX records_owner ON records (owner);

-- A log goes with its record.
CREATE TABLE logs (
    id   TEXT PRIMARY KEY REFERENCES records (id) ON DELETE CASCADE,
    text BLOB NOT NULL
) STRICT;

CREATE TABLE volumes (
    name  TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    data  TEXT NOT NULL
) STRICT;

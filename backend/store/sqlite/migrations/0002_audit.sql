-- What administrators did to workspaces of others. It outlives the workspaces.

CREATE TABLE audit (
    seq  INTEGER PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

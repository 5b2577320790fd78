-- +goose Up

-- Times are whole microseconds since 1970 in UTC; NULL is "never". Positions are the log's own, both parts.

-- What the ledger reflects: one row. entries counts them all. outstanding is the programme's own account, the other side
-- of every entry: what a customer gains, the programme owes. It moves in the transaction that moves the customers.
CREATE TABLE state (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    commit_position  INTEGER NOT NULL,
    prepare_position INTEGER NOT NULL,
    as_of            INTEGER,
    entries          INTEGER NOT NULL,
    outstanding      INTEGER NOT NULL
) STRICT;

INSERT INTO state (id, commit_position, prepare_position, entries, outstanding) VALUES (1, 0, 0, 0, 0);

-- newest is the id of the customer's newest entry, and before what it was before the last batch.
CREATE TABLE accounts (
    customer   TEXT    PRIMARY KEY,
    points     INTEGER NOT NULL,
    reached_at INTEGER,
    entries    INTEGER NOT NULL,
    newest     INTEGER NOT NULL,
    before     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Ids count up from 1 in the order of the log. previous is the id of the same customer's entry before this one, 0 for the
-- first, so that a trail is read by following it. An index by customer would do the same, and be one more tree that every
-- entry touches at a random place: it took a third of the speed at which entries go in.
CREATE TABLE entries (
    id               INTEGER PRIMARY KEY,
    previous         INTEGER NOT NULL,
    customer         TEXT    NOT NULL,
    commit_position  INTEGER NOT NULL,
    prepare_position INTEGER NOT NULL,
    event_id         BLOB    NOT NULL UNIQUE CHECK (length(event_id) = 16),
    kind             TEXT    NOT NULL,
    points           INTEGER NOT NULL,
    total            INTEGER NOT NULL,
    occurred_at      INTEGER,
    stream           TEXT    NOT NULL,
    revision         INTEGER NOT NULL,
    order_id         TEXT    NOT NULL,
    return_id        TEXT    NOT NULL,
    amount_minor     INTEGER NOT NULL,
    currency         TEXT    NOT NULL,
    channel          TEXT    NOT NULL,
    actor            TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    UNIQUE (commit_position, prepare_position)
) STRICT;

-- Two processes that open a ledger at once may both set out to migrate it. The second one fails here, rolls back, and
-- finds on its next look that there is nothing left to do.
CREATE UNIQUE INDEX migration_once ON goose_db_version (version_id);

-- +goose Down

DROP INDEX migration_once;
DROP TABLE entries;
DROP TABLE accounts;
DROP TABLE state;

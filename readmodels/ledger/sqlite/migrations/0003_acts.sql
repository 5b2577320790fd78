-- +goose Up

-- What support did, and who was forgotten. Of both a ledger knows only what it applied from this version on: what was done before,
-- and what a process of the version before applies beside one of this, comes in with a rebuild (loyalty rebuild ledger).

-- Of somebody forgotten there is an account even without an entry; newest is then 0. They are in no drawer.
ALTER TABLE accounts ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

-- Acts are few beside entries. They lie in the order of the log, and so do those that an index finds. waiting is 1 for a request
-- that nobody has decided, and 0 for all else.
CREATE TABLE acts (
    commit_position  INTEGER NOT NULL,
    prepare_position INTEGER NOT NULL,
    event_id         BLOB    NOT NULL UNIQUE CHECK (length(event_id) = 16),
    kind             TEXT    NOT NULL,
    customer         TEXT    NOT NULL,
    loyalty_id       TEXT    NOT NULL,
    points           INTEGER NOT NULL,
    reason           TEXT    NOT NULL,
    actor            TEXT    NOT NULL,
    correlation      TEXT    NOT NULL,
    occurred_at      INTEGER NOT NULL,
    waiting          INTEGER NOT NULL,
    PRIMARY KEY (commit_position, prepare_position)
) STRICT, WITHOUT ROWID;

CREATE INDEX acts_kind ON acts (kind, commit_position, prepare_position);
CREATE INDEX acts_customer ON acts (customer, commit_position, prepare_position);
CREATE INDEX acts_actor ON acts (actor, commit_position, prepare_position);
CREATE INDEX acts_waiting ON acts (waiting, commit_position, prepare_position) WHERE waiting = 1;

-- +goose Down

DROP TABLE acts;
ALTER TABLE accounts DROP COLUMN forgotten;

-- +goose Up

-- What support did, and who was forgotten. Of both a ledger knows only what it applied from this version on: what was done before,
-- and what a process of the version before applies beside one of this, comes in with a rebuild (loyalty rebuild ledger).

-- Of somebody forgotten there is an account even without an entry. They are in no drawer.
ALTER TABLE accounts ADD COLUMN forgotten boolean NOT NULL DEFAULT false;

-- Acts are few beside entries, and in one table. waiting is true for a request that nobody has decided, and for nothing else.
CREATE TABLE acts (
    occurred_at      timestamptz NOT NULL,
    commit_position  bigint  NOT NULL,
    prepare_position bigint  NOT NULL,
    points           integer NOT NULL,
    waiting          boolean NOT NULL,
    event_id         uuid    NOT NULL UNIQUE,
    kind             text    NOT NULL,
    customer         text    COLLATE "C" NOT NULL,
    actor            text    COLLATE "C" NOT NULL,
    loyalty_id       text    NOT NULL,
    reason           text    NOT NULL,
    correlation      text    NOT NULL,
    PRIMARY KEY (commit_position, prepare_position)
);

CREATE INDEX acts_kind ON acts (kind, commit_position, prepare_position);
CREATE INDEX acts_customer ON acts (customer, commit_position, prepare_position);
CREATE INDEX acts_actor ON acts (actor, commit_position, prepare_position);
CREATE INDEX acts_waiting ON acts (commit_position, prepare_position) WHERE waiting;

-- +goose Down

DROP TABLE acts;
ALTER TABLE accounts DROP COLUMN forgotten;

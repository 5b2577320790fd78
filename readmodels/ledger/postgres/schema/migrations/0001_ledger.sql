-- +goose Up

-- Names here carry no schema: the same migration makes the live ledger and a copy of it that is folded beside it.

-- What the ledger reflects: one row. entries counts them all. outstanding is the programme's own account, the other side of
-- every entry: what a customer gains, the programme owes. It moves in the transaction that moves the customers. Pages are
-- left mostly empty, so that the row can move within its own.
CREATE TABLE state (
    id               smallint PRIMARY KEY CHECK (id = 1),
    commit_position  bigint NOT NULL,
    prepare_position bigint NOT NULL,
    as_of            timestamptz,
    entries          bigint NOT NULL,
    outstanding      bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO state (id, commit_position, prepare_position, entries, outstanding) VALUES (1, 0, 0, 0, 0);

-- What every customer has. Only the key is indexed and each page keeps some room, so that a change of a total touches one
-- page and no index. reached_at is NULL as long as the total has never changed.
CREATE TABLE accounts (
    reached_at timestamptz,
    entries    bigint  NOT NULL,
    points     integer NOT NULL,
    customer   text    COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 80);

-- Every entry, in partitions by the month (UTC) in which it occurred. The key leads with the customer and goes on with the
-- place in the log: it is what a trail is read by, and what a distributed engine shards by. A partition makes event_id
-- unique in its month as well (see months.go), and an event is always of the same month.
-- Columns of fixed width come first, so that nothing is lost between them.
CREATE TABLE entries (
    occurred_at      timestamptz NOT NULL,
    commit_position  bigint  NOT NULL,
    prepare_position bigint  NOT NULL,
    revision         bigint  NOT NULL,
    amount_minor     bigint  NOT NULL,
    points           integer NOT NULL,
    total            integer NOT NULL,
    event_id         uuid    NOT NULL,
    customer         text    COLLATE "C" NOT NULL,
    kind             text    NOT NULL,
    stream           text    NOT NULL,
    order_id         text    NOT NULL,
    return_id        text    NOT NULL,
    currency         text    NOT NULL,
    channel          text    NOT NULL,
    actor            text    NOT NULL,
    reason           text    NOT NULL,
    PRIMARY KEY (customer, commit_position, prepare_position, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- The two sides of every entry, for those who add them up: a credit to the customer and a debit of the programme. '#' is in
-- no customer's id.
CREATE VIEW postings AS
    SELECT occurred_at, commit_position, prepare_position, event_id, customer AS account, points::bigint AS points FROM entries
    UNION ALL
    SELECT occurred_at, commit_position, prepare_position, event_id, '#programme', -points::bigint FROM entries;

-- What every account has come to, the programme's own among them. The points of all rows sum to zero.
CREATE VIEW trial_balance AS
    SELECT customer AS account, points::bigint AS points, entries FROM accounts
    UNION ALL
    SELECT '#programme', -outstanding, entries FROM state;

-- +goose Down

DROP VIEW trial_balance;
DROP VIEW postings;
DROP TABLE entries;
DROP TABLE accounts;
DROP TABLE state;

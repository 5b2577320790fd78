-- +goose Up

-- What the entries of every hour (UTC) and channel come to, by kind: how many there are, and the sum of their points. at is when
-- the hour begins; channel is '' where the entries have none. It moves in the transaction that adds the entries, and is filled
-- here from those that are there, which takes some two seconds for every million, and nobody writes meanwhile. What a process of the
-- version before applies beside one of this is not in it until the ledger is folded anew (loyalty verify finds that, loyalty
-- rebuild ledger does it). Pages are left half empty, because every batch moves the row of the hour that it is, within its own.
CREATE TABLE earnings (
    at          timestamptz NOT NULL,
    awards      bigint NOT NULL,
    reversals   bigint NOT NULL,
    adjustments bigint NOT NULL,
    awarded     bigint NOT NULL,
    reversed    bigint NOT NULL,
    adjusted    bigint NOT NULL,
    channel     text   COLLATE "C" NOT NULL,
    PRIMARY KEY (at, channel)
) WITH (fillfactor = 50);

-- Nobody adds entries while they are summed up.
LOCK TABLE state IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO earnings (at, channel, awards, reversals, adjustments, awarded, reversed, adjusted)
SELECT date_trunc('hour', occurred_at, 'UTC') AS hour, channel,
    count(*) FILTER (WHERE kind = 'award'), count(*) FILTER (WHERE kind = 'reversal'), count(*) FILTER (WHERE kind = 'adjustment'),
    coalesce(sum(points) FILTER (WHERE kind = 'award'), 0), coalesce(sum(points) FILTER (WHERE kind = 'reversal'), 0),
    coalesce(sum(points) FILTER (WHERE kind = 'adjustment'), 0)
FROM entries GROUP BY hour, channel;

-- +goose Down

DROP TABLE earnings;

-- +goose Up

-- What the entries of every hour (UTC) and channel come to, by kind: how many there are, and the sum of their points. at is when
-- the hour begins; channel is '' where the entries have none. It moves in the transaction that adds the entries, and is filled
-- here from those that are there, which takes some seconds for every million. What a process of the version before applies beside
-- one of this is not in it until the ledger is folded anew (loyalty verify finds that, loyalty rebuild ledger does it).
CREATE TABLE earnings (
    at          INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    awards      INTEGER NOT NULL,
    reversals   INTEGER NOT NULL,
    adjustments INTEGER NOT NULL,
    awarded     INTEGER NOT NULL,
    reversed    INTEGER NOT NULL,
    adjusted    INTEGER NOT NULL,
    PRIMARY KEY (at, channel)
) STRICT, WITHOUT ROWID;

-- An hour has 3,600,000,000 microseconds, and a remainder has the sign of what is divided. An entry without a time is in the first
-- hour of the year 1.
INSERT INTO earnings (at, channel, awards, reversals, adjustments, awarded, reversed, adjusted)
SELECT occurred - (occurred % 3600000000 + 3600000000) % 3600000000 AS hour, channel,
    sum(kind = 'award'), sum(kind = 'reversal'), sum(kind = 'adjustment'),
    sum(iif(kind = 'award', points, 0)), sum(iif(kind = 'reversal', points, 0)), sum(iif(kind = 'adjustment', points, 0))
FROM (SELECT coalesce(occurred_at, -62135596800000000) AS occurred, channel, kind, points FROM entries)
GROUP BY hour, channel;

-- +goose Down

DROP TABLE earnings;

-- +goose Up

-- What support looks for. Columns come in at once, however much there is; the indexes are built here, which takes some seconds
-- for every million entries.

-- loyalty_id is that of an adjustment. Both are '' in the entries that were there before: a rebuild fills them in.
ALTER TABLE entries ADD COLUMN loyalty_id TEXT NOT NULL DEFAULT '';
ALTER TABLE entries ADD COLUMN correlation TEXT NOT NULL DEFAULT '';

-- In which drawer of proxy names a customer is, 0 if it is not known. It is written once, with the account.
ALTER TABLE accounts ADD COLUMN drawer INTEGER NOT NULL DEFAULT 0;
CREATE INDEX accounts_drawer ON accounts (drawer) WHERE drawer > 0;

-- Ids come in no order, and a tree of all of them would be touched everywhere by every batch. Here 16,384 entries in a row
-- have a part of the tree to themselves, so that a batch touches only the last, which is small; who looks for an id looks into
-- each part.
CREATE INDEX entries_order ON entries (id >> 14, order_id);
CREATE INDEX entries_return ON entries (id >> 14, return_id) WHERE return_id <> '';
CREATE INDEX entries_loyalty ON entries (id >> 14, loyalty_id) WHERE loyalty_id <> '';

-- +goose Down

DROP INDEX entries_loyalty;
DROP INDEX entries_return;
DROP INDEX entries_order;
DROP INDEX accounts_drawer;
ALTER TABLE accounts DROP COLUMN drawer;
ALTER TABLE entries DROP COLUMN correlation;
ALTER TABLE entries DROP COLUMN loyalty_id;

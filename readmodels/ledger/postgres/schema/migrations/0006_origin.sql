-- +goose Up

-- What a checkpoint says beside its position: the id of the log, our last event at or before the position, and the version of the fold. It is empty
-- where a version of the program moved the checkpoint that knew only positions.
ALTER TABLE state ADD COLUMN origin text NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE state DROP COLUMN origin;

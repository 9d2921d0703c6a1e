-- Something that people look at has changed: one row a transaction, whatever its size. Rows are deleted after two hours.
CREATE TABLE changes (
    seq  INTEGER     NOT NULL PRIMARY KEY AUTOINCREMENT, -- the order of commits, because there is one writer
    at   TIMESTAMPTZ NOT NULL,
    what TEXT        NOT NULL -- JSON
);
-- Names the feed, for cursors that come from another database.
INSERT INTO settings (name, value) VALUES ('feed', lower(hex(randomblob(8))));

-- Something that people look at has changed: one row a transaction, whatever its size. Every `serve` reads them. Rows are deleted
-- after two hours.
CREATE TABLE changes (
    xid  XID8        NOT NULL DEFAULT pg_current_xact_id(), -- readers compare it with the snapshots that they read by
    seq  BIGSERIAL   NOT NULL, -- given before the commit, so no reader may go by it alone
    at   TIMESTAMPTZ NOT NULL,
    what TEXT        NOT NULL, -- JSON
    PRIMARY KEY (xid, seq)
);

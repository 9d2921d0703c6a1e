-- Screens that staff work by: one row a board, however many orders it shows. Rows are deleted after a day without a report.
CREATE TABLE boards (
    id          UUID        NOT NULL PRIMARY KEY, -- made by the screen
    account_id  UUID        NOT NULL REFERENCES users (id), -- of the latest report
    reported_at TIMESTAMPTZ NOT NULL,
    seen_until  TIMESTAMPTZ NOT NULL, -- it has shown what was recorded before
    shown_until TIMESTAMPTZ -- orders due before have room on it; null: all have
);

-- Running processes: one row each, renewed every few seconds. Rows are deleted after a day.
CREATE TABLE instances (
    id        UUID        NOT NULL PRIMARY KEY,
    role      TEXT        NOT NULL, -- `serve` or `work`
    version   TEXT        NOT NULL,
    since     TIMESTAMPTZ NOT NULL,
    last_seen TIMESTAMPTZ NOT NULL
);

-- Who changed what. Entries are never changed and never deleted: triggers refuse it (src/store/migrations/append_only_triggers.rs). Nothing here refers to
-- other tables, so that an entry outlives what it is about. The moves of orders are not here but where they always were.
CREATE TABLE audit_entries (
    id           UUID        NOT NULL PRIMARY KEY,
    at           TIMESTAMPTZ NOT NULL,
    actor_id     UUID, -- an account; null: an operator at the command line
    action       TEXT        NOT NULL,
    subject_kind TEXT        NOT NULL,
    subject_id   UUID        NOT NULL,
    changes      JSON        NOT NULL, -- [{"field":…,"before":…,"after":…}]
    request_id   TEXT
);
-- The whole trail is read kind by kind: with an index over all of it PostgreSQL would look there for what somebody did who did much,
-- long ago.
CREATE INDEX audit_of_actor ON audit_entries (actor_id, at DESC, id DESC) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_of_operators ON audit_entries (at DESC, id DESC) WHERE actor_id IS NULL;
CREATE INDEX audit_of_subject ON audit_entries (subject_id, at DESC, id DESC);
CREATE INDEX audit_of_action ON audit_entries (action, at DESC, id DESC);
CREATE INDEX audit_of_kind ON audit_entries (subject_kind, at DESC, id DESC);

-- Placing an order writes a move too, its first: it is in none of these, so that it costs no more than before. The conditions mean
-- the same in different words, so that PostgreSQL can't take the one index for the other, for the same reason.
-- Making them reads the whole table twice, while no order can be placed or moved.
ALTER TABLE order_moves ADD COLUMN request_id TEXT;
CREATE INDEX moves_newest ON order_moves (moved_at DESC, order_id DESC) WHERE from_status <> 'queued';
CREATE INDEX moves_of_actor ON order_moves (actor_id, moved_at DESC, order_id DESC) WHERE number > 1;

-- One file for both databases: PostgreSQL checks the types, SQLite takes any type name.
-- Times are UTC. Enumerations are text, so that a dump reads without the code beside it.

-- What one installation keeps for itself, such as the key that marks order ids.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO settings (name, value) VALUES ('menu_edition', '0'); -- counts the changes to the menu

CREATE TABLE users (
    id                UUID        NOT NULL PRIMARY KEY,
    username          TEXT        NOT NULL,
    email             TEXT        NOT NULL, -- lower case
    password_hash     TEXT        NOT NULL,
    role              TEXT        NOT NULL CHECK (role IN ('customer', 'employee', 'admin')),
    active            BOOLEAN     NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    access_changed_at TIMESTAMPTZ NOT NULL  -- when role or active last changed: tokens issued before are checked against it
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_page ON users (created_at, id);
CREATE INDEX users_access_changed ON users (access_changed_at);

CREATE TABLE recipes (
    id                  UUID        NOT NULL PRIMARY KEY,
    name                TEXT        NOT NULL,
    name_key            TEXT        NOT NULL, -- the name in lower case: what it is found by
    build               TEXT        NOT NULL CHECK (build IN ('built', 'stirred', 'shaken', 'sour', 'collins')),
    glass               TEXT        NOT NULL,
    ingredients         JSON        NOT NULL,
    garnish             TEXT,
    method              TEXT        NOT NULL,
    preparation_seconds INTEGER     CHECK (preparation_seconds > 0), -- null: as long as its build takes
    available           BOOLEAN     NOT NULL,
    archived_at         TIMESTAMPTZ,
    created_at          TIMESTAMPTZ NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL
);
-- The name of an archived recipe is free again.
CREATE UNIQUE INDEX recipes_name_key ON recipes (name_key) WHERE archived_at IS NULL;

CREATE TABLE orders (
    id            UUID        NOT NULL PRIMARY KEY, -- given at intake; also the message id at the broker
    customer_id   UUID        NOT NULL REFERENCES users (id),
    placed_by     UUID        NOT NULL REFERENCES users (id), -- the customer, or who ordered for them
    table_name    TEXT,
    note          TEXT,
    status        TEXT        NOT NULL
        CHECK (status IN ('pending', 'in_progress', 'ready', 'completed', 'cancelled', 'failed')),
    status_reason TEXT,
    bartender_id  UUID REFERENCES users (id),
    priority      SMALLINT    NOT NULL, -- 1 (quickest to make) to 4
    due_at        TIMESTAMPTZ NOT NULL, -- working order: placed_at and the time its slowest drink takes
    placed_at     TIMESTAMPTZ NOT NULL,
    recorded_at   TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    version       INTEGER     NOT NULL, -- the number of its latest history row
    fingerprint   BYTEA       NOT NULL  -- SHA-256 of what was ordered: tells a repeat from another order under the same id
);
CREATE INDEX orders_working_order ON orders (due_at, id) WHERE status = 'pending';
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at DESC, id DESC);
CREATE INDEX orders_in_status ON orders (status, placed_at DESC, id DESC);
CREATE INDEX orders_at_table ON orders (table_name, placed_at DESC, id DESC) WHERE table_name IS NOT NULL;

CREATE TABLE order_lines (
    order_id    UUID     NOT NULL REFERENCES orders (id),
    position    SMALLINT NOT NULL, -- from 1
    recipe_id   UUID     NOT NULL REFERENCES recipes (id),
    recipe_name TEXT     NOT NULL, -- as it was when ordered
    quantity    SMALLINT NOT NULL CHECK (quantity > 0),
    note        TEXT,
    PRIMARY KEY (order_id, position)
);

CREATE TABLE order_moves (
    order_id    UUID        NOT NULL REFERENCES orders (id),
    number      INTEGER     NOT NULL, -- from 1, without gaps
    from_status TEXT        NOT NULL,
    to_status   TEXT        NOT NULL,
    actor_id    UUID        NOT NULL REFERENCES users (id),
    reason      TEXT,
    moved_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, number)
);

-- Accepted messages that can never be stored as orders, kept as they came.
CREATE TABLE dead_letters (
    id         UUID        NOT NULL PRIMARY KEY,
    order_id   UUID, -- null: the message did not say
    reason     TEXT        NOT NULL,
    payload    BYTEA       NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX dead_letters_of_order ON dead_letters (order_id);
CREATE INDEX dead_letters_newest ON dead_letters (created_at DESC, id DESC);

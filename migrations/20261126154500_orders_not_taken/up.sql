-- Orders that came under the id of one that is stored, from the same customer: another content under a used Idempotency-Key.
-- The first content is kept; a few rows say that others came. They go with their order.
CREATE TABLE orders_not_taken (
    order_id    UUID        NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    number      INTEGER     NOT NULL, -- from 1
    fingerprint BYTEA       NOT NULL, -- of what was ordered: a message that comes again adds no row
    placed_by   UUID        NOT NULL, -- an account
    noted_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, number)
);
CREATE UNIQUE INDEX orders_not_taken_content ON orders_not_taken (order_id, fingerprint);

DROP INDEX orders_in_status;
CREATE INDEX orders_in_status ON orders (status, placed_at DESC, id DESC);

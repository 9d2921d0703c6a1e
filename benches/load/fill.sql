-- Fills an empty, seeded PostgreSQL database with {orders} orders (at least 2,200): two years of finished ones, and on top
-- the same board whatever their number: 2,000 pending, 100 in progress, 100 ready. Then run VACUUM ANALYZE.
-- {orders} is replaced before this is run, as one batch, by the tables' owner.
BEGIN;
SET LOCAL synchronous_commit = off;
SET LOCAL maintenance_work_mem = '512MB';
SET LOCAL work_mem = '128MB';
SELECT setseed(0.5); -- the same orders every time

DO $$ BEGIN
    IF EXISTS (SELECT FROM orders) THEN RAISE 'there are orders already'; END IF;
END $$;
-- Empties nothing; but a server with wal_level = minimal writes no log for what is put into a table after this.
TRUNCATE orders, order_lines, order_moves, orders_not_taken;

-- Keys and indexes are made anew at the end, from what the migrations made: sorting once is faster than 100 million insertions.
CREATE TEMPORARY TABLE made_anew ON COMMIT DROP AS
    SELECT c.contype = 'f' AS foreign_key,
           format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) AS away,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) AS back
    FROM pg_constraint c
    WHERE c.conrelid IN ('orders'::regclass, 'order_lines'::regclass, 'order_moves'::regclass, 'orders_not_taken'::regclass)
        AND c.contype IN ('p', 'f')
    UNION ALL
    SELECT false, format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
    FROM pg_index i
    WHERE i.indrelid IN ('orders'::regclass, 'order_lines'::regclass, 'order_moves'::regclass)
        AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype = 'p');
DO $$
DECLARE statement text;
BEGIN
    FOR statement IN SELECT away FROM made_anew ORDER BY foreign_key DESC LOOP EXECUTE statement; END LOOP;
END $$;

-- 50,000 customers with the demo customer's password.
INSERT INTO users (id, username, email, password_hash, role, active, created_at, access_changed_at)
SELECT md5('customer ' || n)::uuid, 'Customer ' || n, 'customer' || n || '@example.com', demo.password_hash, 'customer', true,
       demo.created_at, demo.created_at
FROM generate_series(1, 50000) AS n, (SELECT * FROM users WHERE email = 'user@example.com') AS demo;

CREATE TEMPORARY TABLE customers (number integer PRIMARY KEY, id uuid NOT NULL) ON COMMIT DROP;
INSERT INTO customers
SELECT row_number() OVER (ORDER BY email <> 'user@example.com', id) - 1, id FROM users WHERE role = 'customer';
CREATE TEMPORARY TABLE drinks (number integer PRIMARY KEY, id uuid NOT NULL, name text NOT NULL) ON COMMIT DROP;
INSERT INTO drinks SELECT row_number() OVER (ORDER BY name) - 1, id, name FROM recipes WHERE archived_at IS NULL;

-- How each state was reached.
CREATE TEMPORARY TABLE ways (
    status text, number integer, from_status text, to_status text, by_staff boolean, after interval
) ON COMMIT DROP;
INSERT INTO ways
SELECT status, row_number, path[row_number], path[row_number + 1], row_number > 1, (row_number - 1) * interval '90 s'
FROM (VALUES
    ('pending', ARRAY['queued', 'pending']),
    ('in_progress', ARRAY['queued', 'pending', 'in_progress']),
    ('ready', ARRAY['queued', 'pending', 'in_progress', 'ready']),
    ('completed', ARRAY['queued', 'pending', 'in_progress', 'ready', 'completed']),
    ('cancelled', ARRAY['queued', 'pending', 'cancelled']),
    ('failed', ARRAY['queued', 'pending', 'in_progress', 'failed'])
) AS paths (status, path), LATERAL generate_series(1, cardinality(path) - 1) AS row_number;
ANALYZE customers, drinks, ways;

-- In the order they were placed, as they would have come. One in 100 is the demo customer's; of the others some order much more
-- than others. Of 100 tables; one order in five has none.
INSERT INTO orders (id, customer_id, placed_by, table_name, note, status, status_reason, bartender_id, priority, due_at, placed_at,
                    recorded_at, updated_at, version, fingerprint)
SELECT (lpad(to_hex((extract(epoch FROM placed_at) * 1000)::bigint), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
       customers.id, customers.id, CASE WHEN place <= 100 THEN place::text END, CASE WHEN n % 50 = 0 THEN 'no straw' END,
       drawn.status, CASE WHEN drawn.status = 'failed' THEN 'out of limes' END,
       CASE WHEN reached.version > 1 AND drawn.status <> 'cancelled' THEN employee.id END,
       priority, placed_at + priority * interval '15 s', placed_at, placed_at + interval '20 ms', placed_at + reached.took,
       reached.version, sha256(int8send(n))
FROM (SELECT n, md5(n::text) AS hash,
             CASE WHEN n <= {orders} - 2200
                 THEN now() - interval '2 years' + (n::float8 / {orders}) * interval '729 days'
                 ELSE now() - ({orders} - n + 1) * interval '200 ms' END AS placed_at,
             CASE WHEN n > {orders} - 2000 THEN 'pending'
                 WHEN n > {orders} - 2100 THEN 'in_progress'
                 WHEN n > {orders} - 2200 THEN 'ready'
                 WHEN random() < 0.94 THEN 'completed'
                 WHEN random() < 0.84 THEN 'cancelled'
                 ELSE 'failed' END AS status,
             CASE WHEN random() < 0.01 THEN 0 ELSE 1 + floor(50000 * random() ^ 2)::integer END AS customer,
             1 + floor(125 * random())::integer AS place, 1 + floor(4 * random())::integer AS priority
      FROM generate_series(1::bigint, {orders}) AS n OFFSET 0) AS drawn
JOIN customers ON customers.number = drawn.customer
JOIN (SELECT status, max(number) AS version, max(after) AS took FROM ways GROUP BY status) AS reached USING (status),
(SELECT id FROM users WHERE email = 'employee@example.com') AS employee;

-- One to three lines each, which the id's last bytes choose.
INSERT INTO order_lines (order_id, position, recipe_id, recipe_name, quantity)
SELECT o.id, position, drinks.id, drinks.name, 1 + get_byte(uuid_send(o.id), 11) % 2
FROM orders AS o CROSS JOIN generate_series(1, 1 + get_byte(uuid_send(o.id), 15) % 3) AS position
JOIN drinks ON drinks.number = (get_byte(uuid_send(o.id), 11 + position) + 256 * position) % (SELECT count(*) FROM drinks);

INSERT INTO order_moves (order_id, number, from_status, to_status, actor_id, reason, moved_at)
SELECT o.id, ways.number, from_status, to_status, CASE WHEN by_staff AND o.bartender_id IS NOT NULL THEN o.bartender_id ELSE o.customer_id END,
       CASE WHEN to_status = 'failed' THEN o.status_reason END, o.recorded_at + after
FROM orders AS o JOIN ways USING (status);

ANALYZE orders, order_lines, order_moves; -- so that the checks of the foreign keys are planned well
DO $$
DECLARE statement text;
BEGIN
    FOR statement IN SELECT back FROM made_anew ORDER BY foreign_key LOOP EXECUTE statement; END LOOP;
END $$;
COMMIT;

//! Triggers that make the audit trail append-only. Each database has its own language for them, so they are
//! no migration: every migration run creates those that are missing.

/// PostgreSQL: rejects every statement that would change an entry, even if it would match none.
pub const POSTGRES: &str = "
    CREATE OR REPLACE FUNCTION is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$;
    CREATE OR REPLACE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION is_append_only();
    CREATE OR REPLACE TRIGGER order_moves_stay BEFORE UPDATE ON order_moves
        FOR EACH STATEMENT EXECUTE FUNCTION is_append_only();
";

/// SQLite. `INSERT OR REPLACE` deletes by key and by `rowid` without firing the trigger for deletions.
pub const SQLITE: &str = "
    CREATE TRIGGER IF NOT EXISTS audit_entries_stay BEFORE UPDATE ON audit_entries
        BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
    CREATE TRIGGER IF NOT EXISTS audit_entries_remain BEFORE DELETE ON audit_entries
        BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
    DROP TRIGGER IF EXISTS audit_entries_are_not_replaced;
    CREATE TRIGGER audit_entries_are_not_replaced BEFORE INSERT ON audit_entries
        WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id OR rowid = NEW.rowid)
        BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
    CREATE TRIGGER IF NOT EXISTS order_moves_stay BEFORE UPDATE ON order_moves
        BEGIN SELECT RAISE(ABORT, 'order_moves is append-only'); END;
";

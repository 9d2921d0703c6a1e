//! Macros that write a query once for both databases, and each of its optional conditions in one line.

/// Runs a Diesel query on whichever kind of database `$conn` is connected to.
macro_rules! on {
    ($conn:expr, $c:ident => $query:expr) => {
        match $conn {
            $crate::store::Conn::Pg(object) => {
                let $c = &mut **object;
                $query.await
            }
            $crate::store::Conn::Sqlite(object) => {
                let $c = &mut **object;
                $query.await
            }
        }
    };
}
pub(super) use on;

/// Runs a query with `$load`, such as `first`. PostgreSQL locks its rows until the transaction ends, with clauses such as
/// `for_update`; SQLite has one writer at a time.
macro_rules! on_locked {
    ($conn:expr, $query:expr, [$($lock:ident),+], $load:ident) => {
        match $conn {
            $crate::store::Conn::Pg(object) => $query$(.$lock())+.$load(&mut **object).await,
            $crate::store::Conn::Sqlite(object) => $query.$load(&mut **object).await,
        }
    };
}
pub(super) use on_locked;

/// Narrows a boxed query by those conditions whose pattern matches.
macro_rules! narrow {
    ($query:ident, $($pattern:pat = $value:expr => $condition:expr),+ $(,)?) => {
        $(if let $pattern = $value {
            $query = $query.filter($condition);
        })+
    };
}
pub(super) use narrow;

// A comparison that uses no index, so that the index of another condition is used: PostgreSQL would combine
// both, and read everything that a table ever ordered to show a page.
diesel::infix_operator!(Besides, " IS NOT DISTINCT FROM ", diesel::sql_types::Bool);

/// Narrows a boxed query to rows with this value. No index of the column is considered if another condition leads.
macro_rules! narrow_to {
    ($query:ident, $column:expr, $value:expr, $sql:ty, led: $led:expr) => {
        $query = if $led {
            $query.filter($crate::store::query_macros::Besides::new($column, $value.into_sql::<$sql>()))
        } else {
            $query.filter($column.eq($value))
        };
    };
}
pub(super) use narrow_to;

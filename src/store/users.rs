pub use crate::domain::filters::UserFilter;

use super::{Conn, Error, Result, Unique, narrow, on, on_locked, schema::users};
use crate::domain::{
    Timestamp,
    account::{Email, Role, User},
    ids::UserId,
    text::Username,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct UserRow {
    id: UserId,
    username: Username,
    email: Email,
    role: Role,
    active: bool,
    created_at: Timestamp,
    version: i32,
}

impl From<UserRow> for User {
    fn from(UserRow { id, username, email, role, active, created_at, version }: UserRow) -> Self {
        Self { id, username, email, role, active, created_at, version }
    }
}

/// Adds an account. Fails with [`Unique::Email`] if its address is in use.
pub async fn add(conn: &mut Conn, user: &User, password_hash: &str) -> Result<()> {
    if add_if_missing(conn, user, password_hash).await? { Ok(()) } else { Err(Error::Taken(Unique::Email)) }
}

/// Adds an account unless its address is in use. Returns whether it was added.
pub async fn add_if_missing(conn: &mut Conn, user: &User, password_hash: &str) -> Result<bool> {
    let User { id, username, email, role, active, created_at, .. } = user;
    let row = (
        users::id.eq(id),
        users::username.eq(username),
        users::email.eq(email),
        users::role.eq(role),
        users::active.eq(active),
        users::created_at.eq(created_at),
        users::access_changed_at.eq(created_at),
        users::password_hash.eq(password_hash),
    );
    let added =
        on!(conn, c => diesel::insert_into(users::table).values(row).on_conflict_do_nothing().execute(c))?;
    Ok(added == 1)
}

/// Finds the account with this address, and its password hash.
pub async fn by_email(conn: &mut Conn, email: &Email) -> Result<Option<(User, String)>> {
    let found: Option<(UserRow, String)> = on!(conn, c => users::table
        .filter(users::email.eq(email))
        .select((UserRow::as_select(), users::password_hash))
        .first(c))
    .optional()?;
    Ok(found.map(|(row, hash)| (row.into(), hash)))
}

/// Finds the account with this id, and its password hash.
pub async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<(User, String)>> {
    let found: Option<(UserRow, String)> = on!(conn, c => users::table
        .find(id)
        .select((UserRow::as_select(), users::password_hash))
        .first(c))
    .optional()?;
    Ok(found.map(|(row, hash)| (row.into(), hash)))
}

/// Finds an account and its password hash, and locks it until the transaction ends.
pub async fn lock(conn: &mut Conn, id: UserId) -> Result<Option<(User, String)>> {
    let user = users::table.find(id);
    // Weak enough that orders of the account can be inserted meanwhile.
    let found: Option<(UserRow, String)> = on_locked!(
        conn,
        user.select((UserRow::as_select(), users::password_hash)),
        [for_no_key_update],
        first
    )
    .optional()?;
    Ok(found.map(|(row, hash)| (row.into(), hash)))
}

/// Replaces the password hash. Returns false if the account does not exist.
pub async fn set_password_hash(conn: &mut Conn, id: UserId, hash: &str) -> Result<bool> {
    Ok(on!(conn, c => diesel::update(users::table.find(id)).set(users::password_hash.eq(hash)).execute(c))?
        == 1)
}

/// Sets the role or the activity. Returns `None` if the account does not exist.
pub async fn set_access(
    conn: &mut Conn,
    id: UserId,
    role: Option<Role>,
    active: Option<bool>,
    at: Timestamp,
) -> Result<Option<User>> {
    let changed: Option<UserRow> = on!(conn, c => diesel::update(users::table.find(id))
        .set((role.map(|role| users::role.eq(role)), active.map(|active| users::active.eq(active)), users::access_changed_at.eq(at), users::version.eq(users::version + 1)))
        .returning(UserRow::as_returning())
        .get_result(c))
    .optional()?;
    Ok(changed.map(User::from))
}

/// Counts the other active admins, and locks them until the transaction ends: two admins who deactivate each
/// other at once must not both succeed.
pub async fn lock_other_active_admins(conn: &mut Conn, id: UserId) -> Result<usize> {
    // Sorted, so that the two wait for each other instead of deadlocking.
    let admins = users::table
        .filter(users::role.eq(Role::Admin).and(users::active.eq(true)))
        .order(users::id)
        .select(users::id);
    let admins: Vec<UserId> = on_locked!(conn, admins, [for_no_key_update], load)?;
    Ok(admins.into_iter().filter(|admin| *admin != id).count())
}

/// Loads the accounts whose role or activity changed at or after `since`, as they are now.
pub async fn access_changed_since(conn: &mut Conn, since: Timestamp) -> Result<Vec<(UserId, Role, bool)>> {
    Ok(on!(conn, c => users::table
        .filter(users::access_changed_at.ge(since).and(users::access_changed_at.ne(users::created_at)))
        .select((users::id, users::role, users::active))
        .load(c))?)
}

/// Loads the inactive accounts whose role or activity changed at or after `since`, latest first, with the
/// time of that change, `limit` at most.
pub async fn deactivated_since(
    conn: &mut Conn,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<(UserId, Timestamp)>> {
    Ok(on!(conn, c => users::table
        .filter(users::access_changed_at.ge(since).and(users::access_changed_at.ne(users::created_at)))
        .filter(users::active.eq(false))
        .order(users::access_changed_at.desc())
        .select((users::id, users::access_changed_at))
        .limit(limit)
        .load(c))?)
}

/// Loads a page of accounts, oldest first, after the position `after`.
pub async fn page(
    conn: &mut Conn,
    filter: UserFilter,
    after: Option<(Timestamp, UserId)>,
    limit: i64,
) -> Result<Vec<User>> {
    let rows: Vec<UserRow> = on!(conn, c => {
        let mut query = users::table.select(UserRow::as_select()).into_boxed();
        narrow!(query,
            Some(role) = filter.role => users::role.eq(role),
            Some(active) = filter.active => users::active.eq(active),
            Some((at, id)) = after =>
                users::created_at.ge(at).and(users::created_at.gt(at).or(users::id.gt(id))),
        );
        query.order((users::created_at, users::id)).limit(limit).load(c)
    })?;
    Ok(rows.into_iter().map(User::from).collect())
}

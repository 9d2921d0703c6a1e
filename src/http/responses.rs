//! What the API answers with.

use crate::{
    domain::{
        Timestamp,
        account::{Email, Role, User},
        ids::{OrderId, RecipeId, UserId},
        order::{HistoryEntry, NewOrder, Order, OrderLine},
        order_state::Status,
        priority,
        recipe::{Build, Ingredients, Recipe},
        text::{Method, Name, Note, Table, Username},
    },
    services::accounts::IssuedTokens,
};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AnyOfBuilder, Ref, Schema},
    },
};

/// An order. What can't be known of it while it is queued is null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderView {
    /// Its name for good.
    id: OrderId,
    /// Where it stands.
    status: Status,
    /// Why it was cancelled or failed, if someone said.
    #[schema(required)]
    status_reason: Option<Note>,
    /// What to make: 1 to 20 lines.
    items: Vec<OrderLine>,
    /// Where to.
    #[schema(required)]
    table: Option<Table>,
    /// What the guest added about the whole order.
    #[schema(required)]
    note: Option<Note>,
    /// Whose drinks these are.
    customer_id: UserId,
    /// Who ordered: the customer, or staff for them.
    placed_by: UserId,
    /// Who works on it, or did last.
    #[schema(required)]
    bartender_id: Option<UserId>,
    /// 1 (quickest to make) to 4.
    #[schema(minimum = 1, maximum = 4)]
    priority: u8,
    /// When it was accepted.
    placed_at: Timestamp,
    /// Its place in the working order.
    due_at: Timestamp,
    /// When it was stored.
    #[schema(required)]
    recorded_at: Option<Timestamp>,
    /// When it last moved.
    updated_at: Timestamp,
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        Self {
            status: order.status,
            status_reason: order.status_reason,
            bartender_id: order.bartender_id,
            recorded_at: Some(order.recorded_at),
            updated_at: order.updated_at,
            ..Self::from(order.placed)
        }
    }
}

impl From<NewOrder> for OrderView {
    /// An order that is accepted and not stored yet.
    fn from(order: NewOrder) -> Self {
        Self {
            id: order.id,
            status: Status::Queued,
            status_reason: None,
            items: order.lines,
            table: order.table,
            note: order.note,
            customer_id: order.customer_id,
            placed_by: order.placed_by,
            bartender_id: None,
            priority: order.priority,
            placed_at: order.placed_at,
            due_at: order.due_at,
            recorded_at: None,
            updated_at: order.placed_at,
        }
    }
}

/// An order that was accepted and is not stored, of which no more is known here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnstoredOrder)]
pub struct UnstoredView {
    /// Its name for good.
    id: OrderId,
    /// `queued`, or `failed` if it could not be stored.
    status: Status,
    /// Why it failed.
    #[schema(required)]
    status_reason: Option<&'static str>,
}

impl UnstoredView {
    /// One that another process accepted.
    pub fn queued(id: OrderId) -> Self {
        Self { id, status: Status::Queued, status_reason: None }
    }

    /// One that became a dead letter.
    pub fn lost(id: OrderId) -> Self {
        Self {
            id,
            status: Status::Failed,
            status_reason: Some("It could not be stored. Please ask at the bar."),
        }
    }
}

/// An order, or what is known of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StandingView {
    /// All of it.
    Whole(OrderView),
    /// Of one that is not stored.
    Unstored(UnstoredView),
}

// By hand, because what is derived says that it is exactly one of them, and an order is also all that an unstored one is.
impl PartialSchema for StandingView {
    fn schema() -> RefOr<Schema> {
        let [whole, unstored] = [OrderView::name(), UnstoredView::name()].map(Ref::from_schema_name);
        AnyOfBuilder::new().item(whole).item(unstored).into()
    }
}

impl ToSchema for StandingView {
    fn name() -> Cow<'static, str> {
        "OrderStanding".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((UnstoredView::name().into(), UnstoredView::schema()));
        UnstoredView::schemas(schemas);
    }
}

/// One move of an order. Where `from` and `to` are the same the order did not move: another order under its key was not taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub struct MoveView {
    /// Its place, from 1.
    #[schema(minimum = 1)]
    number: i32,
    /// Where the order stood.
    from: Status,
    /// Where it stood then.
    to: Status,
    /// Who moved it.
    by: UserId,
    /// Why, if they said.
    #[schema(required)]
    reason: Option<Note>,
    /// When.
    at: Timestamp,
}

impl From<HistoryEntry> for MoveView {
    fn from(HistoryEntry { number, from, to, actor_id, reason, moved_at }: HistoryEntry) -> Self {
        Self { number, from, to, by: actor_id, reason, at: moved_at }
    }
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct UserView {
    /// Its name for machines.
    id: UserId,
    /// Its name for people.
    username: Username,
    /// What it signs in with, in lower case.
    #[schema(value_type = Email)]
    email: String,
    /// What it may do.
    role: Role,
    /// Whether it may do anything at all.
    active: bool,
    /// When it was made.
    created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(User { id, username, email, role, active, created_at, .. }: User) -> Self {
        Self { id, username, email: email.as_str().to_owned(), role, active, created_at }
    }
}

/// An account that has just signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInView {
    /// Who signed in.
    user: UserView,
    /// What proves that, to be sent with each request: `Authorization: Bearer TOKEN`.
    token: String,
    /// Always `Bearer`.
    #[schema(examples("Bearer"))]
    token_type: &'static str,
    /// Until when the token counts.
    expires_at: Timestamp,
    /// In how many seconds that is.
    #[schema(minimum = 1)]
    expires_in: i64,
    /// What the next `token` is got with, once: `POST /token/refresh`.
    refresh_token: String,
}

impl From<IssuedTokens> for SignedInView {
    fn from(IssuedTokens { user, token, refresh_token }: IssuedTokens) -> Self {
        Self {
            user: user.into(),
            token: token.text,
            token_type: "Bearer",
            expires_at: token.expires_at,
            expires_in: token.expires_in,
            refresh_token,
        }
    }
}

/// A drink.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipe)]
pub struct RecipeView<'a> {
    /// Its name for machines.
    id: RecipeId,
    /// What guests call it.
    name: &'a Name,
    /// How it is built.
    build: Build,
    /// What it is served in.
    glass: &'a Name,
    /// What goes in.
    ingredients: &'a Ingredients,
    /// What goes on top.
    #[schema(required)]
    garnish: Option<&'a Name>,
    /// How it is made, in words.
    method: &'a Method,
    /// How long one takes, whether the recipe or its build says so.
    #[schema(minimum = 1, maximum = 600)]
    preparation_seconds: u16,
    /// 1 (quickest to make) to 4.
    #[schema(minimum = 1, maximum = 4)]
    priority: u8,
    /// Whether it can be had now; false when it is sold out.
    available: bool,
    /// When it came onto the menu.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl<'a> From<&'a Recipe> for RecipeView<'a> {
    fn from(Recipe { id, spec, available, created_at, updated_at, .. }: &'a Recipe) -> Self {
        Self {
            id: *id,
            name: &spec.name,
            build: spec.build,
            glass: &spec.glass,
            ingredients: &spec.ingredients,
            garnish: spec.garnish.as_ref(),
            method: &spec.method,
            preparation_seconds: spec.seconds(),
            priority: priority::priority(spec.seconds()),
            available: *available,
            created_at: *created_at,
            updated_at: *updated_at,
        }
    }
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderPage)]
pub struct OrdersView {
    /// The orders.
    pub orders: Vec<OrderView>,
    /// Where the next page begins, if there is one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Orders that were cancelled together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CancelledOrders, examples(json!({ "cancelled": 1, "order_ids": ["01a203c7-a828-7562-865f-b3ef9919e243"] })))]
pub struct CancelledView<'a> {
    /// How many there were.
    pub cancelled: usize,
    /// Which they were: the latest first, those that were pending before those that were in progress.
    pub order_ids: &'a [OrderId],
}

/// The moves of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderHistory)]
pub struct HistoryView {
    /// First to last.
    pub history: Vec<MoveView>,
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountPage)]
pub struct UsersView {
    /// The accounts.
    pub users: Vec<UserView>,
    /// Where the next page begins, if there is one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The menu.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecipePage)]
pub struct MenuView<'a> {
    /// The drinks.
    pub recipes: Vec<RecipeView<'a>>,
    /// Always null: the menu comes whole.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

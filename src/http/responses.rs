use super::examples;
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
use utoipa::ToSchema;

/// An order. Fields that are not known while it is queued are null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order, examples(examples::order))]
pub struct OrderView {
    /// The id, which never changes.
    id: OrderId,
    /// The status, which transitions change.
    status: Status,
    /// The reason why it was cancelled or failed, if one was given.
    #[schema(required)]
    status_reason: Option<Note>,
    /// The drinks: 1 to 20 lines.
    items: Vec<OrderLine>,
    /// The table to which the drinks go.
    #[schema(required)]
    table: Option<Table>,
    /// The guest's note about the whole order.
    #[schema(required)]
    note: Option<Note>,
    /// The account for which the drinks are.
    customer_id: UserId,
    /// The account that ordered: the customer's, or that of staff.
    placed_by: UserId,
    /// The account that works on it, or did last.
    #[schema(required)]
    bartender_id: Option<UserId>,
    /// 1 (quickest to make) to 4.
    #[schema(minimum = 1, maximum = 4)]
    priority: u8,
    /// The time at which it was accepted.
    placed_at: Timestamp,
    /// The time by which the working order sorts it.
    due_at: Timestamp,
    /// The time at which it was stored.
    #[schema(required)]
    recorded_at: Option<Timestamp>,
    /// The time of its last transition.
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
    /// Shows an order that is accepted and not stored yet.
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

/// An order that was accepted and is not stored, of which this process knows no more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnstoredOrder, examples(json!({ "id": examples::ORDER, "status": "queued", "status_reason": null })))]
pub struct UnstoredView {
    /// The id, which never changes.
    id: OrderId,
    /// `queued`, or `failed` if it could not be stored.
    status: Status,
    /// The reason why it failed.
    #[schema(required)]
    status_reason: Option<&'static str>,
}

impl UnstoredView {
    /// An order that another process accepted.
    pub fn queued(id: OrderId) -> Self {
        Self { id, status: Status::Queued, status_reason: None }
    }

    /// An order that became a dead letter.
    pub fn lost(id: OrderId) -> Self {
        Self {
            id,
            status: Status::Failed,
            status_reason: Some("It could not be stored. Please ask at the bar."),
        }
    }
}

/// An order, or as much as is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderStanding, examples(examples::order))]
#[serde(untagged)]
pub enum OrderStatusView {
    Whole(OrderView),
    Unstored(UnstoredView),
}

/// A transition of an order. Where `from` and `to` are the same the order did not change: another order under its key was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry, examples(examples::transition))]
pub struct TransitionView {
    /// The position in the history, from 1.
    #[schema(minimum = 1)]
    number: i32,
    /// The status before the transition.
    from: Status,
    /// The status after the transition.
    to: Status,
    /// The account that made the transition.
    by: UserId,
    /// The reason, if one was given.
    #[schema(required)]
    reason: Option<Note>,
    /// The time of the transition.
    at: Timestamp,
}

impl From<HistoryEntry> for TransitionView {
    fn from(HistoryEntry { number, from, to, actor_id, reason, moved_at }: HistoryEntry) -> Self {
        Self { number, from, to, by: actor_id, reason, at: moved_at }
    }
}

/// An account of a guest or of staff.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account, examples(examples::account))]
pub struct UserView {
    /// The id, which never changes.
    id: UserId,
    /// The name that people see; other accounts may have the same.
    username: Username,
    /// The address that it signs in with, in lower case.
    #[schema(value_type = Email)]
    email: String,
    /// The role, which decides what it may do.
    role: Role,
    /// False when it is switched off, and may do nothing.
    active: bool,
    /// The time at which it was registered.
    created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(User { id, username, email, role, active, created_at, .. }: User) -> Self {
        Self { id, username, email: email.as_str().to_owned(), role, active, created_at }
    }
}

/// An account that has just signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn, examples(json!({
    "user": examples::account(), "token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIw.c2lnbmVk",
    "token_type": "Bearer", "expires_at": "2026-11-22T15:17:26Z", "expires_in": 900,
    "refresh_token": "AaIDxxxwdVOktN6Xt1UYOdcPbWD6Q0qh3kV1R8yq2oZ0lYx4JtB7uN5mE9wS6cKf",
})))]
pub struct SignedInView {
    /// The account that signed in.
    user: UserView,
    /// The access token, to be sent with each request: `Authorization: Bearer TOKEN`.
    token: String,
    /// Always `Bearer`.
    #[schema(examples("Bearer"))]
    token_type: &'static str,
    /// The time until which the token is valid.
    expires_at: Timestamp,
    /// The same in seconds from now.
    #[schema(minimum = 1)]
    expires_in: i64,
    /// The refresh token, which gets the next tokens, once: `POST /token/refresh`.
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

/// A recipe on the menu.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipe, examples(examples::recipe))]
pub struct RecipeView<'a> {
    /// The id, which never changes.
    id: RecipeId,
    /// The name by which guests order it.
    name: &'a Name,
    /// The way in which it is built.
    build: Build,
    /// The glass in which it is served.
    glass: &'a Name,
    /// The ingredients with their amounts.
    ingredients: &'a Ingredients,
    /// The garnish, if there is one.
    #[schema(required)]
    garnish: Option<&'a Name>,
    /// The instructions for the bartender.
    method: &'a Method,
    /// The time that one drink takes, given by the recipe or else by its build.
    #[schema(minimum = 1, maximum = 600)]
    preparation_seconds: u16,
    /// 1 (quickest to make) to 4.
    #[schema(minimum = 1, maximum = 4)]
    priority: u8,
    /// False when it is sold out.
    available: bool,
    /// The time at which it came onto the menu.
    created_at: Timestamp,
    /// The time of the last change.
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

/// A page of a list of orders.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderPage, examples(json!({ "orders": [examples::order()], "next_cursor": examples::CURSOR })))]
pub struct OrdersView {
    /// The orders on this page.
    pub orders: Vec<OrderView>,
    /// The cursor of the next page, if there is one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Orders that were cancelled together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CancelledOrders, examples(json!({ "cancelled": 1, "order_ids": ["01a203c7-a828-7562-865f-b3ef9919e243"] })))]
pub struct CancelledView<'a> {
    /// The number of cancelled orders.
    pub cancelled: usize,
    /// The orders: the latest first, those that were pending before those that were in progress.
    pub order_ids: &'a [OrderId],
}

/// The transitions of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderHistory, examples(json!({ "history": [examples::transition()] })))]
pub struct HistoryView {
    /// The transitions, first to last.
    pub history: Vec<TransitionView>,
}

/// A page of the list of accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountPage, examples(json!({ "users": [examples::account()], "next_cursor": null })))]
pub struct UsersView {
    /// The accounts on this page.
    pub users: Vec<UserView>,
    /// The cursor of the next page, if there is one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The recipes on the menu.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecipePage, examples(json!({ "recipes": [examples::recipe()], "next_cursor": null })))]
pub struct MenuView<'a> {
    /// The recipes, sorted by name.
    pub recipes: Vec<RecipeView<'a>>,
    /// Always null: the menu comes whole.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

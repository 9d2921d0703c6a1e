use super::prelude::*;
use crate::http::{
    changes_cursor,
    extract::query::{PageLimit, Query, TimeParam, page_response, query_parameters},
    responses::{OrderView, OrdersView},
};
use crate::{
    domain::{
        Timestamp,
        ids::{OrderId, RecipeId, UserId},
        order::Order,
        order_state::Status,
        text::{Name, Table},
        validation::via_serde,
    },
    services::{
        accounts::Caller,
        orders::board::{OrderFilter, OrderPage, OrderPageKey},
    },
};

query_parameters! {
    paged
    /// Filters of a list of orders; all of them must match.
    OrderParams {
        /// Only orders with one of these statuses, given repeatedly or separated by commas.
        #[param(value_type = Option<Vec<Status>>)]
        status: Statuses,
        /// Only orders for this table.
        table: Table,
        /// Only orders of this account; others' are for staff.
        customer: UserId,
        /// Only orders with this drink, by id or by name, in any case. A page may then have fewer entries than `limit`, or none, and
        /// still lead to another.
        drink: String,
        /// Only orders placed at this time or later.
        #[param(value_type = Option<Timestamp>)]
        placed_from: TimeParam,
        /// Only orders placed before this time.
        #[param(value_type = Option<Timestamp>)]
        placed_until: TimeParam,
    }
}

/// Statuses separated by commas, each once.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Statuses(Vec<Status>);

via_serde!(Statuses);

impl TryFrom<String> for Statuses {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut statuses = text.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        statuses.sort_unstable();
        statuses.dedup();
        Ok(Self(statuses))
    }
}

/// Lists orders: all for staff, the caller's own for customers
///
/// Newest first; staff get the pending ones (`status=pending`) in working order.
#[utoipa::path(get, path = "/orders", operation_id = "list_orders", tag = "orders", security(("token" = [])),
    params(OrderParams),
    responses(
        (status = 200, description = "A page of orders.", body = OrdersView,
            headers(("Changes-Cursor" = String), ("Link" = String))),
        ForToken, NotPermitted, ForQuery, Unavailable))]
pub async fn list(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    query: Query<OrderParams>,
) -> Answer {
    let changes_cursor = app.feed.cursor();
    let filter = filter(&app, caller, &query.params).await?;
    let working_order = caller.role.is_staff() && filter.statuses == [Status::Pending];
    let list = if working_order { 'w' } else { 'n' };
    let page = query.page(list, query.params.limit, query.params.cursor.as_deref())?;
    let after = page.after.map(|(at, id)| OrderPageKey { at, id: OrderId(id) });
    let OrderPage { mut orders, searched } =
        app.board.page(filter, working_order, after, page.limit()).await?;
    let key = |order: &Order| {
        (if working_order { order.placed.due_at } else { order.placed.placed_at }, order.placed.id.0)
    };
    let next_cursor = page.cut(&mut orders, key, searched.map(|OrderPageKey { at, id }| (at, id.0)));
    let orders = orders.into_iter().map(OrderView::from).collect();
    let response = page_response(&request, next_cursor.clone(), OrdersView { orders, next_cursor }).await?;
    Ok(changes_cursor::add(response, &changes_cursor))
}

/// The filter that the caller asks for: customers see their own orders only.
async fn filter(app: &AppState, caller: Caller, params: &OrderParams) -> Result<OrderFilter, Problem> {
    let staff = caller.role.is_staff();
    if !staff && params.customer.is_some_and(|customer| customer != caller.id) {
        return Err(Problem::not_permitted("Only staff see the orders of others."));
    }
    let placed_from = params.placed_from.map(|from| from.0);
    let placed_until = params.placed_until.map(|until| until.0);
    if placed_from.zip(placed_until).is_some_and(|(from, until)| from >= until) {
        return Err(Problem::of_parameter("placed_until", "must be later than placed_from"));
    }
    Ok(OrderFilter {
        customer: if staff { params.customer } else { Some(caller.id) },
        statuses: params.status.clone().map_or_else(Vec::new, |statuses| statuses.0),
        table: params.table.clone(),
        drinks: match &params.drink {
            Some(drink) => Some(drinks(app, drink).await?),
            None => None,
        },
        placed_from,
        placed_until,
    })
}

/// Finds the drinks with this id or name.
async fn drinks(app: &AppState, id_or_name: &str) -> Result<Vec<RecipeId>, Problem> {
    if let Ok(id) = id_or_name.parse() {
        return Ok(vec![id]);
    }
    let name = Name::try_from(id_or_name).map_err(|problem| Problem::of_parameter("drink", problem))?;
    Ok(app.menu.called(name).await?)
}

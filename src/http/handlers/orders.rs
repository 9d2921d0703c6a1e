//! Placing orders, following and working them.

use super::order_status::{OrderStatus, order_status, until_stored};
use crate::http::{
    app_state::AppState,
    extract::{
        auth::{SignedIn, Staff},
        client_ip::client_address,
        idempotency::{self, StoredResponse},
        json::{Json, OptionalJson},
        preconditions::{self, OptionalPrecondition},
        prefer,
        query::{self, Query, wrong},
    },
    openapi::{
        self, Changed, ForBody, ForQuery, ForToken, IfMatch, IllegalMove, Key, KeyReused, Missing,
        MissingOrder, NotPermitted, SoldOut, Tag, TooManyOpen, Unavailable, Wait,
    },
    problem::Problem,
    responses::{CancelledView, HistoryView, MoveView, OrderView, OrdersView, StandingView, UnstoredView},
};
use crate::{
    domain::{
        FieldError,
        ids::{OrderId, RecipeId, UserId},
        json::Optional,
        order::{NewOrder, Order},
        order_state::{OrderAction, Status},
        text::{Name, Note, Table},
    },
    services::{
        accounts::Caller,
        orders::{
            board::{OrderFilter, OrderPage, OrderPageKey, TransitionError},
            intake::{PlacedOrder, Placement, Request, UnstoredOrder},
        },
    },
};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder,
    dev::Payload,
    http::{StatusCode, header},
    web::{Data, Path},
};
use deserr::Deserr;
use serde::{Deserialize, Serialize};
use std::{
    future::{Ready, ready},
    time::Duration,
};
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long an order that was stored before is waited for to be read.
const READ_BACK_TIMEOUT: Duration = Duration::from_millis(250);

/// `POST /orders`: 202 once the broker has it, 201 once it is stored.
#[utoipa::path(post, path = "/orders", operation_id = "place_order", tag = "orders", security(("token" = [])),
    summary = "Places an order",
    params(Key, Wait),
    request_body = Request,
    responses(
        (status = 201, description = "It is stored.", body = OrderView,
            headers(("Location" = String), ("ETag" = String), ("Preference-Applied" = String), ("Idempotency-Replayed" = String))),
        (status = 202, description = "It is safe and will be stored.", body = OrderView,
            headers(("Location" = String), ("Preference-Applied" = String), ("Idempotency-Replayed" = String))),
        ForToken, NotPermitted, SoldOut, TooManyOpen, ForBody, KeyReused, Unavailable))]
pub async fn place(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    Json(order): Json<Request>,
) -> Result<impl Responder, Problem> {
    let key = idempotency::key(&request)?;
    let mut wait = prefer::wait(&request);
    let placement = app.intake.place(caller, client_address(&request), order, key.as_ref()).await?;
    let PlacedOrder { taken, order, is_replayed } = placement;
    let id = order.id;
    let stored = match (taken, wait) {
        (Placement::Stored(Some(at)), _) => Some(Order::recorded(NewOrder::clone(&order), at)),
        // Only to show it as it stands: not worth a long wait.
        (Placement::Stored(None), _) => {
            timeout(READ_BACK_TIMEOUT, app.bar.find(caller, id)).await.ok().and_then(Result::ok).flatten()
        }
        (Placement::Queued, Some(_)) => until_stored(&app, caller, id, &mut wait).await,
        (Placement::Queued, None) => None,
    };
    let mut response = match (taken, &stored) {
        (Placement::Queued, None) => HttpResponse::Accepted(),
        _ => HttpResponse::Created(),
    };
    response.insert_header((header::LOCATION, format!("/orders/{id}")));
    if let Some(stored) = &stored {
        preconditions::tag(&mut response, stored.entity_version());
    }
    if is_replayed {
        response.insert_header((idempotency::REPLAYED, "true"));
    }
    prefer::applied(&mut response, wait);
    Ok(response.json(stored.map_or_else(|| OrderView::from(order.as_ref().clone()), OrderView::from)))
}

/// What a list of orders may be narrowed by.
const FILTERS: [&str; 8] =
    ["status", "table", "customer", "drink", "placed_from", "placed_until", "limit", "cursor"];

/// `GET /orders`: a customer's own, or all for staff. Newest first; staff see those that wait (`status=pending`) in working order.
#[utoipa::path(get, path = "/orders", operation_id = "list_orders", tag = "orders", security(("token" = [])),
    params(openapi::Filter, openapi::Page),
    responses((status = 200, description = "A page of them.", body = OrdersView, headers(("Link" = String))),
        ForToken, NotPermitted, ForQuery, Unavailable))]
pub async fn list(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
) -> Result<impl Responder, Problem> {
    let query = Query::read(&request, &FILTERS)?;
    let limit = query.limit()?;
    let filter = filter(&app, caller, &query).await?;
    let place = |list| -> Result<Option<OrderPageKey>, Problem> {
        Ok(query.cursor(list)?.map(|(at, id)| OrderPageKey { at, id: OrderId(id) }))
    };
    let (mut page, next);
    if caller.role.is_staff() && filter.statuses == [Status::Pending] {
        page = app.bar.waiting(filter, place('w')?, limit + 1).await?.orders;
        next = query.cut(&mut page, limit, 'w', |order| (order.placed.due_at, order.placed.id.0), None);
    } else {
        let OrderPage { orders, searched } = app.bar.newest(filter, place('n')?, limit + 1).await?;
        let searched = searched.map(|OrderPageKey { at, id }| (at, id.0));
        page = orders;
        next =
            query.cut(&mut page, limit, 'n', |order| (order.placed.placed_at, order.placed.id.0), searched);
    }
    let orders = page.into_iter().map(OrderView::from).collect();
    query::page(&request, next.as_deref(), OrdersView { orders, next_cursor: next.clone() }).await
}

/// Which orders the caller asks for: customers have their own.
async fn filter(app: &AppState, caller: Caller, query: &Query) -> Result<OrderFilter, Problem> {
    let staff = caller.role.is_staff();
    let customer = query.text("customer").map(str::parse::<UserId>).transpose();
    let customer = customer.map_err(|_| wrong("customer", "must be the id of an account"))?;
    if !staff && customer.is_some_and(|customer| customer != caller.id) {
        return Err(Problem::not_permitted("Only staff see the orders of others."));
    }
    let (placed_from, placed_until) = (query.moment("placed_from")?, query.moment("placed_until")?);
    if placed_from.zip(placed_until).is_some_and(|(from, until)| from >= until) {
        return Err(wrong("placed_until", "must be later than placed_from"));
    }
    let table = query.text("table").map(Table::try_from).transpose();
    Ok(OrderFilter {
        customer: if staff { customer } else { Some(caller.id) },
        statuses: query.words("status")?,
        table: table.map_err(|problem| wrong("table", problem))?,
        drinks: match query.text("drink") {
            Some(drink) => Some(drinks(app, drink).await?),
            None => None,
        },
        placed_from,
        placed_until,
    })
}

/// Every drink that is named by this id or name.
async fn drinks(app: &AppState, id_or_name: &str) -> Result<Vec<RecipeId>, Problem> {
    if let Ok(id) = id_or_name.parse() {
        return Ok(vec![id]);
    }
    let name = Name::try_from(id_or_name).map_err(|problem| wrong("drink", problem))?;
    Ok(app.menu.called(name).await?)
}

/// `GET /orders/{id}`: an order as it stands.
#[utoipa::path(get, path = "/orders/{id}", operation_id = "get_order", tag = "orders", security(("token" = [])),
    params(("id" = OrderId, Path, description = "Which order."), Wait, Tag),
    responses(
        (status = 200, description = "The order.", body = StandingView,
            headers(("ETag" = String), ("Preference-Applied" = String))),
        (status = 304, description = "The client has it already.", headers(("ETag" = String), ("Preference-Applied" = String))),
        ForToken, MissingOrder, Unavailable))]
pub async fn show(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    let id = order_id(&id)?;
    let mut order_status = order_status(&app, caller, id).await?;
    let mut wait = prefer::wait(&request);
    if let OrderStatus::Queued(_) = order_status
        && let Some(order) = until_stored(&app, caller, id, &mut wait).await
    {
        order_status = OrderStatus::Stored(Box::new(order));
    }
    let view = match order_status {
        OrderStatus::Stored(order) => {
            let stamp = order.entity_version();
            let view = StandingView::Whole(OrderView::from(*order));
            return Ok(prefer::applied_to(preconditions::show(&request, stamp, &view), wait));
        }
        OrderStatus::Queued(UnstoredOrder::Whole(order)) => {
            StandingView::Whole(OrderView::from(order.as_ref().clone()))
        }
        OrderStatus::Queued(UnstoredOrder::Elsewhere | UnstoredOrder::Gone) => {
            StandingView::Unstored(UnstoredView::queued(id))
        }
        OrderStatus::Lost => StandingView::Unstored(UnstoredView::lost(id)),
    };
    Ok(prefer::applied_to(HttpResponse::Ok().json(view), wait))
}

/// `GET /orders/{id}/history`: every move so far.
#[utoipa::path(get, path = "/orders/{id}/history", operation_id = "get_history", tag = "orders",
    security(("token" = [])),
    params(("id" = OrderId, Path, description = "Which order.")),
    responses((status = 200, description = "Its moves.", body = HistoryView), ForToken, MissingOrder, Unavailable))]
pub async fn history(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    let id = order_id(&id)?;
    let moves = match app.bar.history(caller, id).await? {
        Some(moves) => moves,
        None => order_status(&app, caller, id).await.map(|_| Vec::new())?,
    };
    Ok(HttpResponse::Ok().json(HistoryView { history: moves.into_iter().map(MoveView::from).collect() }))
}

/// `POST /orders/next`: claims the order that is next; 204 when none waits.
#[utoipa::path(post, path = "/orders/next", operation_id = "claim_order", tag = "orders",
    security(("token" = ["employee"])),
    params(Key),
    responses(
        (status = 200, description = "It is the caller's now.", body = OrderView,
            headers(("ETag" = String), ("Idempotency-Replayed" = String))),
        (status = 204, description = "None waits."),
        ForToken, KeyReused, Unavailable))]
pub async fn next(
    app: Data<AppState>,
    Staff(caller): Staff,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let key = idempotency::once(&request, caller, &(), |claimed| claim(claimed).text())?;
    idempotency::answer(&app.bar.next(caller, key).await?, claim)
}

#[expect(clippy::ref_option, reason = "as it is kept")]
fn claim(order: &Option<Order>) -> StoredResponse {
    order.as_ref().map_or_else(StoredResponse::nothing, moved)
}

fn moved(order: &Order) -> StoredResponse {
    StoredResponse::new(StatusCode::OK, order.entity_version(), &OrderView::from(order.clone()))
}

/// Whose orders shall be cancelled.
#[derive(Deserialize, Deserr, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = CancelAll, examples(json!({ "customer_id": "01a203c7-a828-7562-865f-b3ef9919e243" })))]
pub struct CancelAll {
    /// Whose.
    customer_id: UserId,
    /// Why, for the orders' history.
    #[deserr(default)]
    #[schema(value_type = Option<Note>)]
    reason: Optional<Note>,
}

/// `POST /orders/cancel`: cancels what a customer has on the board, pending or in progress.
#[utoipa::path(post, path = "/orders/cancel", operation_id = "cancel_orders", tag = "orders",
    security(("token" = ["employee"])),
    summary = "Cancels all open orders of a customer",
    params(Key),
    request_body = CancelAll,
    responses(
        (status = 200, description = "Which were cancelled: at most 10,000 that were pending and 10,000 that were in progress. \
            Orders that are queued are not among them.",
            body = CancelledView, headers(("Idempotency-Replayed" = String))),
        ForToken, ForBody, Missing, KeyReused, Unavailable))]
pub async fn cancel_all(
    app: Data<AppState>,
    Staff(caller): Staff,
    request: HttpRequest,
    Json(asked): Json<CancelAll>,
) -> Result<HttpResponse, Problem> {
    let key = idempotency::once(&request, caller, &asked, |cancelled| all_cancelled(cancelled).text())?;
    let CancelAll { customer_id, reason: Optional(reason) } = asked;
    idempotency::answer(&app.bar.cancel_all(caller, customer_id, reason, key).await?, all_cancelled)
}

fn all_cancelled(order_ids: &Vec<OrderId>) -> StoredResponse {
    StoredResponse::stateless(StatusCode::OK, &CancelledView { cancelled: order_ids.len(), order_ids })
}

/// Why an order is called off or can't be made.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
pub struct Because {
    #[deserr(default)]
    #[schema(value_type = Option<Note>)]
    reason: Optional<Note>,
}

/// A move that the caller may ask for, of an order that they may see or not. Judged before anything else of the request is
/// looked at: whoever may not is told nothing about headers and bodies.
pub struct Asked {
    caller: Caller,
    id: OrderId,
    action: OrderAction,
}

impl FromRequest for Asked {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = SignedIn::from_request(request, payload).into_inner();
        ready(caller.and_then(|SignedIn(caller)| {
            let part = |name: &str| request.match_info().get(name).unwrap_or_default();
            let action: OrderAction = part("move").parse().map_err(|_| Problem::not_found("resource"))?;
            if action != OrderAction::Cancel && !caller.role.is_staff() {
                return Err(Problem::not_permitted("This is for staff."));
            }
            Ok(Self { caller, id: order_id(part("id"))?, action })
        }))
    }
}

/// `POST /orders/{id}/start` and the other moves: the order as it now is.
#[utoipa::path(post, path = "/orders/{id}/{move}", operation_id = "move_order", tag = "orders",
    security(("token" = [])),
    params(("id" = OrderId, Path, description = "Which order."), ("move" = OrderAction, Path), IfMatch, Key),
    responses(
        (status = 200, description = "The order as it now is.", body = OrderView,
            headers(("ETag" = String), ("Idempotency-Replayed" = String))),
        ForToken, MissingOrder, IllegalMove, Changed, ForBody, KeyReused, Unavailable))]
pub async fn act(
    app: Data<AppState>,
    Asked { caller, id, action }: Asked,
    OptionalPrecondition(condition): OptionalPrecondition,
    request: HttpRequest,
    OptionalJson(because): OptionalJson<Because>,
) -> Result<HttpResponse, Problem> {
    let reason = because.and_then(|because| because.reason.0);
    match (action, &reason) {
        (OrderAction::Fail, None) => return Err(FieldError::new("reason", "must be given").into()),
        (OrderAction::Fail | OrderAction::Cancel, _) | (_, None) => {}
        (_, Some(_)) => return Err(FieldError::new("reason", "belongs to cancel and fail only").into()),
    }
    let key = idempotency::once(&request, caller, &reason, |order| moved(order).text())?;
    match app.bar.act(caller, id, action, reason, condition, key).await {
        // Accepted, but not on the board yet: there is nothing to move so far.
        Err(TransitionError::Unknown) => match order_status(&app, caller, id).await? {
            OrderStatus::Lost => Err(Problem::not_movable("The order could not be stored.")),
            _ => Err(Problem::not_movable(
                "The order is queued: it is not stored yet. Please try again in a moment.",
            )),
        },
        outcome => idempotency::answer(&outcome?, moved),
    }
}

/// What is no id names no order.
fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| Problem::not_found("order"))
}

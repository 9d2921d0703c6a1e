//! Placing orders, following and working them.

use super::prelude::*;
use crate::http::{
    changes_cursor,
    extract::{
        auth,
        client_ip::client_address,
        from_head,
        idempotency::{self, StoredResponse},
        json::{Json, OptionalJson},
        preconditions::{self, OptionalPrecondition},
        prefer,
    },
    problem::types,
    responses::{CancelledView, HistoryView, OrderStatusView, OrderView, TransitionView, UnstoredView},
};
use crate::{
    domain::{
        FieldError,
        ids::{OrderId, UserId},
        json::Optional,
        order::{NewOrder, Order},
        order_state::OrderAction,
        text::Note,
    },
    services::{
        accounts::Caller,
        orders::{
            board::TransitionError,
            intake::{PlacedOrder, Placement, Request},
            status::{OrderStatus, WaitOutcome, status, wait_until_stored},
        },
    },
};
use actix_web::http::{StatusCode, header};
use std::time::Duration;
use tokio::time::timeout;

/// Limits reading back an order that an earlier request stored.
const READ_BACK_TIMEOUT: Duration = Duration::from_millis(250);

/// Places an order
///
/// 202 once the broker has it, 201 once it is stored.
#[utoipa::path(post, path = "/orders", operation_id = "place_order", tag = "orders", security(("token" = [])),
    params(KeyHeader, PreferHeader),
    request_body = Request,
    responses(
        (status = 201, description = "The order is stored.", body = OrderView,
            headers(("Location" = String), ("ETag" = String), ("Preference-Applied" = String), ("Idempotency-Replayed" = String))),
        (status = 202, description = "The order is safe and will be stored.", body = OrderView,
            headers(("Location" = String), ("Preference-Applied" = String), ("Idempotency-Replayed" = String))),
        ForToken, NotPermitted, SoldOut, TooManyOpen, ForBody, KeyReused, Unavailable))]
pub async fn place(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    Json(order): Json<Request>,
) -> Answer {
    let key = idempotency::key(&request)?;
    let mut wait = prefer::wait(&request);
    let placed = app.intake.place(caller, client_address(&request), order, key.as_ref()).await?;
    let PlacedOrder { placement, order, is_replayed } = placed;
    let id = order.id;
    let stored = match (placement, wait) {
        (Placement::Stored(Some(at)), _) => Some(Order::recorded(NewOrder::clone(&order), at)),
        // Only to show it as it stands: not worth a long wait.
        (Placement::Stored(None), _) => {
            timeout(READ_BACK_TIMEOUT, app.board.find(caller, id)).await.ok().and_then(Result::ok).flatten()
        }
        (Placement::Queued, Some(_)) => until_stored(&app, caller, id, &mut wait).await,
        (Placement::Queued, None) => None,
    };
    let mut response = match (placement, &stored) {
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
    let view = stored.map_or_else(|| OrderView::from(order.as_ref().clone()), OrderView::from);
    Ok(prefer::applied(response.json(view), wait))
}

/// Waits for an order as long as the client asked for. If too many wait already, takes the wait away.
async fn until_stored(
    app: &AppState,
    caller: Caller,
    id: OrderId,
    wait: &mut Option<Duration>,
) -> Option<Order> {
    match wait_until_stored(&app.board, &app.intake, &app.health.stopping, (caller, id), (*wait)?).await {
        WaitOutcome::Stored(order) => Some(*order),
        WaitOutcome::TimedOut => None,
        WaitOutcome::Declined => {
            *wait = None;
            None
        }
    }
}

/// Shows the order with this id
#[utoipa::path(get, path = "/orders/{id}", operation_id = "get_order", tag = "orders", security(("token" = [])),
    params(("id" = OrderId, Path, description = "The id of the order."), PreferHeader, IfNoneMatchHeader),
    responses(
        (status = 200, description = "The order.", body = OrderStatusView,
            headers(("Changes-Cursor" = String), ("ETag" = String), ("Preference-Applied" = String))),
        (status = 304, description = "The client has it already.",
            headers(("Changes-Cursor" = String), ("ETag" = String), ("Preference-Applied" = String))),
        ForToken, MissingOrder, Unavailable))]
pub async fn show(
    app: Data<AppState>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    id: Path<String>,
) -> Answer {
    let id = path_id(&id, "order")?;
    let changes_cursor = app.feed.cursor();
    let mut order_status = status(&app.board, &app.intake, caller, id).await?;
    let mut wait = prefer::wait(&request);
    if let OrderStatus::Queued(_) = order_status
        && let Some(order) = until_stored(&app, caller, id, &mut wait).await
    {
        order_status = OrderStatus::Stored(Box::new(order));
    }
    let mut version = None;
    let view = match order_status {
        OrderStatus::Stored(order) => {
            version = Some(order.entity_version());
            OrderStatusView::Whole(OrderView::from(*order))
        }
        OrderStatus::Queued(Some(order)) => OrderStatusView::Whole(OrderView::from(order.as_ref().clone())),
        OrderStatus::Queued(None) => OrderStatusView::Unstored(UnstoredView::queued(id)),
        OrderStatus::DeadLetter => OrderStatusView::Unstored(UnstoredView::lost(id)),
    };
    let response = match version {
        Some(version) => preconditions::show(&request, version, &view),
        None => HttpResponse::Ok().json(view),
    };
    Ok(changes_cursor::add(prefer::applied(response, wait), &changes_cursor))
}

/// Lists the transitions of an order
#[utoipa::path(get, path = "/orders/{id}/history", operation_id = "get_history", tag = "orders",
    security(("token" = [])),
    params(("id" = OrderId, Path, description = "The id of the order.")),
    responses((status = 200, description = "The transitions of the order.", body = HistoryView), ForToken, MissingOrder, Unavailable))]
pub async fn history(app: Data<AppState>, SignedIn(caller): SignedIn, id: Path<String>) -> Answer {
    let id = path_id(&id, "order")?;
    let moves = match app.board.history(caller, id).await? {
        Some(moves) => moves,
        None => status(&app.board, &app.intake, caller, id).await.map(|_| Vec::new())?,
    };
    let history = moves.into_iter().map(TransitionView::from).collect();
    Ok(HttpResponse::Ok().json(HistoryView { history }))
}

/// Claims the next order in working order
#[utoipa::path(post, path = "/orders/next", operation_id = "claim_order", tag = "orders",
    security(("token" = ["employee"])),
    params(KeyHeader),
    responses(
        (status = 200, description = "The order, which is the caller's now.", body = OrderView,
            headers(("ETag" = String), ("Idempotency-Replayed" = String))),
        (status = 204, description = "No order waits."),
        ForToken, KeyReused, Unavailable))]
pub async fn next(app: Data<AppState>, Staff(caller): Staff, request: HttpRequest) -> Answer {
    let key = idempotency::once(&request, caller, &(), |claimed| claim(claimed).text())?;
    idempotency::answer(&app.board.next(caller, key).await?, claim)
}

#[expect(clippy::ref_option, reason = "as it is kept")]
fn claim(order: &Option<Order>) -> StoredResponse {
    order.as_ref().map_or_else(StoredResponse::nothing, moved)
}

fn moved(order: &Order) -> StoredResponse {
    StoredResponse::new(StatusCode::OK, order.entity_version(), &OrderView::from(order.clone()))
}

/// The customer whose orders are to be cancelled.
#[derive(Deserialize, Deserr, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
#[schema(as = CancelAll, examples(json!({ "customer_id": "01a203c7-a828-7562-865f-b3ef9919e243" })))]
pub struct CancelAll {
    /// The id of the customer.
    customer_id: UserId,
    /// The reason, for the orders' history.
    #[deserr(default)]
    #[schema(value_type = Option<Note>)]
    reason: Optional<Note>,
}

/// Cancels all open orders of a customer
///
/// Open orders are those that are pending or in progress.
#[utoipa::path(post, path = "/orders/cancel", operation_id = "cancel_orders", tag = "orders",
    security(("token" = ["employee"])),
    params(KeyHeader),
    request_body = CancelAll,
    responses(
        (status = 200, description = "The cancelled orders: at most 10,000 that were pending and 10,000 that were in progress. \
            Orders that are queued are not among them.",
            body = CancelledView, headers(("Idempotency-Replayed" = String))),
        ForToken, ForBody, Missing, KeyReused, Unavailable))]
pub async fn cancel_all(
    app: Data<AppState>,
    Staff(caller): Staff,
    request: HttpRequest,
    Json(request_body): Json<CancelAll>,
) -> Answer {
    let key =
        idempotency::once(&request, caller, &request_body, |cancelled| all_cancelled(cancelled).text())?;
    let CancelAll { customer_id, reason: Optional(reason) } = request_body;
    idempotency::answer(&app.board.cancel_all(caller, customer_id, reason, key).await?, all_cancelled)
}

fn all_cancelled(order_ids: &Vec<OrderId>) -> StoredResponse {
    StoredResponse::stateless(StatusCode::OK, &CancelledView { cancelled: order_ids.len(), order_ids })
}

/// The reason why an order is cancelled or can't be made.
#[derive(Deserialize, Deserr, ToSchema)]
#[serde(deny_unknown_fields)]
#[deserr(deny_unknown_fields)]
pub struct ActionReason {
    #[deserr(default)]
    #[schema(value_type = Option<Note>)]
    reason: Optional<Note>,
}

/// An order action that the caller's role permits. It is checked before anything else in the request: a caller without the role
/// learns nothing about headers and bodies.
pub struct PermittedAction {
    caller: Caller,
    id: OrderId,
    action: OrderAction,
}

from_head!(PermittedAction, |request| {
    let caller = auth::caller(request)?;
    let part = |name: &str| request.match_info().get(name).unwrap_or_default();
    let action: OrderAction = part("move").parse().map_err(|_| Problem::not_found("resource"))?;
    if action != OrderAction::Cancel && !caller.role.is_staff() {
        return Err(Problem::not_permitted("This is for staff."));
    }
    Ok(Self { caller, id: path_id(part("id"), "order")?, action })
});

/// Makes a transition of an order
#[utoipa::path(post, path = "/orders/{id}/{move}", operation_id = "move_order", tag = "orders",
    security(("token" = [])),
    params(("id" = OrderId, Path, description = "The id of the order."), ("move" = OrderAction, Path), IfMatchHeader, KeyHeader),
    responses(
        (status = 200, description = "The order after the transition.", body = OrderView,
            headers(("ETag" = String), ("Idempotency-Replayed" = String))),
        ForToken, MissingOrder, IllegalMove, Changed, ForBody, KeyReused, Unavailable))]
pub async fn act(
    app: Data<AppState>,
    PermittedAction { caller, id, action }: PermittedAction,
    OptionalPrecondition(condition): OptionalPrecondition,
    request: HttpRequest,
    OptionalJson(body): OptionalJson<ActionReason>,
) -> Answer {
    let reason = body.and_then(|body| body.reason.0);
    match (action, &reason) {
        (OrderAction::Fail, None) => return Err(FieldError::new("reason", "must be given").into()),
        (OrderAction::Fail | OrderAction::Cancel, _) | (_, None) => {}
        (_, Some(_)) => return Err(FieldError::new("reason", "belongs to cancel and fail only").into()),
    }
    let key = idempotency::once(&request, caller, &reason, |order| moved(order).text())?;
    match app.board.act(caller, id, action, reason, condition, key).await {
        // Accepted, but not on the board yet: there is nothing to move so far.
        Err(TransitionError::Unknown) => {
            let reason = match status(&app.board, &app.intake, caller, id).await? {
                OrderStatus::DeadLetter => "The order could not be stored.",
                _ => "The order is queued: it is not stored yet. Please try again in a moment.",
            };
            Err(Problem::new(types::ILLEGAL_MOVE, reason))
        }
        outcome => idempotency::answer(&outcome?, moved),
    }
}

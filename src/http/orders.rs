//! Placing orders, following and working them.

use super::{
    App,
    body::{Json, OptionalJson},
    caller::{SignedIn, Staff},
    openapi::{
        self, ForBody, ForQuery, ForToken, IllegalMove, Key, KeyReused, Missing, NotPermitted, Page, SoldOut,
        Unavailable, Wait,
    },
    problem::Problem,
    query::{self, Query, cut, wrong},
    views::{HistoryView, MoveView, OrderView, OrdersView, StandingView, UnstoredView},
};
use crate::{
    accounts::Caller,
    bar::{Filter, NotMoved, Place},
    domain::{
        Invalid,
        ids::OrderId,
        moves::{Move, Status},
        order::{NewOrder, Order},
        text::{Note, Table},
    },
    intake::{IdempotencyKey, Queued, Request, Taken},
};
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    http::header,
    web::{Data, Path},
};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use utoipa::ToSchema;

/// The longest that a client may ask to wait with `Prefer: wait=N`, in seconds.
pub const MOST_WAIT: u64 = 30;

/// How long an order that was stored before is waited for to be read.
const SHOWN_WITHIN: Duration = Duration::from_millis(250);

/// `POST /orders`: 202 once the broker has it, 201 once it is stored.
#[utoipa::path(post, path = "/orders", operation_id = "place_order", tag = "orders", security(("token" = [])),
    summary = "Places an order",
    params(Key, Wait),
    request_body = Request,
    responses(
        (status = 201, description = "It is stored.", body = OrderView,
            headers(("Location" = String), ("Preference-Applied" = String))),
        (status = 202, description = "It is safe and will be stored.", body = OrderView,
            headers(("Location" = String), ("Preference-Applied" = String))),
        ForToken, NotPermitted, SoldOut, ForBody, KeyReused, Unavailable))]
pub async fn place(
    app: Data<App>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    Json(order): Json<Request>,
) -> Result<impl Responder, Problem> {
    let key = request
        .headers()
        .get("Idempotency-Key")
        .map(|key| IdempotencyKey::try_from(key.as_bytes()))
        .transpose()
        .map_err(Problem::of_parameter)?;
    let wait = preferred_wait(&request);
    let (taken, order) = app.intake.place(caller, order, key.as_ref()).await?;
    let id = order.id;
    let stored = match (taken, wait) {
        (Taken::Stored(Some(at)), _) => Some(Order::recorded(NewOrder::clone(&order), at)),
        // Only to show it as it stands: not worth a long wait.
        (Taken::Stored(None), _) => {
            timeout(SHOWN_WITHIN, app.bar.find(caller, id)).await.ok().and_then(Result::ok).flatten()
        }
        (Taken::Queued, Some(wait)) => until_stored(&app, caller, id, wait).await,
        (Taken::Queued, None) => None,
    };
    let mut response = match (taken, &stored) {
        (Taken::Queued, None) => HttpResponse::Accepted(),
        _ => HttpResponse::Created(),
    };
    response.insert_header((header::LOCATION, format!("/orders/{id}")));
    if let Some(wait) = wait {
        response.insert_header(("Preference-Applied", format!("wait={}", wait.as_secs())));
    }
    Ok(response.json(stored.map_or_else(|| OrderView::from(order.as_ref().clone()), OrderView::from)))
}

/// `GET /orders`: a customer's own, or all for staff. Newest first; staff see those that wait (`status=pending`) in working order.
#[utoipa::path(get, path = "/orders", operation_id = "list_orders", tag = "orders", security(("token" = [])),
    params(openapi::Filter, Page),
    responses((status = 200, description = "A page of them.", body = OrdersView, headers(("Link" = String))), ForToken, ForQuery, Unavailable))]
pub async fn list(
    app: Data<App>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
) -> Result<impl Responder, Problem> {
    let query = Query::read(&request, &["status", "table", "limit", "cursor"])?;
    let limit = query.limit()?;
    let status: Option<Status> = query.parsed("status")?;
    let table =
        query.text("table").map(Table::try_from).transpose().map_err(|problem| wrong("table", problem))?;
    let staff = caller.role.is_staff();
    let place = |list| -> Result<Option<Place>, Problem> {
        Ok(query.cursor(list)?.map(|(at, id)| Place { at, id: OrderId(id) }))
    };
    let (mut page, next);
    if staff && status == Some(Status::Pending) {
        page = app.bar.waiting(table, place('w')?, limit + 1).await?;
        next = cut(&mut page, limit, 'w', |order| (order.placed.due_at, order.placed.id.0));
    } else {
        let filter = Filter { customer: (!staff).then_some(caller.id), status, table };
        page = app.bar.newest(filter, place('n')?, limit + 1).await?;
        next = cut(&mut page, limit, 'n', |order| (order.placed.placed_at, order.placed.id.0));
    }
    let orders = page.into_iter().map(OrderView::from).collect();
    Ok(query::page(&request, next.as_deref(), &OrdersView { orders, next_cursor: next.clone() }))
}

/// `GET /orders/{id}`: an order as it stands.
#[utoipa::path(get, path = "/orders/{id}", operation_id = "get_order", tag = "orders", security(("token" = [])),
    params(("id" = OrderId, Path, description = "Which order."), Wait),
    responses((status = 200, description = "The order.", body = StandingView), ForToken, Missing, Unavailable))]
pub async fn show(
    app: Data<App>,
    SignedIn(caller): SignedIn,
    request: HttpRequest,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    let id = order_id(&id)?;
    let mut standing = standing(&app, caller, id).await?;
    if let (Standing::Queued(_), Some(wait)) = (&standing, preferred_wait(&request))
        && let Some(order) = until_stored(&app, caller, id, wait).await
    {
        standing = Standing::Stored(Box::new(order));
    }
    Ok(HttpResponse::Ok().json(match standing {
        Standing::Stored(order) => StandingView::Whole(OrderView::from(*order)),
        Standing::Queued(Queued::Whole(order)) => {
            StandingView::Whole(OrderView::from(order.as_ref().clone()))
        }
        Standing::Queued(Queued::Elsewhere) => StandingView::Unstored(UnstoredView::queued(id)),
        Standing::Lost => StandingView::Unstored(UnstoredView::lost(id)),
    }))
}

/// `GET /orders/{id}/history`: every move so far.
#[utoipa::path(get, path = "/orders/{id}/history", operation_id = "get_history", tag = "orders",
    security(("token" = [])),
    params(("id" = OrderId, Path, description = "Which order.")),
    responses((status = 200, description = "Its moves.", body = HistoryView), ForToken, Missing, Unavailable))]
pub async fn history(
    app: Data<App>,
    SignedIn(caller): SignedIn,
    id: Path<String>,
) -> Result<impl Responder, Problem> {
    let id = order_id(&id)?;
    let moves = match app.bar.history(caller, id).await? {
        Some(moves) => moves,
        None => standing(&app, caller, id).await.map(|_| Vec::new())?,
    };
    Ok(HttpResponse::Ok().json(HistoryView { history: moves.into_iter().map(MoveView::from).collect() }))
}

/// `POST /orders/next`: claims the order that is next; 204 when none waits.
#[utoipa::path(post, path = "/orders/next", operation_id = "claim_order", tag = "orders",
    security(("token" = ["employee"])),
    responses(
        (status = 200, description = "It is the caller's now.", body = OrderView),
        (status = 204, description = "None waits."),
        ForToken, Unavailable))]
pub async fn next(app: Data<App>, Staff(caller): Staff) -> Result<impl Responder, Problem> {
    Ok(match app.bar.next(caller).await? {
        Some(order) => HttpResponse::Ok().json(OrderView::from(order)),
        None => HttpResponse::NoContent().finish(),
    })
}

/// Why an order is called off or can't be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    reason: Option<Note>,
}

/// `POST /orders/{id}/start` and the other moves: the order as it now is.
#[utoipa::path(post, path = "/orders/{id}/{move}", operation_id = "move_order", tag = "orders",
    security(("token" = [])),
    params(("id" = OrderId, Path, description = "Which order."), ("move" = Move, Path)),
    responses(
        (status = 200, description = "The order as it now is.", body = OrderView),
        ForToken, Missing, IllegalMove, ForBody, Unavailable))]
pub async fn act(
    app: Data<App>,
    SignedIn(caller): SignedIn,
    path: Path<(String, String)>,
    OptionalJson(because): OptionalJson<Because>,
) -> Result<impl Responder, Problem> {
    let (id, action) = path.into_inner();
    let action: Move = action.parse().map_err(|_| Problem::not_found("resource"))?;
    if action != Move::Cancel && !caller.role.is_staff() {
        return Err(Problem::not_permitted("This is for staff."));
    }
    let reason = because.and_then(|because| because.reason);
    match (action, &reason) {
        (Move::Fail, None) => return Err(Invalid::new("reason", "must be given").into()),
        (Move::Fail | Move::Cancel, _) | (_, None) => {}
        (_, Some(_)) => return Err(Invalid::new("reason", "belongs to cancel and fail only").into()),
    }
    let id = order_id(&id)?;
    match app.bar.act(caller, id, action, reason).await {
        // Accepted, but not on the board yet: there is nothing to move so far.
        Err(NotMoved::Unknown) => match standing(&app, caller, id).await? {
            Standing::Lost => Err(Problem::not_movable("The order could not be stored.")),
            _ => Err(Problem::not_movable(
                "The order is queued: it is not stored yet. Please try again in a moment.",
            )),
        },
        outcome => Ok(HttpResponse::Ok().json(OrderView::from(outcome?))),
    }
}

/// What is no id names no order.
fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| Problem::not_found("order"))
}

/// Where an order is.
enum Standing {
    /// In the database.
    Stored(Box<Order>),
    /// Accepted, on its way there.
    Queued(Queued),
    /// A dead letter.
    Lost,
}

/// Where an order is that the caller may see. 404 if there is none.
async fn standing(app: &App, caller: Caller, id: OrderId) -> Result<Standing, Problem> {
    if let Some(order) = app.bar.find(caller, id).await? {
        return Ok(Standing::Stored(Box::new(order)));
    }
    let customer = (!caller.role.is_staff()).then_some(caller.id);
    let Some(queued) = app.intake.queued(id, customer) else { return Err(Problem::not_found("order")) };
    Ok(if app.bar.is_lost(id).await? { Standing::Lost } else { Standing::Queued(queued) })
}

/// `Prefer: wait=N` (RFC 7240), at most [`MOST_WAIT`].
fn preferred_wait(request: &HttpRequest) -> Option<Duration> {
    let preferences = request.headers().get_all("Prefer").filter_map(|value| value.to_str().ok());
    let seconds = preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().parse::<u64>().ok())?
    })?;
    Some(Duration::from_secs(seconds.min(MOST_WAIT)))
}

/// The order as soon as it is stored, if that is within `wait`.
async fn until_stored(app: &App, caller: Caller, id: OrderId, wait: Duration) -> Option<Order> {
    let deadline = Instant::now() + wait;
    let mut pause = Duration::from_millis(10);
    loop {
        // While the database is away the order just is not stored yet.
        if let Ok(Some(order)) = app.bar.find(caller, id).await {
            return Some(order);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::select! {
            () = sleep_until(deadline.min(Instant::now() + pause)) => {}
            // Accepted is accepted: the client learns that before this process ends.
            () = app.health.stopping.cancelled() => return None,
        }
        pause = (pause * 2).min(Duration::from_millis(320));
    }
}

#[cfg(test)]
#[path = "orders_fuzz.rs"]
mod fuzz;

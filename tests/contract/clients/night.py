"""A night at the bar with the client that openapi-python-client generates: `night.py URL`."""

import json
import sys
import time
from uuid import UUID, uuid4

from shakerqueue_client import AuthenticatedClient, Client
from shakerqueue_client.api.accounts import login
from shakerqueue_client.api.menu import list_recipes
from shakerqueue_client.api.orders import (
    cancel_order,
    claim_order,
    complete_order,
    get_history,
    get_order,
    list_orders,
    place_order,
    ready_order,
)
from shakerqueue_client.models import (
    HelloEvent,
    Login,
    NewDrinkOrder,
    NewItemsOrder,
    NewLine,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderHistory,
    OrderPage,
    Problem,
    RecipePage,
    SignedIn,
    Status,
)

RECORD_SECONDS = 20


def sign_in(url: str, email: str) -> AuthenticatedClient:
    answer = login.sync_detailed(client=Client(base_url=url), body=Login(email=email, password="password123"))
    assert isinstance(answer.parsed, SignedIn), answer.content
    return AuthenticatedClient(base_url=url, token=answer.parsed.token)


def placed(client: AuthenticatedClient, body: NewDrinkOrder | NewItemsOrder, key: str) -> Order:
    answer = place_order.sync_detailed(client=client, body=body, idempotency_key=key, prefer="wait=5")
    assert answer.status_code in (201, 202) and isinstance(answer.parsed, Order), answer.content
    deadline = time.monotonic() + RECORD_SECONDS
    while time.monotonic() < deadline:
        stored = get_order.sync(answer.parsed.id, client=client, prefer="wait=5")
        if isinstance(stored, Order) and stored.status != Status.QUEUED:
            return stored
    raise AssertionError(f"the order was not recorded within {RECORD_SECONDS} s")


def followed(client: AuthenticatedClient, since: str, order: UUID) -> OrderEvent:
    """Reads the stream of changes until the order comes. The generated function would read it to its end."""
    headers, name = {"Last-Event-ID": since}, ""
    with client.get_httpx_client().stream("GET", "/stream", headers=headers, timeout=RECORD_SECONDS) as answer:
        assert answer.status_code == 200, answer
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name == "hello":
                assert HelloEvent.from_dict(json.loads(value)).heartbeat_seconds > 0
            elif field == "data" and name == "order":
                event = OrderEvent.from_dict(json.loads(value))
                if event.id == order:
                    return event
    raise AssertionError("the stream ended")


def refused(answer: object, status: int, name: str) -> Problem:
    assert isinstance(answer, Problem), answer
    assert (answer.status, answer.type_) == (status, f"/problems/{name}"), answer
    return answer


def main(url: str) -> None:
    guest, staff = sign_in(url, "user@example.com"), sign_in(url, "employee@example.com")
    menu = list_recipes.sync(client=Client(base_url=url))
    assert isinstance(menu, RecipePage) and "Margarita" in [recipe.name for recipe in menu.recipes]

    since = list_orders.sync_detailed(client=guest).headers["Changes-Cursor"]

    # The guest places both kinds of order. A repeat under the same key returns the same order.
    key = str(uuid4())
    one = placed(guest, NewDrinkOrder(recipe="Margarita", quantity=2, table="4"), key)
    assert placed(guest, NewDrinkOrder(recipe="Margarita", quantity=2, table="4"), key).id == one.id
    lines = [NewLine(recipe="Negroni", note="no ice"), NewLine(recipe="Gin Fizz", quantity=3)]
    several = placed(guest, NewItemsOrder(items=lines, note="quick"), str(uuid4()))
    assert [(line.recipe.name, line.quantity) for line in several.items] == [("Negroni", 1), ("Gin Fizz", 3)]

    assert followed(guest, since, several.id).version == 1

    # The bartender reads the board, then claims and completes all orders.
    board = list_orders.sync(client=staff, status=[Status.PENDING, Status.IN_PROGRESS])
    assert isinstance(board, OrderPage) and {one.id, several.id} == {order.id for order in board.orders}, board
    made: list[UUID] = []
    while len(made) < 2:
        claimed = claim_order.sync(client=staff)
        assert isinstance(claimed, Order) and claimed.status == Status.IN_PROGRESS, claimed
        ready = ready_order.sync(claimed.id, client=staff)
        assert isinstance(ready, Order) and ready.status == Status.READY, ready
        complete = complete_order.sync(claimed.id, client=staff)
        assert isinstance(complete, Order) and complete.status == Status.COMPLETED, complete
        made.append(complete.id)
    assert set(made) == {one.id, several.id}
    nothing = claim_order.sync_detailed(client=staff)
    assert nothing.status_code == 204 and nothing.parsed is None, nothing

    # The guest reads the history and cancels another order.
    history = get_history.sync(one.id, client=guest)
    assert isinstance(history, OrderHistory)
    assert [move.to for move in history.history] == [Status.PENDING, Status.IN_PROGRESS, Status.READY, Status.COMPLETED], history
    called_off = cancel_order.sync(
        placed(guest, NewDrinkOrder(recipe="Negroni"), str(uuid4())).id, client=guest, body=OrderCancellation(reason="Too late."))
    assert isinstance(called_off, Order) and called_off.status == Status.CANCELLED

    # Errors are problems with typed fields.
    unknown = refused(place_order.sync(client=guest, body=NewDrinkOrder(recipe="engine oil")), 422, "invalid")
    assert unknown.errors and [error.field for error in unknown.errors] == ["recipe"], unknown
    refused(complete_order.sync(one.id, client=staff), 409, "illegal-move")
    refused(claim_order.sync(client=guest), 403, "not-permitted")
    nobody = AuthenticatedClient(base_url=url, token="nobody's")
    refused(place_order.sync(client=nobody, body=NewDrinkOrder(recipe="Negroni")), 401, "not-signed-in")


if __name__ == "__main__":
    main(sys.argv[1])

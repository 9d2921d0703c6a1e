"""Adapts valid requests to what no schema can express: drinks on the menu, cursors from earlier pages, strong passwords,
existing accounts. It changes only requests that are generated as valid, and no check."""

import datetime
import json
import os
import random
import string
import unicodedata
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies

BAR = os.environ["CONTRACT_BAR"]
# Accounts that the check signs in with. A change of their roles would break the rest of the run.
OWN = set(json.loads(os.environ["CONTRACT_ACCOUNTS"]))
GUEST = os.environ["CONTRACT_GUEST"]

cursors = {}
keys = set()


def menu():
    with urllib.request.urlopen(f"{BAR}/recipes", timeout=10) as answer:
        return [recipe["name"] for recipe in json.load(answer)["recipes"] if recipe["available"]]


# 16 to 72 characters, so random that they are not refused as common.
schemathesis.openapi.format(
    "password",
    strategies.text(string.ascii_letters + string.digits + "-_.!", min_size=16, max_size=72).map(
        lambda text: "".join(random.Random(text).sample(string.ascii_letters, 10)) + text[10:]
    ),
)


# Years that both databases support.
schemathesis.openapi.format(
    "date-time",
    strategies.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(9999, 12, 31)).map(lambda at: at.isoformat() + "Z"),
)


def order(body):
    # Read it each time: other requests change it.
    there = menu()

    def drink(wanted):
        return wanted if wanted in there or not there else random.choice(there)

    if isinstance(body.get("recipe"), str):
        body["recipe"] = drink(body["recipe"])
    for item in body.get("items") or []:
        item["recipe"] = drink(item["recipe"])
    if body.get("customer_id"):
        body["customer_id"] = GUEST


def visible(value):
    """Replaces invisible characters and marks beyond U+FFFF, which the schemas' expressions don't exclude."""
    if isinstance(value, str):
        unseen = lambda c: unicodedata.category(c) in ("Cf", "Co", "Mn", "Mc", "Me") or 0xE0000 <= ord(c) <= 0xE0FFF
        hidden = lambda c: ord(c) > 0xFFFF and (unseen(c) or ord(c) & 0xFFFE == 0xFFFE)
        return "".join("x" if hidden(character) else character for character in value)
    if isinstance(value, list):
        return [visible(item) for item in value]
    if isinstance(value, dict):
        return {name: visible(item) for name, item in value.items()}
    return value


def listed(operation, query):
    # A cursor belongs to a list with the same filters.
    return operation, str(sorted((name, str(value)) for name, value in query.items() if name not in ("limit", "cursor")))


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    if operation == "change_account" and (case.path_parameters or {}).get("id") in OWN:
        case.path_parameters["id"] = GUEST
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    case.body = visible(case.body)
    if case.query:
        case.query.update(visible(dict(case.query)))
    if operation == "place_order" and isinstance(case.body, dict):
        order(case.body)
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if key in keys:
        # A used key with another valid request is refused, as it must be.
        headers["Idempotency-Key"] = str(uuid.uuid4())
    elif key:
        keys.add(key)
    if headers.get("If-Match"):
        # No generator guesses the current ETag.
        headers["If-Match"] = "*"
    if case.operation.method != "get":
        headers.pop("If-None-Match", None)
    for begin, end in [("from", "until"), ("placed_from", "placed_until")]:
        if case.query and case.query.get(begin) and case.query.get(end):
            del case.query[end]
    if operation == "list_orders" and case.query:
        # Only staff may read orders of others.
        case.query.pop("customer", None)
    if case.query and case.query.get("cursor"):
        given = cursors.get(listed(operation, case.query))
        if given:
            case.query["cursor"] = given
        else:
            del case.query["cursor"]


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.method == "get" and response.status_code == 200 and case.meta is not None:
        try:
            cursor = response.json().get("next_cursor")
        except Exception:
            return
        if cursor:
            cursors[listed(case.operation.definition.raw.get("operationId"), case.query or {})] = cursor

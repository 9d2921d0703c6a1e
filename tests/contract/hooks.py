"""What a schema can't say, and valid requests need all the same: drinks that are on the menu, cursors that were given out,
passwords that are hard to guess, people that there are. It changes only what is generated as valid, never what is checked."""

import datetime
import json
import os
import random
import string
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies

BAR = os.environ["CONTRACT_BAR"]
# Accounts that the check signs in with: changing their roles would end it early.
OWN = set(json.loads(os.environ["CONTRACT_ACCOUNTS"]))
GUEST = os.environ["CONTRACT_GUEST"]

cursors = {}
keys = set()


def menu():
    with urllib.request.urlopen(f"{BAR}/recipes", timeout=10) as answer:
        return [recipe["name"] for recipe in json.load(answer)["recipes"] if recipe["available"]]


# 8 to 72 bytes, of which nobody would think first.
schemathesis.openapi.format(
    "password",
    strategies.text(string.ascii_letters + string.digits + "-_.!", min_size=16, max_size=72).map(
        lambda text: "".join(random.Random(text).sample(string.ascii_letters, 10)) + text[10:]
    ),
)


# Of the years that databases know.
schemathesis.openapi.format(
    "date-time",
    strategies.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(9999, 12, 31)).map(lambda at: at.isoformat() + "Z"),
)


def order(body):
    # As it is now: others are changing it.
    there = menu()

    def drink(wanted):
        return wanted if wanted in there or not there else random.choice(there)

    if isinstance(body.get("recipe"), str):
        body["recipe"] = drink(body["recipe"])
    for item in body.get("items") or []:
        item["recipe"] = drink(item["recipe"])
    if body.get("customer_id"):
        body["customer_id"] = GUEST


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    if operation == "change_account" and (case.path_parameters or {}).get("id") in OWN:
        case.path_parameters["id"] = GUEST
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if operation == "place_order" and isinstance(case.body, dict):
        order(case.body)
        key = (case.headers or {}).get("Idempotency-Key")
        if key in keys:
            # Under a used key a valid order is refused, as it must be.
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
        elif key:
            keys.add(key)
    if operation == "list_audit_entries" and case.query and case.query.get("from") and case.query.get("until"):
        del case.query["until"]
    if case.query and case.query.get("cursor"):
        key = (operation, str(case.query.get("status")))
        given = cursors.get(key)
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
            status = (case.query or {}).get("status")
            cursors[(case.operation.definition.raw.get("operationId"), str(status))] = cursor

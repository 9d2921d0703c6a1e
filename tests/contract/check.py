"""Compares the API with its document:

- docs/openapi.json is valid OpenAPI 3.1 and passes two linters.
- Generated clients compile, and work for a night at the bar.
- The page at /docs works in a browser.
- Both deployments answer every role as the document says (Schemathesis, all checks).

Exits with 0 if all checks pass.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import clients
import page
import pg8000.native

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "openapi.json"
SECRET = "a secret for the contract's check, long enough"
PASSWORD = "password123"
PEOPLE = {"anonymous": None, "customer": "user@example.com", "employee": "employee@example.com", "admin": "admin@example.com"}
DEPLOYMENTS = ["embedded", "scaled-out"]
# Streams: Schemathesis reads a response to its end, which these do not have. The nights of the generated clients follow one, and
# tests/api/stream.rs checks its events and its errors.
ENDLESS = ["stream_changes"]
STARTING_SECONDS = 30
STOPPING_SECONDS = 30


def request(url, body=None, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def role(program, arguments, environment, log):
    """Runs a role of the program, and stops it as an operator does."""
    environment = {"PATH": os.environ["PATH"], "RUST_LOG": "warn,shakerqueue=info"} | environment
    with open(log, "a") as out:
        process = subprocess.Popen([program, *arguments], env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield process
        if process.poll() is not None:
            raise SystemExit(f"check-api: {arguments[0]} ended early with exit code {process.returncode}; see {log}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_ready(url, process):
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"check-api: {url} was not ready after {STARTING_SECONDS} s")


@contextlib.contextmanager
def deployment(name, program, log):
    """Starts a deployment with the demo data. Yields its URL, and a function that runs SQL on its database."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"BIND_ADDR": f"127.0.0.1:{port}", "BCRYPT_COST": "4", "JWT_SECRET": SECRET, "RATE_LIMITS": "off", "OPEN_ORDERS": "off", "SHUTDOWN_DELAY_SECONDS": "0"}
    with contextlib.ExitStack() as stack:
        if name == "embedded":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shakerqueue-contract-"))
            file = f"{folder}/bar.db"
            settings |= {"DATABASE_URL": f"sqlite://{file}"}

            def run(sql, payload=None):
                connection = sqlite3.connect(file, timeout=10)
                with contextlib.closing(connection), connection:
                    connection.execute(sql, {"payload": payload})
        else:
            server = urllib.parse.urlsplit(os.environ["TEST_DATABASE_URL"])
            database = f"contract_{os.getpid()}"
            login = {"user": urllib.parse.unquote(server.username or ""), "password": urllib.parse.unquote(server.password or ""),
                     "host": server.hostname, "port": server.port or 5432}
            home = pg8000.native.Connection(database=server.path.strip("/"), **login)
            stack.callback(home.close)
            home.run(f"CREATE DATABASE {database}")
            stack.callback(home.run, f"DROP DATABASE {database} WITH (FORCE)")
            settings |= {"DATABASE_URL": server._replace(path=f"/{database}").geturl(), "AMQP_URL": os.environ["TEST_AMQP_URL"],
                         "QUEUE_PREFIX": database}
            connection = pg8000.native.Connection(database=database, **login)
            stack.callback(connection.close)

            def run(sql, payload=None):
                connection.run(sql, payload=payload)

            subprocess.run([program, "migrate"], env={"PATH": os.environ["PATH"]} | settings, check=True, stdout=subprocess.DEVNULL)
            stack.enter_context(role(program, ["work"], settings, log))
        until_ready(url, stack.enter_context(role(program, ["serve", "--demo"], settings, log)))
        yield url, run


def sign_in(url, email):
    return request(f"{url}/login", {"email": email, "password": PASSWORD})


def dead_letters(url, run):
    """Inserts dead letters, half of which can be replayed. A correct API creates none."""
    guest = sign_in(url, PEOPLE["customer"])["user"]["id"]
    recipe = request(f"{url}/recipes")["recipes"][0]
    for number in range(12):
        at = "2026-11-22T15:02:26.088658Z"
        order = {"id": f"01a203c7-a828-7562-865f-{number:012x}", "customer_id": guest, "placed_by": guest, "table": None, "note": None,
                 "lines": [{"recipe": {"id": recipe["id"], "name": recipe["name"]}, "quantity": 1, "note": None}],
                 "priority": 2, "due_at": at, "placed_at": at}
        payload = json.dumps({"version": 1, "order": order}).encode() if number % 2 else b"\xffrubbish"
        # Copied ids and times have the database's own format.
        run("INSERT INTO dead_letters (id, reason, payload, created_at, attempts) SELECT id, 'the bar was on fire', :payload, created_at, 3 "
            f"FROM recipes ORDER BY id LIMIT 1 OFFSET {number}", payload)


def schemathesis(url, person, accounts, arguments, log):
    """Runs Schemathesis as one person. Returns true if all checks passed, a summary, and the output."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "CONTRACT_BAR": url,
                                "CONTRACT_ACCOUNTS": json.dumps(accounts["own"]), "CONTRACT_GUEST": accounts["guest"]}
    command = [str(pathlib.Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json",
               "--checks", "all", "--no-color", "--seed", str(arguments.seed), "--request-timeout", "20"]
    if arguments.seconds:
        command += ["--max-examples", "15", "--max-time", str(arguments.seconds)]
    else:
        command += ["--max-examples", "100"]
    for operation in ENDLESS:
        command += ["--exclude-operation-id", operation]
    if PEOPLE[person]:
        command += ["-H", f"Authorization: Bearer {sign_in(url, PEOPLE[person])['token']}"]
    with open(log, "w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=pathlib.Path(log).parent).returncode
    text = pathlib.Path(log).read_text()
    cases = re.search(r"^  *(\d+ generated.*)$", text, re.M)
    return code == 0, cases.group(1) if cases else "no summary", text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--home", required=True)
    parser.add_argument("--seconds", type=int, help="limits the duration of each of the eight runs")
    parser.add_argument("--deployment", choices=DEPLOYMENTS, action="append")
    parser.add_argument("--role", choices=list(PEOPLE), action="append")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--no-page", action="store_true", help="leave out the page at /docs")
    parser.add_argument("--no-clients", action="store_true", help="leave out linters and generated clients")
    arguments = parser.parse_args()

    validator = pathlib.Path(sys.executable).parent / "openapi-spec-validator"
    if subprocess.run([validator, DOCUMENT], stdout=subprocess.DEVNULL).returncode:
        return 1
    print("check-api: docs/openapi.json is OpenAPI 3.1", flush=True)

    failed = 0
    logs = pathlib.Path(arguments.home)
    if not arguments.no_clients:
        workshop = clients.Workshop(arguments.home)
        failed += workshop.make(DOCUMENT)
        for name in arguments.deployment or DEPLOYMENTS:
            for language in ["Python", "TypeScript"]:
                with deployment(name, arguments.program, logs / "clients.log") as (url, _):
                    failed += workshop.night(name, language, url)
    if not arguments.no_page:
        if not page.programs():
            print("check-api: NOT RUN: the page at /docs needs chromium and chromedriver (Debian: chromium chromium-driver); --no-page leaves it out")
            return 1
        with deployment("embedded", arguments.program, logs / "page.log") as (url, _):
            wrong = page.check(url, sign_in(url, PEOPLE["customer"])["token"], logs / "page.png")
        print(f"check-api: the page at /docs {'FAILED: ' + wrong if wrong else 'works in a browser'}", flush=True)
        failed += wrong is not None
    print(f"check-api: seed {arguments.seed}", flush=True)
    for name in arguments.deployment or DEPLOYMENTS:
        serve_log = logs / f"{name}.log"
        serve_log.write_text("")
        for person in arguments.role or PEOPLE:
            # A new bar for each, so that no run depends on another.
            with deployment(name, arguments.program, serve_log) as (url, run):
                dead_letters(url, run)
                guest = {"username": "Guest", "email": "guest@example.com", "password": "seven green limes"}
                accounts = {"own": [sign_in(url, email)["user"]["id"] for email in PEOPLE.values() if email],
                            "guest": request(f"{url}/register", guest)["user"]["id"]}
                begun = time.monotonic()
                well, summary, text = schemathesis(url, person, accounts, arguments, logs / f"{name}-{person}.txt")
                failed += not well
                print(f"check-api: {name:10} {person:9} {'ok' if well else 'FAILED':6} {time.monotonic() - begun:4.0f} s  {summary}", flush=True)
                if not well:
                    print(text, flush=True)
    print("check-api: " + (f"{failed} FAILED" if failed else "0 failures"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

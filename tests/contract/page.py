"""Checks the page at /docs in a real browser: it shows every operation, signs in, sends a request, and logs no error."""

import json
import shutil
import tempfile
import urllib.parse

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

WAIT_SECONDS = 30
# The browser contacts no other server, and also runs as root.
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--window-size=1300,2000",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"]


def programs():
    """Returns the paths of a browser and its driver, or None if one of them is missing."""
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def check(url, token, picture):
    """Returns what is wrong with the page, or None."""
    browser, driver = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="shakerqueue-browser-") as profile:
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        window = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            return visit(window, url, token, picture)
        finally:
            window.quit()


def visit(window, url, token, picture):
    def wait(until):
        return WebDriverWait(window, WAIT_SECONDS).until(until)

    def click(where, css):
        window.execute_script("arguments[0].scrollIntoView({block: 'center'})", found := wait(lambda _: where.find_element(By.CSS_SELECTOR, css)))
        wait(lambda _: found.is_displayed() and found.is_enabled())
        found.click()

    window.get(f"{url}/docs")
    wait(lambda _: window.find_elements(By.CSS_SELECTOR, ".opblock"))
    document = json.loads(window.execute_async_script(
        "const done = arguments[0]; fetch('/openapi.json').then(answer => answer.text()).then(done)"))
    said = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    shown = window.find_elements(By.CSS_SELECTOR, ".opblock")
    if len(shown) != len(said):
        return f"it shows {len(shown)} operations of {len(said)}"

    click(window, ".auth-wrapper .authorize")
    field = wait(lambda _: window.find_element(By.CSS_SELECTOR, ".auth-container input"))
    field.send_keys(token)
    click(window, ".auth-btn-wrapper .authorize")
    click(window, ".auth-btn-wrapper .btn-done")

    me = window.find_element(By.ID, "operations-accounts-get_me")
    click(me, ".opblock-summary-control")
    click(me, ".execute")
    status = wait(lambda _: me.find_element(By.CSS_SELECTOR, ".live-responses-table tbody .response-col_status"))
    if not status.text.startswith("200"):
        return f"GET /me was answered with {status.text!r}"
    body = me.find_element(By.CSS_SELECTOR, ".live-responses-table .highlight-code").text
    if "customer" not in body:
        return f"it does not show the answer to GET /me: {body!r}"
    window.save_screenshot(str(picture))

    elsewhere = set()
    for entry in window.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked = message["params"]["request"]["url"]
            if urllib.parse.urlsplit(asked).scheme in ("http", "https", "ws", "wss") and not asked.startswith(f"{url}/"):
                elsewhere.add(asked)
    if elsewhere:
        return f"it sends requests to other servers: {sorted(elsewhere)}"
    complaints = [entry["message"] for entry in window.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    return f"the browser logs errors: {complaints}" if complaints else None

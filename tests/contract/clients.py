"""Lints the document, and generates, compiles and runs clients."""

import os
import pathlib
import shutil
import subprocess
import sys

SOURCES = pathlib.Path(__file__).resolve().parent / "clients"
PROGRAMS = pathlib.Path(sys.executable).parent
PYTHON_CLIENT = "shakerqueue_client"
LIMIT_SECONDS = 180


class Workshop:
    """A folder with npm packages, which `tests/check-api` installs, for generated clients."""

    def __init__(self, home):
        self.folder = pathlib.Path(home) / "clients"
        self.tools = self.folder / "node_modules" / ".bin"
        for source in SOURCES.iterdir():
            if source.is_file():
                shutil.copy(source, self.folder)

    def run(self, what, *command):
        """Runs a command and prints its result, with the output if it failed. Returns true if it succeeded."""
        environment = os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1",
                                    "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
        try:
            done = subprocess.run(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=LIMIT_SECONDS)
            well, said = done.returncode == 0, done.stdout
        except subprocess.TimeoutExpired as late:
            well, said = False, f"timeout after {LIMIT_SECONDS} s: {late.output}"
        print(f"check-api: {what} {'ok' if well else 'FAILED'}", flush=True)
        if not well:
            print(said, flush=True)
        return well

    def make(self, document):
        """Lints the document, and generates and compiles the clients. Returns the number of failed steps."""
        shutil.rmtree(self.folder / PYTHON_CLIENT, ignore_errors=True)
        steps = [
            ("the document, linted by Redocly:", self.tools / "redocly", "lint", document, "--config", "redocly.yaml"),
            ("the document, linted by Spectral:", self.tools / "spectral", "lint", document, "--ruleset", "spectral.yaml", "--fail-severity", "warn"),
            ("a client in Python (openapi-python-client), generated:", PROGRAMS / "openapi-python-client", "generate", "--path", document,
             "--output-path", PYTHON_CLIENT, "--meta", "none", "--config", "generator.yaml", "--fail-on-warning"),
            ("a client in Python, compiled (mypy --strict):", PROGRAMS / "mypy", "--config-file", "mypy.ini", PYTHON_CLIENT, "night.py"),
            ("a client in TypeScript (openapi-typescript), generated:", self.tools / "openapi-typescript", document, "--output", "schema.ts"),
            ("a client in TypeScript, compiled (tsc --strict):", self.tools / "tsc", "--project", "."),
        ]
        return sum(not self.run(*step) for step in steps)

    def night(self, name, language, url):
        """Works for a night at the bar with the client in this language. Returns true if that failed."""
        command = {"Python": (sys.executable, "night.py"), "TypeScript": (PROGRAMS / "node", "night.ts")}[language]
        return not self.run(f"{name:10} a night with the client in {language}:", *command, url)

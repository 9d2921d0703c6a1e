//! Every command in every document is run: by a walk-through, by another test, or by `.ci/run` and what it calls.
//!
//! A command is a line of a block of commands, or what stands between backticks and begins with a program's name and goes on.

mod runs;
mod told;

use super::{documents, name, read};
use runs::Runs;

#[test]
fn every_command_is_run() {
    let runs = Runs::of_this_repository();
    let (mut commands, mut missing) = (0, Vec::new());
    for path in documents() {
        let (document, text) = (name(&path), read(&path));
        for command in told::commands(&text, |block| runs.walks_through(&document, block)) {
            commands += 1;
            missing.extend(runs.why_not(&command).map(|why| format!("{document}: {command}: {why}")));
        }
        if told::blocks(&text, &["sql"]).next().is_some() && !runs.tests_sql_of(&document) {
            missing.push(format!("{document}: no test runs its SQL"));
        }
    }
    assert!(commands > 50, "they are found: {commands}");
    assert!(missing.is_empty(), "not run:\n{}", missing.join("\n"));
}

#[test]
fn the_check_sees_what_is_not_run() {
    let runs = Runs::of_this_repository();
    for command in [
        "make drinks",
        "make chaos WINE=red",
        "make bench ROW=vinegar",
        "shakerqueue pour",
        "shakerqueue seed --wine red",
        "seed --wine",
        "shakerqueue dead-letters drink",
        "sqlite3 bar.db .drop",
        "tests/with-servers wine",
        "LANG=C psql --wine",
        r"\watch 1000",
        ".ci/schema drink vX.Y.Z",
    ] {
        assert!(runs.why_not(command).is_some(), "{command}");
    }
    for command in [
        "make fuzz CASES=1000000",
        "make chaos FAULT=broker-killed,commit-cut-work SEED=7",
        "shakerqueue dead-letters list --all",
        "seed --menu FILE",
        "tests/with-servers cargo test --test api NAME",
        ".ci/schema WORD",
    ] {
        assert_eq!(runs.why_not(command), None, "{command}");
    }
}

#[test]
fn a_target_that_nothing_calls_is_not_run() {
    let makefile = "ci: ## All\n\tbash .ci/run\n\na:\n\tcargo a $(X)\n\nb:\n\t.ci/more\n\nc: a\n\t@echo c\n";
    let run = "# make c\nhas make || exit 1\nrun \"b\" make -s b X=1\necho \"now make c\" >&2\n";
    let runs = Runs::of(makefile, &[(".ci/run", run), (".ci/more", "if ! make a; then exit 1; fi\n")]);
    for command in ["make a X=1", "make b", "make ci"] {
        assert_eq!(runs.why_not(command), None, "{command}");
    }
    for command in ["make c", "make b X=1", "make a Y=1", "make d"] {
        assert!(runs.why_not(command).is_some(), "{command}");
    }
}

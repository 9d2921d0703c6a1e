//! The layers of `src/lib.rs`: each uses those below it, never one above.

use regex::Regex;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Modules from top to bottom. Those of one row may not use each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["http", "worker"],
    &["services"],
    &["broker", "store"],
    &["telemetry", "util"],
    &["config"],
    &["domain"],
];

/// Forbidden uses beyond the order of the layers: module, used module, reason.
const FORBIDDEN_USES: &[(&str, &str, &str)] = &[
    ("http", "broker", "the API does not know that there is a broker"),
    ("http", "store", "the API does not know which database there is"),
];

/// Modules further down that one module may not name.
const HIDDEN_MODULES: &[(&str, &str, &str)] = &[("http", "recorder", "orders go through intake")];

/// Crates that only one module may name, so that one place changes when they do.
const CRATE_OWNERS: &[(&str, &[&str])] = &[
    ("amqprs", &["broker"]),
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    // `telemetry` names what it logs, nothing else.
    ("tokio_postgres", &["store", "telemetry"]),
    ("actix_web", &["http"]),
    ("bcrypt", &["services/accounts"]),
    ("jsonwebtoken", &["services/accounts"]),
    ("governor", &["http/middleware"]),
    ("tokio_rustls", &["http/server"]),
    ("prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
];

#[test]
fn no_module_uses_one_above_it() {
    let row = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    for (file, module, text) in sources() {
        let Some(from) = row(&module) else {
            wrong.push(format!("{}: the module {module} has no layer", file.display()));
            continue;
        };
        for used in uses(&text) {
            match row(&used) {
                None => wrong.push(format!("{}: uses {used}, which has no layer", file.display())),
                Some(to) if used != module && to <= from => {
                    wrong.push(format!("{}: {module} must not use {used}", file.display()));
                }
                Some(_) => {}
            }
            if let Some((_, _, why)) =
                FORBIDDEN_USES.iter().find(|(from, to, _)| *from == module && *to == used)
            {
                wrong.push(format!("{}: {module} must not use {used}: {why}", file.display()));
            }
        }
        for reexport in reexports(&text) {
            let hidden = FORBIDDEN_USES.iter().filter(|(_, to, _)| *to == reexport && *to != module);
            wrong.extend(hidden.map(|(from, to, why)| {
                format!("{}: re-exports {to}, which {from} must not use: {why}", file.display())
            }));
        }
        if let Some((_, _, why)) =
            HIDDEN_MODULES.iter().find(|(from, to, _)| *from == module && has_word(&text, to))
        {
            wrong.push(format!("{}: {why}", file.display()));
        }
        for (library, owners) in CRATE_OWNERS {
            if !owners.iter().any(|owner| is_within(&file, owner)) && names(&text, library) {
                wrong.push(format!("{}: only {owners:?} may name {library}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_every_way_to_name_a_module() {
    let text = "use crate::{\n    store::{self, Store},\n    domain::{ids::{OrderId}, order::NewOrder},\n    broker,\n};\nfn f() -> crate::http::App {}";
    assert_eq!(uses(text), ["store", "domain", "broker", "http"]);
    assert!(names("let x = diesel::sql_query(\"\");", "diesel") && !names("the_diesel::x", "diesel"));
}

#[test]
fn the_check_sees_modules_that_are_re_exported() {
    for text in [
        "pub use crate::store::Error;",
        "use crate::domain::ids;\npub(crate) use crate::{\n    domain::order,\n    store::{self, Store},\n};",
        "pub type Error = store::Error;",
        "#[doc(inline)]\npub use crate::store::users as accounts;",
    ] {
        assert!(reexports(text).contains(&"store".to_owned()), "{text}");
    }
    let text = "use crate::store::Error;\npub use users::Users;\npub fn f(store: &crate::store::Store) {}";
    assert!(reexports(text).is_empty());
}

/// Reads every source file: its path, its module, and its text without comments.
fn sources() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("lib.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let code: Vec<_> =
                    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
                found.insert(path, code.join("\n"));
            }
        }
    }
    assert!(found.len() > 40, "the sources were not found");
    found
        .into_iter()
        .map(|(path, text)| {
            let module = path.strip_prefix(&root).unwrap().iter().next().unwrap().to_string_lossy();
            let module = module.trim_end_matches(".rs").to_owned();
            (path, module, text)
        })
        .collect()
}

/// Finds the modules of this crate that a text names, by `crate::` or by the crate's name.
fn uses(text: &str) -> Vec<String> {
    let mut used = Vec::new();
    for start in ["crate::", "shakerqueue::"] {
        for (at, _) in text.match_indices(start) {
            let rest = &text[at + start.len()..];
            match rest.strip_prefix('{') {
                None => used.extend(word(rest)),
                Some(group) => used.extend(first_words(group)),
            }
        }
    }
    used
}

/// Finds the modules that a text re-exports, by `pub use` or as a type alias.
fn reexports(text: &str) -> Vec<String> {
    let statement = Regex::new(r"\bpub(?:\([a-z ]+\))?\s+(use|type)\b([^;]*);").unwrap();
    let modules = |(_, [kind, path]): (&str, [&str; 2])| match kind {
        "use" => uses(path),
        _ => path.split(|c: char| !c.is_alphanumeric() && c != '_').filter_map(word).collect(),
    };
    statement.captures_iter(text).flat_map(|found| modules(found.extract())).collect()
}

/// Returns the first word of each entry of a `use` group, up to the closing brace.
fn first_words(group: &str) -> Vec<String> {
    let (mut depth, mut words, mut entry) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => entry = true,
            c if entry && c.is_alphabetic() => {
                words.extend(word(&group[at..]));
                entry = false;
            }
            _ => {}
        }
    }
    words
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty() && word.chars().all(|c| !c.is_uppercase())).then_some(word)
}

fn is_within(file: &Path, module: &str) -> bool {
    let place =
        file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().with_extension("");
    place.starts_with(module)
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Finds a library by its name at the start of a path.
fn names(text: &str, library: &str) -> bool {
    text.match_indices(library).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = &text[at + library.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && after.starts_with("::")
    })
}

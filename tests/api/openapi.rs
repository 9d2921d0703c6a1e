//! The OpenAPI document: it is complete and true.

mod answers;
mod completeness;
mod generators;
mod limits;
mod schema;

pub use schema::misfit;

use crate::support::executable;
use serde_json::Value;
use shakerqueue::{domain::order_state::OrderAction, http};
use std::{collections::BTreeSet, fs, path::Path};

/// A method on a path of the document.
pub struct Operation {
    pub method: String,
    pub path: String,
    is: Value,
}

impl Operation {
    /// Returns the roles that may call it; none if it needs no token.
    fn roles(&self) -> Option<Vec<&str>> {
        let roles = self.is["security"][0]["token"].as_array()?;
        Some(roles.iter().map(|role| role.as_str().unwrap()).collect())
    }

    /// Returns the schema of its body, if it takes one.
    pub fn body(&self) -> Option<&Value> {
        self.is.pointer("/requestBody/content/application~1json/schema")
    }
}

pub fn document() -> Value {
    serde_json::from_str(http::document()).unwrap()
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(|(method, is)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            is: is.clone(),
        })
    });
    operations.collect()
}

#[track_caller]
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => reference
            .strip_prefix('#')
            .and_then(|pointer| document.pointer(pointer))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
    }
}

/// Returns a value and all values within it.
fn within(value: &Value) -> Vec<&Value> {
    let inner: Vec<_> = match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    [value].into_iter().chain(inner.into_iter().flat_map(within)).collect()
}

#[tokio::test]
async fn the_executable_prints_it() {
    let printed = executable::run(&["openapi"], &[]).await;
    assert!(printed.status.success());
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), http::document());
    assert!(document()["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_reference_in_it_leads_somewhere() {
    let document = document();
    let references: Vec<_> =
        within(&document).into_iter().filter(|value| value["$ref"].is_string()).collect();
    assert!(references.len() > 100);
    for reference in references {
        assert!(resolved(&document, reference).is_object(), "{reference}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let document = document();
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for Operation { method, path, is } in operations(&document) {
        assert!(names.insert(is["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        assert!(
            is["summary"].as_str().is_some_and(|summary| !summary.contains('`')),
            "{method} {path}: {is}"
        );
        assert!(tags.contains(&&is["tags"][0]), "{method} {path}");
        let parameters = is["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in &parameters {
            let here = path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
            assert_eq!(parameter["in"] == "path", here, "{method} {path}: {parameter}");
        }
        assert!(!path.contains('{') || parameters.iter().any(|parameter| parameter["in"] == "path"));
    }
}

#[test]
fn it_has_the_routes_that_there_are_and_no_others() {
    let documented: BTreeSet<_> =
        operations(&document()).into_iter().map(|operation| (operation.method, operation.path)).collect();
    let mut registered = BTreeSet::new();
    for (method, path) in routes() {
        match path.strip_suffix("{move}") {
            Some(start) => {
                registered
                    .extend(OrderAction::ALL.iter().map(|step| (method.clone(), format!("{start}{step}"))));
            }
            None => {
                registered.insert((method, path));
            }
        }
    }
    assert!(registered.len() > 20, "the routes were not found");
    assert_eq!(registered, documented);
}

/// Module with the route by which a test blocks a thread, in debug builds only.
const DEBUG_ROUTE_MODULE: &str = "blocking_route";

#[test]
fn a_release_build_has_no_route_that_is_in_no_document() {
    let http = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let text =
        ["mod.rs", "handlers/mod.rs"].map(|file| fs::read_to_string(http.join(file)).unwrap()).concat();
    for (at, _) in text.match_indices(DEBUG_ROUTE_MODULE) {
        let before: Vec<_> = text[..at].lines().rev().take(3).collect();
        let gated = before.iter().any(|line| line.trim() == "#[cfg(debug_assertions)]");
        assert!(gated, "{DEBUG_ROUTE_MODULE} is in a release build: {before:?}");
    }
    assert_eq!(text.matches(DEBUG_ROUTE_MODULE).count(), 3, "declared, asked for and registered");
}

/// Reads every route from the sources.
fn routes() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let mut routes = Vec::new();
    let folders = [folder.join("handlers"), folder];
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_dir() || path.file_stem().is_some_and(|name| name == DEBUG_ROUTE_MODULE) {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        // One by one, such as `web::resource("/healthz").route(web::get().to(alive))`.
        for resource in text.split("web::resource(\"").skip(1) {
            let path = resource.split('"').next().unwrap();
            let methods: Vec<_> = resource.split(".route(web::").skip(1).collect();
            assert!(!methods.is_empty(), "{path} is registered in a way that this test can't read");
            for method in methods {
                routes.push((method.split('(').next().unwrap().to_uppercase(), path.to_owned()));
            }
        }
        // In the list, such as `"/users/{id}": get users::show, patch users::change;`.
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("\"/")?.strip_suffix(';')) {
            let (path, handlers) = line.split_once("\": ").unwrap();
            for handler in handlers.split(", ") {
                let (method, _) = handler.split_once(' ').unwrap();
                routes.push((method.to_uppercase(), format!("/{path}")));
            }
        }
    }
    routes
}

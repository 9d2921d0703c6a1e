//! The API's document (OpenAPI 3.1): written beside the handlers and types that it is about, put together here.

mod absent;
mod bodies;
mod examples;
mod finish;
mod links;
mod order_actions;
mod parameters;
mod problems;
mod responses;
pub mod swagger_ui;

pub use parameters::{
    Accounts, Decided, DocsPart, Drinks, Filter, IfMatch, Key, MustIfMatch, Page, ProblemName, Tag, Wait,
    Which,
};
pub use problems::{
    AccountInactive, Changed, EmailTaken, ForBody, ForQuery, ForToken, IllegalMove, KeyReused, LastAdmin,
    Missing, MissingOrder, MustHaveMatch, NotPermitted, RecipeExists, Replayed, SessionEnded, SoldOut,
    TooManyFailures, TooManyOpen, Unavailable, Unstorable, WrongPassword,
};

pub use finish::{ABOUT, Public, Shared, Summaries};
pub use order_actions::EachMove;
use serde_json::Value;
use utoipa::openapi::OpenApi;

/// The text of a document, completed with what holds for all of it.
pub fn complete_text(document: &OpenApi) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    bodies::complete(&mut document);
    absent::complete(&mut document);
    responses::complete(&mut document);
    links::complete(&mut document);
    let mut text = serde_json::to_string_pretty(&finish::InOrder::of(&document)).unwrap_or_default();
    text.push('\n');
    text
}

/// The fields of an object.
fn fields(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

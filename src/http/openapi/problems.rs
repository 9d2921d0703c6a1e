//! Which problems a route may answer with, as sets that handlers name.

use std::collections::BTreeMap;
use utoipa::{
    IntoResponses,
    openapi::{
        RefOr,
        content::ContentBuilder,
        header::HeaderBuilder,
        response::{Response, ResponseBuilder},
        schema::{ObjectBuilder, Ref, Type},
    },
};

/// Every problem that more than one route knows, or that is the only one of its status there: its name here, its status, what it is.
const PROBLEMS: &[(&str, &str, &str)] = &[
    ("Malformed", "400", "`malformed-request`: the body is not JSON."),
    ("NotSignedIn", "401", "`not-signed-in`: there is no valid token."),
    ("NotPermitted", "403", "`not-permitted`, or `account-inactive`."),
    ("NotFound", "404", "`not-found`: also for what exists but is not the caller's to see."),
    ("TooSlow", "408", "`too-slow`: the body did not arrive in time."),
    ("EmailTaken", "409", "`email-taken`: there is an account with this e-mail."),
    (
        "IllegalMove",
        "409",
        "`illegal-move`: the order is not where it would have to be; `order` is it, if it is stored.",
    ),
    ("LastAdmin", "409", "`last-admin`: the last active admin must stay one."),
    ("RecipeExists", "409", "`recipe-exists`: there is a drink of that name on the menu."),
    ("Replayed", "409", "`replayed`: its order is stored already."),
    ("SoldOut", "409", "`sold-out`: a drink can't be had now."),
    ("Unstorable", "409", "`unstorable`: its order can't be stored now either; `detail` says why."),
    ("TooLarge", "413", "`too-large`: the body has more than 64 KiB."),
    ("NotJson", "415", "`not-json`: the body's type is not `application/json`."),
    ("Invalid", "422", "`invalid`: `errors` says which field, and what is wrong with it."),
    ("TooMany", "429", "`too-many-requests`: the account or the address has used up its minute; or, for a password, `too-many-failures`."),
    ("Unavailable", "503", "`unavailable`: not done, worth trying again; or `outcome-unknown`: done or not."),
    ("Other", "default", "Any other problem, such as `internal` (500)."),
];

macro_rules! sets {
    ($($(#[$doc:meta])+ $set:ident: $($problem:literal),+;)+) => {
        $(
            $(#[$doc])+
            pub struct $set;

            impl IntoResponses for $set {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    references(&[$($problem),+])
                }
            }
        )+
    };
}

sets! {
    /// What can be wrong with a body.
    ForBody: "Malformed", "TooSlow", "TooLarge", "NotJson", "Invalid";
    /// What can be wrong with a query string.
    ForQuery: "Invalid", "Other";
    /// What can be wrong with a token.
    ForToken: "NotSignedIn", "NotPermitted";
    /// It is not there.
    Missing: "NotFound", "Other";
    /// What is needed is away, or there is too much to do.
    Unavailable: "Unavailable", "Other";
    /// An e-mail is in use.
    EmailTaken: "EmailTaken";
    /// A move that an order can't make.
    IllegalMove: "IllegalMove";
    /// There would be no admin left.
    LastAdmin: "LastAdmin";
    /// A name is on the menu.
    RecipeExists: "RecipeExists";
    /// A dead letter's order is stored.
    Replayed: "Replayed";
    /// A dead letter stays one.
    Unstorable: "Unstorable";
    /// A drink is sold out.
    SoldOut: "SoldOut";
}

fn references(names: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    PROBLEMS
        .iter()
        .filter(|(name, ..)| names.contains(name))
        .map(|(name, status, _)| ((*status).to_owned(), Ref::from_response_name(*name).into()))
        .collect()
}

/// What each operation may answer that is counted.
pub fn counted() -> BTreeMap<String, RefOr<Response>> {
    references(&["TooMany"])
}

/// The responses that the sets refer to.
pub fn all() -> impl Iterator<Item = (String, RefOr<Response>)> {
    PROBLEMS.iter().map(|&(name, status, about)| {
        let schema = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(about).content("application/problem+json", content);
        let response = match status {
            "401" => response.header("WWW-Authenticate", header(Type::String, "`Bearer`.")),
            "429" => response
                .header("Retry-After", header(Type::Integer, "In how many seconds."))
                .header(
                    "RateLimit-Policy",
                    header(Type::String, "Which limits hold: `\"ordering\";q=60;w=60`."),
                )
                .header("RateLimit", header(Type::String, "What is left of them: `\"ordering\";r=0;t=1`.")),
            "503" => response.header("Retry-After", header(Type::Integer, "In how many seconds.")),
            _ => response,
        };
        (name.to_owned(), response.build().into())
    })
}

fn header(kind: Type, about: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new().schema(ObjectBuilder::new().schema_type(kind)).description(Some(about)).build()
}

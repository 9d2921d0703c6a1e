//! Parameters that handlers read by hand.

use crate::{
    domain::{
        account::Role,
        audit::{Action, Actor, SubjectKind},
        ids::{SubjectId, UserId},
        order_state::Status,
        recipe::Build,
        text::{Search, Table},
    },
    http::{
        extract::{
            prefer::MAX_WAIT_SECONDS,
            query::{DEFAULT_PAGE_ENTRIES, MAX_PAGE_ENTRIES},
        },
        problem::types,
    },
    services::orders::intake::IdempotencyKey,
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat, Type},
    },
};

macro_rules! parameters {
    ($($(#[$doc:meta])+ $name:ident: $($parameter:expr),+;)+) => {
        $(
            $(#[$doc])+
            pub struct $name;

            impl IntoParams for $name {
                fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                    vec![$($parameter),+]
                }
            }
        )+
    };
}

parameters! {
    /// Which page of a list.
    Page:
        query("limit", "How many entries the page shall have.", limit()),
        query("cursor", "The `next_cursor` of the page before, of the same list.", string());
    /// Which orders: all conditions together.
    Filter:
        list("status", "Only those that stand there; several by giving it repeatedly, or with commas between them.", Ref::from_schema_name(Status::name())),
        query("table", "Only those for this table.", Ref::from_schema_name(Table::name())),
        query("customer", "Only those of this account; others' are for staff.", Ref::from_schema_name(UserId::name())),
        query("drink", "Only those with this drink, by id or by name, whatever its case. A page may then have fewer entries than `limit`, or none, and still lead to another.", string()),
        query("placed_from", "Only those placed then or later.", moment()),
        query("placed_until", "Only those placed before.", moment());
    /// Which accounts: all conditions together.
    Accounts:
        query("q", "Only those whose name or e-mail has this, whatever its case. A page may then have fewer entries than `limit`, or none, and still lead to another.", Search::schema()),
        query("role", "Only those with this role.", Ref::from_schema_name(Role::name())),
        query("active", "Only those that are active, or are not.", flag());
    /// Which drinks: all conditions together.
    Drinks:
        query("q", "Only those whose name, or an ingredient's, has this, whatever its case.", Search::schema()),
        query("available", "Only those that can be had, or are sold out.", flag()),
        query("build", "Only those that are built so.", Ref::from_schema_name(Build::name()));
    /// Which dead letters.
    Decided:
        query("resolution", "`open` (the default): those that wait for a decision; or what was decided; or `all`.", resolution());
    /// Which entries of the audit trail; all conditions together.
    Which:
        query("actor", &format!("Only what the holder of this account did; or `{}`: an operator at the command line.", Actor::SYSTEM), actor()),
        query("action", "Only what was done so.", Ref::from_schema_name(Action::name())),
        query("subject_kind", "Only what was done to such things.", Ref::from_schema_name(SubjectKind::name())),
        query("subject_id", "Only what was done to this account, recipe, order or dead letter.", Ref::from_schema_name(SubjectId::name())),
        query("from", "Only what was done then or later (1970 to 9999).", moment()),
        query("until", "Only what was done before that (1970 to 9999); later than `from`.", moment());
    /// Makes repeated requests one order.
    /// Makes repeated requests one.
    Key:
        header("Idempotency-Key", "A word of the client's own: one account's requests under one key are done once, and repeats are answered as the first. The account is the one that is signed in: tills that share a login need keys of their own.", key());
    /// For how long to wait.
    Wait:
        header("Prefer", &format!("`wait=N`: wait until the order is stored, for up to N seconds (at most {MAX_WAIT_SECONDS})."), wait());
    /// Which kind of problem.
    ProblemName:
        path("name", "The last part of the problem's `type`.", string().enum_values(Some(types::ALL.iter().map(|kind| kind.name))));
    /// Which part of the page.
    DocsPart:
        path("name", "Which part.", string().enum_values(Some(super::swagger_ui::names())));
    /// What the client has seen of what it changes.
    IfMatch:
        header("If-Match", "The `ETag` of what the client has seen: if it is not still that, the answer is 412.", tags());
    /// The same, where it must be said.
    MustIfMatch:
        required("If-Match", "The `ETag` of what the client has seen: if it is not still that, the answer is 412. `*`: whatever is there.", tags());
    /// What the client has already.
    Tag:
        header("If-None-Match", "The `ETag` of what the client has: if it is still that, the answer is 304.", string());
}

fn query(name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    optional(ParameterIn::Query, name, about, schema)
}

/// A parameter that may be given repeatedly, which is what generated clients do.
fn list(name: &str, about: &str, each: Ref) -> Parameter {
    query(name, about, ArrayBuilder::new().items(each))
}

fn header(name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    optional(ParameterIn::Header, name, about, schema)
}

fn path(name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let mut parameter = optional(ParameterIn::Path, name, about, schema);
    parameter.required = Required::True;
    parameter
}

fn required(name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let mut parameter = header(name, about, schema);
    parameter.required = Required::True;
    parameter
}

fn optional(place: ParameterIn, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
    parameter.description(Some(about)).schema(Some(schema)).build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn actor() -> AnyOfBuilder {
    // The title is the name that generators give it.
    let operator = string().title(Some("Operator")).enum_values(Some([Actor::SYSTEM]));
    AnyOfBuilder::new().item(Ref::from_schema_name(UserId::name())).item(operator)
}

/// `*`, or entity tags.
fn tags() -> ObjectBuilder {
    string()
        .pattern(Some(r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#))
        .examples(["\"3-01a203c7a8287562865fb3ef9919e243\""])
}

fn flag() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

fn moment() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).examples(["2026-11-22T15:00:00Z"])
}

fn limit() -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer).default(Some(DEFAULT_PAGE_ENTRIES.into()));
    number.minimum(Some(1)).maximum(Some(MAX_PAGE_ENTRIES))
}

fn resolution() -> ObjectBuilder {
    string().enum_values(Some(["open", "replayed", "discarded", "all"])).default(Some("open".into()))
}

fn key() -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(IdempotencyKey::MAX)).pattern(Some("^[!-~]([ -~]*[!-~])?$"))
}

fn wait() -> ObjectBuilder {
    string().examples(["wait=5"])
}

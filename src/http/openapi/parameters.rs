//! Headers and names of documents as parameters: their schemas have constants, patterns and examples that utoipa's attributes
//! can't give a parameter's schema.

use crate::{
    http::{examples::CHANGES_CURSOR, extract::prefer::MAX_WAIT_SECONDS, problem::types},
    services::orders::intake::IdempotencyKey,
};
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};

macro_rules! parameters {
    ($($type:ident: $parameter:expr;)+) => {
        $(
            pub struct $type;

            impl IntoParams for $type {
                fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                    vec![$parameter]
                }
            }
        )+
    };
}

const IF_MATCH: &str =
    "The `ETag` of the version that the client has seen: if there is another by now, the answer is 412.";

parameters! {
    KeyHeader: header(
        "Idempotency-Key",
        "A key of the client's choice: the requests of one account under one key are executed once, and repeats get the first \
         response. The account is the one that is signed in: tills that share a login need keys of their own.",
        string()
            .min_length(Some(1))
            .max_length(Some(IdempotencyKey::MAX))
            .pattern(Some("^[!-~]([ -~]*[!-~])?$")),
    );
    PreferHeader: header(
        "Prefer",
        &format!("`wait=N`: wait until the order is stored, for up to N seconds (at most {MAX_WAIT_SECONDS})."),
        string().examples(["wait=5"]),
    );
    IfMatchHeader: header("If-Match", IF_MATCH, entity_tags());
    RequiredIfMatchHeader: required(
        header("If-Match", &format!("{IF_MATCH} `*` matches any version."), entity_tags()),
    );
    IfNoneMatchHeader: header(
        "If-None-Match",
        "The `ETag` of the version that the client has: if that is still the current one, the answer is 304.",
        string(),
    );
    LastEventIdHeader: header(
        "Last-Event-ID",
        "The `Changes-Cursor` of what the client has read, or the `id` of the latest event that it got: the stream begins with what \
         has changed since.",
        string().examples([CHANGES_CURSOR]),
    );
    ProblemName: name("The last part of the problem's `type`.", types::ALL.iter().map(|kind| kind.name));
    DocsPartName: name(
        "The name of the file.",
        ["start.js", "swagger-ui-bundle.js", "swagger-ui.css", "licence.txt"].into_iter(),
    );
}

fn header(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
    header.required(Required::False).description(Some(about)).schema(Some(schema)).build()
}

fn required(header: Parameter) -> Parameter {
    ParameterBuilder::from(header).required(Required::True).build()
}

fn name(about: &str, names: impl Iterator<Item = &'static str>) -> Parameter {
    let name = ParameterBuilder::new().name("name").parameter_in(ParameterIn::Path).required(Required::True);
    name.description(Some(about)).schema(Some(string().enum_values(Some(names)))).build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Entity tags, or `*`.
fn entity_tags() -> ObjectBuilder {
    string()
        .pattern(Some(r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#))
        .examples(["\"3-01a203c7a8287562865fb3ef9919e243\""])
}

//! The moves of an order: one handler, and a path each in the document, because they differ in what they take and who may make them.

use crate::domain::{order_state::OrderAction, text::Note};
use utoipa::{
    Modify, ToSchema,
    openapi::{
        HttpMethod, OpenApi, PathItem, RefOr, Required, SecurityRequirement,
        content::ContentBuilder,
        path::Operation,
        request_body::{RequestBody, RequestBodyBuilder},
        schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Ref, Schema, Type},
    },
};

/// The path that the handler has.
const ANY: &str = "/orders/{id}/{move}";

/// Replaces the path of any move by one for each.
pub struct EachMove;

impl Modify for EachMove {
    fn modify(&self, document: &mut OpenApi) {
        let paths = &mut document.paths.paths;
        let Some(any) = paths.remove(ANY).and_then(|item| item.post) else { return };
        for &step in OrderAction::ALL {
            let path = ANY.replace("{move}", step.as_str());
            paths.insert(path, PathItem::new(HttpMethod::Post, one(any.clone(), step)));
        }
        let schemas = &mut document.components.get_or_insert_default().schemas;
        schemas.extend(OrderAction::ALL.iter().filter_map(|step| {
            let (name, schema) = reason(*step)?;
            Some((name.to_owned(), schema))
        }));
    }
}

fn one(any: Operation, step: OrderAction) -> Operation {
    let mut operation = any;
    operation.operation_id = Some(format!("{step}_order"));
    operation.summary = Some(about(step).into());
    operation.request_body = body(step);
    if let Some(parameters) = &mut operation.parameters {
        parameters.retain(|parameter| parameter.name != "move");
    }
    if step != OrderAction::Cancel {
        operation.security = Some(vec![SecurityRequirement::new("token", ["employee"])]);
    }
    operation
}

fn about(step: OrderAction) -> &'static str {
    match step {
        OrderAction::Start => "A bartender takes it",
        OrderAction::Ready => "It is made",
        OrderAction::Complete => "It is collected",
        OrderAction::Cancel => "It is called off, by staff or, while it is pending, by its guest",
        OrderAction::Fail => "It can't be made",
        OrderAction::Undo => "The last move was a mistake: one step back",
    }
}

/// The body that a move takes.
fn body(step: OrderAction) -> Option<RequestBody> {
    let (name, _) = reason(step)?;
    let required = if step == OrderAction::Fail { Required::True } else { Required::False };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build();
    Some(RequestBodyBuilder::new().content("application/json", content).required(Some(required)).build())
}

/// The schema of that body, and its name: one without a name is given some other by each generator of clients.
fn reason(step: OrderAction) -> Option<(&'static str, RefOr<Schema>)> {
    let (name, about) = match step {
        OrderAction::Cancel => ("OrderCancellation", "Why an order is called off."),
        OrderAction::Fail => ("OrderFailure", "Why an order can't be made."),
        OrderAction::Start | OrderAction::Ready | OrderAction::Complete | OrderAction::Undo => return None,
    };
    let note = Ref::builder()
        .ref_location_from_schema_name(Note::name())
        .description(Some("Why, for the guest."))
        .build();
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let reason: RefOr<Schema> = match step {
        OrderAction::Fail => note.into(),
        _ => OneOfBuilder::new().item(null).item(note).into(),
    };
    let object = ObjectBuilder::new()
        .description(Some(about))
        .property("reason", reason)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .examples([serde_json::json!({ "reason": "We are out of limes." })]);
    let object = if step == OrderAction::Fail { object.required("reason") } else { object };
    Some((name, object.into()))
}

//! The order actions: one handler, and a path each in the document, because they differ in their bodies and roles.

use crate::domain::{order_state::OrderAction, text::Note};
use utoipa::{
    Modify, PartialSchema, ToSchema,
    openapi::{
        HttpMethod, OpenApi, PathItem, Ref, Required, SecurityRequirement, content::ContentBuilder,
        path::Operation, request_body::RequestBodyBuilder,
    },
};

/// The path of the handler.
const ANY: &str = "/orders/{id}/{move}";

/// The reason why an order is cancelled.
#[derive(ToSchema)]
#[schema(examples(json!({ "reason": "We are out of limes." })))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema: the handler reads both bodies as one type")]
struct OrderCancellation {
    /// The reason, for the guest.
    reason: Option<Note>,
}

/// The reason why an order can't be made.
#[derive(ToSchema)]
#[schema(examples(json!({ "reason": "We are out of limes." })))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema: the handler reads both bodies as one type")]
struct OrderFailure {
    /// The reason, for the guest.
    reason: Note,
}

/// Replaces the path of any action by one for each.
pub struct EachAction;

impl Modify for EachAction {
    fn modify(&self, document: &mut OpenApi) {
        let paths = &mut document.paths.paths;
        let Some(any) = paths.remove(ANY).and_then(|item| item.post) else { return };
        for &action in OrderAction::ALL {
            let path = ANY.replace("{move}", action.as_str());
            paths.insert(path, PathItem::new(HttpMethod::Post, operation(any.clone(), action)));
        }
        let schemas = &mut document.components.get_or_insert_default().schemas;
        schemas.insert(OrderCancellation::name().into(), OrderCancellation::schema());
        schemas.insert(OrderFailure::name().into(), OrderFailure::schema());
    }
}

fn operation(mut operation: Operation, action: OrderAction) -> Operation {
    let (summary, body) = match action {
        OrderAction::Start => ("A bartender takes the order", None),
        OrderAction::Ready => ("The order is made", None),
        OrderAction::Complete => ("The order is collected", None),
        OrderAction::Cancel => (
            "Cancels the order: staff, or its guest while it is pending",
            Some((OrderCancellation::name(), Required::False)),
        ),
        OrderAction::Fail => ("The order can't be made", Some((OrderFailure::name(), Required::True))),
        OrderAction::Undo => ("Takes back the last action", None),
    };
    operation.operation_id = Some(format!("{action}_order"));
    operation.summary = Some(summary.into());
    operation.request_body = body.map(|(name, required)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build();
        RequestBodyBuilder::new().content("application/json", content).required(Some(required)).build()
    });
    if let Some(parameters) = &mut operation.parameters {
        parameters.retain(|parameter| parameter.name != "move");
    }
    if action != OrderAction::Cancel {
        operation.security = Some(vec![SecurityRequirement::new("token", ["employee"])]);
    }
    operation
}

//! Traces (OpenTelemetry), sent to a collector over OTLP. Without an endpoint nothing is traced, at nearly no cost.
//!
//! Each span is given its parent explicitly, not through a thread's current span: an order passes through many tasks, in some of
//! them together with other orders.

use super::{Scope, otlp_client::OtlpClient};
use crate::config::TraceArgs;
pub use opentelemetry::trace::SpanKind;
use opentelemetry::{
    Context, Key, KeyValue, StringValue,
    propagation::TextMapPropagator,
    trace::{Link, Span as _, SpanBuilder, SpanContext, Status, TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, SystemTime},
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

/// As many as a batch may have orders.
const MAX_LINKS: u32 = 2000;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// The headers that carry a trace context (W3C).
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Unset while nothing is traced.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub fn is_enabled() -> bool {
    TRACER.get().is_some()
}

/// Sends spans in the background until it is finished.
pub struct Traces(Option<SdkTracerProvider>);

/// Starts tracing in a process of this role, if a collector is configured.
pub fn start(tracing: &TraceArgs, role: &'static str) -> Result<Traces, String> {
    let Some(endpoint) = tracing.endpoint()? else { return Ok(Traces(None)) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OtlpClient::new())
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(|error| error.to_string())?;
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(tracing.ratio))))
        .with_max_links_per_span(MAX_LINKS)
        .with_resource(resource(role))
        .build();
    // A process that starts tracing twice goes on with its first tracer.
    let _ = TRACER.set(provider.tracer("shakerqueue"));
    Ok(Traces(Some(provider)))
}

/// Describes the process that sends the spans. The standard variables (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) have
/// precedence.
fn resource(role: &'static str) -> Resource {
    let given = Resource::builder().build();
    let is_unset =
        |key: &Key| given.get(key).is_none_or(|value| value.as_str().starts_with("unknown_service"));
    let defaults = [
        KeyValue::new("service.name", "shakerqueue"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
        KeyValue::new("shakerqueue.role", role),
    ];
    let defaults = defaults.into_iter().filter(|attribute| is_unset(&attribute.key));
    Resource::builder().with_attributes(defaults).build()
}

impl Traces {
    /// Sends the remaining spans, unless the collector takes longer than `FLUSH_TIMEOUT`.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        let (done, sent) = oneshot::channel();
        // Not a thread of the runtime: its end would wait for that.
        let sending =
            thread::Builder::new().spawn(move || done.send(provider.shutdown_with_timeout(FLUSH_TIMEOUT)));
        let sent = timeout(FLUSH_TIMEOUT, sent).await;
        if sending.is_err() || !matches!(sent, Ok(Ok(Ok(())))) {
            tracing::warn!("failed to send the last spans to the collector in time");
        }
    }
}

/// A trace and a span in it, which further spans become children of. None if nothing is traced. As small as a pointer, because
/// each order carries one through several channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext(Option<Arc<SpanContext>>);

impl TraceContext {
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the headers of the W3C's trace context.
    pub fn headers(&self) -> HashMap<String, String> {
        let mut headers = HashMap::new();
        if let Some(context) = self.parent() {
            TraceContextPropagator::new().inject_context(&context, &mut headers);
        }
        headers
    }

    /// Reads the headers of the W3C's trace context. None if there are none, or if this process does not trace.
    pub fn extract<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        if TRACER.get().is_none() {
            return Self(None);
        }
        let headers = [TRACEPARENT, TRACESTATE].map(|name| (name.to_owned(), header(name)));
        let headers = headers.into_iter().filter_map(|(name, text)| Some((name, text?.to_owned())));
        let headers: HashMap<_, _> = headers.collect();
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        let context = context.span().span_context().clone();
        // One that is not sampled is kept: neither are its children then.
        Self(context.is_valid().then(|| Arc::new(context)))
    }

    /// The `traceparent` alone, for carriers that have room for nothing else.
    pub fn traceparent(&self) -> Option<String> {
        self.headers().remove(TRACEPARENT)
    }

    pub fn from_traceparent(traceparent: &str) -> Self {
        Self::extract(|name| (name == TRACEPARENT).then_some(traceparent))
    }

    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|context| context.trace_id().to_string())
    }

    /// The same as a parent of spans.
    fn parent(&self) -> Option<Context> {
        self.0.as_ref().map(|context| Context::new().with_remote_span_context(context.as_ref().clone()))
    }
}

/// A span, which ends when it is dropped. Boxed, because a span has some 400 bytes and every request moves one, though most
/// processes trace nothing.
#[derive(Debug, Default)]
pub struct Span(Option<Box<SdkSpan>>);

impl Span {
    /// Begins a span for a request from outside: a child of the sender's, or else the root of a trace.
    pub fn begin(kind: SpanKind, name: impl FnOnce() -> String, sender: &TraceContext) -> Self {
        Self::start(|| sender.parent().unwrap_or_default(), || SpanBuilder::from_name(name()).with_kind(kind))
    }

    /// Begins a child, unless its parent is not traced.
    pub fn child_of(parent: &TraceContext, kind: SpanKind, name: &'static str) -> Self {
        let Some(parent) = parent.parent() else { return Self(None) };
        Self::start(|| parent, || SpanBuilder::from_name(name).with_kind(kind))
    }

    /// Begins a child of the present task's span.
    pub fn child(kind: SpanKind, name: &'static str) -> Self {
        if TRACER.get().is_none() {
            return Self(None);
        }
        Self::child_of(&Scope::current().trace, kind, name)
    }

    /// Begins a span for work done on behalf of several others: a child of the first, with a link to each.
    pub fn for_batch<'a>(parents: impl IntoIterator<Item = &'a TraceContext>, name: &'static str) -> Self {
        if TRACER.get().is_none() {
            return Self(None);
        }
        let traced: Vec<_> = parents.into_iter().filter(|parent| !parent.is_none()).collect();
        let Some(first) = traced.first().and_then(|first| first.parent()) else { return Self(None) };
        let contexts = traced.into_iter().filter_map(|parent| parent.0.as_deref());
        let links = contexts.map(|context| Link::new(context.clone(), Vec::new(), 0)).collect();
        let builder = || SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_links(links);
        Self::start(|| first, builder)
    }

    fn start(parent: impl FnOnce() -> Context, builder: impl FnOnce() -> SpanBuilder) -> Self {
        Self(TRACER.get().map(|tracer| {
            let builder = builder().with_start_time(SystemTime::now());
            Box::new(builder.start_with_context(tracer, &parent()))
        }))
    }

    /// The context for children of this span: none if it is not sampled.
    pub fn context(&self) -> TraceContext {
        let context = self.0.as_ref().map(|span| span.span_context());
        let sampled = context.filter(|context| context.is_valid() && context.is_sampled());
        TraceContext(sampled.map(|context| Arc::new(context.clone())))
    }

    pub fn is_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.is_recording())
    }

    pub fn set(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    pub fn link(&mut self, context: &TraceContext) {
        if let (Some(span), Some(context)) = (&mut self.0, context.0.as_deref()) {
            span.add_link(context.clone(), Vec::new());
        }
    }

    /// Marks the span as failed. The reason must not contain secrets.
    pub fn failed(&mut self, reason: impl Into<StringValue>) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(reason.into().to_string()));
        }
    }

    /// Runs work whose spans are children of this one.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        if self.0.is_none() {
            return work.await;
        }
        Scope::current().with_trace(self.context()).run(work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_not_traced_carries_two_pointers() {
        assert_eq!(size_of::<(Span, TraceContext)>(), 2 * size_of::<usize>());
        // The room that each would take otherwise.
        assert!(size_of::<Option<SdkSpan>>() > 200 && size_of::<Option<SpanContext>>() > 50);
    }
}

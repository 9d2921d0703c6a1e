//! Traces (OpenTelemetry), to a collector over OTLP. Off, and next to free, unless an endpoint is set.
//!
//! Spans are made where they are needed and given their parent in so many words, not through a thread's current one: an order passes
//! many tasks, and in some of them together with others.

use super::{Scope, otlp_client::OtlpClient};
use crate::config::Tracing;
pub use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{
    Context, Key, KeyValue, StringValue,
    propagation::TextMapPropagator,
    trace::{
        Link, Span as _, SpanBuilder, SpanContext, SpanKind as OtelSpanKind, Status, TraceContextExt,
        TracerProvider,
    },
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use std::{
    collections::HashMap,
    sync::OnceLock,
    thread,
    time::{Duration, SystemTime},
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

/// As many as orders in a batch, at most.
const MAX_LINKS: u32 = 2000;
/// How long the last spans may take to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Under which name a trace's place travels.
const PARENT: &str = "traceparent";

/// Makes spans, if any are made.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Keeps sending spans.
pub struct Traces(Option<SdkTracerProvider>);

/// Starts to make spans and to send them, if it is configured, as a process of this role.
pub fn start(tracing: &Tracing, role: &'static str) -> Result<Traces, String> {
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
    // A second one in the same process makes spans for the first.
    let _ = TRACER.set(provider.tracer("shakerqueue"));
    Ok(Traces(Some(provider)))
}

/// Who sends the spans. What the standard variables say of it (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) counts first.
fn resource(role: &'static str) -> Resource {
    let said = Resource::builder().build();
    let is_open = |key: &Key| said.get(key).is_none_or(|value| value.as_str().starts_with("unknown_service"));
    let ours = [
        KeyValue::new("service.name", "shakerqueue"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
        KeyValue::new("shakerqueue.role", role),
    ];
    Resource::builder().with_attributes(ours.into_iter().filter(|attribute| is_open(&attribute.key))).build()
}

impl Traces {
    /// Sends what there is, if that does not take long: nobody waits for a collector that does not answer.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        let (told, sent) = oneshot::channel();
        // A thread that nobody waits for, unlike those of the runtime.
        let sending =
            thread::Builder::new().spawn(move || told.send(provider.shutdown_with_timeout(FLUSH_TIMEOUT)));
        let sent = timeout(FLUSH_TIMEOUT, sent).await;
        if sending.is_err() || !matches!(sent, Ok(Ok(Ok(())))) {
            tracing::warn!("the last spans may not have reached the collector");
        }
    }
}

/// A place in a trace, below which something is done. None where nothing is traced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext(Option<SpanContext>);

impl TraceContext {
    /// Whether nothing is traced.
    pub fn is_nowhere(&self) -> bool {
        self.0.is_none()
    }

    /// Writes it, as the W3C's trace context has it.
    pub fn write(&self, into: &mut dyn Injector) {
        if let Some(context) = self.context() {
            TraceContextPropagator::new().inject_context(&context, into);
        }
    }

    /// Reads what was written. None if nothing was, or if nothing is traced here.
    pub fn read(from: &dyn Extractor) -> Self {
        if TRACER.get().is_none() {
            return Self(None);
        }
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), from);
        // Also one that is not sampled: so is then what is below it.
        Self(Some(context.span().span_context().clone()).filter(SpanContext::is_valid))
    }

    /// Its `traceparent`, where there is room for nothing else.
    pub fn parent(&self) -> Option<String> {
        let mut carrier = HashMap::new();
        self.write(&mut carrier);
        carrier.remove(PARENT)
    }

    /// Reads a `traceparent`.
    pub fn of_parent(parent: &str) -> Self {
        Self::read(&HashMap::from([(PARENT.to_owned(), parent.to_owned())]))
    }

    /// The id of its trace, for logs.
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|context| context.trace_id().to_string())
    }

    fn of(context: &SpanContext) -> Self {
        Self((context.is_valid() && context.is_sampled()).then(|| context.clone()))
    }

    fn context(&self) -> Option<Context> {
        self.0.as_ref().map(|context| Context::new().with_remote_span_context(context.clone()))
    }
}

/// What a span is about, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Answers somebody.
    Server,
    /// Asks a server.
    Client,
    /// Gives a message away.
    Producer,
    /// Deals with a message.
    Consumer,
    /// Nobody outside sees it.
    Internal,
}

impl From<SpanKind> for OtelSpanKind {
    fn from(kind: SpanKind) -> Self {
        match kind {
            SpanKind::Server => Self::Server,
            SpanKind::Client => Self::Client,
            SpanKind::Producer => Self::Producer,
            SpanKind::Consumer => Self::Consumer,
            SpanKind::Internal => Self::Internal,
        }
    }
}

/// Something that is being done. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<SdkSpan>);

impl Span {
    /// What somebody outside asked for: below their place, if they gave one; else perhaps the beginning of a trace.
    pub fn begin(kind: SpanKind, name: impl FnOnce() -> String, parent: &TraceContext) -> Self {
        Self::start(&parent.context().unwrap_or_default(), || {
            SpanBuilder::from_name(name()).with_kind(kind.into())
        })
    }

    /// Something done below a place; nothing if that is in no trace.
    pub fn below(place: &TraceContext, kind: SpanKind, name: &'static str) -> Self {
        let Some(context) = place.context() else { return Self(None) };
        Self::start(&context, || SpanBuilder::from_name(name).with_kind(kind.into()))
    }

    /// Something done below the present place.
    pub fn here(kind: SpanKind, name: &'static str) -> Self {
        Self::below(&Scope::current().place, kind, name)
    }

    /// Something done for many at once: it is a part of the first one's trace, and linked to each. Nothing if none is traced.
    pub fn for_all<'a>(places: impl IntoIterator<Item = &'a TraceContext>, name: &'static str) -> Self {
        if TRACER.get().is_none() {
            return Self(None);
        }
        let traced: Vec<_> = places.into_iter().filter_map(|place| place.0.clone()).collect();
        let Some(first) = traced.first().cloned() else { return Self(None) };
        let first = Context::new().with_remote_span_context(first);
        let links = traced.into_iter().map(|context| Link::new(context, Vec::new(), 0)).collect();
        Self::start(&first, || {
            SpanBuilder::from_name(name).with_kind(OtelSpanKind::Internal).with_links(links)
        })
    }

    fn start(parent: &Context, builder: impl FnOnce() -> SpanBuilder) -> Self {
        Self(
            TRACER.get().map(|tracer| {
                builder().with_start_time(SystemTime::now()).start_with_context(tracer, parent)
            }),
        )
    }

    /// Where things are done for it.
    pub fn place(&self) -> TraceContext {
        self.0.as_ref().map_or_else(TraceContext::default, |span| TraceContext::of(span.span_context()))
    }

    /// Whether anybody will see it.
    pub fn is_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(SdkSpan::is_recording)
    }

    /// Says something about it.
    pub fn set(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Points to another place that has to do with it.
    pub fn link(&mut self, place: &TraceContext) {
        if let (Some(span), Some(context)) = (&mut self.0, &place.0) {
            span.add_link(context.clone(), Vec::new());
        }
    }

    /// It failed: why, without anything secret.
    pub fn failed(&mut self, why: impl Into<StringValue>) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why.into().to_string()));
        }
    }

    /// Work that is done for it.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        if self.0.is_none() {
            return work.await;
        }
        Scope::current().at(self.place()).run(work).await
    }
}

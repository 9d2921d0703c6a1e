//! A trace collector in this process: it receives OTLP over HTTP and keeps the spans.

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

type SharedSpans = Arc<Mutex<Vec<ReceivedSpan>>>;

/// A span, and the process that sent it.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    pub span: Span,
    pub service: String,
    pub role: String,
}

impl ReceivedSpan {
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub fn parent_id(&self) -> String {
        hex(&self.span.parent_span_id)
    }
}

pub struct Collector {
    endpoint: String,
    kept: SharedSpans,
    server: actix_web::dev::ServerHandle,
}

impl Collector {
    pub fn start() -> Self {
        let kept = SharedSpans::default();
        let data = web::Data::new(kept.clone());
        let app = move || App::new().app_data(data.clone()).route("/v1/traces", web::post().to(take));
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { endpoint, kept, server: handle }
    }

    /// Returns the settings that make a role send its spans here, with a short delay.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")]
    }

    /// Returns the spans received so far.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.kept.lock().expect("no panic").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn take(kept: web::Data<SharedSpans>, body: web::Bytes) -> HttpResponse {
    let request = ExportTraceServiceRequest::decode(body).expect("what OTLP has");
    for resource in request.resource_spans {
        let about = resource.resource.unwrap_or_default().attributes;
        let of = |name: &str| value(&about, name).unwrap_or_default();
        let (service, role) = (of("service.name"), of("shakerqueue.role"));
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let seen = spans.map(|span| ReceivedSpan { span, service: service.clone(), role: role.clone() });
        kept.lock().expect("no panic").extend(seen);
    }
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    HttpResponse::Ok().content_type("application/x-protobuf").body(answer)
}

pub fn attribute(span: &Span, name: &str) -> Option<String> {
    value(&span.attributes, name)
}

fn value(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory");
        text
    })
}

/// Formats a trace: each span below its parent, with its times since the trace began.
pub fn drawn(spans: &[ReceivedSpan], trace: &str) -> String {
    let all: Vec<_> = spans.iter().filter(|seen| seen.trace_id() == trace).collect();
    let start = all.iter().map(|seen| seen.span.start_time_unix_nano).min().unwrap_or_default();
    let is_root =
        |seen: &&&ReceivedSpan| !all.iter().any(|other| other.span.span_id == seen.span.parent_span_id);
    let mut text = format!("trace {trace}\n");
    for root in all.iter().filter(is_root) {
        draw(&mut text, &all, root, start, 1);
    }
    text
}

fn draw(text: &mut String, all: &[&ReceivedSpan], seen: &ReceivedSpan, start: u64, depth: usize) {
    let ms = |nanos: u64| Duration::from_nanos(nanos - start).as_secs_f64() * 1e3;
    let ReceivedSpan { span, role, .. } = seen;
    let (from, until) = (ms(span.start_time_unix_nano), ms(span.end_time_unix_nano));
    let links: Vec<_> = span.links.iter().map(|link| hex(&link.span_id)).collect();
    let links = if links.is_empty() { String::new() } else { format!(" → {}", links.join(", ")) };
    let name = format!("{}{}", "  ".repeat(depth), span.name);
    writeln!(text, "{name:<32} {role:<5} {from:>8.2}–{until:<8.2} ms {}{links}", hex(&span.span_id))
        .expect("memory");
    for below in all.iter().filter(|other| other.span.parent_span_id == span.span_id) {
        draw(text, all, below, start, depth + 1);
    }
}

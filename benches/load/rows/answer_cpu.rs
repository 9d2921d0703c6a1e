//! Measures the processor time that each GET and HEAD takes of the HTTP thread, with and without gzip. Meanwhile that thread
//! answers nobody else, so larger work belongs elsewhere.

use super::{Bench, Goal, Measurement};
use crate::{client::request, figures::Figure, harness::Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{ACCEPT_ENCODING, HeaderValue},
};
use hyper_util::rt::TokioIo;
use std::{fs, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// The kernel keeps 15 bytes of a thread's name.
const HTTP_THREAD_NAME: &str = "actix-server wo";
const WARM_UP_REQUESTS: u32 = 5;
const REQUESTS: u32 = 50;
const ORDERS: usize = 100;
/// A route to things that this system has none of.
const SKIPPED_ROUTE: &str = "/dead-letters/{id}";
const ADMIN_ROUTES: [&str; 3] = ["/users", "/audit", "/dead-letters"];
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A path for each route with GET; `{order}` is an order's id, `{user}` an account's.
const PATHS: [&str; 22] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
    "/docs/licence.txt",
    "/problems",
    "/problems/invalid",
    "/recipes",
    "/recipes?q=gin",
    "/recipes/Negroni",
    "/me",
    "/orders?limit=100",
    "/orders/{order}",
    "/orders/{order}/history",
    "/users",
    "/users/{user}",
    "/dead-letters",
    "/audit?limit=100",
];

pub async fn run(bench: Bench<'_>) -> Result<Vec<Measurement>> {
    let Bench { stage, rounds } = bench;
    let (mut serve, tokens) = stage.embedded().await?;
    let process = serve.id().ok_or("serve does not run")?;
    let mut sender = connect(serve.address).await?;
    let order = place_orders(&mut sender, &tokens.guest, stage.drinks()).await?;
    let (admin, user) = sign_in_admin(&mut sender).await?;
    check_paths(&mut sender).await?;
    let mut measured = Vec::new();
    for gzip in [false, true] {
        let mut largest = Figure::new("ms");
        let mut parts: Vec<(String, Figure)> = Vec::new();
        for method in ["GET", "HEAD"] {
            parts.extend(PATHS.iter().map(|path| (format!("{method} {path}"), Figure::new("ms"))));
        }
        for _ in 0..rounds {
            for (name, figure) in &mut parts {
                let (method, path) = name.split_once(' ').ok_or("no method")?;
                let for_admins = ADMIN_ROUTES.iter().any(|route| path.starts_with(route));
                let token = if for_admins { &admin } else { &tokens.guest };
                let path = path.replace("{order}", &order).replace("{user}", &user);
                let mut asked = request(method, &path, Some(token), "");
                if gzip {
                    asked.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
                }
                figure.rounds.push(milliseconds_each(process, &mut sender, &asked).await?);
            }
            let last = parts.iter().filter_map(|(_, figure)| figure.rounds.last().copied());
            largest.rounds.push(last.fold(0.0, f64::max));
        }
        let name = format!("thread time of a GET or HEAD, {}", if gzip { "gzip" } else { "plain" });
        let parts: Vec<_> = parts.iter().map(|(name, figure)| (name.as_str(), figure)).collect();
        measured.push(Measurement::value(name, largest, Goal::AtMost(1.0)).with_parts(&parts));
    }
    if let Some(problem) = serve.stop().await {
        return Err(problem.into());
    }
    Ok(measured)
}

async fn connect(at: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Returns the status and the body of an answer.
async fn ask(sender: &mut SendRequest<Full<Bytes>>, asked: &Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
    sender.ready().await?;
    let response = timeout(ANSWER_TIMEOUT, sender.send_request(asked.clone())).await??;
    Ok((response.status().as_u16(), response.into_body().collect().await?.to_bytes()))
}

/// Places a page of orders and returns the id of one.
async fn place_orders(
    sender: &mut SendRequest<Full<Bytes>>,
    token: &str,
    drinks: &[String],
) -> Result<String> {
    let mut id = None;
    for drink in drinks.iter().cycle().take(ORDERS) {
        let body = serde_json::json!({ "recipe": drink, "note": "no ice, please" }).to_string();
        let (status, body) = ask(sender, &request("POST", "/orders", Some(token), body)).await?;
        if status != 201 {
            return Err(format!("an order was answered with {status}").into());
        }
        let order: serde_json::Value = serde_json::from_slice(&body)?;
        id = order["id"].as_str().map(str::to_owned);
    }
    id.ok_or_else(|| "there are no drinks".into())
}

/// Returns the admin's token and id.
async fn sign_in_admin(sender: &mut SendRequest<Full<Bytes>>) -> Result<(String, String)> {
    let login = serde_json::json!({ "email": "admin@example.com", "password": "password123" }).to_string();
    let (_, body) = ask(sender, &request("POST", "/login", None, login)).await?;
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).ok_or("no admin");
    Ok((text(&answer["token"])?, text(&answer["user"]["id"])?))
}

/// Fails if a route has no path here.
async fn check_paths(sender: &mut SendRequest<Full<Bytes>>) -> Result<()> {
    let (_, document) = ask(sender, &request("GET", "/openapi.json", None, "")).await?;
    let document: serde_json::Value = serde_json::from_slice(&document)?;
    let routes = document["paths"].as_object().ok_or("a document without paths")?;
    let is_of = |path: &str, route: &str| {
        let path = path.split('?').next().unwrap_or_default();
        let matches = |(part, of): (&str, &str)| part == of || of.starts_with('{');
        path.split('/').count() == route.split('/').count()
            && path.split('/').zip(route.split('/')).all(matches)
    };
    let missing = routes.iter().find(|(route, methods)| {
        methods.get("get").is_some()
            && *route != SKIPPED_ROUTE
            && !PATHS.iter().any(|path| is_of(path, route))
    });
    missing.map_or(Ok(()), |(route, _)| Err(format!("no path of {route} is measured").into()))
}

/// Measures the mean processor time of the HTTP threads for a request.
async fn milliseconds_each(
    process: u32,
    sender: &mut SendRequest<Full<Bytes>>,
    asked: &Request<Full<Bytes>>,
) -> Result<f64> {
    let mut before = 0;
    for number in 0..WARM_UP_REQUESTS + REQUESTS {
        if number == WARM_UP_REQUESTS {
            before = nanoseconds(process)?;
        }
        let (status, _) = ask(sender, asked).await?;
        if status != 200 {
            return Err(format!("{} {}: {status}", asked.method(), asked.uri()).into());
        }
    }
    #[allow(clippy::cast_precision_loss)]
    Ok((nanoseconds(process)? - before) as f64 / 1e6 / f64::from(REQUESTS))
}

/// Reads the processor time of the HTTP threads; only Linux tells it.
fn nanoseconds(process: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        if fs::read_to_string(thread.join("comm"))?.trim_end() == HTTP_THREAD_NAME {
            let ran = fs::read_to_string(thread.join("schedstat"))?;
            sum += ran.split(' ').next().ok_or("no time")?.parse::<u64>()?;
        }
    }
    if sum == 0 { Err(format!("no thread is called {HTTP_THREAD_NAME:?}").into()) } else { Ok(sum) }
}

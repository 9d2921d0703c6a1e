//! HTTP load generator on a thread of its own: a closed loop for throughput, an open loop for answer times.

use crate::{
    figures::{Times, micros, times},
    harness::Result,
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, IF_MATCH},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    runtime, task,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Warm-up of a closed loop before requests count.
pub const WARM_UP: Duration = Duration::from_millis(500);
/// Timeout of a request; a later answer counts as none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Builds the request with this number.
pub type Requests = Arc<dyn Fn(u64) -> Request<Full<Bytes>> + Send + Sync>;

/// The requests to send, and for how long.
#[derive(Clone)]
pub struct Load {
    pub at: SocketAddr,
    pub requests: Requests,
    pub connections: usize,
    /// Warm-up, during which nothing counts.
    pub warm_up: Duration,
    pub during: Duration,
    pub pace: Pace,
    /// While it is set, no new request is sent.
    pub pause: Arc<AtomicBool>,
    /// Counts answers that accept an order, from the first one on.
    pub taken: Arc<AtomicU64>,
    /// Pause of a connection after an answer of this status: 503 asks the client to come again later.
    pub rest_when_refused: Duration,
}

#[derive(Clone, Copy)]
pub enum Pace {
    /// Each connection sends its next request once it has the answer to the last one.
    Closed,
    /// Like `Closed`, until this number of requests is sent.
    Count(u64),
    /// A fixed number of requests a second, whatever is answered. A request's time counts from when it was due, so a
    /// request that waits for a free connection or a late generator is late (no coordinated omission).
    Open(f64),
}

/// The answers of a run.
pub struct Answers {
    /// Counted answers by status; 0: the connection failed.
    pub statuses: BTreeMap<u16, u64>,
    pub times: Times,
    pub took: Duration,
}

impl Answers {
    pub fn with(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn per_second(&self, status: u16) -> f64 {
        self.with(status) as f64 / self.took.as_secs_f64()
    }

    /// Fails unless every answer had one of these statuses.
    pub fn only(self, wanted: &[u16]) -> Result<Self> {
        if self.statuses.keys().all(|status| wanted.contains(status)) && !self.statuses.is_empty() {
            Ok(self)
        } else {
            Err(format!("answers other than {wanted:?}: {:?}", self.statuses).into())
        }
    }
}

impl Load {
    pub fn closed(at: SocketAddr, requests: Requests, connections: usize, during: Duration) -> Self {
        Self {
            at,
            requests,
            connections,
            warm_up: WARM_UP,
            during,
            pace: Pace::Closed,
            pause: Arc::default(),
            taken: Arc::default(),
            rest_when_refused: Duration::ZERO,
        }
    }

    pub fn open(at: SocketAddr, requests: Requests, rate: f64, during: Duration) -> Self {
        Self {
            pace: Pace::Open(rate),
            warm_up: Duration::from_secs(2),
            ..Self::closed(at, requests, 128, during)
        }
    }

    /// Runs the load on a thread of its own.
    pub async fn send(self) -> Result<Answers> {
        task::spawn_blocking(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            task::LocalSet::new().block_on(&runtime, self.send_here())
        })
        .await?
    }

    async fn send_here(self) -> Result<Answers> {
        let mut senders = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            senders.push(connect(self.at).await?);
        }
        let begin = Instant::now();
        let counts_from = begin + self.warm_up;
        let run = Rc::new(Run {
            counts_from,
            ends: counts_from + self.during,
            begin,
            load: self,
            next: Cell::new(0),
            statuses: RefCell::default(),
            times: RefCell::new(times()),
        });
        let sending: Vec<_> =
            senders.into_iter().map(|sender| task::spawn_local(Rc::clone(&run).drive(sender))).collect();
        for connection in sending {
            connection.await??;
        }
        let took = match run.load.pace {
            Pace::Count(_) => begin.elapsed(),
            _ => run.load.during,
        };
        let run = Rc::try_unwrap(run).map_err(|_| "a connection is still busy")?;
        Ok(Answers { statuses: run.statuses.into_inner(), times: run.times.into_inner(), took })
    }
}

struct Run {
    load: Load,
    begin: Instant,
    counts_from: Instant,
    ends: Instant,
    next: Cell<u64>,
    statuses: RefCell<BTreeMap<u16, u64>>,
    times: RefCell<Times>,
}

impl Run {
    async fn drive(self: Rc<Self>, mut sender: SendRequest<Full<Bytes>>) -> Result<()> {
        loop {
            while self.load.pause.load(Ordering::Relaxed) && Instant::now() < self.ends {
                sleep(Duration::from_millis(2)).await;
            }
            let number = self.next.get();
            self.next.set(number + 1);
            let due = match self.load.pace {
                Pace::Count(count) if number >= count => return Ok(()),
                Pace::Closed | Pace::Count(_) => Instant::now(),
                #[allow(clippy::cast_precision_loss)]
                Pace::Open(rate) => self.begin + Duration::from_secs_f64(number as f64 / rate),
            };
            if due >= self.ends && !matches!(self.load.pace, Pace::Count(_)) {
                return Ok(());
            }
            sleep_until(due).await;
            let asked = timeout(ANSWER_TIMEOUT, exchange(&mut sender, (self.load.requests)(number))).await;
            let status = if let Ok(Ok(status)) = asked {
                status
            } else {
                sender = connect(self.load.at).await?;
                0
            };
            if matches!(status, 201 | 202) {
                self.load.taken.fetch_add(1, Ordering::Relaxed);
            }
            self.note(status, due);
            if status == 503 {
                sleep(self.load.rest_when_refused).await;
            }
        }
    }

    /// A closed loop counts answers that came in time, an open loop requests that were due in time.
    fn note(&self, status: u16, due: Instant) {
        let now = Instant::now();
        let counts = match self.load.pace {
            Pace::Closed => (self.counts_from..self.ends).contains(&now),
            Pace::Count(_) => true,
            Pace::Open(_) => due >= self.counts_from,
        };
        if counts {
            *self.statuses.borrow_mut().entry(status).or_default() += 1;
            self.times.borrow_mut().saturating_record(micros(now - due));
        }
    }
}

async fn connect(at: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    task::spawn_local(connection);
    Ok(sender)
}

async fn exchange(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<u16> {
    sender.ready().await?;
    let mut response = sender.send_request(request).await?;
    while let Some(frame) = response.frame().await {
        frame?;
    }
    Ok(response.status().as_u16())
}

/// Opens a connection whose task runs on any thread.
///
/// On Linux it comes from one of many loopback addresses in turn: `serve` limits what one address may open.
pub async fn connect_spawned(at: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    static CONNECTIONS: AtomicU8 = AtomicU8::new(0);
    let socket = TcpSocket::new_v4()?;
    if cfg!(target_os = "linux") {
        let address = Ipv4Addr::new(127, 0, 1, CONNECTIONS.fetch_add(1, Ordering::Relaxed));
        socket.bind(SocketAddr::from((address, 0)))?;
    }
    let stream = socket.connect(at).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One connection, for requests with answers that matter.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    token: String,
}

impl Client {
    pub async fn connect(at: SocketAddr, token: &str) -> Result<Self> {
        Ok(Self { sender: connect_spawned(at).await?, token: token.to_owned() })
    }

    /// Returns the status and the JSON of the answer, null without a body.
    pub async fn ask(&mut self, method: &str, path: &str, body: String) -> Result<(u16, Value)> {
        self.sender.ready().await?;
        let token = (!self.token.is_empty()).then_some(self.token.as_str());
        let request = request(method, path, token, body);
        let response = timeout(ANSWER_TIMEOUT, self.sender.send_request(request)).await??;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? }))
    }

    /// Replaces something, whatever its version.
    pub async fn replace(&mut self, path: &str, body: String) -> Result<()> {
        self.sender.ready().await?;
        let mut request = request("PUT", path, Some(&self.token), body);
        request.headers_mut().insert(IF_MATCH, HeaderValue::from_static("*"));
        let response = timeout(ANSWER_TIMEOUT, self.sender.send_request(request)).await??;
        let status = response.status();
        response.into_body().collect().await?;
        if status == 200 { Ok(()) } else { Err(format!("PUT {path}: {status}").into()) }
    }

    /// Returns the JSON of an answer with this status; any other status is an error.
    pub async fn expect(&mut self, status: u16, method: &str, path: &str, body: String) -> Result<Value> {
        match self.ask(method, path, body).await? {
            (got, answer) if got == status => Ok(answer),
            (got, answer) => Err(format!("{method} {path}: {got}: {answer}").into()),
        }
    }
}

/// Builds a request, with a token if there is one.
pub fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header(HOST, "bar");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = Full::new(body.into());
    request.header(CONTENT_TYPE, "application/json").body(body).expect("a request of constants")
}

/// Orders of one drink each, in turn through the menu and 40 tables.
pub fn orders(token: &str, drinks: &[String]) -> Requests {
    let prepared: Vec<_> = (0..40_usize)
        .map(|table| {
            let drink = &drinks[table * 7 % drinks.len()];
            let body = serde_json::json!({ "recipe": drink, "table": table.to_string() }).to_string();
            request("POST", "/orders", Some(token), body)
        })
        .collect();
    Arc::new(move |number| prepared[usize::try_from(number).unwrap_or_default() % prepared.len()].clone())
}

/// The same requests, each with an idempotency key of its own.
pub fn keyed(requests: Requests) -> Requests {
    Arc::new(move |number| {
        let mut request = requests(number);
        let key = HeaderValue::try_from(format!("order-{number}")).expect("visible characters");
        request.headers_mut().insert("idempotency-key", key);
        request
    })
}

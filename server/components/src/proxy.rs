//! A proxy in front of a real server: notes the requests, and does to an answer what a test wants done.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use futures::StreamExt as _;
use tokio::{net::TcpListener, sync::Notify};

/// The longest body that is passed on.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What to do to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answer this instead.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// Pass on the body of what was answered up to here, then cut the connection.
    CutAfter(usize),
    /// Pass on the body up to here as if that were all, without a Content-Length.
    ShortenTo(usize),
    /// Pass on a byte at a time, this far apart.
    Trickle(Duration),
    /// Turn one bit of the body.
    Bend,
    /// As [`Fault::CutAfter`], without the entity tag.
    WithoutTagCutAfter(usize),
    /// Cut the connection instead of passing on the request.
    Drop,
    /// Take the request and answer nothing.
    Silence,
    /// Say that it came, and answer nothing.
    HoldBefore(Arc<Notify>),
    /// Pass on the request, say when it was answered, and answer nothing.
    HoldAfter(Arc<Notify>),
}

impl Fault {
    /// An answer of nothing but that status.
    pub fn status(code: u16) -> Self {
        Self::Answer(code, Vec::new(), Bytes::new())
    }
}

type Rule = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

struct Shared {
    target: String,
    client: reqwest::Client,
    log: Mutex<Vec<String>>,
    rule: Mutex<Rule>,
}

/// A running proxy; it ends with the test's runtime.
pub struct Proxy {
    /// `http://HOST:PORT`
    pub url: String,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy in front of `target`, an address such as `http://HOST:PORT`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            client: client.build().unwrap(),
            log: Mutex::default(),
            rule: Mutex::new(Box::new(|_| None)),
        });
        let app = axum::Router::new()
            .fallback(pass)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, shared }
    }

    /// From now on, asks `rule` about every request, named `METHOD path?query header: value ...`.
    pub fn set(&self, rule: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// From now on, `fault` for every request whose name contains `part`.
    pub fn fail(&self, part: &'static str, fault: Fault) {
        self.set(move |name| name.contains(part).then(|| fault.clone()));
    }

    /// From now on, no faults.
    pub fn heal(&self) {
        self.set(|_| None);
    }

    /// From now on, `fault` for the first request whose name contains `part`.
    pub fn fail_once(&self, part: &'static str, fault: Fault) {
        let mut left = Some(fault);
        self.set(move |name| name.contains(part).then(|| left.take()).flatten());
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.shared.log.lock().unwrap().len()
    }

    /// The requests that came, named as [`Proxy::set`] says, oldest first.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().clone()
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut name = format!("{} {path}", head.method);
    for header in ["range", "authorization", "x-mlflow-workspace"] {
        if let Some(value) = head.headers.get(header) {
            name.push_str(&format!(" {header}: {}", value.to_str().unwrap()));
        }
    }
    let fault = (shared.rule.lock().unwrap())(&name);
    shared.log.lock().unwrap().push(name);
    if let Some(Fault::Answer(code, headers, body)) = fault {
        return answer(code, headers, Body::from(body));
    }
    if let Some(Fault::Drop) = fault {
        return answer(200, Vec::new(), cut(Bytes::new(), 0));
    }
    if let Some(Fault::HoldBefore(came)) = &fault {
        came.notify_one();
    }
    if let Some(Fault::Silence | Fault::HoldBefore(_)) = fault {
        return std::future::pending().await;
    }
    let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap();
    let sent = shared
        .client
        .request(head.method, format!("{}{path}", shared.target))
        .headers(head.headers)
        .body(body)
        .send()
        .await;
    let Ok(answered) = sent else {
        return answer(502, Vec::new(), Body::empty());
    };
    let (status, mut headers) = (answered.status(), answered.headers().clone());
    // The server behind us framed its body; ours is framed anew.
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let bytes = answered.bytes().await.unwrap_or_default();
    if let Some(Fault::HoldAfter(answered)) = fault {
        answered.notify_one();
        return std::future::pending().await;
    }
    let body = spoil(fault, &mut headers, bytes);
    respond(status, headers, body)
}

fn spoil(fault: Option<Fault>, headers: &mut HeaderMap, bytes: Bytes) -> Body {
    match fault {
        None
        | Some(
            Fault::Answer(..)
            | Fault::Drop
            | Fault::Silence
            | Fault::HoldBefore(_)
            | Fault::HoldAfter(_),
        ) => Body::from(bytes),
        Some(Fault::CutAfter(length)) => cut(bytes, length),
        Some(Fault::ShortenTo(length)) => {
            headers.remove(header::CONTENT_LENGTH);
            let short = bytes.slice(..length.min(bytes.len()));
            let once = futures::stream::iter([Ok::<_, Infallible>(short)]);
            Body::from_stream(once)
        }
        Some(Fault::Trickle(pause)) => {
            let each = futures::stream::iter(bytes).then(move |byte| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, Infallible>(Bytes::from(vec![byte]))
            });
            Body::from_stream(each)
        }
        Some(Fault::Bend) => {
            let mut bent = bytes.to_vec();
            let middle = bent.len() / 2;
            bent[middle] ^= 1;
            Body::from(bent)
        }
        Some(Fault::WithoutTagCutAfter(length)) => {
            headers.remove(header::ETAG);
            cut(bytes, length)
        }
    }
}

/// The body up to `length`, then an error, which makes hyper cut the connection.
fn cut(bytes: Bytes, length: usize) -> Body {
    let begun = bytes.slice(..length.min(bytes.len()));
    let then = futures::stream::iter([Ok(begun)]).chain(futures::stream::once(async {
        // Time for what came before to be sent.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("cut"))
    }));
    Body::from_stream(then)
}

fn answer(code: u16, headers: Vec<(&'static str, String)>, body: Body) -> Response {
    let headers = headers
        .into_iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(&value).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect();
    respond(StatusCode::from_u16(code).unwrap(), headers, body)
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

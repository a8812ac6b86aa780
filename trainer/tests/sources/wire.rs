//! A Prometheus that answers by a script, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;

use crate::exposition::load;

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    form: BTreeMap<String, String>,
}

/// What is answered: a status, headers, a body; `None`: never anything.
pub(crate) type Answer = Option<(u16, Vec<(&'static str, String)>, String)>;

type Script = Arc<dyn Fn(usize, &Asked) -> Answer + Send + Sync>;

/// A running script.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Script,
}

impl Asked {
    pub(crate) fn number(&self, key: &str) -> i64 {
        self.form[key].parse().unwrap()
    }

    pub(crate) fn query(&self) -> &str {
        &self.form["query"]
    }

    pub(crate) fn points(&self) -> i64 {
        (self.number("end") - self.number("start")) / self.number("step") + 1
    }

    /// Whether it counts series, to know how long chunks may be.
    pub(crate) fn counts(&self) -> bool {
        self.form["query"].starts_with("count(")
    }
}

impl Scripted {
    /// Answers as `script` says of the number of the question, from 0, and the question; counts are not among them, they
    /// are answered with `series`.
    pub(crate) async fn start(
        series: usize,
        script: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let numbered = Arc::clone(&asked);
        let script = move |_: usize, question: &Asked| {
            if question.counts() {
                return whole(&[("", series as f64)], question);
            }
            let number = numbered.lock().unwrap().len() - 1;
            script(number, question)
        };
        let this = Self {
            url,
            asked,
            script: Arc::new(script),
        };
        let app = Router::new().fallback(answer).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        this
    }

    /// The questions so far, without counts.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(scripted): State<Scripted>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let text = [query.as_bytes(), b"&", &body].concat();
    let question = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        form: url::form_urlencoded::parse(&text).into_owned().collect(),
    };
    if !question.counts() {
        scripted.asked.lock().unwrap().push(question.clone());
    }
    let Some((status, headers, body)) = (scripted.script)(0, &question) else {
        return std::future::pending().await;
    };
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

/// Every series with one value at each instant that is asked: a load, and what is added to it.
pub(crate) fn whole(series: &[(&str, f64)], question: &Asked) -> Answer {
    let instants =
        (0..question.points()).map(|i| question.number("start") + i * question.number("step"));
    let one = |(job, value): &(&str, f64)| {
        let values: Vec<String> = instants
            .clone()
            .map(|instant| {
                format!(
                    "[{instant},\"{}\"]",
                    if job.is_empty() {
                        *value
                    } else {
                        load(0, instant) + value
                    }
                )
            })
            .collect();
        format!(
            "{{\"metric\":{{\"job\":{job:?}}},\"values\":[{}]}}",
            values.join(",")
        )
    };
    let series: Vec<String> = series.iter().map(one).collect();
    ok(&format!(
        "\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}}",
        series.join(",")
    ))
}

pub(crate) fn ok(rest: &str) -> Answer {
    Some((
        200,
        Vec::new(),
        format!("{{\"status\":\"success\",{rest}}}"),
    ))
}

pub(crate) fn error(status: u16, kind: &str, message: &str) -> Answer {
    let body = format!("{{\"status\":\"error\",\"errorType\":{kind:?},\"error\":{message:?}}}");
    Some((status, Vec::new(), body))
}

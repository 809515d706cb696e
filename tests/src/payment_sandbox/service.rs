//! The sandbox over HTTP.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use super::behaviour::Operation;
use super::idempotency::{Keys, Known};
use super::ledger::{Ledger, Payment, PaymentRequest, Reception, Status};
use super::webhooks::Sender;

const LONGEST_BODY: usize = 16 * 1024;

/// What the sandbox is told when it starts.
#[derive(Debug, Default)]
pub struct Options {
    /// Where one line a request is written.
    pub log: Option<File>,
    /// What the caller of an operation must send as a bearer token, if anything.
    pub api_key: Option<String>,
    /// Where webhooks go, if anywhere.
    pub webhooks: Option<Sender>,
}

/// The sandbox's state, shared by its connections.
#[derive(Debug)]
pub struct Sandbox {
    ledger: Mutex<Ledger>,
    keys: Mutex<Keys>,
    /// Changes whenever a pending payment is settled.
    settled: watch::Sender<()>,
    log: Option<Mutex<File>>,
    api_key: Option<String>,
    webhooks: Option<Sender>,
}

/// What a request comes to.
enum Answer {
    Json(StatusCode, Value),
    /// The connection is closed without an answer.
    Broken,
}

impl Sandbox {
    /// A sandbox without payments.
    pub fn new(options: Options) -> Arc<Sandbox> {
        Arc::new(Sandbox {
            ledger: Mutex::default(),
            keys: Mutex::default(),
            settled: watch::Sender::new(()),
            log: options.log.map(Mutex::new),
            api_key: options.api_key,
            webhooks: options.webhooks,
        })
    }

    /// Serves connections until the process ends.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<Infallible> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let sandbox = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(move |request| Arc::clone(&sandbox).handle(request));
                // An error is a client that went away, or the broken connection that a card asked for.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, &'static str> {
        let line = format!("{} {}", request.method(), request.uri().path());
        let answer = self.route(request).await;
        let (status, body) = match answer {
            Answer::Json(status, body) => (status, body),
            Answer::Broken => {
                self.write_log(&line, "closed without an answer");
                return Err("the card asks for a lost reply");
            }
        };
        self.write_log(&line, status.as_str());
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = status;
        let json = hyper::header::HeaderValue::from_static("application/json");
        response
            .headers_mut()
            .insert(hyper::header::CONTENT_TYPE, json);
        Ok(response)
    }

    async fn route(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        // The list is for audits, which have no key.
        let is_open =
            matches!(segments.as_slice(), ["v1", "payments"]) && head.method == Method::GET;
        if !is_open && !self.is_authorised(&head.headers) {
            return refused(
                StatusCode::UNAUTHORIZED,
                "send the API key as a bearer token",
            );
        }
        let Ok(body) = Limited::new(body, LONGEST_BODY).collect().await else {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "body is longer than 16 KiB");
        };
        let body = body.to_bytes();
        match (segments.as_slice(), &head.method) {
            (["v1", "payments"], &Method::GET) => self.list(),
            (["v1", "payments", order], &Method::GET) => self.show(order),
            (["v1", "payments"] | ["v1", "payments", _, "capture" | "refund"], &Method::POST) => {
                let key = head.headers.get("idempotency-key");
                let key = key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
                self.operate_once(key, path, &segments, body).await
            }
            (
                ["v1", "payments"]
                | ["v1", "payments", _]
                | ["v1", "payments", _, "capture" | "refund"],
                _,
            ) => refused(StatusCode::METHOD_NOT_ALLOWED, "method not allowed here"),
            _ => refused(StatusCode::NOT_FOUND, "no such path"),
        }
    }

    fn is_authorised(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let expected = self.api_key.as_ref().map(|key| format!("Bearer {key}"));
        expected.is_none_or(|expected| sent == Some(expected.as_bytes()))
    }

    async fn operate_once(
        self: &Arc<Self>,
        key: Option<String>,
        path: &str,
        segments: &[&str],
        body: Bytes,
    ) -> Answer {
        let Some(key) = key else {
            return self.operate(segments, &body).await;
        };
        let known = lock(&self.keys).begin(&key, path, &body);
        match known {
            Known::Answered(status, answer) => return Answer::Json(status, answer),
            Known::Mismatch => {
                let reason = "this idempotency-key was used for another call";
                return refused(StatusCode::UNPROCESSABLE_ENTITY, reason);
            }
            Known::Fresh => {}
        }
        let answer = self.operate(segments, &body).await;
        if let Answer::Json(status, body) = &answer {
            lock(&self.keys).end(&key, *status, body);
        }
        answer
    }

    async fn operate(self: &Arc<Self>, segments: &[&str], body: &[u8]) -> Answer {
        let (order_id, operation, reception) = match segments {
            [.., order, operation @ ("capture" | "refund")] => {
                let Ok(order_id) = order.parse::<Uuid>() else {
                    return refused(StatusCode::BAD_REQUEST, "the order id is no UUID");
                };
                match *operation {
                    "capture" => {
                        let reception = self.ledger().capture(order_id);
                        (order_id, Operation::Capture, reception)
                    }
                    _ => {
                        let reception = self.ledger().refund(order_id);
                        (order_id, Operation::Refund, reception)
                    }
                }
            }
            _ => match serde_json::from_slice::<PaymentRequest>(body) {
                Ok(request) => {
                    let reception = self.ledger().authorise(&request);
                    (request.order_id, Operation::Authorise, reception)
                }
                Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
            },
        };
        self.tell_changes();
        match reception {
            Reception::SettleAfter { delay, waits } => {
                self.settle_after(order_id, delay);
                if waits {
                    return self.wait_until_settled(order_id).await;
                }
                let pending = self.ledger().find(order_id);
                answer(order_id, operation, pending)
            }
            Reception::InProgress => self.wait_until_settled(order_id).await,
            other => answer(order_id, operation, other),
        }
    }

    /// In a task of its own: a caller that hangs up stops listening, not paying.
    fn settle_after(self: &Arc<Self>, order_id: Uuid, delay: Duration) {
        let sandbox = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            sandbox.ledger().settle(order_id);
            sandbox.tell_changes();
            sandbox.settled.send_replace(());
        });
    }

    fn tell_changes(&self) {
        let changes = self.ledger().take_changes();
        for (payment, behaviour) in changes {
            if let Some(sender) = self.webhooks.clone() {
                tokio::spawn(async move { sender.tell(payment, behaviour.notices).await });
            }
        }
    }

    async fn wait_until_settled(&self, order_id: Uuid) -> Answer {
        let mut settled = self.settled.subscribe();
        loop {
            let found = self.ledger().find(order_id);
            match &found {
                Reception::Standing(payment) if payment.status == Status::Pending => {}
                _ => return answer(order_id, Operation::Authorise, found),
            }
            if settled.changed().await.is_err() {
                return Answer::Broken;
            }
        }
    }

    fn list(&self) -> Answer {
        let payments: Vec<Value> = self.ledger().all().map(|payment| json!(payment)).collect();
        Answer::Json(StatusCode::OK, json!({ "payments": payments }))
    }

    fn show(&self, order: &str) -> Answer {
        let Ok(order_id) = order.parse::<Uuid>() else {
            return refused(StatusCode::BAD_REQUEST, "the order id is no UUID");
        };
        match self.ledger().find(order_id) {
            Reception::Standing(payment) => Answer::Json(StatusCode::OK, json!(payment)),
            missing => answer(order_id, Operation::Authorise, missing),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    fn write_log(&self, line: &str, outcome: &str) {
        if let Some(log) = &self.log {
            // A sandbox whose disk is full still pays.
            let _ = writeln!(
                log.lock().unwrap_or_else(PoisonError::into_inner),
                "{line} {outcome}"
            );
        }
    }
}

/// The status and the document for what came of an operation.
fn answer(order_id: Uuid, operation: Operation, reception: Reception) -> Answer {
    let status_alone = |status: &str| json!({ "order_id": order_id, "status": status });
    match reception {
        Reception::Created(payment) => answer_payment(StatusCode::CREATED, operation, &payment),
        Reception::Standing(payment) => answer_payment(StatusCode::OK, operation, &payment),
        Reception::Tombstone => Answer::Json(StatusCode::OK, status_alone("voided")),
        Reception::Unknown => Answer::Json(StatusCode::NOT_FOUND, status_alone("unknown")),
        Reception::ReplyLost | Reception::SettleAfter { .. } | Reception::InProgress => {
            Answer::Broken
        }
        Reception::Failed => refused(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        Reception::Mismatch => refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this order has a payment with another amount or currency",
        ),
        Reception::Refused => refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this money cannot be given back",
        ),
    }
}

fn answer_payment(done: StatusCode, operation: Operation, payment: &Payment) -> Answer {
    let status = match (payment.status, operation) {
        (Status::Pending, _) => StatusCode::ACCEPTED,
        (Status::Declined, Operation::Authorise | Operation::Capture) => {
            StatusCode::PAYMENT_REQUIRED
        }
        (Status::Voided | Status::Refunded, Operation::Capture) => StatusCode::CONFLICT,
        _ => done,
    };
    Answer::Json(status, json!(payment))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(status: StatusCode, reason: &str) -> Answer {
    Answer::Json(status, json!({ "error": reason }))
}

//! The sandbox over HTTP.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use super::ledger::{Ledger, NoRefund, Payment, PaymentRequest, Reception, Status};

const LONGEST_BODY: usize = 16 * 1024;

/// The sandbox's state, shared by its connections.
#[derive(Debug)]
pub struct Sandbox {
    ledger: Mutex<Ledger>,
    /// Changes whenever a pending payment is settled.
    settled: watch::Sender<()>,
    log: Option<Mutex<File>>,
}

/// What a request comes to.
enum Answer {
    Json(StatusCode, Value),
    /// The connection is closed without an answer.
    Broken,
}

impl Sandbox {
    /// An empty sandbox that writes one line a request to `log`.
    pub fn new(log: Option<File>) -> Arc<Sandbox> {
        Arc::new(Sandbox {
            ledger: Mutex::default(),
            settled: watch::Sender::new(()),
            log: log.map(Mutex::new),
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
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (segments.as_slice(), request.method()) {
            (["v1", "payments"], &Method::POST) => self.pay(request).await,
            (["v1", "payments"], &Method::GET) => self.list(),
            (["v1", "payments", order], &Method::GET) => self.show(order),
            (["v1", "payments", order, "refund"], &Method::POST) => self.refund(order),
            (["v1", "payments"] | ["v1", "payments", _] | ["v1", "payments", _, "refund"], _) => {
                refused(StatusCode::METHOD_NOT_ALLOWED, "method not allowed here")
            }
            _ => refused(StatusCode::NOT_FOUND, "no such path"),
        }
    }

    async fn pay(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let key = request.headers().get("idempotency-key").cloned();
        let body = match Limited::new(request.into_body(), LONGEST_BODY)
            .collect()
            .await
        {
            Ok(body) => body.to_bytes(),
            Err(_) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "body is longer than 16 KiB"),
        };
        let payment: PaymentRequest = match serde_json::from_slice(&body) {
            Ok(payment) => payment,
            Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if key.is_some_and(|key| key.as_bytes() != payment.order_id.to_string().as_bytes()) {
            return refused(
                StatusCode::BAD_REQUEST,
                "idempotency-key is not the order id",
            );
        }
        self.receive(payment).await
    }

    async fn receive(self: &Arc<Self>, request: PaymentRequest) -> Answer {
        let mut settled = self.settled.subscribe();
        let reception = self.ledger().receive(&request);
        match reception {
            Reception::Settled(payment) => answer_payment(StatusCode::CREATED, &payment),
            Reception::Repeated(payment) => answer_payment(StatusCode::OK, &payment),
            Reception::SettleAfter(delay) => {
                // In a task of its own: a caller that hangs up stops listening, not paying.
                let sandbox = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    sandbox.ledger().settle(request.order_id);
                    sandbox.settled.send_replace(());
                });
                self.wait_until_settled(request.order_id, &mut settled)
                    .await
            }
            Reception::InProgress => {
                self.wait_until_settled(request.order_id, &mut settled)
                    .await
            }
            Reception::TakenButReplyLost => Answer::Broken,
            Reception::Failed => refused(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
            Reception::Mismatch => refused(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this order has a payment with another amount or currency",
            ),
        }
    }

    async fn wait_until_settled(
        &self,
        order_id: Uuid,
        settled: &mut watch::Receiver<()>,
    ) -> Answer {
        loop {
            let found = self.ledger().find(order_id).cloned();
            match found {
                Some(payment) if payment.status != Status::Pending => {
                    return answer_payment(StatusCode::OK, &payment);
                }
                _ if settled.changed().await.is_err() => return Answer::Broken,
                _ => {}
            }
        }
    }

    fn list(&self) -> Answer {
        let payments: Vec<Value> = self.ledger().all().map(|payment| json!(payment)).collect();
        Answer::Json(StatusCode::OK, json!({ "payments": payments }))
    }

    fn show(&self, order: &str) -> Answer {
        let Ok(order_id) = order.parse::<Uuid>() else {
            return no_payment();
        };
        match self.ledger().find(order_id) {
            Some(payment) => Answer::Json(StatusCode::OK, json!(payment)),
            None => no_payment(),
        }
    }

    fn refund(&self, order: &str) -> Answer {
        let Ok(order_id) = order.parse::<Uuid>() else {
            return no_payment();
        };
        match self.ledger().refund(order_id) {
            Ok(payment) => Answer::Json(StatusCode::OK, json!(payment)),
            Err(NoRefund::Unknown) => no_payment(),
            Err(NoRefund::NothingCaptured) => refused(
                StatusCode::CONFLICT,
                "nothing was captured that could be refunded",
            ),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
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

fn answer_payment(status: StatusCode, payment: &Payment) -> Answer {
    let status = if payment.status == Status::Declined {
        StatusCode::PAYMENT_REQUIRED
    } else {
        status
    };
    Answer::Json(status, json!(payment))
}

fn no_payment() -> Answer {
    refused(StatusCode::NOT_FOUND, "no payment of that order")
}

fn refused(status: StatusCode, reason: &str) -> Answer {
    Answer::Json(status, json!({ "error": reason }))
}

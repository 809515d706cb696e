//! The routes: one table, read from top to bottom, and the step from a request to its handler.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response};

use super::{
    Answer, Body, Call, Kind, Problem, carts, holds, idempotency, orders, products, sessions,
    stock, users, webhooks,
};
use crate::app::App;

/// What can be asked for. Each route is one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Register,
    StartSession,
    CurrentSession,
    EndSession,
    TouchSession,
    ViewedItems,
    ListProducts,
    GetProduct,
    GetCart,
    EmptyCart,
    AddToCart,
    SetInCart,
    RemoveFromCart,
    PlaceOrder,
    ListOrders,
    GetOrder,
    CancelOrder,
    TakeHold,
    GetHold,
    ExtendHold,
    ReleaseHold,
    ConfirmHold,
    GetStock,
    SetStock,
    AdjustStock,
    PaymentWebhook,
}

impl Route {
    /// True for what must not be done twice when it is asked twice: it takes an Idempotency-Key.
    fn buys(self) -> bool {
        matches!(
            self,
            Route::PlaceOrder | Route::CancelOrder | Route::TakeHold | Route::ConfirmHold
        )
    }
}

const ROUTES: &[(Method, &str, Route)] = &[
    (Method::POST, "/v1/users", Route::Register),
    (Method::POST, "/v1/sessions", Route::StartSession),
    (Method::GET, "/v1/sessions/current", Route::CurrentSession),
    (Method::DELETE, "/v1/sessions/current", Route::EndSession),
    (
        Method::POST,
        "/v1/sessions/current/touch",
        Route::TouchSession,
    ),
    (
        Method::GET,
        "/v1/sessions/current/viewed",
        Route::ViewedItems,
    ),
    (Method::GET, "/v1/products", Route::ListProducts),
    (Method::GET, "/v1/products/{sku}", Route::GetProduct),
    (Method::GET, "/v1/cart", Route::GetCart),
    (Method::DELETE, "/v1/cart", Route::EmptyCart),
    (Method::POST, "/v1/cart/items", Route::AddToCart),
    (Method::PUT, "/v1/cart/items/{sku}", Route::SetInCart),
    (
        Method::DELETE,
        "/v1/cart/items/{sku}",
        Route::RemoveFromCart,
    ),
    (Method::POST, "/v1/orders", Route::PlaceOrder),
    (Method::GET, "/v1/orders", Route::ListOrders),
    (Method::GET, "/v1/orders/{order_id}", Route::GetOrder),
    (
        Method::POST,
        "/v1/orders/{order_id}/cancel",
        Route::CancelOrder,
    ),
    (Method::POST, "/v1/holds", Route::TakeHold),
    (Method::GET, "/v1/holds/{hold_id}", Route::GetHold),
    (Method::PATCH, "/v1/holds/{hold_id}", Route::ExtendHold),
    (Method::DELETE, "/v1/holds/{hold_id}", Route::ReleaseHold),
    (
        Method::POST,
        "/v1/holds/{hold_id}/confirm",
        Route::ConfirmHold,
    ),
    (Method::GET, "/v1/stock/{sku}", Route::GetStock),
    (Method::PUT, "/v1/stock/{sku}", Route::SetStock),
    (
        Method::POST,
        "/v1/stock/{sku}/adjustments",
        Route::AdjustStock,
    ),
    (Method::POST, "/v1/webhooks/payment", Route::PaymentWebhook),
];

/// Finds the route of a path and method.
pub struct Router {
    paths: matchit::Router<Vec<(Method, Route)>>,
}

impl Router {
    /// The router of [`ROUTES`].
    ///
    /// # Errors
    /// When two paths of the table exclude each other, which a test rules out.
    pub fn new() -> Result<Self, matchit::InsertError> {
        let mut methods_by_path: Vec<(&str, Vec<(Method, Route)>)> = Vec::new();
        for (method, path, route) in ROUTES {
            match methods_by_path.iter_mut().find(|(known, _)| known == path) {
                Some((_, methods)) => methods.push((method.clone(), *route)),
                None => methods_by_path.push((path, vec![(method.clone(), *route)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in methods_by_path {
            paths.insert(path, methods)?;
        }
        Ok(Self { paths })
    }

    /// Answers one request; a refusal becomes its problem document.
    pub async fn answer(&self, app: Arc<App>, request: Request<Incoming>) -> Response<Body> {
        self.dispatch(app, request)
            .await
            .unwrap_or_else(Problem::into_response)
    }

    async fn dispatch(&self, app: Arc<App>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let (route, params) = self.find(&head.method, head.uri.path())?;
        let call = Call::new(app, head, params, body);
        if route.buys() {
            idempotency::once(call, |call| handle(route, call)).await
        } else {
            handle(route, call).await
        }
    }

    fn find(&self, method: &Method, path: &str) -> Result<(Route, Vec<(String, String)>), Problem> {
        let Ok(matched) = self.paths.at(path) else {
            return Err(Problem::new(
                Kind::NotFound,
                "there is no such route; see docs/http.md",
            ));
        };
        // HEAD is GET whose body the connection leaves out (RFC 9110, 9.3.2).
        let asked = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let Some((_, route)) = matched.value.iter().find(|(known, _)| known == asked) else {
            return Err(method_not_allowed(matched.value));
        };
        let params = matched
            .params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok((*route, params.collect()))
    }
}

fn method_not_allowed(methods: &[(Method, Route)]) -> Problem {
    let allowed: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    let allowed = allowed.join(", ");
    let problem = Problem::new(Kind::MethodNotAllowed, format!("this path takes {allowed}"));
    match HeaderValue::from_str(&allowed) {
        Ok(value) => problem.header(ALLOW, value),
        Err(_) => problem,
    }
}

async fn handle(route: Route, call: Call) -> Answer {
    match route {
        Route::Register => users::register(call).await,
        Route::StartSession => sessions::start(call).await,
        Route::CurrentSession => sessions::current(call).await,
        Route::EndSession => sessions::end(call).await,
        Route::TouchSession => sessions::touch(call).await,
        Route::ViewedItems => sessions::viewed(call).await,
        Route::ListProducts => products::list(call).await,
        Route::GetProduct => products::get(call).await,
        Route::GetCart => carts::get(call).await,
        Route::EmptyCart => carts::empty(call).await,
        Route::AddToCart => carts::add(call).await,
        Route::SetInCart => carts::set(call).await,
        Route::RemoveFromCart => carts::remove(call).await,
        Route::PlaceOrder => orders::place(call).await,
        Route::ListOrders => orders::list(call).await,
        Route::GetOrder => orders::get(call).await,
        Route::CancelOrder => orders::cancel(call).await,
        Route::TakeHold => holds::take(call).await,
        Route::GetHold => holds::get(call).await,
        Route::ExtendHold => holds::extend(call).await,
        Route::ReleaseHold => holds::release(call).await,
        Route::ConfirmHold => holds::confirm(call).await,
        Route::GetStock => stock::get(call).await,
        Route::SetStock => stock::set(call).await,
        Route::AdjustStock => stock::adjust(call).await,
        Route::PaymentWebhook => webhooks::payment(call).await,
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;

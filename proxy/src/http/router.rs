//! The step from a request to the route that answers it.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderValue};
use hyper::{Method, Request, Response};

use super::call::Parameters;
use super::client_address::{client_address, client_block};
use super::quotas::Quotas;
use super::route::Route;
use super::routes::routes;
use super::{Answer, Body, Call, Kind, Problem, cookie, head_limits};
use crate::app::App;

/// Finds the route of a path and method.
pub struct Router {
    paths: matchit::Router<Vec<Route>>,
}

impl Router {
    /// The router of all [`routes`].
    ///
    /// # Errors
    /// When two paths of the table exclude each other, which a test rules out.
    pub fn new() -> Result<Self, matchit::InsertError> {
        let mut by_path: Vec<(&str, Vec<Route>)> = Vec::new();
        for route in routes() {
            match by_path.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.push(route),
                None => by_path.push((route.path, vec![route])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in by_path {
            paths.insert(path, methods)?;
        }
        Ok(Self { paths })
    }

    /// Answers one request; a refusal becomes its problem document.
    pub async fn answer(
        &self,
        app: Arc<App>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let headers = request.headers();
        let is_personal = headers.contains_key(COOKIE) || headers.contains_key(AUTHORIZATION);
        let quotas = Quotas::default();
        let answer = self.dispatch(app, peer, request, quotas.clone()).await;
        let mut response = answer.unwrap_or_else(Problem::into_response);
        quotas.tell(response.headers_mut());
        if is_personal && !response.headers().contains_key(CACHE_CONTROL) {
            cookie::uncached(&mut response);
        }
        response
    }

    async fn dispatch(
        &self,
        app: Arc<App>,
        peer: SocketAddr,
        request: Request<Incoming>,
        quotas: Quotas,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let http = &app.config.http;
        if let Some(limiter) = &app.limits.address {
            let (named_in, trusted) = (http.forwarded_header, &http.trusted_proxies);
            let address = client_address(peer.ip(), &head.headers, named_in, trusted);
            quotas.take("address", limiter, &client_block(address))?;
        }
        head_limits::check(&head, http)?;
        let (route, params) = self.find(&head.method, head.uri.path())?;
        let call = Call::new(app, peer, head, params, body);
        route.answer(call.counted_in(quotas)).await
    }

    fn find(&self, method: &Method, path: &str) -> Result<(&Route, Parameters), Problem> {
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
        let Some(route) = matched.value.iter().find(|route| route.method == asked) else {
            return Err(method_not_allowed(matched.value));
        };
        let params = matched
            .params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok((route, params.collect()))
    }
}

fn method_not_allowed(routes: &[Route]) -> Problem {
    let allowed: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    let allowed = allowed.join(", ");
    let problem = Problem::new(Kind::MethodNotAllowed, format!("this path takes {allowed}"));
    match HeaderValue::from_str(&allowed) {
        Ok(value) => problem.header(ALLOW, value),
        Err(_) => problem,
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;

//! What a route is: what is asked for, who may ask, and who answers.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Method;

use super::{Answer, Call, Problem, idempotency};
use crate::people::{ADMIN, CUSTOMER, SUPPORT};

type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync>;

/// One row of the table of routes.
#[derive(Clone)]
pub struct Route {
    /// The method. HEAD is answered wherever GET is.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    access: Access,
    is_done_once: bool,
    handler: Handler,
}

/// Who may ask. Each of the later ones may ask whatever the earlier ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, with a session or without.
    Anyone,
    /// Whoever has a session, guests too.
    Session,
    /// Who has registered and logged in.
    Customer,
    /// Who helps customers.
    Support,
    /// Who runs the shop; the operator's token counts as one.
    Admin,
}

impl Route {
    /// What must not be done twice when it is asked twice: it takes an Idempotency-Key.
    #[must_use]
    pub fn done_once(self) -> Self {
        Self {
            is_done_once: true,
            ..self
        }
    }

    /// Answers a request, if who asks may.
    pub async fn answer(&self, call: Call) -> Answer {
        self.admit(&call).await?;
        if self.is_done_once {
            idempotency::once(call, |call| (self.handler)(call)).await
        } else {
            (self.handler)(call).await
        }
    }

    async fn admit(&self, call: &Call) -> Result<(), Problem> {
        match self.access {
            Access::Anyone => Ok(()),
            Access::Session => call.session().await.map(drop),
            Access::Customer => call.has_role(&[CUSTOMER, SUPPORT, ADMIN]).await,
            Access::Support => call.has_role(&[SUPPORT, ADMIN]).await,
            Access::Admin => call.has_role(&[ADMIN]).await,
        }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $method:ident)*) => {$(
        $(#[$doc])*
        pub fn $name<A>(
            path: &'static str,
            access: Access,
            handler: impl Fn(Call) -> A + Send + Sync + 'static,
        ) -> Route
        where
            A: Future<Output = Answer> + Send + 'static,
        {
            Route {
                method: Method::$method,
                path,
                access,
                is_done_once: false,
                handler: Arc::new(move |call| handler(call).boxed()),
            }
        }
    )*};
}

methods! {
    /// A route that reads.
    get GET
    /// A route that does something.
    post POST
    /// A route that sets something.
    put PUT
    /// A route that changes a part.
    patch PATCH
    /// A route that ends something.
    delete DELETE
}

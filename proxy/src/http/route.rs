//! What a route is: what is asked for, who may ask, what it says of itself, and who answers.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Method;
use schemars::JsonSchema;
use serde_json::Value;

use super::contract::{Content, Contract, Link};
use super::{Answer, Call, Kind, Problem, cross_site, idempotency};
use crate::people::{ADMIN, CUSTOMER, SUPPORT};

type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync>;

/// One row of the table of routes.
#[derive(Clone)]
pub struct Route {
    /// The method. HEAD is answered wherever GET is.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// Who may ask.
    pub access: Access,
    /// True for what must not be done twice when it is asked twice: it takes an Idempotency-Key.
    pub is_done_once: bool,
    /// What it takes and answers, for the OpenAPI document.
    pub contract: Contract,
    handler: Handler,
}

/// Who may ask. Each of the later ones may ask whatever the earlier ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, with a session or without.
    Anyone,
    /// Whoever has a session or an access token, guests too.
    Session,
    /// Who has registered and logged in.
    Customer,
    /// Who helps customers.
    Support,
    /// Who runs the shop; the operator's token counts as one.
    Admin,
}

impl Route {
    /// The operation's id, such as `placeOrder`: what generated clients call it.
    #[must_use]
    pub fn called(mut self, operation_id: &'static str) -> Self {
        self.contract.operation_id = operation_id;
        self
    }

    /// What it does, in a sentence.
    #[must_use]
    pub fn says(mut self, summary: &'static str) -> Self {
        self.contract.summary = summary;
        self
    }

    /// Its query parameters: the members of `Q`, which the handler reads with [`Call::asked`].
    #[must_use]
    pub fn asks<Q: JsonSchema>(mut self) -> Self {
        self.contract.query = Some(|generator| generator.subschema_for::<Q>());
        self
    }

    /// Its body, which the handler reads with [`Call::json`].
    #[must_use]
    pub fn takes<B: JsonSchema>(mut self) -> Self {
        self.contract.body = Some(|generator| generator.subschema_for::<B>());
        self
    }

    /// One of its answers: a status with a body of JSON.
    #[must_use]
    pub fn answers<A: JsonSchema>(mut self, status: u16) -> Self {
        let content = Content::Json(|generator| generator.subschema_for::<A>());
        self.contract.answers.push((status, content));
        self
    }

    /// One of its answers: a status without a body.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16) -> Self {
        self.contract.answers.push((status, Content::Nothing));
        self
    }

    /// One of its answers: a status with a body of another type, such as `text/event-stream`.
    #[must_use]
    pub fn answers_text(mut self, status: u16, media_type: &'static str) -> Self {
        self.contract
            .answers
            .push((status, Content::Text(media_type)));
        self
    }

    /// It is about the session itself, so that an access token does not do.
    #[must_use]
    pub fn by_session_alone(mut self) -> Self {
        self.contract.is_by_session_alone = true;
        self
    }

    /// A header of its answers, and what it says.
    #[must_use]
    pub fn sends(mut self, header: &'static str, says: &'static str) -> Self {
        self.contract.headers.push((header, says));
        self
    }

    /// A member of its answers, as a JSON pointer, is a parameter of these operations.
    #[must_use]
    pub fn leads_to(
        mut self,
        operation_ids: &[&'static str],
        parameter: &'static str,
        member: &'static str,
    ) -> Self {
        let links = operation_ids.iter().map(|operation_id| Link {
            operation_id,
            parameter,
            member,
        });
        self.contract.links.extend(links);
        self
    }

    /// What can be sent to another operation next, with members of the answer in it.
    #[must_use]
    pub fn leads_to_body(mut self, operation_id: &'static str, body: Value) -> Self {
        self.contract.next_bodies.push((operation_id, body));
        self
    }

    /// Its refusals, beside those that its row implies.
    #[must_use]
    pub fn refuses(mut self, kinds: &[Kind]) -> Self {
        self.contract.problems.extend_from_slice(kinds);
        self
    }

    /// It tells an entity tag, and takes conditions on it: what is read is not sent again to who has
    /// it, and a change may rest on what its caller saw.
    #[must_use]
    pub fn conditional(mut self) -> Self {
        self.contract.is_conditional = true;
        if self.reads() {
            self.answers_nothing(304)
        } else {
            self.refuses(&[Kind::InvalidValue, Kind::PreconditionFailed])
        }
    }

    /// Whether it changes nothing.
    pub fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// What must not be done twice when it is asked twice: it takes an Idempotency-Key.
    #[must_use]
    pub fn done_once(mut self) -> Self {
        self.is_done_once = true;
        self
    }

    /// Answers a request, if who asks may.
    pub async fn answer(&self, call: Call) -> Answer {
        cross_site::refuse(&call.head)?;
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
            Access::Session => call.identity().await.map(drop),
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
                contract: Contract::default(),
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

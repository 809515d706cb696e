//! The kinds of problem that the API answers with.
//!
//! Each has a stable `type`, a page in docs/problems, and says whether the same request may safely
//! be sent again.

use hyper::StatusCode;

/// The kinds of problem, one page each in docs/problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not what the route takes.
    InvalidBody,
    /// A value in the path, the query or the body is out of range.
    InvalidValue,
    /// The path and query are longer than `http.max_uri_bytes`.
    UriTooLong,
    /// The headers are longer than `http.max_header_bytes`.
    HeadersTooLarge,
    /// The body is longer than `http.max_body_bytes`.
    BodyTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The body did not arrive within `http.body_timeout_ms`.
    Timeout,
    /// The request was not finished within `http.request_timeout_ms`.
    DeadlineExceeded,
    /// There is no such route or resource.
    NotFound,
    /// The route exists and takes other methods.
    MethodNotAllowed,
    /// There is no session, or it has ended.
    NoSession,
    /// The e-mail address or the password is wrong.
    BadCredentials,
    /// The session may not do this.
    Forbidden,
    /// A webhook is not signed by whom it says it is from, or not lately.
    BadSignature,
    /// Somebody registered that e-mail address already.
    EmailTaken,
    /// There is a product of that SKU already.
    ProductExists,
    /// It is no longer as the caller's condition says.
    PreconditionFailed,
    /// Fewer units are available than were asked for.
    OutOfStock,
    /// The buyer would have more of a product than one buyer may.
    BuyerLimit,
    /// The hold has ended, or was never taken.
    HoldEnded,
    /// The order can no longer be cancelled.
    CannotCancel,
    /// The order was cancelled by its shopper.
    OrderCancelled,
    /// The change would leave less stock than is held.
    BelowHeld,
    /// The change would leave less than nothing, or more than can be counted.
    StockOutOfRange,
    /// Each of the items could be ordered, and all of them not in one order.
    NotOneOrder,
    /// The cart has nothing in it.
    EmptyCart,
    /// The payment provider declined.
    PaymentDeclined,
    /// The same Idempotency-Key is being worked on right now.
    RequestInFlight,
    /// The same key or id was used for something else before.
    Mismatch,
    /// Who asks does so more often than one may.
    TooManyRequests,
    /// The server has more requests than it can serve in time.
    Overloaded,
    /// A server behind this one does not answer.
    Unavailable,
    /// Holdfast is at fault.
    Internal,
}

impl Kind {
    /// Every kind, for the documentation check.
    pub const ALL: [Kind; 33] = [
        Kind::InvalidBody,
        Kind::InvalidValue,
        Kind::UriTooLong,
        Kind::HeadersTooLarge,
        Kind::BodyTooLarge,
        Kind::UnsupportedMediaType,
        Kind::Timeout,
        Kind::DeadlineExceeded,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::NoSession,
        Kind::BadCredentials,
        Kind::Forbidden,
        Kind::BadSignature,
        Kind::EmailTaken,
        Kind::ProductExists,
        Kind::PreconditionFailed,
        Kind::OutOfStock,
        Kind::BuyerLimit,
        Kind::HoldEnded,
        Kind::CannotCancel,
        Kind::OrderCancelled,
        Kind::BelowHeld,
        Kind::StockOutOfRange,
        Kind::NotOneOrder,
        Kind::EmptyCart,
        Kind::PaymentDeclined,
        Kind::RequestInFlight,
        Kind::Mismatch,
        Kind::TooManyRequests,
        Kind::Overloaded,
        Kind::Unavailable,
        Kind::Internal,
    ];

    /// The last part of the problem's `type`, and the name of its page.
    pub fn slug(self) -> &'static str {
        self.facts().0
    }

    /// The problem's `type`: a reference to its page.
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.slug())
    }

    /// The HTTP status that it is answered with.
    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    /// Whether it is told after how long it is worth another try (`Retry-After`).
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Kind::TooManyRequests | Kind::Overloaded | Kind::Unavailable | Kind::RequestInFlight
        )
    }

    /// Slug, status, title, and whether the same request may be sent again as it is.
    pub(super) fn facts(self) -> (&'static str, StatusCode, &'static str, bool) {
        use StatusCode as S;
        match self {
            Kind::InvalidBody => (
                "invalid-body",
                S::BAD_REQUEST,
                "The body cannot be read",
                false,
            ),
            Kind::InvalidValue => (
                "invalid-value",
                S::BAD_REQUEST,
                "A value is out of range",
                false,
            ),
            Kind::UriTooLong => (
                "uri-too-long",
                S::URI_TOO_LONG,
                "The path and query are too long",
                false,
            ),
            Kind::HeadersTooLarge => (
                "headers-too-large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The headers are too long",
                false,
            ),
            Kind::BodyTooLarge => (
                "body-too-large",
                S::PAYLOAD_TOO_LARGE,
                "The body is too long",
                false,
            ),
            Kind::UnsupportedMediaType => (
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON",
                false,
            ),
            Kind::Timeout => (
                "timeout",
                S::REQUEST_TIMEOUT,
                "The body did not arrive in time",
                true,
            ),
            Kind::DeadlineExceeded => (
                "deadline-exceeded",
                S::GATEWAY_TIMEOUT,
                "The request took too long",
                false,
            ),
            Kind::NotFound => (
                "not-found",
                S::NOT_FOUND,
                "There is no such thing here",
                false,
            ),
            Kind::MethodNotAllowed => (
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "The route takes other methods",
                false,
            ),
            Kind::NoSession => ("no-session", S::UNAUTHORIZED, "A session is needed", false),
            Kind::BadCredentials => (
                "bad-credentials",
                S::UNAUTHORIZED,
                "Wrong e-mail address or password",
                false,
            ),
            Kind::Forbidden => (
                "forbidden",
                S::FORBIDDEN,
                "The session may not do this",
                false,
            ),
            Kind::BadSignature => (
                "bad-signature",
                S::UNAUTHORIZED,
                "The webhook is not signed as it should be",
                false,
            ),
            Kind::EmailTaken => (
                "email-taken",
                S::CONFLICT,
                "The address is registered already",
                false,
            ),
            Kind::ProductExists => (
                "product-exists",
                S::CONFLICT,
                "There is such a product already",
                false,
            ),
            Kind::PreconditionFailed => (
                "precondition-failed",
                S::PRECONDITION_FAILED,
                "It has changed since you looked",
                false,
            ),
            Kind::OutOfStock => (
                "out-of-stock",
                S::CONFLICT,
                "Not enough units are available",
                true,
            ),
            Kind::BuyerLimit => (
                "buyer-limit",
                S::CONFLICT,
                "One buyer may not have so much",
                false,
            ),
            Kind::HoldEnded => ("hold-ended", S::CONFLICT, "The hold has ended", false),
            Kind::CannotCancel => (
                "cannot-cancel",
                S::CONFLICT,
                "The order can no longer be cancelled",
                false,
            ),
            Kind::OrderCancelled => (
                "order-cancelled",
                S::CONFLICT,
                "The order was cancelled",
                false,
            ),
            Kind::BelowHeld => (
                "below-held",
                S::CONFLICT,
                "More units are held than would remain",
                true,
            ),
            Kind::StockOutOfRange => (
                "stock-out-of-range",
                S::CONFLICT,
                "The stock would be less than nothing",
                false,
            ),
            Kind::NotOneOrder => (
                "not-one-order",
                S::UNPROCESSABLE_ENTITY,
                "The items do not go into one order",
                false,
            ),
            Kind::EmptyCart => ("empty-cart", S::CONFLICT, "The cart is empty", false),
            Kind::PaymentDeclined => (
                "payment-declined",
                S::PAYMENT_REQUIRED,
                "The payment was declined",
                false,
            ),
            Kind::RequestInFlight => (
                "request-in-flight",
                S::CONFLICT,
                "The same request is being worked on",
                true,
            ),
            Kind::Mismatch => (
                "mismatch",
                S::UNPROCESSABLE_ENTITY,
                "The id was used for something else",
                false,
            ),
            Kind::TooManyRequests => (
                "too-many-requests",
                S::TOO_MANY_REQUESTS,
                "Too many requests",
                true,
            ),
            Kind::Overloaded => (
                "overloaded",
                S::SERVICE_UNAVAILABLE,
                "The server is full",
                true,
            ),
            Kind::Unavailable => (
                "unavailable",
                S::SERVICE_UNAVAILABLE,
                "A server behind this one is away",
                true,
            ),
            Kind::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Holdfast is at fault",
                false,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_page_that_says_the_same() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let pages = docs.join("problems");
        let http = std::fs::read_to_string(docs.join("http.md")).expect("http.md");
        for kind in Kind::ALL {
            let (slug, status, title, retry_safe) = kind.facts();
            let page = std::fs::read_to_string(pages.join(format!("{slug}.md"))).expect(slug);
            let facts = format!(
                "`type`: `/problems/{slug}` · status {} · `retry_safe`: {retry_safe}",
                status.as_u16()
            );
            assert!(
                page.starts_with(&format!("# {title}\n\n{facts}\n")),
                "{slug}.md begins otherwise"
            );
            let asks_and_answers = ["**Why it happens.** ", "**What to do.** "];
            for part in asks_and_answers {
                assert!(page.contains(part), "{slug}.md lacks: {part}");
            }
            assert!(
                http.contains(&format!("(problems/{slug}.md)")),
                "http.md does not lead to {slug}.md"
            );
        }
        let count = std::fs::read_dir(pages).expect("the pages").count();
        assert_eq!(count, Kind::ALL.len(), "a page without a kind");
    }
}

//! The bad requests and the answer that each must get.

/// The header of a body that is JSON.
pub const JSON: &str = "content-type: application/json";
const PAID: &str = r#""payment":{"card":"4242424242424242"}"#;

/// One bad request and the answer it must get.
pub struct Bad {
    pub what: &'static str,
    pub head: String,
    pub body: Vec<u8>,
    pub status: u16,
    pub problem: &'static str,
}

/// A request with a JSON body, or with none.
pub fn bad(
    what: &'static str,
    request: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    problem: &'static str,
) -> Bad {
    bad_with(what, request, JSON, body, status, problem)
}

/// The same with other headers.
pub fn bad_with(
    what: &'static str,
    request: &str,
    headers: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    problem: &'static str,
) -> Bad {
    let body = body.into();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let headers = if headers.is_empty() {
        String::new()
    } else {
        format!("{headers}\r\n")
    };
    let head =
        format!("{request} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{length}{headers}");
    Bad {
        what,
        head,
        body,
        status,
        problem,
    }
}

/// The body of an order that pays well.
pub fn order(items: &str) -> String {
    format!("{{\"items\":[{items}],{PAID}}}")
}

/// What a shopper can do wrong with an order.
pub fn orders() -> Vec<Bad> {
    let post = "POST /v1/orders";
    let quantity = |what, quantity: &str, status, problem| {
        let item = format!(r#"{{"sku":"TEA-CADDY","quantity":{quantity}}}"#);
        bad(what, post, order(&item), status, problem)
    };
    vec![
        bad(
            "unknown SKU",
            post,
            order(r#"{"sku":"NO-SUCH","quantity":1}"#),
            404,
            "not-found",
        ),
        quantity("quantity 0", "0", 400, "invalid-value"),
        quantity("negative quantity", "-1", 400, "invalid-value"),
        quantity("quantity 2^63", "9223372036854775808", 400, "invalid-body"),
        quantity(
            "quantity 2^63-1",
            "9223372036854775807",
            400,
            "invalid-value",
        ),
        quantity(
            "quantity of 40 digits",
            "1234567890123456789012345678901234567890",
            400,
            "invalid-body",
        ),
        quantity("quantity as a string", r#""1""#, 400, "invalid-body"),
        quantity("quantity as a fraction", "1.5", 400, "invalid-body"),
        quantity("quantity null", "null", 400, "invalid-body"),
        bad(
            "quantities that overflow together",
            post,
            order(
                r#"{"sku":"TEA-CADDY","quantity":9223372036854775807},{"sku":"TEA-CADDY","quantity":9223372036854775807}"#,
            ),
            400,
            "invalid-value",
        ),
        bad(
            "NUL in the SKU",
            post,
            order(r#"{"sku":"TEA\u0000CADDY","quantity":1}"#),
            400,
            "invalid-body",
        ),
        bad(
            "raw NUL bytes",
            post,
            b"{\"items\":[{\"sku\":\"TEA\0CADDY\"}]}".to_vec(),
            400,
            "invalid-body",
        ),
        bad("only NUL bytes", post, vec![0; 64], 400, "invalid-body"),
        bad(
            "no UTF-8",
            post,
            b"{\"items\":\"\xff\xfe\"}".to_vec(),
            400,
            "invalid-body",
        ),
        bad("no items", post, order(""), 400, "invalid-value"),
        bad(
            "no payment",
            post,
            r#"{"items":[{"sku":"TEA-CADDY","quantity":1}]}"#,
            400,
            "invalid-body",
        ),
        bad(
            "unknown member",
            post,
            order(r#"{"sku":"TEA-CADDY","quantity":1,"price_minor":1}"#),
            400,
            "invalid-body",
        ),
        bad(
            "broken JSON",
            post,
            "{\"items\":[{\"sku\":",
            400,
            "invalid-body",
        ),
        bad("an array", post, "[]", 400, "invalid-body"),
        bad(
            "deep nesting",
            post,
            "[".repeat(100_000),
            400,
            "invalid-body",
        ),
        bad_with(
            "wrong content type",
            post,
            "content-type: text/plain",
            order(r#"{"sku":"TEA-CADDY","quantity":1}"#),
            415,
            "unsupported-media-type",
        ),
        bad_with(
            "no content type",
            post,
            "",
            order(r#"{"sku":"TEA-CADDY","quantity":1}"#),
            415,
            "unsupported-media-type",
        ),
    ]
}

/// What a shopper can do wrong elsewhere.
pub fn others() -> Vec<Bad> {
    let hold = "POST /v1/holds";
    let cart = "POST /v1/cart/items";
    let one = r#""items":[{"sku":"TEA-CADDY","quantity":1}]"#;
    vec![
        bad(
            "hold of an unknown SKU",
            hold,
            r#"{"items":[{"sku":"NO-SUCH","quantity":1}]}"#,
            404,
            "not-found",
        ),
        bad(
            "hold of quantity 0",
            hold,
            r#"{"items":[{"sku":"TEA-CADDY","quantity":0}]}"#,
            400,
            "invalid-value",
        ),
        bad(
            "hold for no time",
            hold,
            format!("{{{one},\"ttl_ms\":0}}"),
            400,
            "invalid-value",
        ),
        bad(
            "hold for ever",
            hold,
            format!("{{{one},\"ttl_ms\":9223372036854775807}}"),
            400,
            "invalid-value",
        ),
        bad(
            "hold for negative time",
            hold,
            format!("{{{one},\"ttl_ms\":-1}}"),
            400,
            "invalid-body",
        ),
        bad(
            "a hold that is none",
            "GET /v1/holds/nonsense",
            "",
            404,
            "not-found",
        ),
        bad(
            "an order that is none",
            "GET /v1/orders/00000000-0000-7000-8000-000000000000",
            "",
            404,
            "not-found",
        ),
        bad(
            "cart: unknown SKU",
            cart,
            r#"{"sku":"NO-SUCH","quantity":1}"#,
            404,
            "not-found",
        ),
        bad(
            "cart: quantity 0",
            cart,
            r#"{"sku":"TEA-CADDY","quantity":0}"#,
            400,
            "invalid-value",
        ),
        bad(
            "cart: negative",
            cart,
            r#"{"sku":"TEA-CADDY","quantity":-5}"#,
            400,
            "invalid-value",
        ),
        bad(
            "cart: 2^63",
            cart,
            r#"{"sku":"TEA-CADDY","quantity":9223372036854775808}"#,
            400,
            "invalid-body",
        ),
        bad(
            "stock without the token",
            "PUT /v1/stock/TEA-CADDY",
            r#"{"on_hand":1}"#,
            403,
            "forbidden",
        ),
        bad(
            "product with NUL",
            "GET /v1/products/TEA%00CADDY",
            "",
            404,
            "not-found",
        ),
        bad(
            "product that is none",
            "GET /v1/products/NO-SUCH",
            "",
            404,
            "not-found",
        ),
        bad(
            "listing too much",
            "GET /v1/products?limit=100000",
            "",
            400,
            "invalid-value",
        ),
        bad(
            "listing a word",
            "GET /v1/products?limit=many",
            "",
            400,
            "invalid-value",
        ),
        bad("unknown path", "GET /v2/nothing", "", 404, "not-found"),
        bad(
            "climbing path",
            "GET /v1/../../etc/passwd",
            "",
            404,
            "not-found",
        ),
        bad(
            "wrong method",
            "DELETE /v1/orders",
            "",
            405,
            "method-not-allowed",
        ),
        bad(
            "invented method",
            "BREW /v1/orders",
            "",
            405,
            "method-not-allowed",
        ),
    ]
}

/// What the operator can do wrong.
pub fn operators() -> Vec<Bad> {
    let put = "PUT /v1/stock/TEA-CADDY";
    let adjust = "POST /v1/stock/TEA-CADDY/adjustments";
    let adjustment =
        |delta: &str| format!(r#"{{"adjustment_id":"x","delta":{delta},"reason":"corrected"}}"#);
    vec![
        bad(
            "stock below zero",
            put,
            r#"{"on_hand":-1}"#,
            400,
            "invalid-value",
        ),
        bad(
            "stock 2^63",
            put,
            r#"{"on_hand":9223372036854775808}"#,
            400,
            "invalid-body",
        ),
        bad(
            "stock 2^63-1",
            put,
            r#"{"on_hand":9223372036854775807}"#,
            400,
            "invalid-value",
        ),
        bad(
            "stock of an unknown SKU",
            "PUT /v1/stock/NO-SUCH",
            r#"{"on_hand":1}"#,
            404,
            "not-found",
        ),
        bad(
            "adjustment by 0",
            adjust,
            adjustment("0"),
            400,
            "invalid-value",
        ),
        bad(
            "adjustment below nothing",
            adjust,
            adjustment("-1000000"),
            409,
            "stock-out-of-range",
        ),
        bad(
            "adjustment by -2^63",
            adjust,
            adjustment("-9223372036854775808"),
            400,
            "invalid-value",
        ),
    ]
}

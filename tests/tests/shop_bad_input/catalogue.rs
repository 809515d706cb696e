//! The bad requests about the catalogue.

use super::cases::{Bad, JSON, bad, bad_with};

const TEA: &str = r#"{"name":"Tea","price_minor":1,"currency":"GBP"}"#;

/// What shoppers can do wrong.
pub fn shoppers() -> Vec<Bad> {
    let mut requests = vec![
        bad(
            "a search without end",
            &format!("GET /v1/products?q={}", "x".repeat(129)),
            "",
            400,
            "invalid-value",
        ),
        bad(
            "two searches",
            "GET /v1/products?q=a&q=b",
            "",
            400,
            "invalid-value",
        ),
        bad(
            "a page behind no SKU",
            "GET /v1/products?after=%00",
            "",
            400,
            "invalid-value",
        ),
    ];
    for request in [
        "POST /v1/products",
        "PUT /v1/products/TEA-CADDY",
        "PATCH /v1/products/TEA-CADDY",
        "DELETE /v1/products/TEA-CADDY",
    ] {
        requests.push(bad(
            "somebody else's catalogue",
            request,
            TEA,
            403,
            "forbidden",
        ));
    }
    requests
}

/// What those who run the shop can do wrong.
pub fn admins() -> Vec<Bad> {
    let put = "PUT /v1/products/TEA-CADDY";
    let patch = "PATCH /v1/products/TEA-CADDY";
    let mut requests = vec![
        bad(
            "a product of no SKU",
            "POST /v1/products",
            TEA,
            400,
            "invalid-body",
        ),
        bad(
            "a product that is there",
            "POST /v1/products",
            with_sku("TEA-CADDY"),
            409,
            "product-exists",
        ),
        bad(
            "a SKU that is none",
            "POST /v1/products",
            with_sku("a b"),
            400,
            "invalid-body",
        ),
        bad(
            "a path that is no SKU",
            "PUT /v1/products/a%20b",
            TEA,
            404,
            "not-found",
        ),
        bad(
            "half a product",
            put,
            r#"{"name":"Tea"}"#,
            400,
            "invalid-body",
        ),
        bad(
            "an unknown member",
            patch,
            r#"{"colour":"red"}"#,
            400,
            "invalid-body",
        ),
        bad(
            "changing what is not there",
            "PATCH /v1/products/NO-SUCH",
            "{}",
            404,
            "not-found",
        ),
        bad(
            "retiring what is not there",
            "DELETE /v1/products/NO-SUCH",
            "",
            404,
            "not-found",
        ),
    ];
    for amendment in [
        r#"{"name":""}"#,
        r#"{"name":"a\u0000b"}"#,
        r#"{"price_minor":-1}"#,
        r#"{"price_minor":10000000000}"#,
        r#"{"currency":"gbp"}"#,
        r#"{"buyer_limit":0}"#,
        r#"{"buyer_limit":1000001}"#,
    ] {
        requests.push(bad(
            "a value out of range",
            patch,
            amendment,
            400,
            "invalid-value",
        ));
    }
    for (condition, status, problem) in [
        ("if-match: \"99.x\"", 412, "precondition-failed"),
        ("if-match: W/\"1.x\"", 412, "precondition-failed"),
        ("if-none-match: *", 412, "precondition-failed"),
        ("if-none-match: \"1.x\"", 400, "invalid-value"),
        (
            "if-match: *\r\nif-none-match: *",
            412,
            "precondition-failed",
        ),
    ] {
        let headers = format!("{JSON}\r\n{condition}");
        requests.push(bad_with(
            "a condition that does not hold",
            put,
            &headers,
            TEA,
            status,
            problem,
        ));
    }
    requests
}

fn with_sku(sku: &str) -> String {
    TEA.replacen('{', &format!(r#"{{"sku":"{sku}","#), 1)
}

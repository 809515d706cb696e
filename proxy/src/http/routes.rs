//! The table of routes: everything that the API takes, and what each needs, read from top to bottom.

use super::route::Access::{Admin, Anyone, Session};
use super::route::{Route, delete, get, patch, post, put};
use super::{carts, holds, orders, products, sessions, stock, users, webhooks};

/// All routes.
pub fn routes() -> Vec<Route> {
    vec![
        post("/v1/users", Anyone, users::register),
        post("/v1/sessions", Anyone, sessions::start),
        get("/v1/sessions/current", Session, sessions::current),
        delete("/v1/sessions/current", Session, sessions::end),
        // The touch itself says what is viewed, in the one step that finds the session.
        post("/v1/sessions/current/touch", Anyone, sessions::touch),
        get("/v1/sessions/current/viewed", Session, sessions::viewed),
        get("/v1/products", Anyone, products::list),
        get("/v1/products/{sku}", Anyone, products::get),
        get("/v1/cart", Session, carts::get),
        delete("/v1/cart", Session, carts::empty),
        post("/v1/cart/items", Session, carts::add),
        put("/v1/cart/items/{sku}", Session, carts::set),
        delete("/v1/cart/items/{sku}", Session, carts::remove),
        post("/v1/orders", Session, orders::place).done_once(),
        get("/v1/orders", Session, orders::list),
        get("/v1/orders/{order_id}", Session, orders::get),
        post("/v1/orders/{order_id}/cancel", Session, orders::cancel).done_once(),
        post("/v1/holds", Session, holds::take).done_once(),
        get("/v1/holds/{hold_id}", Session, holds::get),
        patch("/v1/holds/{hold_id}", Session, holds::extend),
        delete("/v1/holds/{hold_id}", Session, holds::release),
        post("/v1/holds/{hold_id}/confirm", Session, holds::confirm).done_once(),
        get("/v1/stock/{sku}", Anyone, stock::get),
        put("/v1/stock/{sku}", Admin, stock::set),
        post("/v1/stock/{sku}/adjustments", Admin, stock::adjust),
        // Who sends these shows a signature of the body.
        post("/v1/webhooks/payment", Anyone, webhooks::payment),
    ]
}

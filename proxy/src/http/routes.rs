//! The table of routes: everything that the API takes, and what each needs, read from top to bottom.

use serde_json::{Value, json};

use super::Kind;
use super::carts::{self, Quantity};
use super::holds::{self, ConfirmForm, ExtendForm, Hold, HoldForm};
use super::me::{self, Me, PasswordChange, SessionList};
use super::orders::{self, OrderEvents, OrderForm, OrderPage, OrderQuery};
use super::product_changes::{self, NewProduct, ProductForm};
use super::products::{self, Listed, ProductPage, ProductQuery};
use super::route::Access::{Admin, Anyone, Customer, Session, Support};
use super::route::{Route, delete, get, patch, post, put};
use super::sessions::{
    self, CurrentSession, Login, SessionLife, StartedSession, View, ViewedItems,
};
use super::stock::{self, Change, Count, ShortQuery};
use super::stock_stream::{self, EVENT_STREAM};
use super::support::{self, CancellationForm, OrderFile, SupportPage, SupportQuery};
use super::tokens::{self, AccessToken};
use super::users::{self, Account, Registration};
use super::{documentation, webhooks};
use crate::carts::PricedCart;
use crate::catalogue::Entry;
use crate::catalogue::change::Amendment;
use crate::catalogue::stock_change::Adjusted;
use crate::live::short;
use crate::live::shown::Shown;
use crate::orders::{Item, Order};

/// All routes.
pub fn routes() -> Vec<Route> {
    let mut routes = people();
    routes.extend(catalogue());
    routes.extend(cart());
    routes.extend(orders());
    routes.extend(support());
    routes.extend(holds());
    routes.extend(stock());
    routes.extend(others());
    routes
}

fn people() -> Vec<Route> {
    vec![
        post("/v1/users", Anyone, users::register)
            .called("registerUser")
            .says("Registers a user, who may then log in.")
            .takes::<Registration>()
            .answers::<Account>(201)
            .refuses(&[Kind::EmailTaken, Kind::TooManyRequests]),
        get("/v1/users/me", Customer, me::get)
            .called("getMe")
            .says("Tells who the user is, and what the user may do.")
            .answers::<Me>(200)
            .refuses(&[Kind::NotFound]),
        put("/v1/users/me/password", Customer, me::change_password)
            .called("changePassword")
            .by_session_alone()
            .says("Changes the password, ends every session and begins another.")
            .takes::<PasswordChange>()
            .answers::<StartedSession>(200)
            .sends("Set-Cookie", "The session's cookie, for browsers.")
            .refuses(&[Kind::BadCredentials, Kind::NotFound, Kind::TooManyRequests]),
        get("/v1/users/me/sessions", Customer, me::sessions)
            .called("listSessions")
            .by_session_alone()
            .says("Lists the user's sessions.")
            .answers::<SessionList>(200)
            .leads_to(&["endSessionById"], "session_id", "/sessions/0/session_id"),
        delete("/v1/users/me/sessions", Customer, me::end_other_sessions)
            .called("endOtherSessions")
            .by_session_alone()
            .says("Ends all sessions of the user but this one.")
            .answers_nothing(204),
        delete(
            "/v1/users/me/sessions/{session_id}",
            Customer,
            me::end_session,
        )
        .called("endSessionById")
        .by_session_alone()
        .says("Ends one session of the user.")
        .answers_nothing(204),
        post("/v1/sessions", Anyone, sessions::start)
            .called("startSession")
            .says("Starts a guest's session, or logs a user in.")
            .takes::<Login>()
            .answers::<StartedSession>(201)
            .sends("Set-Cookie", "The session's cookie, for browsers.")
            .refuses(&[Kind::BadCredentials, Kind::TooManyRequests]),
        get("/v1/sessions/current", Session, sessions::current)
            .called("getSession")
            .by_session_alone()
            .says("Tells whose session it is, and how long it lives.")
            .answers::<CurrentSession>(200),
        delete("/v1/sessions/current", Session, sessions::end)
            .called("endSession")
            .by_session_alone()
            .says("Ends the session.")
            .answers_nothing(204)
            .sends("Set-Cookie", "Takes the cookie away.")
            .sends("Clear-Site-Data", "Has the browser forget the rest."),
        // The touch itself says what is viewed, in the one step that finds the session.
        post("/v1/sessions/current/touch", Anyone, sessions::touch)
            .called("touchSession")
            .by_session_alone()
            .says("Counts a view, and lets the session live on.")
            .takes::<View>()
            .answers::<SessionLife>(200)
            .refuses(&[Kind::NoSession, Kind::TooManyRequests]),
        get("/v1/sessions/current/viewed", Session, sessions::viewed)
            .called("listViewedItems")
            .by_session_alone()
            .says("Lists what was viewed last.")
            .answers::<ViewedItems>(200),
        post("/v1/sessions/current/tokens", Session, tokens::issue)
            .called("issueAccessToken")
            .by_session_alone()
            .says("Gives an API client a token that says who asks, for some minutes.")
            .answers::<AccessToken>(201)
            .refuses(&[Kind::Forbidden]),
    ]
}

/// What can be asked about a product that was listed.
const OF_A_PRODUCT: &[&str] = &[
    "getProduct",
    "putProduct",
    "amendProduct",
    "retireProduct",
    "getStock",
    "watchStock",
    "setStock",
    "adjustStock",
    "setInCart",
    "removeFromCart",
];

/// One unit of a product, as a line that is asked for.
fn one_of(sku: &str) -> Value {
    json!({ "sku": sku, "quantity": 1 })
}

fn catalogue() -> Vec<Route> {
    vec![
        get("/v1/products", Anyone, products::list)
            .called("listProducts")
            .says("Lists the catalogue, or what a search finds, with what is available.")
            .asks::<ProductQuery>()
            .answers::<ProductPage>(200)
            .conditional()
            .leads_to(OF_A_PRODUCT, "sku", "/products/0/sku")
            .leads_to_body("addToCart", one_of("$response.body#/products/0/sku"))
            .leads_to_body(
                "takeHold",
                json!({ "items": [one_of("$response.body#/products/0/sku")] }),
            ),
        post("/v1/products", Admin, product_changes::create)
            .called("createProduct")
            .says("Puts a new product into the catalogue.")
            .takes::<NewProduct>()
            .answers::<Entry>(201)
            .leads_to(OF_A_PRODUCT, "sku", "/sku")
            .refuses(&[Kind::ProductExists]),
        get("/v1/products/{sku}", Anyone, products::get)
            .called("getProduct")
            .says("Shows one product.")
            .answers::<Listed>(200)
            .conditional()
            .leads_to(OF_A_PRODUCT, "sku", "/sku")
            .leads_to_body("addToCart", one_of("$response.body#/sku"))
            .leads_to_body("takeHold", json!({ "items": [one_of("$response.body#/sku")] })),
        put("/v1/products/{sku}", Admin, product_changes::put)
            .called("putProduct")
            .says("Creates a product or changes all that is said of it, and sells it again if it was retired.")
            .takes::<ProductForm>()
            .answers::<Entry>(200)
            .answers::<Entry>(201)
            .conditional(),
        patch("/v1/products/{sku}", Admin, product_changes::amend)
            .called("amendProduct")
            .says("Changes some of what is said of a product.")
            .takes::<Amendment>()
            .answers::<Entry>(200)
            .conditional(),
        delete("/v1/products/{sku}", Admin, product_changes::retire)
            .called("retireProduct")
            .says("Neither lists nor sells a product any more.")
            .answers_nothing(204)
            .conditional(),
    ]
}

fn cart() -> Vec<Route> {
    vec![
        get("/v1/cart", Session, carts::get)
            .called("getCart")
            .says("Shows the cart, at the prices of this moment.")
            .answers::<PricedCart>(200),
        delete("/v1/cart", Session, carts::empty)
            .called("emptyCart")
            .says("Takes everything out of the cart.")
            .answers_nothing(204),
        post("/v1/cart/items", Session, carts::add)
            .called("addToCart")
            .says("Adds units of a product to the cart.")
            .takes::<Item>()
            .answers::<PricedCart>(200)
            .leads_to(&["setInCart", "removeFromCart"], "sku", "/lines/0/sku")
            .leads_to_body(
                "placeOrder",
                json!({ "cart": true, "payment": { "card": "4242424242424242" } }),
            )
            .refuses(&[Kind::NotFound]),
        put("/v1/cart/items/{sku}", Session, carts::set)
            .called("setInCart")
            .says("Sets how many units of a product the cart has.")
            .takes::<Quantity>()
            .answers::<PricedCart>(200),
        delete("/v1/cart/items/{sku}", Session, carts::remove)
            .called("removeFromCart")
            .says("Takes a product out of the cart.")
            .answers::<PricedCart>(200),
    ]
}

/// What buying can end in, other than a sale.
const NOT_SOLD: &[Kind] = &[
    Kind::PaymentDeclined,
    Kind::NotFound,
    Kind::OutOfStock,
    Kind::BuyerLimit,
    Kind::Forbidden,
    Kind::OrderCancelled,
    Kind::HoldEnded,
];

/// What can be asked about an order that was placed.
const OF_AN_ORDER: &[&str] = &["getOrder", "listOrderEvents", "cancelOrder"];

fn orders() -> Vec<Route> {
    vec![
        post("/v1/orders", Session, orders::place)
            .called("placeOrder")
            .says("Buys: holds every line or none, takes the money, and sells.")
            .takes::<OrderForm>()
            .answers::<Order>(201)
            .answers::<Order>(202)
            .sends("Location", "Where the order is shown.")
            .leads_to(OF_AN_ORDER, "order_id", "/order_id")
            .refuses(NOT_SOLD)
            .refuses(&[Kind::EmptyCart, Kind::NotOneOrder])
            .done_once(),
        get("/v1/orders", Session, orders::list)
            .called("listOrders")
            .says("Lists the orders of who asks, the newest first.")
            .asks::<OrderQuery>()
            .answers::<OrderPage>(200)
            .leads_to(OF_AN_ORDER, "order_id", "/orders/0/order_id"),
        get("/v1/orders/{order_id}", Session, orders::get)
            .called("getOrder")
            .says("Shows an order of who asks.")
            .answers::<Order>(200),
        get("/v1/orders/{order_id}/events", Session, orders::events)
            .called("listOrderEvents")
            .says("Tells what became of an order of who asks, step by step.")
            .answers::<OrderEvents>(200),
        post("/v1/orders/{order_id}/cancel", Session, orders::cancel)
            .called("cancelOrder")
            .says("Calls an order off, and gives its money back.")
            .answers::<Order>(200)
            .refuses(&[Kind::CannotCancel])
            .done_once(),
    ]
}

fn support() -> Vec<Route> {
    vec![
        get("/v1/admin/orders", Support, support::list)
            .called("findOrders")
            .says("Finds orders of all buyers, the newest first.")
            .asks::<SupportQuery>()
            .answers::<SupportPage>(200)
            .leads_to(&["getOrderFile"], "order_id", "/orders/0/order_id"),
        get("/v1/admin/orders/{order_id}", Support, support::get)
            .called("getOrderFile")
            .says("Shows all that is known of an order.")
            .answers::<OrderFile>(200),
        post("/v1/admin/orders/{order_id}/cancel", Admin, support::cancel)
            .called("cancelAnyOrder")
            .says("Calls an order off for the shop, however long ago it was sold, and gives its money back.")
            .takes::<CancellationForm>()
            .answers::<OrderFile>(200)
            .refuses(&[Kind::CannotCancel]),
    ]
}

/// What can be asked about a hold that was taken.
const OF_A_HOLD: &[&str] = &["getHold", "extendHold", "confirmHold", "releaseHold"];

fn holds() -> Vec<Route> {
    vec![
        post("/v1/holds", Session, holds::take)
            .called("takeHold")
            .says("Holds every line or none, to be paid for later.")
            .takes::<HoldForm>()
            .answers::<Hold>(201)
            .leads_to(OF_A_HOLD, "hold_id", "/hold_id")
            .refuses(&[
                Kind::NotFound,
                Kind::OutOfStock,
                Kind::BuyerLimit,
                Kind::Forbidden,
                Kind::NotOneOrder,
            ])
            .done_once(),
        get("/v1/holds/{hold_id}", Session, holds::get)
            .called("getHold")
            .says("Shows how a hold stands.")
            .answers::<Hold>(200),
        patch("/v1/holds/{hold_id}", Session, holds::extend)
            .called("extendHold")
            .says("Moves the deadline of a hold further away.")
            .takes::<ExtendForm>()
            .answers::<Hold>(200)
            .refuses(&[Kind::HoldEnded]),
        delete("/v1/holds/{hold_id}", Session, holds::release)
            .called("releaseHold")
            .says("Gives a hold's units back.")
            .answers_nothing(204)
            .refuses(&[Kind::HoldEnded]),
        post("/v1/holds/{hold_id}/confirm", Session, holds::confirm)
            .called("confirmHold")
            .says("Pays for what is held; the hold's id becomes its order's.")
            .takes::<ConfirmForm>()
            .answers::<Order>(201)
            .answers::<Order>(202)
            .sends("Location", "Where the order is shown.")
            .leads_to(OF_AN_ORDER, "order_id", "/order_id")
            .refuses(NOT_SOLD)
            .done_once(),
    ]
}

fn stock() -> Vec<Route> {
    vec![
        get("/v1/stock", Support, stock::short)
            .called("listShortStock")
            .says("Lists the products of which little or nothing is left.")
            .asks::<ShortQuery>()
            .answers::<short::Page>(200),
        get("/v1/stock/{sku}", Anyone, stock::get)
            .called("getStock")
            .says("Shows the stock of a product.")
            .answers::<Shown>(200),
        get("/v1/stock/{sku}/stream", Anyone, stock_stream::watch)
            .called("watchStock")
            .says("Tells the stock of a product now, and whenever it changes.")
            .answers_text(200, EVENT_STREAM),
        put("/v1/stock/{sku}", Admin, stock::set)
            .called("setStock")
            .says("Sets the number of unsold units, as a count found it.")
            .takes::<Count>()
            .answers::<Adjusted>(200)
            .answers::<Adjusted>(202)
            .refuses(&[Kind::BelowHeld, Kind::StockOutOfRange]),
        post("/v1/stock/{sku}/adjustments", Admin, stock::adjust)
            .called("adjustStock")
            .says("Adds units to the stock or takes some off, once for each adjustment.")
            .takes::<Change>()
            .answers::<Adjusted>(200)
            .answers::<Adjusted>(202)
            .refuses(&[Kind::BelowHeld, Kind::StockOutOfRange, Kind::Mismatch]),
    ]
}

fn others() -> Vec<Route> {
    vec![
        // Who sends these shows a signature of the body.
        post("/v1/webhooks/payment", Anyone, webhooks::payment)
            .called("notePayment")
            .says("Takes the payment provider's news.")
            .takes::<serde_json::Value>()
            .answers_nothing(204)
            .refuses(&[Kind::BadSignature, Kind::Forbidden, Kind::NotFound]),
        get("/openapi.json", Anyone, documentation::openapi)
            .called("getOpenApi")
            .says("This document.")
            .answers::<serde_json::Value>(200),
        get("/docs", Anyone, documentation::page)
            .called("browseApi")
            .says("A page to browse this document and try the operations.")
            .answers_text(200, "text/html"),
        get("/docs/{file}", Anyone, documentation::file)
            .called("getFileOfPage")
            .says("A file that the page loads.")
            .answers_text(200, "text/*"),
    ]
}

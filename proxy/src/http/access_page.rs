//! Holds docs/access.md against the table of routes. HOLDFAST_BLESS=1 writes it anew.

use super::route::Access;
use super::routes::routes;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/access.md");

const PROSE: &str = "\
# Who may do what

What each route needs, as the table of routes in `proxy/src/http/routes.rs` says, of which this page is made
(`HOLDFAST_BLESS=1 cargo test -p holdfast-proxy access_page`). It is checked before the route's own code runs: without a
session or an access token the answer is 401 [`no-session`](problems/no-session.md), without the role 403
[`forbidden`](problems/forbidden.md).

| needs | who has it |
|---|---|
| nothing | anyone |
| session | whoever shows a session or an access token, guests too |
| customer | who has registered and logged in; `support` and `admin` may do it as well |
| support | whom [`holdfast users grant`](cli.md#users) made `support`; `admin` may do it as well |
| admin | whom it made `admin`, and who shows the operator's token |

What belongs to somebody (a cart, an order, a hold, a session) is there for its owner alone; anybody else is told that it
does not exist. The routes of one's own sessions and password need the session itself: an access token is not enough.

| route | needs |
|---|---|
";

fn needs(access: Access) -> &'static str {
    match access {
        Access::Anyone => "nothing",
        Access::Session => "session",
        Access::Customer => "customer",
        Access::Support => "support",
        Access::Admin => "admin",
    }
}

fn page() -> String {
    let rows = routes().into_iter();
    let rows = rows.map(|route| {
        let needs = needs(route.access);
        format!("| `{} {}` | {needs} |\n", route.method, route.path)
    });
    PROSE.to_owned() + &rows.collect::<String>()
}

#[test]
fn the_page_says_what_each_route_needs() {
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(PAGE, page()).expect("the page");
    }
    let written = std::fs::read_to_string(PAGE).expect("the page");
    assert_eq!(written, page(), "write it anew with HOLDFAST_BLESS=1");
    assert!(written.contains("| `PUT /v1/stock/{sku}` | admin |\n"));
    assert!(written.contains("| `GET /v1/users/me` | customer |\n"));
}

//! Each kind of drift, made by hand.

use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::books::{Ledger, ledger};
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use serde_json::json;
use uuid::Uuid;

use super::command::{is_filled, key, number, quiet, reconcile, tell};

const PATIENCE: Duration = Duration::from_secs(20);

fn stack(skus: &[&str]) -> Result<Stack> {
    let stack = Stack::start(StackOptions {
        kafka: false,
        catalogue: Some(catalogue_of(skus)?),
        environment: quiet(),
        ..StackOptions::default()
    })?;
    is_filled(&stack, PATIENCE)?;
    Ok(stack)
}

/// An order of two units that is sold and done with.
async fn sold(stack: &Stack, sku: &str) -> Result<Uuid> {
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let reply = buyer.buy(sku, 2, GOOD_CARD).await?;
    ensure!(reply.status == 201, "not sold: {reply:?}");
    let order: Uuid = reply.id()?.parse()?;
    wait::until_async("the sale to be settled", PATIENCE, || async {
        let settled = "SELECT CAST(settled AS SIGNED) FROM orders WHERE id = ?";
        let settled = number(stack, settled, order.as_bytes()).await?;
        Ok((settled == Some(1)).then_some(()))
    })
    .await?;
    Ok(order)
}

/// Makes Redis as it was before a sale of two units of ten was confirmed.
fn forget_the_confirmation(stack: &Stack, sku: &str, order: Uuid) -> Result<()> {
    let (key, order) = (key(sku), order.to_string());
    tell::<()>(stack, &["DEL", &key])?;
    tell::<redis::Value>(stack, &["INV.SET", &key, "10"])?;
    tell::<redis::Value>(stack, &["INV.RESERVE", &key, &order, "2"])?;
    tell::<redis::Value>(stack, &["INV.PREPARE", &key, &order])?;
    Ok(())
}

/// Prepares a hold of three units for an order that nobody knows.
fn prepare_for_nobody(stack: &Stack, sku: &str) -> Result<Uuid> {
    let order = Uuid::now_v7();
    let (key, id) = (key(sku), order.to_string());
    tell::<redis::Value>(stack, &["INV.RESERVE", &key, &id, "3"])?;
    tell::<redis::Value>(stack, &["INV.PREPARE", &key, &id])?;
    Ok(order)
}

fn state(stack: &Stack, sku: &str, order: Uuid) -> Result<Option<String>> {
    let hold: Option<Vec<redis::Value>> =
        tell(stack, &["INV.HOLD", &key(sku), &order.to_string()])?;
    let state = hold.and_then(|hold| hold.into_iter().nth(3));
    Ok(state.map(redis::from_redis_value).transpose()?)
}

fn wait_until_old(stack: &Stack, sku: &str) -> Result<()> {
    wait::until("a hold to be old", PATIENCE, || {
        let pending: Vec<redis::Value> = tell(stack, &["INV.PENDING", &key(sku), "1100"])?;
        Ok((!pending.is_empty()).then_some(()))
    })
}

#[tokio::test]
async fn each_kind_of_drift_is_found_told_and_put_right_and_nothing_else_is_touched() -> Result<()>
{
    let skus = [
        "CALLED-OFF",
        "EMPTY",
        "FOREIGN",
        "LOST",
        "MANY",
        "NOBODYS",
        "SOLD",
        "SOUND",
        "UNTOLD",
        "FEW",
    ];
    let stack = stack(&skus)?;
    for sku in ["SOLD", "SOUND", "LOST"] {
        sold(&stack, sku).await?;
    }
    let untold = sold(&stack, "UNTOLD").await?;
    let fresh = reconcile(&stack.proxy, &[])?;
    assert_eq!((fresh.code, fresh.wrong()), (0, 0), "{:?}", fresh.lines);

    let adjust = |sku, delta| tell::<redis::Value>(&stack, &["INV.ADJUST", &key(sku), delta]);
    adjust("MANY", "3")?;
    adjust("FEW", "-4")?;
    adjust("SOLD", "2")?;
    tell::<()>(&stack, &["DEL", &key("LOST"), &key("EMPTY")])?;
    forget_the_confirmation(&stack, "UNTOLD", untold)?;
    let nobodys = prepare_for_nobody(&stack, "NOBODYS")?;
    let called_off = prepare_for_nobody(&stack, "CALLED-OFF")?;
    let abort = "INSERT INTO hold_outcomes (order_id, outcome) VALUES (?, 'ABORTED')";
    number(&stack, abort, called_off.as_bytes()).await?;
    // Not the name of an order: somebody else's business.
    let foreign = ["INV.RESERVE", &key("FOREIGN"), "a-till", "1"];
    tell::<redis::Value>(&stack, &foreign)?;
    tell::<redis::Value>(&stack, &["INV.PREPARE", &key("FOREIGN"), "a-till"])?;
    for sku in ["UNTOLD", "NOBODYS", "CALLED-OFF", "FOREIGN"] {
        wait_until_old(&stack, sku)?;
    }

    let shown = |sku: &str| tell::<redis::Value>(&stack, &["INV.GET", &key(sku)]);
    let before: Vec<_> = skus.iter().map(|sku| shown(sku)).collect::<Result<_>>()?;
    let told = reconcile(&stack.proxy, &[])?;
    let after: Vec<_> = skus.iter().map(|sku| shown(sku)).collect::<Result<_>>()?;
    assert_eq!(before, after, "without --fix nothing is touched");
    assert_eq!((told.code, told.wrong()), (1, 8), "{:?}", told.lines);

    let fixed = reconcile(&stack.proxy, &["--fix"])?;
    assert_eq!((fixed.code, fixed.wrong()), (0, 8), "{:?}", fixed.lines);
    for (sku, found, expected, end) in [
        ("MANY", json!(13), 10, None),
        ("FEW", json!(6), 10, None),
        ("SOLD", json!(10), 8, None),
        ("LOST", json!(null), 8, None),
        ("EMPTY", json!(null), 10, None),
        ("UNTOLD", json!(10), 10, Some("confirm")),
        ("NOBODYS", json!(10), 10, Some("abort_and_release")),
        ("CALLED-OFF", json!(10), 10, Some("release")),
    ] {
        for (said, is_fixed) in [(&told, false), (&fixed, true)] {
            let finding = said.of(sku).unwrap_or(&serde_json::Value::Null);
            assert_eq!(finding["found"], found, "{sku}: {finding}");
            assert_eq!(finding["expected"], expected, "{sku}: {finding}");
            assert_eq!(finding["fixed"], is_fixed, "{sku}: {finding}");
            let orphan = finding["orphans"][0]["end"].as_str();
            assert_eq!(orphan, end, "{sku}: {finding}");
        }
    }
    let units = |sku| ledger(&stack, sku).map(|Ledger { on_hand, held, .. }| (on_hand, held));
    for (sku, on_hand) in [
        ("MANY", 10),
        ("FEW", 10),
        ("SOLD", 8),
        ("LOST", 8),
        ("EMPTY", 10),
        ("UNTOLD", 8),
        ("NOBODYS", 10),
        ("CALLED-OFF", 10),
        ("SOUND", 8),
    ] {
        assert_eq!(units(sku)?, (on_hand, 0), "{sku}");
    }
    assert_eq!(units("FOREIGN")?, (10, 1));
    assert_eq!(shown("SOUND")?, before[7], "not even its version");
    let ends = [
        ("UNTOLD", untold, "CONFIRMED"),
        ("NOBODYS", nobodys, "RELEASED"),
        ("CALLED-OFF", called_off, "RELEASED"),
    ];
    for (sku, order, end) in ends {
        assert_eq!(state(&stack, sku, order)?.as_deref(), Some(end), "{sku}");
    }
    let decided = "SELECT COUNT(*) FROM hold_outcomes WHERE order_id = ? AND outcome = 'ABORTED'";
    assert_eq!(
        number(&stack, decided, nobodys.as_bytes()).await?,
        Some(1),
        "for ever"
    );
    let again = reconcile(&stack.proxy, &[])?;
    assert_eq!((again.code, again.wrong()), (0, 0), "{:?}", again.lines);
    Ok(())
}

#[tokio::test]
async fn two_reconcilers_at_once_correct_once() -> Result<()> {
    let skus: Vec<String> = (0..60).map(|number| format!("TWICE-{number:02}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    let stack = stack(&skus)?;
    for (number, sku) in skus.iter().enumerate() {
        match number % 3 {
            0 => tell::<redis::Value>(&stack, &["INV.ADJUST", &key(sku), "5"])?,
            1 => tell::<redis::Value>(&stack, &["INV.ADJUST", &key(sku), "-5"])?,
            _ => tell::<redis::Value>(&stack, &["DEL", &key(sku)])?,
        };
    }
    let fix = || reconcile(&stack.proxy, &["--fix"]);
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(fix);
        (fix(), other.join())
    });
    let (one, other) = (
        one?,
        other.map_err(|_| anyhow::anyhow!("a thread panicked"))??,
    );
    assert_eq!(
        (one.code, other.code),
        (0, 0),
        "{:?} {:?}",
        one.lines,
        other.lines
    );
    for sku in skus {
        assert_eq!(ledger(&stack, sku)?.on_hand, 10, "{sku}");
    }
    Ok(())
}

#[tokio::test]
async fn only_the_skus_that_were_named_are_compared() -> Result<()> {
    let stack = stack(&["NAMED", "OTHER"])?;
    for sku in ["NAMED", "OTHER"] {
        tell::<redis::Value>(&stack, &["INV.ADJUST", &key(sku), "1"])?;
    }
    let misspelt = ["--fix", "--sku", "named", "--sku", "NAMMED"];
    let said = reconcile(&stack.proxy, &misspelt)?;
    assert_eq!((said.code, said.lines.len()), (2, 0), "{:?}", said.lines);
    let said = reconcile(&stack.proxy, &["--fix", "--sku", "named"])?;
    assert_eq!((said.code, said.lines.len()), (0, 2), "{:?}", said.lines);
    assert_eq!(said.lines[1]["compared"], 1);
    assert_eq!(ledger(&stack, "NAMED")?.on_hand, 10);
    assert_eq!(ledger(&stack, "OTHER")?.on_hand, 11);
    stack.redis.server()?.kill()?;
    let blind = reconcile(&stack.proxy, &[])?;
    assert_eq!(blind.code, 2, "{:?}", blind.lines);
    Ok(())
}

#[tokio::test]
async fn a_buyer_of_lost_stock_waits_until_it_is_made_anew() -> Result<()> {
    let stack = stack(&["WANTED"])?;
    tell::<()>(&stack, &["DEL", &key("WANTED")])?;
    let passer_by = Shop::of(&stack.proxy).guest().await?;
    let shown = passer_by.get("/v1/stock/WANTED").await?;
    assert_eq!((shown.status, shown.problem()), (503, "unavailable"));
    sold(&stack, "WANTED").await?;
    let Ledger { on_hand, held, .. } = ledger(&stack, "WANTED")?;
    assert_eq!((on_hand, held), (8, 0));

    tell::<()>(&stack, &["DEL", &key("WANTED")])?;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let hold = json!({ "items": [{ "sku": "WANTED", "quantity": 3 }] });
    let hold = buyer
        .call(reqwest::Method::POST, "/v1/holds", &hold)
        .await?;
    ensure!(hold.status == 201, "not held: {hold:?}");
    let Ledger { on_hand, held, .. } = ledger(&stack, "WANTED")?;
    assert_eq!((on_hand, held), (8, 3));
    let too_many = buyer.buy("WANTED", 9, GOOD_CARD).await?;
    assert_eq!((too_many.status, too_many.problem()), (409, "out-of-stock"));
    Ok(())
}

/// The hold is young and its order settled: nobody else would end it, and no walk is due for long.
#[tokio::test]
async fn a_sale_that_redis_has_forgotten_is_told_again_as_soon_as_it_is_back() -> Result<()> {
    let stack = stack(&["FORGOTTEN"])?;
    let order = sold(&stack, "FORGOTTEN").await?;
    forget_the_confirmation(&stack, "FORGOTTEN", order)?;
    stack.redis.server()?.kill()?;
    wait::until_async("Redis to be given up", PATIENCE, || async {
        Shop::of(&stack.proxy).stock("FORGOTTEN").await.unwrap_err();
        let open = stack.proxy.metric("holdfast_redis_breaker_open").await?;
        Ok((open == 1.0).then_some(()))
    })
    .await?;
    stack.redis.start_again()?;
    wait::until("the sale to be told again", PATIENCE, || {
        let state = state(&stack, "FORGOTTEN", order)?;
        Ok((state.as_deref() == Some("CONFIRMED")).then_some(()))
    })?;
    let books = ledger(&stack, "FORGOTTEN")?;
    ensure!(
        (books.on_hand, books.held) == (8, 0),
        "not as MySQL has it: {books:?}"
    );
    Ok(())
}

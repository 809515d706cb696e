//! What is kept where, and that no change stays unseen because of it.

use futures::future::try_join_all;
use holdfast_proxy::catalogue::{Entry, Product, Sku};
use holdfast_proxy::config;
use holdfast_proxy::gateway::Gateway;
use holdfast_proxy::gateway::products::Kept;
use holdfast_tests::data::Home;

use super::*;

const LOADS: &str = "holdfast_catalogue_loads_total";
const LOCAL_HITS: &str = "holdfast_catalogue_hits_total{layer=\"local\"}";
const REDIS_HITS: &str = "holdfast_catalogue_hits_total{layer=\"redis\"}";

fn forget(sku: &str) -> Result<()> {
    let key = format!("product:{{{sku}}}");
    Ok(redis::cmd("DEL")
        .arg(key)
        .query(&mut STACK.redis.connection()?)?)
}

#[tokio::test]
async fn a_change_is_seen_by_every_proxy_at_once() -> Result<()> {
    let other = STACK.another_proxy()?;
    for proxy in [&STACK.proxy, &other] {
        until_named(proxy, "HEARD-1", Some("Thing")).await?;
    }
    for number in 0..5 {
        let name = format!("Changed {number}");
        put("HEARD-1", &form(&name, 1000)).await?;
        assert_eq!(
            name_at(&STACK.proxy, "HEARD-1").await?,
            Some(name.clone()),
            "here without waiting"
        );
        until_named(&other, "HEARD-1", Some(&name)).await?;
    }
    // An import is a change as well.
    let folder = Home::for_test("import")?;
    let file = folder.path("heard.csv");
    std::fs::write(
        &file,
        "sku,name,description,price,currency,stock\nHEARD-1,Imported,,10.00,GBP,0\n",
    )?;
    STACK
        .proxy
        .run(&["import", file.to_str().context("a path")?])?;
    for proxy in [&STACK.proxy, &other] {
        until_named(proxy, "HEARD-1", Some("Imported")).await?;
    }
    // The control: what nobody tells of is kept.
    let behind =
        "UPDATE products SET name = 'Untold', revision = revision + 1 WHERE sku = 'HEARD-1'";
    let mut database =
        <sqlx::MySqlConnection as sqlx::Connection>::connect(&STACK.database_url()).await?;
    sqlx::query(behind).execute(&mut database).await?;
    assert_eq!(
        name_at(&other, "HEARD-1").await?.as_deref(),
        Some("Imported")
    );
    Ok(())
}

#[tokio::test]
async fn many_who_miss_are_one_load_and_then_hits() -> Result<()> {
    let proxy = STACK.another_proxy()?;
    forget("FLIGHT-1")?;
    let before = proxy.metric(LOADS).await?;
    let client = Client::new();
    let url = format!("{}/v1/products/FLIGHT-1", proxy.url());
    let replies = try_join_all((0..64).map(|_| send(client.get(&url)))).await?;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(proxy.metric(LOADS).await? - before, 1.0);

    let hits = proxy.metric(LOCAL_HITS).await?;
    send(client.get(&url)).await?;
    assert_eq!(proxy.metric(LOCAL_HITS).await? - hits, 1.0);
    // Another process finds it in Redis.
    let other = STACK.another_proxy()?;
    until_named(&other, "FLIGHT-1", Some("Thing")).await?;
    assert_eq!(
        (other.metric(REDIS_HITS).await?, other.metric(LOADS).await?),
        (1.0, 0.0)
    );
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_asked_for_once_and_seen_when_it_is_made() -> Result<()> {
    let (proxy, other) = (STACK.another_proxy()?, STACK.another_proxy()?);
    for _ in 0..3 {
        assert_eq!(name_at(&proxy, "LATER-1").await?, None);
    }
    assert_eq!(name_at(&other, "LATER-1").await?, None);
    assert_eq!(
        (proxy.metric(LOADS).await?, other.metric(LOADS).await?),
        (1.0, 0.0)
    );
    put("LATER-1", &form("Made", 1)).await?;
    for proxy in [&proxy, &other] {
        until_named(proxy, "LATER-1", Some("Made")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_older_reading_does_not_take_the_place_of_a_newer_one_in_redis() -> Result<()> {
    let sku: Sku = "STALE-1".parse()?;
    put("STALE-1", &form("Newer", 1000)).await?;
    let settings: config::Redis = serde_json::from_value(json!({ "url": STACK.redis.url() }))?;
    let gateway = Gateway::open(&settings)?;
    let older = Kept::of(Some(Entry {
        product: Product::new(sku.clone(), "Older", "", 1000, "GBP")?,
        revision: 1,
        retired: false,
    }));
    for stale in [&older, &Kept::of(None)] {
        let kept = gateway.keep_product(&sku, stale, 60_000).await?;
        assert_eq!(kept, 2, "the newer one's revision");
    }
    let fresh = STACK.another_proxy()?;
    assert_eq!(name_at(&fresh, "STALE-1").await?.as_deref(), Some("Newer"));

    // The control: where there is no newer one, it is kept and shown.
    forget("STALE-1")?;
    assert_eq!(gateway.keep_product(&sku, &older, 60_000).await?, 1);
    let fresh = STACK.another_proxy()?;
    assert_eq!(name_at(&fresh, "STALE-1").await?.as_deref(), Some("Older"));
    // A proxy that was told of the newer one does not believe it, and reads the database.
    assert_eq!(
        name_at(&STACK.proxy, "STALE-1").await?.as_deref(),
        Some("Newer")
    );
    Ok(())
}

#[tokio::test]
async fn what_is_asked_for_all_the_time_is_read_anew_before_it_ends() -> Result<()> {
    put("HOT-1", &form("Hot", 1)).await?;
    let proxy = STACK.another_proxy_with(&[
        ("HOLDFAST_CATALOGUE__LOCAL_TTL_MS", "50"),
        ("HOLDFAST_CATALOGUE__REDIS_TTL_MS", "200"),
    ])?;
    forget("HOT-1")?;
    let early = |layer| format!("holdfast_catalogue_early_refreshes_total{{layer=\"{layer}\"}}");
    let (client, url) = (Client::new(), format!("{}/v1/products/HOT-1", proxy.url()));
    wait::until_async("early refreshes", Duration::from_secs(40), || async {
        for _ in 0..40 {
            let looks = try_join_all((0..25).map(|_| send(client.get(&url)))).await?;
            assert!(looks.iter().all(|look| look.body["name"] == "Hot"));
        }
        for layer in ["local", "redis"] {
            if proxy.metric(&early(layer)).await? == 0.0 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}

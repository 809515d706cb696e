//! The launcher's database, broker and payment sandbox: each starts, answers, and comes back where it was.

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::kafka::Kafka;
use holdfast_tests::mysql::Mysql;
use holdfast_tests::payment::{Payment, PaymentOptions};
use holdfast_tests::{process, wait};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message};
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};

#[tokio::test]
async fn a_killed_database_comes_back_with_what_was_committed() -> Result<()> {
    let mysql = Mysql::start_private(None)?;
    let url = mysql.url("holdfast");
    let mut connection = MySqlConnection::connect(&url).await?;
    sqlx::query("CREATE TABLE lanterns (stock BIGINT NOT NULL)")
        .execute(&mut connection)
        .await?;
    sqlx::query("INSERT INTO lanterns VALUES (9)")
        .execute(&mut connection)
        .await?;

    mysql.server()?.kill()?;
    mysql.start_again()?;
    let mut connection = MySqlConnection::connect(&url).await?;
    let stock: i64 = sqlx::query_scalar("SELECT stock FROM lanterns")
        .fetch_one(&mut connection)
        .await?;
    assert_eq!(stock, 9);
    Ok(())
}

#[tokio::test]
async fn its_user_is_confined_to_holdfasts_databases() -> Result<()> {
    let mysql = Mysql::start_private(None)?;
    let mut connection = MySqlConnection::connect(&mysql.url("holdfast")).await?;
    sqlx::query("CREATE DATABASE holdfast_of_a_test")
        .execute(&mut connection)
        .await?;
    let refused = sqlx::query("CREATE DATABASE elsewhere")
        .execute(&mut connection)
        .await;
    assert!(refused.unwrap_err().to_string().contains("Access denied"));
    Ok(())
}

#[test]
fn a_broker_keeps_its_messages_and_its_port_over_a_stop() -> Result<()> {
    let kafka = Kafka::reserve_private(None)?;
    kafka.start()?;
    kafka.create_topic("lanterns", 1)?;
    kafka.create_topic("lanterns", 1)?;
    let refused = kafka.create_topic("no name", 1).unwrap_err();
    let says = format!("{refused:#}");
    assert!(says.contains("no name is refused: InvalidTopic"), "{says}");

    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.brokers())
        .set("group.id", "reader");
    config.set("auto.offset.reset", "earliest");
    let producer: BaseProducer = config.create()?;
    let record = BaseRecord::<str, str>::to("lanterns")
        .key("one")
        .payload("sold");
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(Duration::from_secs(30))?;

    kafka.server()?.stop()?;
    assert!(!kafka.server()?.is_running());
    kafka.start()?;
    kafka.server()?.kill()?;
    kafka.start()?;

    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&["lanterns"])?;
    let message = wait::until("the message", Duration::from_secs(60), || {
        Ok(consumer.poll(Duration::from_millis(100)).transpose()?)
    })?;
    assert_eq!(message.payload(), Some(&b"sold"[..]));
    Ok(())
}

#[tokio::test]
async fn the_sandbox_pays_over_http_as_its_cards_say() -> Result<()> {
    let payment = Payment::start(PaymentOptions::default())?;
    let client = reqwest::Client::new();
    let pay = |order: &str, card: &str, amount: i64| {
        client
            .post(format!("{}/v1/payments", payment.url()))
            .header("idempotency-key", order)
            .json(&json!({"order_id": order, "amount_minor": amount, "currency": "GBP", "card": card}))
            .send()
    };
    let [good, declined, lost] = [
        "00000000-0000-7000-8000-000000000001",
        "00000000-0000-7000-8000-000000000002",
        "00000000-0000-7000-8000-000000000003",
    ];

    let first = pay(good, "4242424242424242", 500).await?;
    assert_eq!(first.status(), 201);
    assert_eq!(first.json::<Value>().await?["status"], "captured");
    let again = pay(good, "4242424242424242", 500).await?;
    assert_eq!(again.status(), 201, "the same key gets the same answer");
    assert_eq!(pay(good, "4242424242424242", 501).await?.status(), 422);

    let refused = pay(declined, "4000000000000002", 500).await?;
    assert_eq!(refused.status(), 402);
    assert_eq!(refused.json::<Value>().await?["reason"], "card_declined");

    assert!(pay(lost, "4000000000000259", 500).await.is_err());
    let found = client
        .get(format!("{}/v1/payments/{lost}", payment.url()))
        .send()
        .await?;
    assert_eq!(found.json::<Value>().await?["status"], "captured");

    let refund = |order: &str| {
        client
            .post(format!("{}/v1/payments/{order}/refund", payment.url()))
            .send()
    };
    assert_eq!(
        refund(good).await?.json::<Value>().await?["status"],
        "refunded"
    );
    let kept = refund(declined).await?.json::<Value>().await?;
    assert_eq!(kept["status"], "declined");

    let unknown = "00000000-0000-7000-8000-000000000009";
    let tombstone = refund(unknown).await?.json::<Value>().await?;
    assert_eq!(tombstone["status"], "voided");
    let late = pay(unknown, "4242424242424242", 500).await?;
    assert_eq!(late.status(), 402, "a payment after its refund");

    let bad = client
        .post(format!("{}/v1/payments", payment.url()))
        .body("{")
        .send()
        .await?;
    assert_eq!(bad.status(), 400);
    Ok(())
}

#[tokio::test]
async fn a_payment_goes_on_when_the_caller_hangs_up() -> Result<()> {
    let payment = Payment::start(PaymentOptions::default())?;
    let order = "00000000-0000-7000-8000-000000000001";
    let body = json!({"order_id": order, "amount_minor": 1, "currency": "GBP", "card": "4000000000000341"});
    let impatient = reqwest::Client::builder()
        .timeout(Duration::from_millis(300))
        .build()?;
    let url = format!("{}/v1/payments", payment.url());
    assert!(impatient.post(&url).json(&body).send().await.is_err());

    let shown = impatient
        .get(format!("{url}/{order}"))
        .send()
        .await?
        .json::<Value>()
        .await?;
    assert_eq!(shown["status"], "pending");
    // The same order again waits for the payment that is under way.
    let again = reqwest::Client::new().post(&url).json(&body).send().await?;
    assert_eq!(again.json::<Value>().await?["status"], "captured");
    Ok(())
}

#[test]
fn dropping_the_sandbox_ends_its_process() -> Result<()> {
    let payment = Payment::start(PaymentOptions::default())?;
    let pid = payment.server().pid()?;
    drop(payment);
    assert!(!process::exists(pid));
    Ok(())
}

//! What a client has of a balancer: TLS, both versions of HTTP, an address of its own, and no way to the admin port.

use std::process::Command;

use anyhow::ensure;
use holdfast_tests::shop::{Reply, send};
use serde_json::json;

use super::*;

/// What curl says of an answer, in the order of `wanted`.
pub fn curl(balancer: &Balancer, arguments: &[&str], wanted: &str) -> Result<String> {
    let output = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", wanted, "--cacert"])
        .arg(balancer.certificate())
        .args(arguments)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "curl {arguments:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn tls_speaks_both_versions_of_http_and_leads_nowhere_else() -> Result<()> {
    let pair = PAIR.read().await;
    for kind in [Kind::Haproxy, Kind::Nginx] {
        let balancer = pair.behind(kind)?;
        let products = format!("{}/v1/products", balancer.url());
        for (version, spoken) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
            let said = curl(
                &balancer,
                &[version, &products],
                "%{http_version} %{http_code}",
            )?;
            assert_eq!(said, spoken, "{kind:?}");
        }
        let plain = format!("{}/v1/products?limit=1", balancer.plain_url());
        let said = curl(&balancer, &[&plain], "%{http_code} %{redirect_url}")?;
        assert!(said.starts_with("308 https://127.0.0.1"), "{kind:?} {said}");
        assert!(said.ends_with("/v1/products?limit=1"), "{kind:?} {said}");
        for path in ["/readyz", "/livez", "/metrics"] {
            let asked = format!("{}{path}", balancer.url());
            let said = curl(&balancer, &[&asked], "%{http_code}")?;
            assert_eq!(said, "404", "{kind:?} {path}");
        }
    }
    Ok(())
}

/// Registers somebody from this address of the machine, who says to be from elsewhere.
async fn register(
    client: reqwest::ClientBuilder,
    url: &str,
    from: [u8; 4],
    number: usize,
) -> Result<Reply> {
    let client = client.local_address(std::net::IpAddr::from(from)).build()?;
    let email = format!(
        "{}-{number}@example.com",
        from.map(|part| part.to_string()).join("-")
    );
    let forged = format!("192.0.2.{number}");
    let request = client
        .post(format!("{url}/v1/users"))
        .header("X-Forwarded-For", &forged)
        .header("Forwarded", format!("for={forged}"))
        .json(&json!({ "email": email, "password": "correct horse" }));
    send(request).await
}

/// How many may register from this address, out of two more than one address may.
async fn registered(balancer: &Balancer, url: &str, from: [u8; 4]) -> Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for number in 0..REGISTRATIONS + 2 {
        let reply = register(balancer.client()?, url, from, number).await?;
        statuses.push(reply.status);
    }
    Ok(statuses)
}

#[tokio::test]
async fn an_address_is_the_clients_own_whatever_it_says() -> Result<()> {
    let pair = PAIR.read().await;
    let mut as_it_should_be = vec![201; REGISTRATIONS];
    as_it_should_be.extend([429; 2]);
    for (kind, number) in [(Kind::Haproxy, 20), (Kind::Nginx, 30)] {
        let balancer = pair.behind(kind)?;
        for client in [1, 2] {
            let from = [127, 0, 0, number + client];
            let statuses = registered(&balancer, &balancer.url(), from).await?;
            assert_eq!(statuses, as_it_should_be, "{kind:?}");
        }
        // Who goes around the balancer is not believed.
        let (around, from) = (pair.stack.proxy.url(), [127, 0, 0, number + 3]);
        assert_eq!(registered(&balancer, &around, from).await?, as_it_should_be);
    }
    // Who speaks from the balancer's own address is: each of these is somebody else.
    let balancer = pair.behind(Kind::Haproxy)?;
    let trusted = registered(&balancer, &pair.stack.proxy.url(), [127, 0, 0, 1]).await?;
    assert_eq!(trusted, [201; REGISTRATIONS + 2]);
    Ok(())
}

//! Passwords cannot be tried out.

use reqwest::header::RETRY_AFTER;

use super::*;

async fn try_from(address: &str, email: &str, password: &str) -> Result<Reply> {
    send(request_from(address, Method::POST, "/v1/sessions").json(&credentials(email, password)))
        .await
}

#[tokio::test]
async fn an_account_is_tried_a_few_times_whether_or_not_it_exists() -> Result<()> {
    shop().register("known@example.com").await?;
    let mut told = Vec::new();
    for (email, network) in [
        ("known@example.com", "192.0.2"),
        ("unknown@example.com", "198.51.100"),
    ] {
        for attempt in 0..ACCOUNT_ATTEMPTS {
            let reply = try_from(&format!("{network}.{attempt}"), email, "wrong horse").await?;
            assert_eq!(reply.status, 401, "{reply:?}");
        }
        let refused = try_from(&format!("{network}.200"), email, "correct horse").await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (429, "too-many-requests")
        );
        let seconds: u64 = refused.headers[RETRY_AFTER].to_str()?.parse()?;
        assert!((1..=600).contains(&seconds), "{seconds}");
        told.push((
            refused.body["title"].clone(),
            refused.body["detail"]
                .to_string()
                .replace(&seconds.to_string(), ""),
        ));
    }
    assert_eq!(told[0], told[1], "both are told the same");
    Ok(())
}

#[tokio::test]
async fn a_login_that_succeeds_sets_the_account_back() -> Result<()> {
    shop().register("back@example.com").await?;
    for round in 0..3 {
        for attempt in 0..ACCOUNT_ATTEMPTS - 1 {
            let address = format!("203.0.113.{}", 20 * round + attempt);
            assert_eq!(
                try_from(&address, "back@example.com", "wrong horse")
                    .await?
                    .status,
                401
            );
        }
        let right = try_from("203.0.113.200", "back@example.com", "correct horse").await?;
        assert_eq!(right.status, 201);
    }
    Ok(())
}

#[tokio::test]
async fn an_address_tries_a_few_accounts_and_its_network_counts_as_one() -> Result<()> {
    for attempt in 0..ADDRESS_ATTEMPTS {
        let address = format!("2001:db8:7:7::{attempt:x}");
        let reply = try_from(
            &address,
            &format!("nobody-{attempt}@example.com"),
            "wrong horse",
        )
        .await?;
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    // Nor does it lock anybody out by what is refused.
    for _ in 0..=ACCOUNT_ATTEMPTS {
        let refused = try_from(
            "2001:db8:7:7:ffff::1",
            "nobody-else@example.com",
            "wrong horse",
        )
        .await?;
        assert_eq!(refused.status, 429);
    }
    let elsewhere = try_from("2001:db8:7:8::1", "nobody-else@example.com", "wrong horse").await?;
    assert_eq!(elsewhere.status, 401, "the control: another network");
    Ok(())
}

#[tokio::test]
async fn a_hash_is_computed_for_whoever_asks() -> Result<()> {
    let hashes = async || STACK.proxy.metric("holdfast_password_hashes_total").await;
    shop().register("hashed@example.com").await?;
    for email in ["hashed@example.com", "absent@example.com", "no address"] {
        let before = hashes().await?;
        let reply = try_from("192.0.2.77", email, "wrong horse").await?;
        assert_eq!(reply.status, 401, "{email}");
        // Other tests log in meanwhile; fewer than one would be too few.
        assert!(hashes().await? >= before + 1.0, "{email}");
    }
    Ok(())
}

use super::*;

fn sku() -> Sku {
    "TEA".parse().expect("a sku")
}

fn product(name: &str) -> Product {
    Product::new(sku(), name, "", 895, "GBP").expect("a product")
}

fn entry(name: &str, revision: i64, retired: bool) -> Entry {
    Entry {
        product: product(name),
        revision,
        retired,
    }
}

fn decided(
    current: Option<&Entry>,
    change: Change,
    condition: Condition,
) -> Result<Changed, Refusal> {
    decide(&sku(), current, &change, &condition)
}

fn made(current: Option<&Entry>, change: Change) -> Changed {
    decided(current, change, Condition::None).expect("a change")
}

#[test]
fn a_product_begins_at_revision_1_and_each_change_counts_one() {
    let created = made(None, Change::Create(product("Tin")));
    assert_eq!((created.is_new, created.entry.revision), (true, 1));
    let put = made(Some(&created.entry), Change::Put(product("Caddy")));
    assert_eq!((put.is_new, put.entry.revision), (false, 2));
    let again = made(Some(&put.entry), Change::Put(product("Caddy")));
    assert_eq!((again.is_different, again.entry.revision), (false, 2));
}

#[test]
fn what_is_retired_is_brought_back_by_who_says_so() {
    let retired = made(Some(&entry("Tin", 4, false)), Change::Retire).entry;
    assert_eq!(retired, entry("Tin", 5, true));
    assert!(!made(Some(&retired), Change::Retire).is_different);
    let renamed = Amendment {
        name: Some("Caddy".into()),
        ..Amendment::default()
    };
    assert!(
        made(Some(&retired), Change::Amend(renamed)).entry.retired,
        "nobody said so"
    );
    let back = Amendment {
        retired: Some(false),
        ..Amendment::default()
    };
    assert_eq!(
        made(Some(&retired), Change::Amend(back)).entry,
        entry("Tin", 6, false)
    );
    assert_eq!(
        made(Some(&retired), Change::Put(product("Tin"))).entry,
        entry("Tin", 6, false)
    );
}

#[test]
fn a_limit_is_set_taken_away_and_left_alone() {
    let amended = |current: &Entry, text: &str| {
        let amendment = serde_json::from_str(text).expect("an amendment");
        made(Some(current), Change::Amend(amendment)).entry
    };
    let limited = amended(&entry("Tin", 1, false), r#"{"buyer_limit": 2}"#);
    assert_eq!(limited.product.buyer_limit, Some(2));
    let cheaper = amended(&limited, r#"{"price_minor": 1}"#);
    assert_eq!(cheaper.product.buyer_limit, Some(2));
    assert_eq!(
        amended(&cheaper, r#"{"buyer_limit": null}"#)
            .product
            .buyer_limit,
        None
    );
}

#[test]
fn a_change_rests_on_what_its_caller_saw() {
    let current = entry("Tin", 4, false);
    for (condition, there, absent) in [
        (Condition::None, true, true),
        (Condition::Present, true, false),
        (Condition::Absent, false, true),
        (Condition::Revision(vec![3, 4]), true, false),
        (Condition::Revision(vec![3]), false, false),
        (Condition::Revision(Vec::new()), false, false),
    ] {
        let put =
            |current| decided(current, Change::Put(product("Caddy")), condition.clone()).is_ok();
        assert_eq!(
            (put(Some(&current)), put(None)),
            (there, absent),
            "{condition:?}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let current = entry("Tin", 4, false);
    let create = decided(
        Some(&current),
        Change::Create(product("Tin")),
        Condition::None,
    );
    assert!(matches!(create, Err(Refusal::Exists(_))));
    assert!(matches!(
        decided(None, Change::Retire, Condition::None),
        Err(Refusal::Unknown(_))
    ));
    let cheap = Amendment {
        price_minor: Some(-1),
        ..Amendment::default()
    };
    let cheap = decided(Some(&current), Change::Amend(cheap), Condition::None);
    assert!(matches!(cheap, Err(Refusal::Invalid(_))));
}

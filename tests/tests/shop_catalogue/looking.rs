//! Lists, searches, and what need not be sent again.

use futures::future::try_join;
use reqwest::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};

use super::*;

#[tokio::test]
async fn what_has_the_words_or_begins_so_is_found_page_by_page() -> Result<()> {
    for (sku, name, description) in [
        ("FIND-1", "Zinc lantern of the sea", "For a garden"),
        ("FIND-2", "Zinc lantern XL", "for the harbour"),
        ("FIND-3", "Zincwhite paint", "Lanternfish on it"),
        ("FIND-4", "A B C of zinc", ""),
        ("FIND_5", "Über-Zinc étagère", ""),
        ("ZINC-9", "Bucket", ""),
    ] {
        let mut form = form(name, 100);
        form["description"] = json!(description);
        assert_eq!(put(sku, &form).await?.status, 201);
    }
    for (query, found) in [
        (
            "zinc",
            vec!["FIND-1", "FIND-2", "FIND-3", "FIND-4", "FIND_5", "ZINC-9"],
        ),
        ("ZINC+LANTERN", vec!["FIND-1", "FIND-2", "FIND-3"]),
        ("lantern+gard", vec!["FIND-1"]),
        // The index has no words of two letters; they are looked for in the name.
        ("zinc+xl", vec!["FIND-2"]),
        ("zinc+of+the", vec!["FIND-1", "FIND-4"]),
        ("find-", vec!["FIND-1", "FIND-2", "FIND-3", "FIND-4"]),
        ("find_", vec!["FIND_5"]),
        ("fiND-3", vec!["FIND-3"]),
        ("%C3%A9tag", vec!["FIND_5"]),
        ("+zinc*+-lantern%22%28", vec!["FIND-1", "FIND-2", "FIND-3"]),
        ("zinc+nothing", vec![]),
        ("%25", vec![]),
    ] {
        for limit in [1, 2, 100] {
            assert_eq!(
                all(&format!("&q={query}"), limit).await?,
                found,
                "{query} by {limit}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_pages_through_while_products_are_added_misses_none_and_sees_none_twice() -> Result<()>
{
    let name = |number: usize| format!("PAGE-{number:03}");
    for number in (0..40).step_by(2) {
        put(&name(number), &form("Paged", 1)).await?;
    }
    let adding = async {
        for number in (1..40).step_by(2) {
            put(&name(number), &form("Paged", 1)).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let (seen, ()) = try_join(all("&q=page-", 3), adding).await?;
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once);
    assert!(seen.is_sorted());
    for number in (0..40).step_by(2) {
        assert!(seen.contains(&name(number)), "{} of {seen:?}", name(number));
    }
    assert_eq!(all("&q=page-", 7).await?.len(), 40, "and afterwards all");
    Ok(())
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again() -> Result<()> {
    for path in ["/v1/products/TAGS-1", "/v1/products?q=tags-"] {
        let url = format!("{}{path}", STACK.proxy.url());
        let conditional = |tag: String| send(Client::new().get(&url).header(IF_NONE_MATCH, tag));
        let first = get(&STACK.proxy, path).await?;
        let tag = first.headers[ETAG].to_str()?.to_owned();
        assert!(tag.starts_with('"'), "{tag} is strong");
        assert_eq!(
            first.headers[CACHE_CONTROL],
            "public, max-age=0, must-revalidate"
        );
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let same = conditional(known.clone()).await?;
            assert_eq!((same.status, same.body), (304, Value::Null), "{known}");
            assert_eq!(same.headers[ETAG].to_str()?, tag);
            assert_eq!(same.headers[CACHE_CONTROL], first.headers[CACHE_CONTROL]);
        }
        let head = send(Client::new().head(&url)).await?;
        assert_eq!((head.status, head.body), (200, Value::Null));
        assert_eq!(head.headers[ETAG].to_str()?, tag);

        // What is available is part of what is shown.
        let units = first.body["available"].as_i64().unwrap_or(10);
        shop().set_stock("TAGS-1", units - 1).await?;
        let sold = conditional(tag.clone()).await?;
        assert_eq!(sold.status, 200);
        assert_ne!(sold.headers[ETAG].to_str()?, tag);
        shop().set_stock("TAGS-1", 10).await?;
        assert_eq!(conditional(tag).await?.status, 304, "it is as it was");
    }
    Ok(())
}

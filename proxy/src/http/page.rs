//! How much of a list one answer shows.

use super::{Call, Kind, Problem};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// The `limit` of the query string.
pub fn page_limit(call: &Call) -> Result<u32, Problem> {
    limit(call.query("limit").as_deref())
}

fn limit(text: Option<&str>) -> Result<u32, Problem> {
    let Some(text) = text else {
        return Ok(DEFAULT_LIMIT);
    };
    let limit = text
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| {
        Problem::new(
            Kind::InvalidValue,
            format!("limit: must be a number from 1 to {MAX_LIMIT}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_from_1_to_100_products() {
        assert_eq!(limit(None).ok(), Some(20));
        assert_eq!(limit(Some("1")).ok(), Some(1));
        assert_eq!(limit(Some("100")).ok(), Some(100));
        for text in ["0", "101", "-1", "", "ten", "1e1", "99999999999999999999"] {
            assert_eq!(
                limit(Some(text)).expect_err(text).kind(),
                Kind::InvalidValue
            );
        }
    }
}

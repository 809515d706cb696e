//! A time in a query string.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// A time as RFC 3339 writes it, in UTC. One before 1970 is as good as 1970, since nothing here is
/// older, and one after 9999 as the end of that year, which is the last that can be told in UTC.
#[derive(Debug, Clone, Copy)]
pub struct Moment(OffsetDateTime);

impl Moment {
    /// The time.
    pub fn get(self) -> OffsetDateTime {
        self.0
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let moment = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| {
            de::Error::custom("must be a time such as 2026-01-02T03:04:05Z (RFC 3339)")
        })?;
        let moment = moment.max(OffsetDateTime::UNIX_EPOCH);
        let in_utc = moment.checked_to_offset(UtcOffset::UTC);
        Ok(Self(in_utc.unwrap_or(PrimitiveDateTime::MAX.assume_utc())))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<OffsetDateTime> {
        let moment: Option<Moment> = serde_json::from_value(text.into()).ok();
        moment.map(Moment::get)
    }

    #[test]
    fn a_time_is_read_with_its_zone_and_none_is_before_1970() {
        let moment = read("1970-01-01T01:00:01+01:00").expect("a time");
        assert_eq!(moment.unix_timestamp(), 1);
        let epoch = Some(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(read("0000-01-01T00:00:00Z"), epoch);
        assert_eq!(read("0000-01-01T00:00:00+23:59"), epoch);
        let end = Some(PrimitiveDateTime::MAX.assume_utc());
        let after = read("9999-12-31T23:59:59-23:59");
        assert_eq!(after, end);
        // What MySQL is told, which panics where there is no such time.
        assert_eq!(after.map(|moment| moment.to_offset(UtcOffset::UTC)), end);
        for text in ["", "yesterday", "2026-01-02", "2026-13-01T00:00:00Z"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

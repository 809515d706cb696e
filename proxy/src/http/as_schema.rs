//! Reads JSON as the schemas of the OpenAPI document mean it, where serde by itself is of another
//! mind: an object is never written as an array of its members in order, and `3.0` is a whole
//! number (JSON Schema 2020-12 Core, 4.2.3).

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    Visitor,
};

/// Up to here every whole number is one in JSON, which counts in doubles.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_991.0;

/// Reads a whole text.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = T::deserialize(AsSchema(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Stands between a type and what it is read from, at every depth.
struct AsSchema<T>(T);

macro_rules! forward_types {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(AsSchema(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AsSchema<D> {
    type Error = D::Error;

    forward_types! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_option deserialize_unit deserialize_seq deserialize_map deserialize_identifier
        deserialize_ignored_any
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(AsSchema(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, AsSchema(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, AsSchema(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(length, AsSchema(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_tuple_struct(name, length, AsSchema(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, AsSchema(visitor))
    }
}

macro_rules! forward_values {
    ($($method:ident($value:ty))*) => {$(
        fn $method<E: Error>(self, value: $value) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for AsSchema<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    forward_values! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_str(&str) visit_borrowed_str(&'de str)
        visit_string(String)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        if value.fract() == 0.0 && value.abs() <= LARGEST_WHOLE {
            self.0.visit_i64(value as i64)
        } else {
            self.0.visit_f64(value)
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(AsSchema(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(AsSchema(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(AsSchema(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(AsSchema(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(variant)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for AsSchema<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(AsSchema(inner))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for AsSchema<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(AsSchema(seed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for AsSchema<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(AsSchema(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(AsSchema(seed))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        items: Option<Vec<Line>>,
        card: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Line {
        quantity: i64,
    }

    fn quantity(json: &str) -> Result<i64, String> {
        let form: Form = read(json.as_bytes()).map_err(|error| error.to_string())?;
        let items = form.items.ok_or("no items")?;
        Ok(items.first().ok_or("no line")?.quantity)
    }

    #[test]
    fn an_object_is_no_array_of_its_members_at_any_depth() {
        assert_eq!(quantity(r#"{"items": [{"quantity": 3}]}"#), Ok(3));
        for json in [r#"[[{"quantity": 3}], null]"#, r#"{"items": [[3]]}"#] {
            let plain: Result<Form, _> = serde_json::from_str(json);
            assert!(plain.is_ok(), "serde alone takes {json}");
            let refused = quantity(json).expect_err(json);
            assert!(refused.starts_with("invalid type: sequence"), "{refused}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        assert_eq!(quantity(r#"{"items": [{"quantity": 3.0}]}"#), Ok(3));
        assert_eq!(quantity(r#"{"items": [{"quantity": 1e3}]}"#), Ok(1000));
        for number in ["3.5", "1e17", "\"3\"", "null"] {
            let json = format!(r#"{{"items": [{{"quantity": {number}}}]}}"#);
            assert!(quantity(&json).is_err(), "{number}");
        }
    }

    #[test]
    fn what_serde_refuses_is_still_refused() {
        for json in [
            r#"{"card": "a", "card": "b"}"#,
            r#"{"cards": 1}"#,
            r#"{"card": "a"} {}"#,
            "{",
        ] {
            assert!(read::<Form>(json.as_bytes()).is_err(), "{json}");
        }
    }
}

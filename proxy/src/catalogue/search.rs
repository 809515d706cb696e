//! What somebody looks for, as the database can look for it. Pure.

use super::Sku;

/// The longest text.
pub const MAX_CHARACTERS: usize = 128;
/// Further words are not looked for.
const MAX_WORDS: usize = 10;
/// InnoDB indexes words of this many characters (`innodb_ft_min_token_size` and `…_max_…`).
const INDEXED: std::ops::RangeInclusive<usize> = 3..=84;
/// Those of InnoDB's own stopwords (INNODB_FT_DEFAULT_STOPWORD) that are long enough for its index.
const STOPWORDS: [&str; 18] = [
    "about", "are", "com", "for", "from", "how", "that", "the", "this", "und", "was", "what",
    "when", "where", "who", "will", "with", "www",
];

/// A search: products whose SKU begins with the prefix, and those that have every word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What the SKU may begin with, if the text could be the beginning of one.
    pub sku_prefix: Option<Sku>,
    /// Beginnings of words that the index of words can find.
    pub indexed: Vec<String>,
    /// Parts of the name that are too short for the index, or so common that it leaves them out.
    pub unindexed: Vec<String>,
}

/// The text cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {MAX_CHARACTERS} characters")]
pub struct InvalidSearch;

impl Search {
    /// Reads what somebody typed. Whatever is no letter, digit or underscore only parts words, so
    /// that nothing of it is an operator to the database.
    ///
    /// # Errors
    /// When it is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidSearch> {
        let words = text
            .split(|character: char| !character.is_alphanumeric() && character != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase);
        let mut words: Vec<String> = words.collect();
        if text.chars().count() > MAX_CHARACTERS {
            return Err(InvalidSearch);
        }
        words.truncate(MAX_WORDS);
        // Beside a word that says something, one that is everywhere says nothing.
        if words.iter().any(|word| !is_stopword(word)) {
            words.retain(|word| !is_stopword(word));
        }
        let (indexed, unindexed) = words.into_iter().partition(|word| is_indexed(word));
        Ok(Self {
            sku_prefix: text.trim().parse().ok(),
            indexed,
            unindexed,
        })
    }

    /// Whether nothing is looked for, so that nothing is found.
    pub fn is_empty(&self) -> bool {
        self.sku_prefix.is_none() && self.indexed.is_empty() && self.unindexed.is_empty()
    }

    /// The words in the language of a boolean full-text search; empty when there is none that the
    /// index has.
    pub fn boolean_mode(&self) -> String {
        let terms: Vec<String> = self
            .indexed
            .iter()
            .map(|word| format!("+{word}*"))
            .collect();
        terms.join(" ")
    }
}

fn is_indexed(word: &str) -> bool {
    INDEXED.contains(&word.chars().count()) && !is_stopword(word)
}

fn is_stopword(word: &str) -> bool {
    STOPWORDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Search {
        Search::parse(text).expect("words")
    }

    #[test]
    fn words_are_beginnings_and_all_must_be_there() {
        let search = parse("  White hanging-HEART ");
        assert_eq!(search.boolean_mode(), "+white* +hanging* +heart*");
        assert_eq!(search.sku_prefix, None);
        assert_eq!(parse("tea-ca").sku_prefix, "TEA-CA".parse().ok());
    }

    #[test]
    fn words_that_the_index_lacks_are_looked_for_otherwise_or_left_out() {
        let search = parse("set of 6 spoons");
        assert_eq!(search.indexed, ["set", "spoons"]);
        assert_eq!(search.unindexed, ["of", "6"]);
        assert_eq!(parse("the tea").indexed, ["tea"]);
        assert_eq!(parse("the").unindexed, ["the"], "better than nothing");
        assert_eq!(parse("the").boolean_mode(), "");
    }

    #[test]
    fn what_has_no_word_finds_nothing_and_what_is_too_long_is_refused() {
        for text in ["", "  ", "+-*\"()~<>@"] {
            assert!(parse(text).is_empty(), "{text:?}");
        }
        assert!(!parse("a").is_empty());
        assert_eq!(Search::parse(&"x".repeat(129)), Err(InvalidSearch));
        assert_eq!(parse("a b c d e f g h i j k").unindexed.len(), 10);
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_is_an_operator(text in "\\PC{0,64}") {
            let Ok(search) = Search::parse(&text) else { return Ok(()) };
            let bare = search.boolean_mode().replace(['+', '*', ' '], "");
            prop_assert!(bare.chars().all(|character| character.is_alphanumeric() || character == '_'));
        }
    }
}

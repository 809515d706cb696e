//! Hostile effects as text: a session takes one whole and stays sound, or refuses it unchanged.

use holdfast_session::{Effect, Record};

use super::book::Book;
use super::sound;
use crate::{Verdict, pieces};

/// The input is commands, each an effect, for one key.
pub fn check(input: &[u8]) -> Verdict {
    let mut key: Option<Record> = None;
    for args in pieces::commands(input) {
        let Ok(effect) = Effect::from_args(&args) else {
            continue;
        };
        let again = effect.to_args();
        assert_eq!(
            Effect::from_args(&pieces::borrowed(&again)).as_ref(),
            Ok(&effect)
        );
        let before = key.clone();
        match effect.apply(key.as_mut()) {
            Ok(Some(put)) => key = Some(put),
            Ok(None) => {
                let (before, after) = (
                    before.expect("it was there"),
                    key.as_ref().expect("it is there"),
                );
                let mut book = Book::of(&before);
                book.write(&effect);
                assert_eq!(Book::of(after), book, "after {effect:?}");
            }
            Err(_) => assert_eq!(key, before, "{effect:?} was refused and changed something"),
        }
    }
    key.iter().for_each(sound::assert_sound);
    Verdict::accepted_if(key.is_some())
}

//! The card numbers and how the sandbox behaves for each.

use std::time::Duration;

use super::behaviour::{Behaviour, Course, Flaw, GOOD, Notices, Operation, course, flaw, notices};

/// Every card that the sandbox knows, by what the buyer types; all others are declined.
pub const CARDS: &[(&str, Behaviour)] = {
    use Course::{Declined, Late, LateDecline, Slow};
    use Flaw::{Fails, FailsAfter, FailsFirst, LosesReply};
    use Operation::{Authorise, Capture, Refund};
    &[
        ("4242424242424242", GOOD),
        ("4000000000000002", course(Declined("card_declined"))),
        ("4000000000000341", course(Slow(seconds(2)))),
        ("4000000000000366", course(Slow(seconds(30)))),
        ("4000000000000010", course(Late(seconds(3)))),
        ("4000000000000028", course(Late(seconds(10)))),
        ("4000000000000036", course(LateDecline(seconds(3)))),
        ("4000000000000119", flaw(Authorise, Fails)),
        ("4000000000000374", flaw(Authorise, FailsFirst)),
        ("4000000000000044", flaw(Authorise, FailsAfter)),
        ("4000000000000259", flaw(Authorise, LosesReply)),
        ("4000000000000051", DECLINED_AT_CAPTURE),
        ("4000000000000069", flaw(Capture, LosesReply)),
        ("4000000000000077", flaw(Capture, FailsFirst)),
        ("4000000000000085", REFUND_REFUSED),
        ("4000000000000093", flaw(Refund, LosesReply)),
        ("4000000000000101", notices(Notices::Repeated)),
        ("4000000000000127", notices(Notices::Late(seconds(3)))),
        ("4000000000000135", notices(Notices::Forged)),
    ]
};

const DECLINED_AT_CAPTURE: Behaviour = Behaviour {
    declined_at_capture: true,
    ..GOOD
};

const REFUND_REFUSED: Behaviour = Behaviour {
    refund_refused: true,
    ..GOOD
};

/// How payments with this card go.
pub fn behaviour(number: &str) -> Behaviour {
    let known = CARDS.iter().find(|(known, _)| *known == number);
    known.map_or(
        course(Course::Declined("invalid_card")),
        |(_, behaviour)| *behaviour,
    )
}

/// The table of cards as text, one line each.
pub fn table() -> String {
    let lines = CARDS
        .iter()
        .map(|(number, behaviour)| format!("  {number}  {behaviour}\n"));
    format!(
        "Cards:\n{}  any other         declined\n",
        lines.collect::<String>()
    )
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_is_in_the_page_and_only_once_in_the_table() {
        let page = crate::data::checkout().join("docs/payment.md");
        let page = std::fs::read_to_string(page).expect("docs/payment.md");
        for (number, behaviour) in CARDS {
            let row = format!("| `{number}` | {behaviour} |");
            assert!(page.contains(&row), "docs/payment.md lacks: {row}");
            let same = CARDS.iter().filter(|(other, _)| other == number);
            assert_eq!(same.count(), 1, "{number}");
        }
        assert_eq!(page.matches("| `4").count(), CARDS.len());
    }
}

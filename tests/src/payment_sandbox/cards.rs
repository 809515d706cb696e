//! The card numbers and how the sandbox behaves for each.

use std::time::Duration;

/// One card of the sandbox.
#[derive(Debug)]
pub struct Card {
    /// What the buyer types.
    pub number: &'static str,
    /// What the sandbox does, in a sentence.
    pub what: &'static str,
    /// The same for the program.
    pub behaviour: Behaviour,
}

/// How payments with a card go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// What becomes of the payment.
    pub course: Course,
    /// The bank changes its mind when the money is to be taken.
    pub declined_at_capture: bool,
    /// The money cannot be given back, ever.
    pub refund_refused: bool,
    /// One operation that answers badly.
    pub flaw: Option<(Operation, Flaw)>,
    /// How webhooks about the payment go out.
    pub notices: Notices,
}

/// What becomes of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Authorised at once.
    Good,
    /// Declined at once, with this reason.
    Declined(&'static str),
    /// Authorised after so long; the answer comes only then.
    Slow(Duration),
    /// Answered with pending at once, and captured after so long.
    Late(Duration),
    /// Answered with pending at once, and declined after so long.
    LateDecline(Duration),
}

/// What can be asked of the sandbox that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `POST /v1/payments`
    Authorise,
    /// `POST /v1/payments/{order}/capture`
    Capture,
    /// `POST /v1/payments/{order}/refund`
    Refund,
}

/// How an operation answers badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// 500 every time, and nothing is done.
    Fails,
    /// 500 the first time, and nothing is done then.
    FailsFirst,
    /// It is done, and answered with 500 all the same.
    FailsAfter,
    /// It is done, and the connection is closed without an answer.
    LosesReply,
}

/// How webhooks go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// Each once, at once.
    Once,
    /// Each three times: sent again under its id, and once more under another.
    Repeated,
    /// Each after so long, when it is old news.
    Late(Duration),
    /// Each with a signature by another secret.
    Forged,
}

const GOOD: Behaviour = Behaviour {
    course: Course::Good,
    declined_at_capture: false,
    refund_refused: false,
    flaw: None,
    notices: Notices::Once,
};

/// Every card that the sandbox knows; all others are declined.
pub const CARDS: &[Card] = &[
    card("4242424242424242", "pays", GOOD),
    card(
        "4000000000000002",
        "declined",
        course(Course::Declined("card_declined")),
    ),
    card(
        "4000000000000341",
        "authorised after 2 s; the answer comes only then",
        course(Course::Slow(Duration::from_secs(2))),
    ),
    card(
        "4000000000000366",
        "authorised after 30 s, when the caller has long given up",
        course(Course::Slow(Duration::from_secs(30))),
    ),
    card(
        "4000000000000010",
        "answered with pending, captured after 3 s",
        course(Course::Late(Duration::from_secs(3))),
    ),
    card(
        "4000000000000028",
        "answered with pending, captured after 10 s",
        course(Course::Late(Duration::from_secs(10))),
    ),
    card(
        "4000000000000036",
        "answered with pending, declined after 3 s",
        course(Course::LateDecline(Duration::from_secs(3))),
    ),
    card(
        "4000000000000119",
        "500 every time; nothing is done",
        flaw(Operation::Authorise, Flaw::Fails),
    ),
    card(
        "4000000000000374",
        "500 the first time, pays the second",
        flaw(Operation::Authorise, Flaw::FailsFirst),
    ),
    card(
        "4000000000000044",
        "authorised, and answered with 500",
        flaw(Operation::Authorise, Flaw::FailsAfter),
    ),
    card(
        "4000000000000259",
        "authorised, and the connection closed without an answer",
        flaw(Operation::Authorise, Flaw::LosesReply),
    ),
    card(
        "4000000000000051",
        "authorised, then declined when the money is to be captured",
        Behaviour {
            declined_at_capture: true,
            ..GOOD
        },
    ),
    card(
        "4000000000000069",
        "captured, and the connection closed without an answer",
        flaw(Operation::Capture, Flaw::LosesReply),
    ),
    card(
        "4000000000000077",
        "500 at the first capture, captured at the second",
        flaw(Operation::Capture, Flaw::FailsFirst),
    ),
    card(
        "4000000000000085",
        "pays; a refund is refused for good",
        Behaviour {
            refund_refused: true,
            ..GOOD
        },
    ),
    card(
        "4000000000000093",
        "pays; refunded, and the connection closed without an answer",
        flaw(Operation::Refund, Flaw::LosesReply),
    ),
    card(
        "4000000000000101",
        "pays; every webhook is sent three times",
        notices(Notices::Repeated),
    ),
    card(
        "4000000000000127",
        "pays; every webhook comes 3 s late",
        notices(Notices::Late(Duration::from_secs(3))),
    ),
    card(
        "4000000000000135",
        "pays; every webhook is signed with another secret",
        notices(Notices::Forged),
    ),
];

/// How payments with this card go.
pub fn behaviour(number: &str) -> Behaviour {
    let known = CARDS.iter().find(|card| card.number == number);
    known.map_or(course(Course::Declined("invalid_card")), |card| {
        card.behaviour
    })
}

/// The table of cards as text, one line each.
pub fn table() -> String {
    let lines = CARDS
        .iter()
        .map(|card| format!("  {}  {}\n", card.number, card.what));
    format!(
        "Cards:\n{}  any other         declined\n",
        lines.collect::<String>()
    )
}

const fn card(number: &'static str, what: &'static str, behaviour: Behaviour) -> Card {
    Card {
        number,
        what,
        behaviour,
    }
}

const fn course(course: Course) -> Behaviour {
    Behaviour { course, ..GOOD }
}

const fn flaw(operation: Operation, flaw: Flaw) -> Behaviour {
    Behaviour {
        flaw: Some((operation, flaw)),
        ..GOOD
    }
}

const fn notices(notices: Notices) -> Behaviour {
    Behaviour { notices, ..GOOD }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_is_in_the_documentation_and_only_once_in_the_table() {
        let page = crate::data::checkout().join("docs/payment.md");
        let page = std::fs::read_to_string(page).expect("docs/payment.md");
        for card in CARDS {
            let row = format!("| `{}` | {} |", card.number, card.what);
            assert!(page.contains(&row), "docs/payment.md lacks: {row}");
            let same = CARDS.iter().filter(|other| other.number == card.number);
            assert_eq!(same.count(), 1, "{}", card.number);
        }
    }
}

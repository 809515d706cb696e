//! How a payment can go, well or badly, and each of it in words.

use std::fmt;
use std::time::Duration;

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

/// Pays, and whatever is asked is done and answered at once.
pub const GOOD: Behaviour = Behaviour {
    course: Course::Good,
    declined_at_capture: false,
    refund_refused: false,
    flaw: None,
    notices: Notices::Once,
};

/// A payment that goes this way, and well otherwise.
pub const fn course(course: Course) -> Behaviour {
    Behaviour { course, ..GOOD }
}

/// Pays, but for one operation that answers badly.
pub const fn flaw(operation: Operation, flaw: Flaw) -> Behaviour {
    Behaviour {
        flaw: Some((operation, flaw)),
        ..GOOD
    }
}

/// Pays, and tells of it in this way.
pub const fn notices(notices: Notices) -> Behaviour {
    Behaviour { notices, ..GOOD }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_capture = "authorised, then declined when the money is to be captured";
        let refused = "a refund is refused for good";
        let departures = [
            self.course.words(),
            self.declined_at_capture.then(|| at_capture.to_owned()),
            self.refund_refused.then(|| refused.to_owned()),
            self.flaw.map(|(operation, flaw)| flaw.words(operation)),
            self.notices.words(),
        ];
        let departures: Vec<String> = departures.into_iter().flatten().collect();
        match departures.as_slice() {
            [] => formatter.write_str("pays"),
            departures => formatter.write_str(&departures.join("; ")),
        }
    }
}

impl Course {
    fn words(self) -> Option<String> {
        let seconds = |delay: Duration| delay.as_secs();
        match self {
            Course::Good => None,
            Course::Declined(_) => Some("declined".to_owned()),
            Course::Slow(delay) => Some(format!(
                "authorised after {} s; the answer comes only then",
                seconds(delay)
            )),
            Course::Late(delay) => Some(format!(
                "answered with pending, captured after {} s",
                seconds(delay)
            )),
            Course::LateDecline(delay) => Some(format!(
                "answered with pending, declined after {} s",
                seconds(delay)
            )),
        }
    }
}

impl Flaw {
    fn words(self, operation: Operation) -> String {
        let answered = match self {
            Flaw::Fails => "answered with 500 every time; nothing is done",
            Flaw::FailsFirst => "answered with 500 the first time, and done the second",
            Flaw::FailsAfter => "done, and answered with 500",
            Flaw::LosesReply => "done, and the connection closed without an answer",
        };
        let operation = match operation {
            Operation::Authorise => "authorising",
            Operation::Capture => "capturing",
            Operation::Refund => "refunding",
        };
        format!("{operation} is {answered}")
    }
}

impl Notices {
    fn words(self) -> Option<String> {
        match self {
            Notices::Once => None,
            Notices::Repeated => Some("every webhook is sent three times".to_owned()),
            Notices::Late(delay) => Some(format!("every webhook comes {} s late", delay.as_secs())),
            Notices::Forged => Some("every webhook is signed with another secret".to_owned()),
        }
    }
}

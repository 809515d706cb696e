//! What the provider's answers mean to a saga.

use super::machine::Input;
use super::run::Saga;
use crate::payment::{Error, Standing};

impl Saga {
    pub(super) fn after_authorisation(&mut self, answered: Result<Standing, Error>) -> Input {
        match answered {
            Err(error @ (Error::NotSent(_) | Error::Refused(_))) => {
                tracing::warn!(order = %self.order.id, %error, "a payment was not taken up");
                Input::Refused
            }
            other => self.after_payment("authorise", other),
        }
    }

    pub(super) fn after_capture(&mut self, answered: Result<Standing, Error>) -> Input {
        match answered {
            Err(error @ Error::Refused(_)) => {
                tracing::warn!(order = %self.order.id, %error, "what was set aside is not given");
                Input::Refused
            }
            // It was set aside, so somebody has let it go meanwhile.
            Ok(Standing::NeverPaid) => Input::Refunded,
            Ok(Standing::Authorised { .. }) => {
                self.unclear("capture", "what was set aside was not taken")
            }
            other => self.after_payment("capture", other),
        }
    }

    pub(super) fn after_question(&mut self, answered: Result<Standing, Error>) -> Input {
        match answered {
            Ok(Standing::NeverPaid) => Input::NeverPaid,
            other => self.after_payment("ask", other),
        }
    }

    pub(super) fn after_refund(&mut self, answered: Result<Standing, Error>) -> Input {
        match answered {
            Ok(Standing::Refunded) => Input::Refunded,
            Ok(Standing::NeverPaid | Standing::Declined) => Input::Done,
            Ok(Standing::Pending) => Input::StillPending,
            Ok(Standing::Authorised { .. } | Standing::Captured { .. }) => {
                self.unclear("refund", "the provider says that it still has the money")
            }
            Err(error @ Error::Refused(_)) => {
                tracing::error!(order = %self.order.id, %error, "a refund is refused");
                Input::Refused
            }
            Err(error) => self.unclear("refund", error),
        }
    }

    fn after_payment(&mut self, step: &str, answered: Result<Standing, Error>) -> Input {
        match answered {
            Ok(Standing::Authorised { payment_id }) => {
                self.payment_id = payment_id;
                Input::Authorised
            }
            Ok(Standing::Captured { payment_id }) => {
                self.payment_id = payment_id;
                Input::Captured
            }
            Ok(Standing::Declined) => Input::Declined,
            Ok(Standing::Refunded) => Input::Refunded,
            Ok(Standing::Pending) => Input::StillPending,
            Ok(Standing::NeverPaid) => self.unclear(step, "the provider knows of no payment"),
            Err(error) => self.unclear(step, error),
        }
    }
}

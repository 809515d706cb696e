//! What a saga asks of the payment provider.

use crate::action::{Fault, Message};
use crate::machine::Input;
use crate::order::OrderNo;
use crate::servers::provider::{Request, Standing};
use crate::world::World;

impl World {
    pub(super) fn authorise(&mut self, request: Request, fault: Fault) -> Input {
        match (self.call_provider(request, fault), fault) {
            (None, Fault::NotSent | Fault::Refused) => Input::Refused,
            (None | Some(Standing::NeverPaid), _) => Input::Unclear,
            (Some(stands), _) => standing(stands),
        }
    }

    pub(super) fn capture(&mut self, order: OrderNo, fault: Fault) -> Input {
        match (self.call_provider(Request::Capture(order), fault), fault) {
            (None, Fault::Refused) => Input::Refused,
            // Nothing of it can be taken, so something else became of it: that is asked for.
            (None | Some(Standing::NeverPaid | Standing::Authorised), _) => Input::Unclear,
            (Some(stands), _) => standing(stands),
        }
    }

    pub(super) fn refund(&mut self, order: OrderNo, fault: Fault) -> Input {
        match (self.call_provider(Request::Refund(order), fault), fault) {
            (None, Fault::Refused) => Input::Refused,
            (Some(Standing::NeverPaid | Standing::Declined), _) => Input::Done,
            (None | Some(Standing::Authorised | Standing::Captured), _) => Input::Unclear,
            (Some(stands), _) => standing(stands),
        }
    }

    /// Asks the provider; `None` when its answer does not arrive.
    pub(super) fn call_provider(&mut self, request: Request, fault: Fault) -> Option<Standing> {
        match fault {
            Fault::Lost | Fault::NotSent | Fault::Refused => None,
            Fault::ReplyLost | Fault::Again => {
                self.on_provider(request);
                None
            }
            Fault::Late => {
                self.on_the_way
                    .push((self.now_ms, Message::Provider(request)));
                None
            }
            Fault::Twice => {
                let answer = self.on_provider(request);
                self.on_the_way
                    .push((self.now_ms, Message::Provider(request)));
                Some(answer)
            }
            Fault::None => Some(self.on_provider(request)),
        }
    }
}

pub(super) fn standing(standing: Standing) -> Input {
    match standing {
        Standing::Authorised => Input::Authorised,
        Standing::Captured => Input::Captured,
        Standing::Declined => Input::Declined,
        Standing::Pending => Input::StillPending,
        Standing::Refunded => Input::Refunded,
        Standing::NeverPaid => Input::NeverPaid,
    }
}

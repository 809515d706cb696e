//! The payment provider: authorise, capture, refund, each idempotent by order id, with answers
//! that take their time.

use crate::order::{Card, OrderNo};

/// How a payment stands, as the provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The money is set aside.
    Authorised,
    /// The money is the shop's.
    Captured,
    /// No, for good.
    Declined,
    /// Still at it.
    Pending,
    /// It was given back, or let go.
    Refunded,
    /// Nothing was taken. After a refund: nor will it be.
    NeverPaid,
}

/// What a proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Set the money aside.
    Authorise(OrderNo, Card),
    /// Take it.
    Capture(OrderNo),
    /// Give it back, and refuse it from now on.
    Refund(OrderNo),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Payment {
    progress: Progress,
    card: Option<Card>,
    refund_asked: bool,
    captures: u8,
    refunds: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Progress {
    #[default]
    Unknown,
    Tombstone,
    Authorising,
    Authorised,
    Capturing,
    Captured,
    Declined,
    Refunded,
}

/// The provider's books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Provider {
    payments: Vec<Payment>,
    /// A refund of a payment that it does not know is forgotten, so that one may still be made.
    pub without_tombstone: bool,
    /// Asked again for the same order, it takes money again.
    pub without_idempotency: bool,
}

impl Provider {
    /// Does what is asked, and answers how the payment stands then.
    pub fn ask(&mut self, request: Request) -> Standing {
        let (Request::Authorise(order, _) | Request::Capture(order) | Request::Refund(order)) =
            request;
        let without_tombstone = self.without_tombstone;
        let without_idempotency = self.without_idempotency;
        let payment = self.payment(order);
        match request {
            Request::Authorise(_, card) => payment.authorise(card),
            Request::Capture(_) if without_idempotency && payment.captures > 0 => {
                payment.captures += 1;
            }
            Request::Capture(_) => payment.capture(),
            Request::Refund(_) => payment.refund(without_tombstone),
        }
        self.standing(order)
    }

    /// How an order's payment stands.
    pub fn standing(&self, order: OrderNo) -> Standing {
        let payment = self.payments.get(order).copied().unwrap_or_default();
        match payment.progress {
            Progress::Unknown | Progress::Tombstone => Standing::NeverPaid,
            Progress::Authorising | Progress::Capturing => Standing::Pending,
            Progress::Authorised => Standing::Authorised,
            Progress::Captured => Standing::Captured,
            Progress::Declined => Standing::Declined,
            Progress::Refunded => Standing::Refunded,
        }
    }

    /// Ends what it has been at. Answers whether there was anything.
    pub fn complete(&mut self, order: OrderNo, well: bool) -> bool {
        let Some(payment) = self.payments.get_mut(order) else {
            return false;
        };
        payment.progress = match (payment.progress, well) {
            (Progress::Authorising, true) => Progress::Authorised,
            (Progress::Authorising, false) => Progress::Declined,
            (Progress::Capturing, true) => {
                payment.captures += 1;
                Progress::Captured
            }
            // The money stays set aside; capturing it may be tried again.
            (Progress::Capturing, false) => Progress::Authorised,
            _ => return false,
        };
        if payment.refund_asked {
            payment.refund(false);
        }
        true
    }

    /// Whether the shop has the order's money.
    pub fn has_money(&self, order: OrderNo) -> bool {
        let payment = self.payments.get(order);
        payment.is_some_and(|payment| payment.captures > payment.refunds)
    }

    /// Whether the buyer's money is the shop's or set aside for it, or may become so.
    pub fn may_have_money(&self, order: OrderNo) -> bool {
        let progress = self.payments.get(order).map(|payment| payment.progress);
        matches!(
            progress,
            Some(
                Progress::Authorising
                    | Progress::Authorised
                    | Progress::Capturing
                    | Progress::Captured
            )
        ) || self.has_money(order)
    }

    /// How often the order's money was taken, and given back.
    pub fn moved(&self, order: OrderNo) -> (u8, u8) {
        let payment = self.payments.get(order).copied().unwrap_or_default();
        (payment.captures, payment.refunds)
    }

    /// Orders whose payment takes its time.
    pub fn pending(&self) -> impl Iterator<Item = OrderNo> {
        let payments = self.payments.iter().enumerate();
        payments.filter_map(|(order, payment)| {
            matches!(
                payment.progress,
                Progress::Authorising | Progress::Capturing
            )
            .then_some(order)
        })
    }

    fn payment(&mut self, order: OrderNo) -> &mut Payment {
        if self.payments.len() <= order {
            self.payments.resize(order + 1, Payment::default());
        }
        &mut self.payments[order]
    }
}

impl Payment {
    fn authorise(&mut self, card: Card) {
        if self.progress != Progress::Unknown {
            if self.progress == Progress::Tombstone {
                self.progress = Progress::Declined;
            }
            return;
        }
        self.card = Some(card);
        self.progress = match card {
            Card::Good | Card::SlowCapture | Card::CaptureDeclined => Progress::Authorised,
            Card::Declined => Progress::Declined,
            Card::Slow => Progress::Authorising,
        };
    }

    fn capture(&mut self) {
        if self.progress != Progress::Authorised {
            return;
        }
        self.progress = match self.card {
            Some(Card::SlowCapture) => Progress::Capturing,
            // What was set aside is let go with it.
            Some(Card::CaptureDeclined) => Progress::Declined,
            _ => {
                self.captures += 1;
                Progress::Captured
            }
        };
    }

    fn refund(&mut self, without_tombstone: bool) {
        self.progress = match self.progress {
            Progress::Unknown if without_tombstone => Progress::Unknown,
            Progress::Unknown | Progress::Tombstone => Progress::Tombstone,
            Progress::Captured => {
                self.refunds += 1;
                Progress::Refunded
            }
            Progress::Authorised => Progress::Refunded,
            at_it @ (Progress::Authorising | Progress::Capturing) => {
                self.refund_asked = true;
                at_it
            }
            over @ (Progress::Declined | Progress::Refunded) => over,
        };
    }
}

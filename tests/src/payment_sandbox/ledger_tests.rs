use super::*;

const GOOD: &str = "4242424242424242";
const ORDER: Uuid = Uuid::from_u128(1);

fn request(card: &str) -> PaymentRequest {
    PaymentRequest {
        order_id: ORDER,
        amount_minor: 1250,
        currency: "GBP".into(),
        card: card.into(),
        capture: false,
    }
}

fn paid_with(card: &str) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.authorise(&request(card));
    ledger
}

/// How the order's payment stands, as somebody would learn it who asks.
fn status(ledger: &Ledger) -> Option<Status> {
    match ledger.find(ORDER) {
        Reception::Standing(payment) => Some(payment.status),
        _ => None,
    }
}

fn counts(ledger: &Ledger) -> Vec<(u32, u32)> {
    let count = |payment: &Payment| (payment.captures, payment.refunds);
    ledger.all().map(count).collect()
}

#[test]
fn a_good_card_is_set_aside_taken_and_given_back_once_however_often_it_is_asked_for() {
    let mut ledger = Ledger::default();
    assert!(matches!(
        ledger.authorise(&request(GOOD)),
        Reception::Created(payment) if payment.status == Status::Authorised
    ));
    for _ in 0..2 {
        assert!(matches!(
            ledger.authorise(&request(GOOD)),
            Reception::Standing(_)
        ));
        ledger.capture(ORDER);
        assert_eq!(status(&ledger), Some(Status::Captured));
    }
    assert_eq!(counts(&ledger), [(1, 0)]);
    for _ in 0..2 {
        ledger.refund(ORDER);
        ledger.capture(ORDER);
        assert_eq!(status(&ledger), Some(Status::Refunded));
    }
    assert_eq!(counts(&ledger), [(1, 1)]);
    let told: Vec<Status> = ledger
        .take_changes()
        .into_iter()
        .map(|(payment, _)| payment.status)
        .collect();
    let expected = [Status::Authorised, Status::Captured, Status::Refunded];
    assert_eq!(told, expected, "each change is told once");
}

#[test]
fn without_two_steps_the_money_is_taken_at_once() {
    let mut ledger = Ledger::default();
    let at_once = PaymentRequest {
        capture: true,
        ..request(GOOD)
    };
    ledger.authorise(&at_once);
    assert_eq!(status(&ledger), Some(Status::Captured));
}

#[test]
fn another_amount_for_the_same_order_is_refused() {
    let mut ledger = paid_with(GOOD);
    let dearer = PaymentRequest {
        amount_minor: 1251,
        ..request(GOOD)
    };
    assert_eq!(ledger.authorise(&dearer), Reception::Mismatch);
    assert_eq!(ledger.all().next().expect("a payment").amount_minor, 1250);
}

#[test]
fn bad_cards_are_declined_with_their_reason() {
    for (card, reason) in [("4000000000000002", "card_declined"), ("1", "invalid_card")] {
        let Reception::Created(payment) = Ledger::default().authorise(&request(card)) else {
            panic!("{card} is not settled")
        };
        assert_eq!(payment.status, Status::Declined);
        assert_eq!(payment.reason, Some(reason));
    }
    let mut ledger = paid_with("4000000000000051");
    assert_eq!(status(&ledger), Some(Status::Authorised));
    ledger.capture(ORDER);
    assert_eq!(status(&ledger), Some(Status::Declined));
    assert_eq!(counts(&ledger), [(0, 0)]);
}

#[test]
fn a_failing_provider_takes_nothing_and_one_that_recovers_takes_it_once() {
    let mut ledger = Ledger::default();
    for _ in 0..2 {
        let failing = request("4000000000000119");
        assert_eq!(ledger.authorise(&failing), Reception::Failed);
        assert_eq!(ledger.find(ORDER), Reception::Unknown);
    }
    let recovering = request("4000000000000374");
    assert_eq!(ledger.authorise(&recovering), Reception::Failed);
    assert_eq!(ledger.find(ORDER), Reception::Unknown);
    ledger.authorise(&recovering);
    assert_eq!(status(&ledger), Some(Status::Authorised));

    let mut ledger = paid_with("4000000000000077");
    assert_eq!(ledger.capture(ORDER), Reception::Failed);
    assert_eq!(status(&ledger), Some(Status::Authorised));
    ledger.capture(ORDER);
    assert_eq!(counts(&ledger), [(1, 0)]);
}

#[test]
fn a_lost_or_wrong_reply_is_found_when_asked_again() {
    for (card, first) in [
        ("4000000000000259", Reception::ReplyLost),
        ("4000000000000044", Reception::Failed),
    ] {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.authorise(&request(card)), first, "{card}");
        assert_eq!(status(&ledger), Some(Status::Authorised), "{card}");
        let again = ledger.authorise(&request(card));
        assert!(matches!(again, Reception::Standing(_)), "{card}");
    }
    let mut ledger = paid_with("4000000000000069");
    assert_eq!(ledger.capture(ORDER), Reception::ReplyLost);
    assert_eq!(status(&ledger), Some(Status::Captured));

    let mut ledger = paid_with("4000000000000093");
    ledger.capture(ORDER);
    assert_eq!(ledger.refund(ORDER), Reception::ReplyLost);
    assert!(matches!(ledger.refund(ORDER), Reception::Standing(_)));
    assert_eq!(counts(&ledger), [(1, 1)]);
}

#[test]
fn a_slow_payment_keeps_its_caller_waiting_and_a_late_one_does_not() {
    let slow = request("4000000000000366");
    let mut ledger = Ledger::default();
    let delay = Duration::from_secs(30);
    let waits = true;
    assert_eq!(
        ledger.authorise(&slow),
        Reception::SettleAfter { delay, waits }
    );
    assert_eq!(ledger.authorise(&slow), Reception::InProgress);
    ledger.refund(ORDER);
    assert_eq!(status(&ledger), Some(Status::Pending), "no refund yet");
    ledger.settle(ORDER);
    assert_eq!(status(&ledger), Some(Status::Authorised));

    for (card, end) in [
        ("4000000000000010", Status::Captured),
        ("4000000000000036", Status::Declined),
    ] {
        let mut ledger = paid_with(card);
        let again = ledger.authorise(&request(card));
        assert!(
            matches!(again, Reception::Standing(payment) if payment.status == Status::Pending),
            "{card}"
        );
        ledger.settle(ORDER);
        assert_eq!(status(&ledger), Some(end), "{card}");
    }
}

#[test]
fn a_refund_before_any_payment_refuses_the_payment_that_comes_late() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.refund(ORDER), Reception::Tombstone);
    assert_eq!(ledger.find(ORDER), Reception::Tombstone);
    let Reception::Created(late) = ledger.authorise(&request(GOOD)) else {
        panic!("not answered")
    };
    assert_eq!(late.status, Status::Declined);
    assert_eq!(late.reason, Some("order_cancelled"));
    assert_eq!(ledger.all().count(), 0);
}

#[test]
fn what_was_only_set_aside_is_let_go_and_cannot_be_taken_any_more() {
    let mut ledger = paid_with(GOOD);
    ledger.refund(ORDER);
    ledger.capture(ORDER);
    assert_eq!(status(&ledger), Some(Status::Voided));
    assert_eq!(counts(&ledger), [(0, 0)]);
    // A settlement that comes late does not undo it.
    ledger.settle(ORDER);
    assert_eq!(status(&ledger), Some(Status::Voided));
}

#[test]
fn a_refund_may_be_refused_for_good() {
    let mut ledger = paid_with("4000000000000085");
    ledger.capture(ORDER);
    for _ in 0..2 {
        assert_eq!(ledger.refund(ORDER), Reception::Refused);
    }
    assert_eq!(status(&ledger), Some(Status::Captured));
}

//! Commands as clients send them.

use crate::pieces;

/// Every command with all its options.
pub const COMMANDS: &[&str] = &[
    "INV.SET key 20 IF 3 FORCE",
    "INV.ADJUST key -5 ID delivery IF 3 FORCE",
    "INV.RESERVE key hold 2 PX 60000",
    "INV.RESERVE key hold 2 PXAT 1760000000000",
    "INV.MRESERVE 2 one two hold 1 2 PX 60000",
    "INV.PREPARE key hold LATE 2",
    "INV.EXTEND key hold PX 60000",
    "INV.CONFIRM key hold QUANTITY 1 LATE 2",
    "INV.RELEASE key hold",
    "INV.RETURN key hold back 1",
    "INV.GET key",
    "INV.HOLD key hold",
    "INV.HOLDS key STATE HELD CURSOR 0 COUNT 10",
    "INV.PENDING key 1000 COUNT 10",
    "INV.APPLY key 1 COUNTED 20",
    "INV.RESTORE key BASE 1 2 3",
    "SESSION.START key ######## ada IDLE 1 ABSOLUTE 2 ROLES buyer FIELD cart c1",
    "SESSION.TOUCH key ######## PAGE /lamps ITEM LAMP RATE 5 1 60",
    "SESSION.GET key cart lang",
    "SESSION.SET key cart c2 lang en",
    "SESSION.VIEWED key 5",
    "SESSION.ROTATE key ######## ======== GRACE 1000",
    "SESSION.END key",
    "SESSION.APPLY key SET cart c1",
    "INV.HELP",
    "SESSION.HELP",
];

/// Those commands, with digests in place of the hashes and of the equals signs.
pub(super) fn arguments() -> Vec<u8> {
    let commands = COMMANDS.iter().map(|command| {
        let words = command.split(' ');
        words
            .map(|word| {
                word.replace("########", &"d1".repeat(32))
                    .replace("========", &"d2".repeat(32))
                    .into_bytes()
            })
            .collect()
    });
    pieces::from_commands(&commands.collect::<Vec<_>>())
}

//! How a session lies in memory: one heap block without a byte to spare, since there are millions of them.
//!
//! | part | bytes |
//! |---|---|
//! | which of the parts below are there, one bit each | 1 |
//! | digest | 32 |
//! | login, Unix ms | number |
//! | last activity, ms after login | number |
//! | idle and absolute timeout: seconds × 2 + 1, or ms × 2 when they are no whole seconds | number each |
//! | page views | number |
//! | digest before the last rotation, and until when it works in Unix ms | 32 and 8 |
//! | TAT, Unix ns | 8 |
//! | page: length of the packed text, and the text | number and text |
//! | items viewed: length of the list, and the list | number and list |
//! | user, roles, then name and value of each field | texts to the end |
//!
//! A number is little-endian in groups of seven bits, the highest bit of a byte telling that another follows (LEB128).
//! Texts are those of [`crate::text`]. This form never leaves the memory, so it may change with any release; what
//! goes into files and to replicas is [`crate::codec`].

use crate::Digest;

const HAS_PREVIOUS: u8 = 1;
const HAS_TAT: u8 = 2;
const HAS_PAGE: u8 = 4;
const HAS_VIEWED: u8 = 8;

/// What a session is besides texts. Times in Unix milliseconds, timeouts in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) digest: Digest,
    pub(crate) previous: Option<Previous>,
    pub(crate) login_ms: u64,
    pub(crate) activity_ms: u64,
    pub(crate) idle_ms: u64,
    pub(crate) absolute_ms: u64,
    pub(crate) page_views: u64,
    /// The theoretical arrival time of [`crate::Rate`], in Unix nanoseconds; 0 at first.
    pub(crate) tat_ns: u64,
}

/// The secret that was rotated away last, and until when it still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) digest: Digest,
    pub(crate) until_ms: u64,
}

/// A session in its parts, those with texts still packed: what does not change is copied as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) head: Head,
    /// The page, empty for none.
    pub(crate) page: &'a [u8],
    /// The list of [`crate::viewed`].
    pub(crate) viewed: &'a [u8],
    /// User, roles and fields.
    pub(crate) texts: &'a [u8],
}

impl<'a> Parts<'a> {
    /// No session: one that is over and accepts nobody.
    pub(crate) const NONE: Self = Self {
        head: Head {
            digest: Digest::ZERO,
            previous: None,
            login_ms: 0,
            activity_ms: 0,
            idle_ms: 0,
            absolute_ms: 0,
            page_views: 0,
            tat_ns: 0,
        },
        page: &[],
        viewed: &[],
        texts: &[],
    };

    /// The block.
    pub(crate) fn write(&self) -> Vec<u8> {
        let Head {
            digest,
            previous,
            login_ms,
            activity_ms,
            idle_ms,
            absolute_ms,
            page_views,
            tat_ns,
        } = self.head;
        let mut block =
            Vec::with_capacity(160 + self.page.len() + self.viewed.len() + self.texts.len());
        let parts = [
            (HAS_PREVIOUS, previous.is_some()),
            (HAS_TAT, tat_ns != 0),
            (HAS_PAGE, !self.page.is_empty()),
            (HAS_VIEWED, !self.viewed.is_empty()),
        ];
        let present = parts.iter().filter(|(_, is_there)| *is_there);
        block.push(present.fold(0, |bits, (part, _)| bits | part));
        block.extend_from_slice(digest.as_bytes());
        write_number(&mut block, login_ms);
        // Wrapping, so that no time that a file may hold is lost.
        write_number(&mut block, activity_ms.wrapping_sub(login_ms));
        write_number(&mut block, pack_timeout(idle_ms));
        write_number(&mut block, pack_timeout(absolute_ms));
        write_number(&mut block, page_views);
        if let Some(previous) = previous {
            block.extend_from_slice(previous.digest.as_bytes());
            block.extend_from_slice(&previous.until_ms.to_le_bytes());
        }
        if tat_ns != 0 {
            block.extend_from_slice(&tat_ns.to_le_bytes());
        }
        for list in [self.page, self.viewed] {
            if !list.is_empty() {
                write_number(&mut block, list.len() as u64);
                block.extend_from_slice(list);
            }
        }
        block.extend_from_slice(self.texts);
        block
    }

    /// The parts of a block, `None` if it is none.
    pub(crate) fn read(block: &'a [u8]) -> Option<Self> {
        let mut block = Reader(block);
        let [present] = block.array()?;
        let has = |part| present & part != 0;
        let digest = block.digest()?;
        let login_ms = block.number()?;
        let mut head = Head {
            digest,
            previous: None,
            login_ms,
            activity_ms: block.number()?.wrapping_add(login_ms),
            idle_ms: unpack_timeout(block.number()?),
            absolute_ms: unpack_timeout(block.number()?),
            page_views: block.number()?,
            tat_ns: 0,
        };
        if has(HAS_PREVIOUS) {
            head.previous = Some(Previous {
                digest: block.digest()?,
                until_ms: block.array().map(u64::from_le_bytes)?,
            });
        }
        if has(HAS_TAT) {
            head.tat_ns = block.array().map(u64::from_le_bytes)?;
        }
        let page = if has(HAS_PAGE) { block.list()? } else { &[] };
        let viewed = if has(HAS_VIEWED) { block.list()? } else { &[] };
        Some(Self {
            head,
            page,
            viewed,
            texts: block.0,
        })
    }
}

fn pack_timeout(ms: u64) -> u64 {
    if ms.is_multiple_of(1_000) {
        ((ms / 1_000) << 1) | 1
    } else {
        ms << 1
    }
}

fn unpack_timeout(packed: u64) -> u64 {
    match (packed >> 1, packed & 1) {
        (seconds, 1) => seconds * 1_000,
        (ms, _) => ms,
    }
}

fn write_number(block: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        block.push(number as u8 | 0x80);
        number >>= 7;
    }
    block.push(number as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn digest(&mut self) -> Option<Digest> {
        self.array().map(Digest::from)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn list(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (list, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(list)
    }
}

//! What a check found.

use serde::Serialize;
use uuid::Uuid;

/// More breaches of one invariant than this are counted and not kept.
const KEPT: usize = 1000;

/// What is to be said of one invariant.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// `A` to `E`.
    pub invariant: char,
    /// Its name in ARCHITECTURE.md.
    pub name: &'static str,
    /// What was checked and found so.
    pub proof: Vec<String>,
    /// What cannot be told, and why.
    pub not_judged: Vec<String>,
    /// How often it is broken.
    pub broken: u64,
    /// Each breach, the first thousand of them.
    pub breaches: Vec<Breach>,
}

/// One way in which an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// A stable word for scripts.
    pub kind: &'static str,
    /// The order it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Uuid>,
    /// The SKU it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// What is wrong.
    pub says: String,
}

impl Verdict {
    /// Nothing found yet.
    pub fn new(invariant: char, name: &'static str) -> Self {
        Self {
            invariant,
            name,
            proof: Vec::new(),
            not_judged: Vec::new(),
            broken: 0,
            breaches: Vec::new(),
        }
    }

    /// True when nothing breaks it.
    pub fn is_sound(&self) -> bool {
        self.broken == 0
    }

    /// Something else than an order or a SKU breaks it.
    pub fn breach(&mut self, kind: &'static str, says: String) {
        self.add(kind, None, None, says);
    }

    /// An order breaks it.
    pub fn breach_of_order(&mut self, kind: &'static str, order: Uuid, says: String) {
        self.add(kind, Some(order), None, says);
    }

    /// A SKU breaks it.
    pub fn breach_of_sku(&mut self, kind: &'static str, sku: &str, says: String) {
        self.add(kind, None, Some(sku.to_owned()), says);
    }

    fn add(&mut self, kind: &'static str, order: Option<Uuid>, sku: Option<String>, says: String) {
        self.broken += 1;
        if self.breaches.len() < KEPT {
            self.breaches.push(Breach {
                kind,
                order,
                sku,
                says,
            });
        }
    }
}

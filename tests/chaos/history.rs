//! What clients, the journal and the targets saw of one run, and the judgement on it. No sockets and no clock: a made-up
//! history is judged like a real one, and that is how the judge itself is tested.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use serde_json::Value;

/// Ship confirmations of one order, sent one after the other.
pub const PER_ORDER: u8 = 3;

/// One ship confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Doc {
    /// Its order.
    pub order: u32,
    /// Its place among those of its order, from 0.
    pub place: u8,
}

impl Doc {
    /// A word that stands in the document and in everything made from it.
    pub fn token(self) -> String {
        format!("KT{:07}N{}", self.order, self.place)
    }

    /// Finds the document that a text was made from.
    pub fn find(text: &str) -> Option<Self> {
        text.match_indices("KT").find_map(|(at, _)| {
            let order = text.get(at + 2..at + 9)?;
            let place = text.get(at + 9..at + 11)?.strip_prefix('N')?;
            Some(Self { order: order.parse().ok()?, place: place.parse().ok()? })
        })
    }

    /// Whether it is sent with an `Idempotency-Key`. Every fourth order does without: then the business fact alone tells a
    /// repeat.
    pub fn keyed(self) -> bool {
        self.order % 4 != 3
    }
}

/// A 202 that a client saw.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What it had sent.
    pub doc: Doc,
    /// The receipt.
    pub receipt: Value,
}

/// A message as the journal has it after the run.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The document that it holds.
    pub doc: Doc,
    /// Its receipt.
    pub receipt: Value,
    /// Target and state of each of its deliveries.
    pub deliveries: Vec<(String, String)>,
}

/// A call that reached a target.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The target.
    pub target: &'static str,
    /// Its `webhook-id`: the target drops what it took under the same one.
    pub id: String,
    /// The document behind it.
    pub doc: Option<Doc>,
    /// Digest of its body.
    pub body: [u8; 32],
    /// Whether the target took it; it may have answered with an error before that.
    pub taken: bool,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All targets that every document goes to.
    pub targets: Vec<&'static str>,
    /// Each 202 while the gateway was being killed.
    pub answered: Vec<Answered>,
    /// The answers to the same documents under the same keys, asked again in the end.
    pub again: Vec<Answered>,
    /// The whole journal in the end.
    pub stored: Vec<Stored>,
    /// Calls in the order in which they came.
    pub arrivals: Vec<Arrival>,
    /// What no client should have been answered.
    pub odd: Vec<String>,
}

/// What a gateway must never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// A client saw a 202 and the journal does not have its message.
    Lost,
    /// A receipt is not what it was.
    ReceiptChanged,
    /// One business fact was stored twice, or one key made two messages.
    StoredTwice,
    /// A target never took an event.
    Undelivered,
    /// A target took one event twice.
    DeliveredTwice,
    /// A target took events of one order in another order than they were sent in.
    OutOfOrder,
    /// Two attempts of one delivery carried different bytes.
    BytesChanged,
    /// A target was sent something that nobody had sent.
    Stranger,
    /// A client was answered what it should not have been.
    OddAnswer,
}

/// One breach, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub broken: Broken,
    /// By what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.broken, self.what)
    }
}

/// Every breach in a history.
pub fn judge(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    journal(history, &mut found);
    facts(history, &mut found);
    targets(history, &mut found);
    found.extend(history.odd.iter().map(|what| Violation { broken: Broken::OddAnswer, what: what.clone() }));
    found
}

fn message(receipt: &Value) -> &str {
    receipt["message_id"].as_str().unwrap_or_default()
}

/// Every 202 is in the journal, unchanged, and says the same when it is asked for again.
fn journal(history: &History, found: &mut Vec<Violation>) {
    let stored: HashMap<&str, &Stored> =
        history.stored.iter().map(|stored| (message(&stored.receipt), stored)).collect();
    let mut by_key: BTreeMap<Doc, BTreeSet<&str>> = BTreeMap::new();
    for answered in history.answered.iter().chain(&history.again) {
        let Answered { doc, receipt } = answered;
        let mut breach = |broken, what: &str| {
            let what = format!("{} in message {}: {what}", doc.token(), message(receipt));
            found.push(Violation { broken, what });
        };
        match stored.get(message(receipt)) {
            None => breach(Broken::Lost, "answered with 202, not in the journal"),
            Some(stored) if stored.doc != *doc => breach(Broken::Lost, "the journal holds another document"),
            Some(stored) if stored.receipt != *receipt => {
                breach(Broken::ReceiptChanged, "the journal holds another receipt");
            }
            Some(_) => {}
        }
        if doc.keyed() {
            by_key.entry(*doc).or_default().insert(message(receipt));
        }
    }
    for stored in history.stored.iter().filter(|stored| stored.doc.keyed()) {
        by_key.entry(stored.doc).or_default().insert(message(&stored.receipt));
    }
    for (doc, messages) in by_key.iter().filter(|(_, messages)| messages.len() > 1) {
        let what = format!("the key of {} made the messages {messages:?}", doc.token());
        found.push(Violation { broken: Broken::StoredTwice, what });
    }
}

/// Each business fact is stored once, whatever came twice; everything else says that it repeats it.
fn facts(history: &History, found: &mut Vec<Violation>) {
    let mut firsts: BTreeMap<Doc, usize> = BTreeMap::new();
    for stored in &history.stored {
        let first = firsts.entry(stored.doc).or_default();
        for event in stored.receipt["events"].as_array().into_iter().flatten() {
            match event["outcome"].as_str() {
                Some("stored") => *first += 1,
                Some("repeats") => {}
                _ => {
                    let what = format!("{} came to {event}", stored.doc.token());
                    found.push(Violation { broken: Broken::OddAnswer, what });
                }
            }
        }
        for (target, state) in stored.deliveries.iter().filter(|(_, state)| state != "delivered") {
            let what = format!("the journal says that {} is {state} at {target}", stored.doc.token());
            found.push(Violation { broken: Broken::Undelivered, what });
        }
    }
    for (doc, count) in firsts.into_iter().filter(|(_, count)| *count != 1) {
        let broken = if count == 0 { Broken::Lost } else { Broken::StoredTwice };
        let what = format!("the event of {} was stored {count} times", doc.token());
        found.push(Violation { broken, what });
    }
}

/// Every target has every event once, in the order of its business key.
fn targets(history: &History, found: &mut Vec<Violation>) {
    let wanted: BTreeSet<Doc> = history
        .stored
        .iter()
        .map(|stored| stored.doc)
        .chain(history.answered.iter().map(|a| a.doc))
        .collect();
    let mut bytes: HashMap<(&str, &str), [u8; 32]> = HashMap::new();
    let mut effects: HashMap<(&str, Doc), Vec<&str>> = HashMap::new();
    let mut last: HashMap<(&str, u32), u8> = HashMap::new();
    for Arrival { target, id, doc, body, taken } in &history.arrivals {
        let mut breach = |broken, what: String| found.push(Violation { broken, what });
        if *bytes.entry((*target, id)).or_insert(*body) != *body {
            breach(Broken::BytesChanged, format!("{id} at {target}"));
        }
        let Some(doc) = doc.filter(|doc| wanted.contains(doc)) else {
            breach(Broken::Stranger, format!("{id} at {target} is of {doc:?}"));
            continue;
        };
        if !taken {
            continue;
        }
        let ids = effects.entry((*target, doc)).or_default();
        if ids.contains(&id.as_str()) {
            continue;
        }
        ids.push(id);
        if ids.len() > 1 {
            breach(Broken::DeliveredTwice, format!("{} at {target} as {ids:?}", doc.token()));
            continue;
        }
        let before = last.insert((*target, doc.order), doc.place);
        let expected = before.map_or(0, |place| place + 1);
        if doc.place != expected {
            let what = format!("{} at {target}: place {} was due", doc.token(), expected);
            breach(Broken::OutOfOrder, what);
        }
    }
    for doc in wanted {
        for target in &history.targets {
            if !effects.contains_key(&(*target, doc)) {
                let what = format!("{target} never took {}", doc.token());
                found.push(Violation { broken: Broken::Undelivered, what });
            }
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;

//! What can be asked of a journal, and how it answers.

use serde::{Deserialize, Serialize};

use super::{Cause, DeliveryId, Outbound, Resolution};
use crate::words::{
    Digest, Document, Event, EventId, Key, MessageId, OrderKey, PartnerName, Receipt, SubscriptionName,
    TargetName, Time,
};

/// Which messages to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageFilter {
    /// Only of this partner.
    pub partner: Option<PartnerName>,
    /// Only `accepted` or `refused`.
    pub state: Option<MessageState>,
    /// Only received from then on.
    pub since: Option<Time>,
    /// Only older than this message: the last one of the page before.
    pub before: Option<MessageId>,
    /// At most so many; 0 means 50.
    pub limit: usize,
}

/// Whether a message was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// It has a receipt.
    Accepted,
    /// It has a problem.
    Refused,
}

/// A message in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSummary {
    /// Its id.
    pub id: MessageId,
    /// Who sent it.
    pub partner: PartnerName,
    /// `api/operation`.
    pub operation: String,
    /// Whether it was accepted.
    pub state: MessageState,
    /// When it was received.
    pub received_at: Time,
    /// Length of the document in bytes.
    pub length: u64,
    /// Number of events.
    pub events: u32,
}

/// A message with everything that became of it.
#[derive(Clone, Debug)]
pub struct MessageRecord {
    /// Its line in a list.
    pub summary: MessageSummary,
    /// Its receipt, if it was accepted.
    pub receipt: Option<Receipt>,
    /// The problem details as the caller got them, if it was refused.
    pub problem: Option<String>,
    /// The document, if it was accepted.
    pub document: Option<Document>,
    /// Whether the document was there and retention took it.
    pub pruned: bool,
    /// The message whose document was reprocessed into this one.
    pub parent: Option<MessageId>,
    /// Messages that reprocessed this one's document.
    pub children: Vec<MessageId>,
    /// Its events that later messages told again; at most 1,000.
    pub repeats: Vec<Repeat>,
    /// Its deliveries; at most 10,000.
    pub deliveries: Vec<DeliveryRecord>,
    /// Exceptions of its events, oldest first; at most 1,000.
    pub exceptions: Vec<ExceptionSummary>,
}

/// A fact that was told again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The event that said it first.
    pub event: EventId,
    /// The message that said it again.
    pub message: MessageId,
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFilter {
    /// Only of this partner.
    pub partner: Option<PartnerName>,
    /// Only of this type; a trailing `.*` matches a family.
    pub kind: Option<String>,
    /// Only with this business key.
    pub key: Option<Key>,
    /// Only of this message.
    pub message: Option<MessageId>,
    /// Only after this sequence number.
    pub after: Option<u64>,
    /// The newest first instead.
    pub newest: bool,
    /// At most so many; 0 means 50.
    pub limit: usize,
}

/// A stored event.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// Its place in the journal; rises with time.
    pub sequence: u64,
    /// Who owns it.
    pub partner: PartnerName,
    /// The message that brought it.
    pub message_id: MessageId,
    /// The event.
    pub event: Event,
    /// Whether it contradicts a known one and waits, or waited, for a person.
    pub held: bool,
    /// The event that a person edited into this one.
    pub revises: Option<EventId>,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFilter {
    /// Only of this partner's events.
    pub partner: Option<PartnerName>,
    /// Only to this target.
    pub target: Option<TargetName>,
    /// Only of this event.
    pub event: Option<EventId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only older than this one.
    pub before: Option<DeliveryId>,
    /// At most so many; 0 means 50.
    pub limit: usize,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Behind another one of its lanes.
    Waiting,
    /// At the head of its lanes; will be tried when due.
    Ready,
    /// A person must look.
    Parked,
    /// The target has it.
    Delivered,
    /// Given up by a person.
    Discarded,
}

impl DeliveryState {
    /// The number that a store keeps for it; the pending ones come first.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Ready => 1,
            Self::Parked => 2,
            Self::Delivered => 3,
            Self::Discarded => 4,
        }
    }

    /// The state that a store kept as `number`.
    pub(super) fn stored(number: u8) -> Option<Self> {
        [Self::Waiting, Self::Ready, Self::Parked, Self::Delivered, Self::Discarded]
            .get(usize::from(number))
            .copied()
    }

    /// Whether it still needs somebody's work.
    pub(super) fn is_pending(self) -> bool {
        self.number() <= Self::Parked.number()
    }
}

/// A delivery as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// Its number.
    pub id: DeliveryId,
    /// Who owns the event.
    pub partner: PartnerName,
    /// The event.
    pub event: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's order keys.
    pub keys: Vec<OrderKey>,
    /// The subscription.
    pub subscription: SubscriptionName,
    /// Where it goes.
    pub target: TargetName,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next, if it is ready.
    pub due: Option<Time>,
    /// When it was enqueued.
    pub enqueued_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Status of the last attempt's answer.
    pub last_status: Option<u16>,
    /// What went wrong at the last attempt, in the target's words or ours; none once it was delivered.
    pub last_error: Option<String>,
    /// Which bytes are sent: one more for each time that a person had others made.
    pub revision: u32,
}

/// Which exceptions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExceptionFilter {
    /// Only of this partner's messages.
    pub partner: Option<PartnerName>,
    /// Only to this target.
    pub target: Option<TargetName>,
    /// Only of this cause's code.
    pub cause: Option<String>,
    /// Only those alike: of this fingerprint.
    pub fingerprint: Option<String>,
    /// Only in this person's charge; `nobody` for those in nobody's.
    pub owner: Option<String>,
    /// Only those that were there at this time already.
    pub until: Option<Time>,
    /// Only of this event.
    pub event: Option<EventId>,
    /// Ended ones too.
    pub all: bool,
    /// Only older than this one.
    pub before: Option<u64>,
    /// At most so many; 0 means 50.
    pub limit: usize,
}

/// An exception in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionSummary {
    /// Its number.
    pub id: u64,
    /// Who owns the event.
    pub partner: PartnerName,
    /// Where it was going; none for a contradiction.
    pub target: Option<TargetName>,
    /// The delivery; none for a contradiction.
    pub delivery: Option<DeliveryId>,
    /// The event.
    pub event: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's order keys.
    pub keys: Vec<OrderKey>,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Time,
    /// Later events that wait behind it.
    pub waiting: u64,
    /// The same for exceptions that are alike: of one type and target, with one cause.
    pub fingerprint: String,
    /// Who is in charge.
    pub owner: Option<String>,
    /// How it ended, if it did.
    pub resolution: Option<Resolution>,
}

/// What exceptions are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Those that are alike.
    Fingerprint,
    /// Who is in charge.
    Owner,
    /// Whose event it is.
    Partner,
    /// Where it was going.
    Target,
    /// The cause's code.
    Cause,
    /// How old they are.
    Age,
}

/// Exceptions that share something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionGroup {
    /// What they share: a fingerprint, a name, an age.
    pub value: String,
    /// How many.
    pub count: u64,
    /// Since when the oldest waits.
    pub oldest: Time,
    /// Since when the newest waits.
    pub newest: Time,
    /// The number of the newest, to look at.
    pub example: u64,
    /// What that one says.
    pub detail: String,
}

impl GroupBy {
    /// The group that an exception belongs to at `now`.
    pub(super) fn value(self, of: &Grouped<'_>, now: Time) -> String {
        match self {
            Self::Fingerprint => of.fingerprint.to_owned(),
            Self::Owner => of.owner.unwrap_or("nobody").to_owned(),
            Self::Partner => of.partner.to_owned(),
            Self::Target => of.target.unwrap_or("-").to_owned(),
            Self::Cause => of.cause.code.clone(),
            Self::Age => match now.since(of.since).as_secs() / 3600 {
                0 => "under 1 h",
                1..24 => "1 h to 1 d",
                24..168 => "1 d to 7 d",
                _ => "over 7 d",
            }
            .to_owned(),
        }
    }
}

/// What of an exception decides over its group.
pub(super) struct Grouped<'a> {
    pub(super) id: u64,
    pub(super) partner: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) fingerprint: &'a str,
    pub(super) owner: Option<&'a str>,
    pub(super) cause: &'a Cause,
    pub(super) since: Time,
}

/// Counts exceptions into groups, one after the other, the newest first.
#[derive(Default)]
pub(super) struct Groups(std::collections::HashMap<String, ExceptionGroup>);

impl Groups {
    pub(super) fn add(&mut self, by: GroupBy, of: &Grouped<'_>, now: Time) {
        let value = by.value(of, now);
        let group = self.0.entry(value.clone()).or_insert_with(|| ExceptionGroup {
            value,
            count: 0,
            oldest: of.since,
            newest: of.since,
            example: of.id,
            detail: of.cause.detail.clone(),
        });
        group.count += 1;
        group.oldest = group.oldest.min(of.since);
        group.newest = group.newest.max(of.since);
    }

    /// The largest first.
    pub(super) fn largest(self, limit: usize) -> Vec<ExceptionGroup> {
        let mut groups: Vec<_> = self.0.into_values().collect();
        groups.sort_by(|a, b| (b.count, &a.value).cmp(&(a.count, &b.value)));
        groups.truncate(limit);
        groups
    }
}

/// What exceptions that are alike have in common, as twelve hexadecimal digits: type, target, the cause's code and its
/// sentence without the words that differ from one to the next, which are those with a digit in them.
pub(super) fn fingerprint(kind: &str, target: Option<&str>, cause: &Cause) -> String {
    let mut text = format!("{kind}\n{}\n{}", target.unwrap_or_default(), cause.code);
    for word in cause.detail.split_whitespace() {
        let varies = word.bytes().any(|byte| byte.is_ascii_digit());
        // A status tells kinds of refusal apart, and stands where we put it.
        let status = word.len() <= 4 && word.ends_with(':');
        text.push(' ');
        text.push_str(if varies && !status { "#" } else { word });
    }
    if let Some(first) = cause.diagnostics.first() {
        text.push_str(&first.code);
    }
    Digest::of(text.as_bytes()).to_string()[..12].to_owned()
}

/// An exception with all that a person needs.
#[derive(Clone, Debug)]
pub struct ExceptionRecord {
    /// Its line in a list.
    pub summary: ExceptionSummary,
    /// The message that brought the event.
    pub message_id: MessageId,
    /// The source document.
    pub document: Document,
    /// The canonical event.
    pub event: Event,
    /// The event that it contradicts, for a contradiction.
    pub contradicts: Option<EventId>,
    /// The mapped document, if there is one.
    pub outbound: Option<Outbound>,
    /// Documents that a person replaced, oldest first.
    pub past: Vec<PastOutbound>,
    /// Every attempt, oldest first; at most the last 100.
    pub attempts: Vec<super::Attempt>,
}

/// A target's document that a person replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastOutbound {
    /// Which one it was, from 1.
    pub revision: u32,
    /// The document.
    pub outbound: Outbound,
    /// Who replaced it.
    pub by: String,
    /// When.
    pub at: Time,
}

/// Figures of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Messages ever accepted.
    pub messages: u64,
    /// Events ever stored.
    pub events: u64,
    /// Deliveries by target and state, finished ones left out.
    pub pending: Vec<PendingCount>,
    /// Open exceptions.
    pub exceptions: u64,
    /// Commands that wait to be written.
    pub queued: u64,
}

/// How many deliveries of a target are in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCount {
    /// The target.
    pub target: TargetName,
    /// The state.
    pub state: DeliveryState,
    /// How many.
    pub count: u64,
    /// Since when the oldest of them waits.
    pub oldest: Option<Time>,
}

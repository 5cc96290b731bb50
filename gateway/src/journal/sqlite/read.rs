//! Questions, asked on read-only connections. Every answer is bounded by a page.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use rusqlite::{
    Connection, OptionalExtension as _, Row, params, params_from_iter,
    types::{Type, Value},
};

use super::{from_json, lanes, write::signed, write::unsigned};
use crate::{
    journal::{
        Attempt, DeliveryFilter, DeliveryId, DeliveryRecord, DeliveryState, EventFilter, EventRecord,
        MessageFilter, MessageRecord, MessageState, MessageSummary, Outbound, PendingCount, Repeat, Work,
        page,
    },
    words::{Digest, Document, Event, EventId, Identity, MessageId, Time},
};

mod exceptions;

/// A read-only connection with the names that it met; a stored name never changes.
pub(super) struct Reader {
    pub(super) db: Connection,
    partners: HashMap<i64, Arc<str>>,
    names: HashMap<i64, Arc<str>>,
}

type Answer<T> = rusqlite::Result<T>;

const EVENT: &str = "event.seq, event.id, event.partner, event.message, event.kind, event.identity, event.corrects,
    event.source, event.schema_version, event.natural_key, event.order_keys, event.sequence, event.occurred_at,
    event.recorded_at, event.data_digest, event_data.data, message.id, event.held, event.revises
    FROM event JOIN event_data ON event_data.seq = event.seq JOIN message ON message.num = event.message";

const DELIVERY: &str =
    "delivery.id, delivery.partner, delivery.subscription, delivery.target, delivery.state,
    delivery.attempts, delivery.due, delivery.enqueued_at, delivery.ended_at, delivery.last_status,
    event.id, event.kind, event.order_keys, delivery.revision FROM delivery
    JOIN event ON event.seq = delivery.event";

const MESSAGE: &str = "id, partner, operation, state, received_at, length, events";

impl Reader {
    pub(super) fn new(db: Connection) -> Self {
        Self { db, partners: HashMap::new(), names: HashMap::new() }
    }

    /// See `Journal::ready`.
    pub(super) fn ready(&self, target: &str, now: Time, limit: usize) -> Answer<Vec<DeliveryId>> {
        self.db
            .prepare_cached(
                "SELECT id FROM delivery WHERE target = (SELECT id FROM name WHERE text = ?) AND state = 1
                 AND due <= ? ORDER BY due, id LIMIT ?",
            )?
            .query_map(params![target, now.millis(), signed(limit as u64)], |row| {
                row.get(0).map(|id| DeliveryId(unsigned(id)))
            })?
            .collect()
    }

    /// See `Journal::next_due`.
    pub(super) fn next_due(&self, target: &str) -> Answer<Option<Time>> {
        self.db
            .prepare_cached(
                "SELECT min(due) FROM delivery WHERE target = (SELECT id FROM name WHERE text = ?) AND state = 1",
            )?
            .query_row([target], |row| Ok(row.get::<_, Option<i64>>(0)?.map(Time::from_millis)))
    }

    /// See `Journal::work`.
    pub(super) fn work(&mut self, deliveries: &[DeliveryId]) -> Answer<Vec<Work>> {
        let mut work = Vec::with_capacity(deliveries.len());
        for id in deliveries {
            let found = self
                .db
                .prepare_cached(
                    "SELECT partner, subscription, target, event, attempts, first_attempt_at, revision
                     FROM delivery WHERE id = ? AND state = 1",
                )?
                .query_row([signed(id.0)], |row| {
                    let numbers: (i64, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                    Ok((numbers, row.get::<_, u32>(4)?, row.get::<_, Option<i64>>(5)?, row.get::<_, u32>(6)?))
                })
                .optional()?;
            let Some(((partner, subscription, target, event), attempts, first, revision)) = found else {
                continue;
            };
            let Some(record) = self.event_at(event)? else { continue };
            work.push(Work {
                id: *id,
                subscription: self.name(subscription)?,
                target: self.name(target)?,
                partner: self.partner(partner)?,
                message_id: record.message_id,
                event: record.event,
                outbound: self.outbound(signed(id.0))?,
                attempts,
                first_attempt_at: first.map(Time::from_millis),
                revision,
            });
        }
        Ok(work)
    }

    fn outbound(&mut self, delivery: i64) -> Answer<Option<Outbound>> {
        let found = self
            .db
            .prepare_cached(
                "SELECT mapper, mapper_digest, control_numbers, media_type, parameters, content FROM outbound
                 WHERE delivery = ?",
            )?
            .query_row([delivery], |row| {
                Ok((row.get(0)?, Digest::from_bytes(row.get(1)?), from_json(row, 2)?, document(row, 3)?))
            })
            .optional()?;
        found
            .map(|(mapper, mapper_digest, control_numbers, document)| {
                Ok(Outbound { mapper: self.name(mapper)?, mapper_digest, document, control_numbers })
            })
            .transpose()
    }

    /// See `Journal::message`.
    pub(super) fn message(&mut self, id: MessageId) -> Answer<Option<MessageRecord>> {
        let sql = format!("SELECT {MESSAGE}, num, document, answer, parent FROM message WHERE id = ?");
        let found = self
            .db
            .prepare_cached(&sql)?
            .query_row([&id.to_bytes()[..]], |row| {
                let answer: String = row.get(9)?;
                let parent = row.get::<_, Option<[u8; 16]>>(10)?.map(MessageId::from_bytes);
                Ok((Line::read(row)?, row.get::<_, i64>(7)?, row.get::<_, Option<i64>>(8)?, answer, parent))
            })
            .optional()?;
        let Some((line, num, stored, answer, parent)) = found else { return Ok(None) };
        let accepted = line.state == MessageState::Accepted;
        let receipt = if accepted { Some(parsed(&answer)?) } else { None };
        let document = match stored {
            Some(num) => self
                .db
                .prepare_cached("SELECT media_type, parameters, content FROM document WHERE num = ?")?
                .query_row([num], |row| document(row, 0))
                .optional()?,
            None => None,
        };
        let deliveries =
            self.list_deliveries("event.message = ? ORDER BY delivery.id LIMIT 10000", vec![num.into()])?;
        let exceptions = self
            .list_exceptions("WHERE event.message = ? ORDER BY exception.id LIMIT 1000", vec![num.into()])?;
        let summary = self.line(line)?;
        Ok(Some(MessageRecord {
            summary,
            receipt,
            problem: (!accepted).then_some(answer),
            pruned: accepted && document.is_none(),
            document,
            parent,
            children: self.children(id)?,
            repeats: self.repeats(num)?,
            deliveries,
            exceptions: exceptions.into_iter().map(|found| found.summary).collect(),
        }))
    }

    fn children(&self, id: MessageId) -> Answer<Vec<MessageId>> {
        self.db
            .prepare_cached("SELECT id FROM message WHERE parent = ? ORDER BY num LIMIT 1000")?
            .query_map([&id.to_bytes()[..]], |row| row.get(0).map(MessageId::from_bytes))?
            .collect()
    }

    fn repeats(&self, message: i64) -> Answer<Vec<Repeat>> {
        self.db
            .prepare_cached(
                "SELECT event.id, message.id FROM event JOIN repeat ON repeat.event = event.seq
                 JOIN message ON message.num = repeat.message WHERE event.message = ?
                 ORDER BY event.seq, message.id LIMIT 1000",
            )?
            .query_map([message], |row| {
                let (event, message) = (EventId::from_bytes(row.get(0)?), MessageId::from_bytes(row.get(1)?));
                Ok(Repeat { event, message })
            })?
            .collect()
    }

    /// See `Journal::messages`.
    pub(super) fn messages(&mut self, filter: &MessageFilter) -> Answer<Vec<MessageSummary>> {
        let mut query = Query::default();
        if let Some(partner) = &filter.partner {
            query.and("partner = (SELECT id FROM partner WHERE text = ?)", partner.to_string());
        }
        match filter.state {
            Some(MessageState::Refused) => query.only("state = 1"),
            Some(MessageState::Accepted) => query.only("state = 0"),
            None => {}
        }
        if let Some(since) = filter.since {
            query.and("received_at >= ?", since.millis());
        }
        if let Some(before) = filter.before {
            query.and("id < ?", before.to_bytes().to_vec());
        }
        let (clauses, values) = query.page("ORDER BY id DESC", filter.limit);
        let sql = format!("SELECT {MESSAGE} FROM message {clauses}");
        let lines: Vec<Line> = self
            .db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), Line::read)?
            .collect::<Answer<_>>()?;
        lines.into_iter().map(|line| self.line(line)).collect()
    }

    fn line(&mut self, line: Line) -> Answer<MessageSummary> {
        Ok(MessageSummary {
            id: line.id,
            partner: self.partner(line.partner)?,
            operation: self.text(line.operation)?.as_ref().to_owned(),
            state: line.state,
            received_at: line.received_at,
            length: line.length,
            events: line.events,
        })
    }

    /// See `Journal::event`.
    pub(super) fn event(&mut self, id: EventId) -> Answer<Option<EventRecord>> {
        Ok(self.list_events("event.id = ?", vec![id.to_bytes().to_vec().into()])?.pop())
    }

    fn event_at(&mut self, seq: i64) -> Answer<Option<EventRecord>> {
        Ok(self.list_events("event.seq = ?", vec![seq.into()])?.pop())
    }

    /// See `Journal::events`.
    pub(super) fn events(&mut self, filter: &EventFilter) -> Answer<Vec<EventRecord>> {
        let mut query = Query::default();
        if let Some(partner) = &filter.partner {
            query.and("event.partner = (SELECT id FROM partner WHERE text = ?)", partner.to_string());
        }
        if let Some(kind) = &filter.kind {
            match kind.strip_suffix('*').filter(|family| family.ends_with('.')) {
                Some(family) => {
                    query.and(
                        "event.kind IN (SELECT id FROM name WHERE instr(text, ?) = 1)",
                        family.to_owned(),
                    );
                }
                None => query.and("event.kind = (SELECT id FROM name WHERE text = ?)", kind.clone()),
            }
        }
        if let Some(key) = &filter.key {
            query.and(
                "event.seq IN (SELECT event_key.event FROM partner JOIN event_key
                 ON event_key.partner = partner.id AND event_key.key = ?)",
                lanes::key(key).to_vec(),
            );
        }
        if let Some(message) = filter.message {
            query.and("event.message = (SELECT num FROM message WHERE id = ?)", message.to_bytes().to_vec());
        }
        if let Some(after) = filter.after {
            query.and("event.seq > ?", signed(after));
        }
        let order = if filter.newest { "ORDER BY event.seq DESC" } else { "ORDER BY event.seq" };
        let (clauses, values) = query.page(order, filter.limit);
        // The page is cut on the small rows; payloads are fetched for what is on it.
        let sql = format!("SELECT event.seq FROM event {clauses}");
        let found: Vec<i64> = self
            .db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| row.get(0))?
            .collect::<Answer<_>>()?;
        let mut records = Vec::with_capacity(found.len());
        for seq in found {
            records.extend(self.event_at(seq)?);
        }
        Ok(records)
    }

    fn list_events(&mut self, condition: &str, values: Vec<Value>) -> Answer<Vec<EventRecord>> {
        let sql = format!("SELECT {EVENT} WHERE {condition}");
        let rows: Vec<(i64, i64, Found)> = self
            .db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| {
                Ok((
                    row.get(2)?,
                    row.get(4)?,
                    Found {
                        sequence: unsigned(row.get(0)?),
                        message_id: MessageId::from_bytes(row.get(16)?),
                        held: row.get(17)?,
                        revises: row.get::<_, Option<[u8; 16]>>(18)?.map(EventId::from_bytes),
                        event: event(row)?,
                    },
                ))
            })?
            .collect::<Answer<_>>()?;
        rows.into_iter()
            .map(|(partner, kind, record)| {
                let kind = self.text(kind)?.as_ref().to_owned();
                let event = Event { kind, ..record.event.clone() };
                let partner = self.partner(partner)?;
                let Found { sequence, message_id, held, revises, .. } = record;
                Ok(EventRecord { sequence, partner, message_id, event, held, revises })
            })
            .collect()
    }

    /// See `Journal::deliveries`.
    pub(super) fn deliveries(&mut self, filter: &DeliveryFilter) -> Answer<Vec<DeliveryRecord>> {
        let mut query = Query::default();
        if let Some(partner) = &filter.partner {
            query.and("delivery.partner = (SELECT id FROM partner WHERE text = ?)", partner.to_string());
        }
        if let Some(target) = &filter.target {
            query.and("delivery.target = (SELECT id FROM name WHERE text = ?)", target.to_string());
        }
        if let Some(event) = filter.event {
            query.and("delivery.event = (SELECT seq FROM event WHERE id = ?)", event.to_bytes().to_vec());
        }
        if let Some(state) = filter.state {
            // The number is written out, so that the partial indexes are considered.
            query.only(&format!("delivery.state = {}", state.number()));
            if state.is_pending() {
                query.only("delivery.state <= 2");
            }
        }
        if let Some(before) = filter.before {
            query.and("delivery.id < ?", signed(before.0));
        }
        let (clauses, values) = query.page("ORDER BY delivery.id DESC", filter.limit);
        self.select_deliveries(&clauses, values)
    }

    fn list_deliveries(&mut self, condition: &str, values: Vec<Value>) -> Answer<Vec<DeliveryRecord>> {
        self.select_deliveries(&format!("WHERE {condition}"), values)
    }

    fn select_deliveries(&mut self, clauses: &str, values: Vec<Value>) -> Answer<Vec<DeliveryRecord>> {
        let sql = format!("SELECT {DELIVERY} {clauses}");
        let rows: Vec<_> = self
            .db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| {
                let names: [i64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(11)?];
                let state = state(row.get(4)?)?;
                let due = Time::from_millis(row.get(6)?);
                let ended: Option<i64> = row.get(8)?;
                Ok((
                    names,
                    state,
                    (state == DeliveryState::Ready).then_some(due),
                    ended,
                    unsigned(row.get(0)?),
                    row.get::<_, u32>(5)?,
                    row.get::<_, i64>(7)?,
                    row.get::<_, Option<u16>>(9)?,
                    EventId::from_bytes(row.get(10)?),
                    from_json(row, 12)?,
                    row.get::<_, u32>(13)?,
                ))
            })?
            .collect::<Answer<_>>()?;
        rows.into_iter()
            .map(|(names, state, due, ended, id, attempts, enqueued, last_status, event, keys, revision)| {
                let [partner, subscription, target, kind] = names;
                let last_error = match (state, attempts) {
                    (DeliveryState::Delivered, _) | (_, 0) => None,
                    _ => self.last_attempt(signed(id))?.and_then(|attempt| attempt.trouble()),
                };
                Ok(DeliveryRecord {
                    id: DeliveryId(id),
                    partner: self.partner(partner)?,
                    event,
                    kind: self.text(kind)?.as_ref().to_owned(),
                    keys,
                    subscription: self.name(subscription)?,
                    target: self.name(target)?,
                    state,
                    attempts,
                    due,
                    enqueued_at: Time::from_millis(enqueued),
                    ended_at: ended.map(Time::from_millis),
                    last_status,
                    last_error,
                    revision,
                })
            })
            .collect()
    }

    fn last_attempt(&self, delivery: i64) -> Answer<Option<Attempt>> {
        self.db
            .prepare_cached("SELECT body FROM attempt WHERE delivery = ? ORDER BY num DESC LIMIT 1")?
            .query_row([delivery], |row| from_json(row, 0))
            .optional()
    }

    /// Messages ever accepted and events ever stored.
    pub(super) fn totals(&self) -> Answer<(u64, u64)> {
        self.db
            .prepare_cached("SELECT (SELECT max(num) FROM document), (SELECT max(seq) FROM event)")?
            .query_row([], |row| {
                let total = |number: Option<i64>| number.map_or(0, unsigned);
                Ok((total(row.get(0)?), total(row.get(1)?)))
            })
    }

    /// One line of the status: so many deliveries of this target are in this state.
    pub(super) fn pending(&mut self, target: i64, number: u8, count: u64) -> Answer<PendingCount> {
        let oldest: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT enqueued_at FROM delivery INDEXED BY delivery_pending
                 WHERE target = ? AND state = ? AND state <= 2 ORDER BY id LIMIT 1",
            )?
            .query_row(params![target, number], |row| row.get(0))
            .optional()?;
        let (target, state) = (self.name(target)?, state(number)?);
        Ok(PendingCount { target, state, count, oldest: oldest.map(Time::from_millis) })
    }

    fn partner<T: TryFrom<String>>(&mut self, id: i64) -> Answer<T> {
        known(&self.db, &mut self.partners, id, "SELECT text FROM partner WHERE id = ?")
            .and_then(|text| named(&text))
    }

    fn name<T: TryFrom<String>>(&mut self, id: i64) -> Answer<T> {
        self.text(id).and_then(|text| named(&text))
    }

    fn text(&mut self, id: i64) -> Answer<Arc<str>> {
        known(&self.db, &mut self.names, id, "SELECT text FROM name WHERE id = ?")
    }
}

/// How many names a reader keeps at hand.
const NAMES_KEPT: usize = 10_000;

fn known(db: &Connection, kept: &mut HashMap<i64, Arc<str>>, id: i64, find: &str) -> Answer<Arc<str>> {
    if let Some(text) = kept.get(&id) {
        return Ok(text.clone());
    }
    let text: Arc<str> = db.prepare_cached(find)?.query_row([id], |row| row.get(0))?;
    if kept.len() >= NAMES_KEPT {
        kept.clear();
    }
    kept.insert(id, text.clone());
    Ok(text)
}

fn named<T: TryFrom<String>>(text: &str) -> Answer<T> {
    T::try_from(text.to_owned()).map_err(|_| damaged(format!("`{text}` is stored as a name")))
}

fn state(number: u8) -> Answer<DeliveryState> {
    DeliveryState::stored(number).ok_or_else(|| damaged(format!("{number} is stored as a delivery's state")))
}

fn damaged(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Answer<T> {
    serde_json::from_str(text).map_err(|error| damaged(error.to_string()))
}

fn document(row: &Row<'_>, first: usize) -> Answer<Document> {
    Ok(Document {
        media_type: row.get(first)?,
        parameters: from_json(row, first + 1)?,
        content: Bytes::from(row.get::<_, Vec<u8>>(first + 2)?),
    })
}

/// All of an event but its kind, which is a name.
fn event(row: &Row<'_>) -> Answer<Event> {
    let identity = |bytes| Identity(Digest::from_bytes(bytes));
    Ok(Event {
        id: EventId::from_bytes(row.get(1)?),
        identity: identity(row.get(5)?),
        source: row.get(7)?,
        kind: String::new(),
        schema_version: row.get(8)?,
        natural_key: from_json(row, 9)?,
        order_keys: from_json(row, 10)?,
        sequence: row.get(11)?,
        corrects: row.get::<_, Option<[u8; 32]>>(6)?.map(identity),
        occurred_at: row.get(12)?,
        recorded_at: Time::from_millis(row.get(13)?),
        data: Bytes::from(row.get::<_, Vec<u8>>(15)?),
        data_digest: Digest::from_bytes(row.get(14)?),
    })
}

struct Found {
    sequence: u64,
    message_id: MessageId,
    event: Event,
    held: bool,
    revises: Option<EventId>,
}

/// A message's row, its names not yet looked up.
struct Line {
    id: MessageId,
    partner: i64,
    operation: i64,
    state: MessageState,
    received_at: Time,
    length: u64,
    events: u32,
}

impl Line {
    fn read(row: &Row<'_>) -> Answer<Self> {
        let refused: bool = row.get(3)?;
        Ok(Self {
            id: MessageId::from_bytes(row.get(0)?),
            partner: row.get(1)?,
            operation: row.get(2)?,
            state: if refused { MessageState::Refused } else { MessageState::Accepted },
            received_at: Time::from_millis(row.get(4)?),
            length: unsigned(row.get(5)?),
            events: row.get(6)?,
        })
    }
}

/// Conditions of a listing, put together from a filter. Only fixed text goes into the statement; values are bound.
#[derive(Default)]
struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    fn and(&mut self, condition: impl Into<String>, value: impl Into<Value>) {
        self.conditions.push(condition.into());
        self.values.push(value.into());
    }

    fn only(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    fn page(self, order: &str, limit: usize) -> (String, Vec<Value>) {
        let (conditions, mut values) = self.all();
        values.push(signed(page(limit) as u64).into());
        (format!("{conditions} {order} LIMIT ?"), values)
    }

    fn all(self) -> (String, Vec<Value>) {
        let conditions = if self.conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.conditions.join(" AND "))
        };
        (conditions, self.values)
    }
}

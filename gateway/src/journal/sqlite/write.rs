//! What commands do to the tables. Each runs in a savepoint of the writer's transaction and is undone alone.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::lanes::{self, Lanes};
use crate::{
    journal::{
        self, Accepted, Appended, Attempt, Counter, DeliveryId, DeliveryState, Destination, Error, Next,
        Outbound, Outcome, Refused, Remembered, Stuck,
    },
    words::{Digest, Disposition, Event, EventId, EventOutcome, MessageId, Receipt, Time},
};

mod exceptions;

pub(super) use exceptions::fill_fingerprints;

use exceptions::Raised;

/// Why a command was undone.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It cannot be carried out; the caller is told.
    #[error(transparent)]
    Answer(#[from] Error),
    /// SQLite failed.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

/// Numbers of names that are stored already.
#[derive(Default)]
pub(super) struct Names {
    partners: HashMap<String, i64>,
    names: HashMap<String, i64>,
}

/// How many names are kept at hand. Names come from policies, so more are hardly ever there.
const NAMES_KEPT: usize = 10_000;

impl Names {
    /// Forgets all: some may have been undone.
    pub(super) fn clear(&mut self) {
        self.partners.clear();
        self.names.clear();
    }

    fn partner(&mut self, db: &Connection, text: &str) -> rusqlite::Result<i64> {
        intern(
            db,
            &mut self.partners,
            text,
            "SELECT id FROM partner WHERE text = ?",
            "INSERT INTO partner(text) VALUES (?)",
        )
    }

    fn name(&mut self, db: &Connection, text: &str) -> rusqlite::Result<i64> {
        intern(
            db,
            &mut self.names,
            text,
            "SELECT id FROM name WHERE text = ?",
            "INSERT INTO name(text) VALUES (?)",
        )
    }
}

fn intern(
    db: &Connection,
    known: &mut HashMap<String, i64>,
    text: &str,
    find: &str,
    add: &str,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(text) {
        return Ok(*id);
    }
    let id = match db.prepare_cached(find)?.query_row([text], |row| row.get(0)).optional()? {
        Some(id) => id,
        None => db.prepare_cached(add)?.insert([text])?,
    };
    if known.len() >= NAMES_KEPT {
        known.clear();
    }
    known.insert(text.to_owned(), id);
    Ok(id)
}

/// What changed in the figures; added to them when the transaction is durable.
#[derive(Default)]
pub(super) struct Delta {
    /// Target, state, and by how many.
    pub(super) pending: Vec<(i64, u8, i64)>,
    /// Open exceptions.
    pub(super) exceptions: i64,
}

impl Delta {
    pub(super) fn entered(&mut self, target: i64, state: DeliveryState) {
        self.pending.push((target, state.number(), 1));
    }

    pub(super) fn left(&mut self, target: i64, state: DeliveryState) {
        self.pending.push((target, state.number(), -1));
    }
}

/// The writer's hand: one command writes through it.
pub(super) struct Write<'a> {
    pub(super) db: &'a Connection,
    pub(super) names: &'a mut Names,
    pub(super) delta: Delta,
    pub(super) now: Time,
}

/// A delivery that can be moved.
struct Standing {
    partner: i64,
    target: i64,
    event: i64,
    lanes: Lanes,
}

impl Write<'_> {
    /// See `Journal::append`.
    pub(super) fn append(&mut self, accepted: &Accepted) -> Result<Appended, Fault> {
        let partner = self.names.partner(self.db, accepted.partner.as_str())?;
        if let Some(given) = &accepted.idempotency
            && let Some(remembered) =
                remembered(self.db, accepted.partner.as_str(), &given.key, accepted.received_at)?
        {
            return Ok(Appended::Remembered(remembered));
        }
        let message = self.next_message()?;
        let document = self
            .db
            .prepare_cached(
                "INSERT INTO document(partner, media_type, parameters, content) VALUES (?, ?, ?, ?)",
            )?
            .insert(params![
                partner,
                accepted.document.media_type,
                json(&accepted.document.parameters),
                &accepted.document.content[..]
            ])?;
        let mut outcomes = Vec::with_capacity(accepted.events.len());
        for (event, destinations) in &accepted.events {
            outcomes.push(self.take(partner, message, accepted, event, destinations)?);
        }
        let receipt = journal::receipt(accepted, outcomes);
        let operation = self.names.name(self.db, &receipt.operation)?;
        self.db
            .prepare_cached(
                "INSERT INTO message(num, id, partner, state, operation, received_at, length, events, revision,
                 credential, document, answer, parent) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .insert(params![
                message,
                &accepted.message_id.to_bytes()[..],
                partner,
                operation,
                accepted.received_at.millis(),
                signed(accepted.document.content.len() as u64),
                signed(receipt.events.len() as u64),
                accepted.revision.as_str(),
                accepted.credential,
                document,
                json(&receipt),
                accepted.parent.map(|parent| parent.to_bytes().to_vec())
            ])
            .map_err(|error| known_message(error, accepted.message_id))?;
        if let Some(given) = &accepted.idempotency {
            self.remember(partner, given, message, accepted.received_at)?;
        }
        Ok(Appended::Stored(receipt))
    }

    fn next_message(&self) -> rusqlite::Result<i64> {
        self.db
            .prepare_cached("SELECT coalesce(max(num), 0) + 1 FROM message")?
            .query_row([], |row| row.get(0))
    }

    fn remember(
        &self,
        partner: i64,
        given: &journal::Idempotency,
        message: i64,
        now: Time,
    ) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO idempotency(partner, key, fingerprint, message, expires_at)
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![
                partner,
                &lanes::short(given.key.as_bytes())[..],
                &given.fingerprint.as_bytes()[..],
                message,
                given.expires_at.millis()
            ])?;
        // Each memory that comes in carries out two expired ones, so the table shrinks without a pause.
        self.db
            .prepare_cached(
                "DELETE FROM idempotency WHERE (partner, key) IN
                 (SELECT partner, key FROM idempotency WHERE expires_at <= ? ORDER BY expires_at LIMIT 2)",
            )?
            .execute([now.millis()])
            .map(drop)
    }

    fn take(
        &mut self,
        partner: i64,
        message: i64,
        accepted: &Accepted,
        event: &Event,
        destinations: &[Destination],
    ) -> Result<EventOutcome, Fault> {
        let holder = self
            .db
            .prepare_cached(
                "SELECT event.id, data_digest, message, event.seq FROM holder JOIN event ON event.seq = holder.event
                 WHERE holder.partner = ? AND holder.identity = ?",
            )?
            .query_row(params![partner, &event.identity.0.as_bytes()[..]], |row| {
                let numbers: (i64, i64) = (row.get(2)?, row.get(3)?);
                Ok((EventId::from_bytes(row.get(0)?), row.get::<_, [u8; 32]>(1)?, numbers))
            })
            .optional()?;
        let disposition = match holder {
            Some((first, digest, (brought, seq))) if digest == *event.data_digest.as_bytes() => {
                // A fact told twice in one document is no news to anybody.
                if brought != message {
                    self.db
                        .prepare_cached("INSERT OR IGNORE INTO repeat(event, message) VALUES (?, ?)")?
                        .execute([seq, message])?;
                }
                Disposition::Repeats {
                    event: first,
                    message: if brought == message { accepted.message_id } else { self.message_id(brought)? },
                }
            }
            Some((first, ..)) if event.corrects.is_none() => {
                let seq = self.store(partner, message, event, true, None)?;
                let cause = journal::contradiction(first);
                let raised = Raised {
                    partner,
                    delivery: None,
                    event: seq,
                    kind: &event.kind,
                    target: None,
                    fact: event.identity.0.as_bytes(),
                    contradicts: Some(first),
                };
                let exception = self.raise(&raised, &cause, accepted.received_at)?;
                Disposition::Held { exception, contradicts: first }
            }
            _ => {
                let seq = self.store(partner, message, event, false, None)?;
                if event.corrects.is_some() {
                    self.settle_corrected(partner, accepted, event, destinations)?;
                }
                for destination in destinations {
                    self.enqueue(
                        partner,
                        seq,
                        event,
                        destination,
                        accepted.message_id,
                        accepted.received_at,
                    )?;
                }
                Disposition::Stored { deliveries: u32::try_from(destinations.len()).unwrap_or(u32::MAX) }
            }
        };
        Ok(EventOutcome {
            id: event.id,
            kind: event.kind.clone(),
            keys: event.order_keys.clone(),
            disposition,
        })
    }

    fn message_id(&self, num: i64) -> rusqlite::Result<MessageId> {
        self.db
            .prepare_cached("SELECT id FROM message WHERE num = ?")?
            .query_row([num], |row| row.get(0).map(MessageId::from_bytes))
    }

    /// Stores an event; one that revises another leaves the fact with the one that has it.
    fn store(
        &mut self,
        partner: i64,
        message: i64,
        event: &Event,
        held: bool,
        revises: Option<EventId>,
    ) -> rusqlite::Result<i64> {
        let kind = self.names.name(self.db, &event.kind)?;
        let identity = &event.identity.0.as_bytes()[..];
        let seq = self
            .db
            .prepare_cached(
                "INSERT INTO event(id, partner, message, kind, held, identity, corrects, source, schema_version,
                 natural_key, order_keys, sequence, occurred_at, recorded_at, data_digest,
                 revises) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .insert(params![
                &event.id.to_bytes()[..],
                partner,
                message,
                kind,
                held,
                identity,
                event.corrects.as_ref().map(|corrects| &corrects.0.as_bytes()[..]),
                event.source,
                event.schema_version,
                json(&event.natural_key),
                json(&event.order_keys),
                event.sequence,
                event.occurred_at,
                event.recorded_at.millis(),
                &event.data_digest.as_bytes()[..],
                revises.map(|parent| parent.to_bytes().to_vec())
            ])?;
        self.db
            .prepare_cached("INSERT INTO event_data(seq, partner, data) VALUES (?, ?, ?)")?
            .insert(params![seq, partner, &event.data[..]])?;
        for key in Lanes::of(&event.order_keys).keys() {
            self.db
                .prepare_cached("INSERT INTO event_key(partner, key, event) VALUES (?, ?, ?)")?
                .execute(params![partner, key, seq])?;
        }
        if !held && revises.is_none() {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO holder(partner, identity, event) VALUES (?, ?, ?)")?
                .execute(params![partner, identity, seq])?;
        }
        Ok(seq)
    }

    fn enqueue(
        &mut self,
        partner: i64,
        seq: i64,
        event: &Event,
        to: &Destination,
        message: MessageId,
        now: Time,
    ) -> Result<(), Fault> {
        let target = self.names.name(self.db, to.target.as_str())?;
        let subscription = self.names.name(self.db, to.subscription.as_str())?;
        let lanes = Lanes::of(&event.order_keys);
        let waits = lanes.occupied(self.db, partner, target)?;
        let state = if waits == 0 { DeliveryState::Ready } else { DeliveryState::Waiting };
        let id = self
            .db
            .prepare_cached(
                "INSERT INTO delivery(partner, target, subscription, event, state, waits, due, attempts, enqueued_at,
                 lanes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?7, ?8)",
            )?
            .insert(params![
                partner,
                target,
                subscription,
                seq,
                state.number(),
                waits,
                now.millis(),
                lanes.as_bytes()
            ])?;
        lanes.enter(self.db, partner, target, id)?;
        self.delta.entered(target, state);
        if waits > 0 {
            for head in lanes.heads(self.db, partner, target)? {
                self.settle_outdated(head, Some(message), now)?;
            }
        }
        Ok(())
    }

    /// See `Journal::note_refusal`.
    pub(super) fn note_refusal(&mut self, refused: &Refused) -> Result<(), Fault> {
        let partner = self.names.partner(self.db, refused.partner.as_str())?;
        let operation = self.names.name(self.db, &refused.operation)?;
        self.db
            .prepare_cached(
                "INSERT OR IGNORE INTO message(id, partner, state, operation, received_at, length, events, revision,
                 answer) VALUES (?, ?, 1, ?, ?, ?, 0, ?, ?)",
            )?
            .execute(params![
                &refused.message_id.to_bytes()[..],
                partner,
                operation,
                refused.received_at.millis(),
                signed(refused.length),
                refused.revision.as_str(),
                refused.problem
            ])?;
        Ok(())
    }

    /// See `Journal::take_number`.
    pub(super) fn take_number(&mut self, counter: &Counter) -> Result<u64, Fault> {
        let value: i64 = self
            .db
            .prepare_cached(
                "INSERT INTO counter(kind, sender, receiver, value) VALUES (?, ?, ?, 1)
                 ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
            )?
            .query_row(params![counter.kind, counter.sender, counter.receiver], |row| row.get(0))?;
        Ok(unsigned(value))
    }

    /// See `Journal::pin`.
    pub(super) fn pin(&mut self, id: DeliveryId, outbound: &Outbound) -> Result<(), Fault> {
        let standing = self.standing(id, DeliveryState::Ready)?;
        let same = self.insert_outbound(signed(id.0), standing.partner, outbound)?;
        if same { Ok(()) } else { Err(journal::pinned_already(id).into()) }
    }

    /// Keeps what a delivery sends; answers whether that is it, and not something that was kept before.
    fn insert_outbound(&mut self, id: i64, partner: i64, outbound: &Outbound) -> rusqlite::Result<bool> {
        let mapper = self.names.name(self.db, outbound.mapper.as_str())?;
        let document = &outbound.document;
        let values = params![
            id,
            partner,
            mapper,
            &outbound.mapper_digest.as_bytes()[..],
            document.media_type,
            json(&document.parameters),
            json(&outbound.control_numbers),
            &document.content[..]
        ];
        let added = self
            .db
            .prepare_cached(
                "INSERT OR IGNORE INTO outbound(delivery, partner, mapper, mapper_digest, media_type, parameters,
                 control_numbers, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(values)?;
        let mut kept = self.db.prepare_cached(
            "SELECT 1 FROM outbound WHERE delivery = ? AND partner = ? AND mapper = ? AND mapper_digest = ?
             AND media_type = ? AND parameters = ? AND control_numbers = ? AND content = ?",
        )?;
        Ok(added == 1 || kept.exists(values)?)
    }

    /// See `Journal::advance`.
    pub(super) fn advance(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        let id = signed(outcome.delivery.0);
        let standing = self.standing(outcome.delivery, DeliveryState::Ready)?;
        if let Some(attempt) = &outcome.attempt {
            self.attempted(id, attempt)?;
        }
        match &outcome.next {
            Next::Delivered => {
                self.end(id, &standing, DeliveryState::Ready, DeliveryState::Delivered, self.now)?;
                self.release(id, &standing, self.now)?;
            }
            Next::Retry { due } => {
                self.db
                    .prepare_cached("UPDATE delivery SET due = ? WHERE id = ?")?
                    .execute(params![due.millis(), id])?;
            }
            Next::Park { cause, stuck } => {
                self.db
                    .prepare_cached("UPDATE delivery SET state = 2, stuck = ? WHERE id = ?")?
                    .execute(params![stuck.number(), id])?;
                self.delta.left(standing.target, DeliveryState::Ready);
                self.delta.entered(standing.target, DeliveryState::Parked);
                self.raise_for(id, &standing, cause)?;
                if *stuck == Stuck::Skip {
                    self.release(id, &standing, self.now)?;
                    self.db.prepare_cached("UPDATE delivery SET lanes = x'' WHERE id = ?")?.execute([id])?;
                }
                if *stuck == Stuck::LatestWins {
                    self.settle_outdated(id, None, self.now)?;
                }
            }
        }
        Ok(())
    }

    fn attempted(&self, id: i64, attempt: &Attempt) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "UPDATE delivery SET attempts = attempts + 1, last_status = ?,
                 first_attempt_at = coalesce(first_attempt_at, ?) WHERE id = ?",
            )?
            .execute(params![attempt.status, attempt.started_at.millis(), id])?;
        self.db
            .prepare_cached("INSERT INTO attempt(delivery, body) VALUES (?, ?)")?
            .insert(params![id, json(attempt)])
            .map(drop)
    }

    fn standing(&self, id: DeliveryId, state: DeliveryState) -> Result<Standing, Fault> {
        self.db
            .prepare_cached("SELECT partner, target, event, lanes FROM delivery WHERE id = ? AND state = ?")?
            .query_row(params![signed(id.0), state.number()], |row| {
                let lanes = Lanes::stored(row.get(3)?);
                Ok(Standing { partner: row.get(0)?, target: row.get(1)?, event: row.get(2)?, lanes })
            })
            .optional()?
            .ok_or_else(|| journal::no_ready_delivery(id).into())
    }

    fn end(
        &mut self,
        id: i64,
        standing: &Standing,
        from: DeliveryState,
        to: DeliveryState,
        now: Time,
    ) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("UPDATE delivery SET state = ?, ended_at = ? WHERE id = ?")?
            .execute(params![to.number(), now.millis(), id])?;
        self.delta.left(standing.target, from);
        Ok(())
    }

    /// Takes a head out of its lanes; the next of each lane moves up.
    fn release(&mut self, id: i64, standing: &Standing, now: Time) -> rusqlite::Result<()> {
        for next in standing.lanes.leave(self.db, standing.partner, standing.target, id)? {
            let waits: i64 = self
                .db
                .prepare_cached("UPDATE delivery SET waits = waits - 1 WHERE id = ? RETURNING waits")?
                .query_row([next], |row| row.get(0))?;
            if waits == 0 {
                self.db
                    .prepare_cached("UPDATE delivery SET state = 1, due = ? WHERE id = ?")?
                    .execute(params![now.millis(), next])?;
                self.delta.left(standing.target, DeliveryState::Waiting);
                self.delta.entered(standing.target, DeliveryState::Ready);
            }
        }
        Ok(())
    }
}

/// The unexpired answer under an idempotency key.
pub(super) fn remembered(
    db: &Connection,
    partner: &str,
    key: &str,
    now: Time,
) -> Result<Option<Remembered>, rusqlite::Error> {
    db.prepare_cached(
        "SELECT fingerprint, message.answer FROM idempotency JOIN message ON message.num = idempotency.message
         WHERE idempotency.partner = (SELECT id FROM partner WHERE text = ?) AND key = ? AND expires_at > ?",
    )?
    .query_row(params![partner, &lanes::short(key.as_bytes())[..], now.millis()], |row| {
        let receipt: Receipt = super::from_json(row, 1)?;
        Ok(Remembered { fingerprint: Digest::from_bytes(row.get(0)?), receipt })
    })
    .optional()
}

fn known_message(error: rusqlite::Error, id: MessageId) -> Fault {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => {
            Error::Unreadable(format!("message {id} is stored already")).into()
        }
        _ => error.into(),
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text keys always has a JSON form")
}

/// SQLite counts in signed numbers. Ours never come near the end; one that does is not found.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored by us, so it is not negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

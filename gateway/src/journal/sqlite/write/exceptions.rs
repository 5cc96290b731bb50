//! What needs a person, and what persons do about it.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Fault, Lanes, Standing, Write, json, signed, unsigned};
use crate::{
    journal::{
        self, Accepted, Cause, DeliveryId, DeliveryState, Destination, Edit, Outbound, Resolution, Stuck,
        Successor, sqlite::from_json,
    },
    words::{Event, EventId, MessageId, Time},
};

/// What an exception is about.
pub(super) struct Raised<'a> {
    pub(super) partner: i64,
    /// The delivery with its target's number; none for an event that is held.
    pub(super) delivery: Option<(i64, i64)>,
    pub(super) event: i64,
    pub(super) kind: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) fact: &'a [u8; 32],
    pub(super) contradicts: Option<EventId>,
}

impl Write<'_> {
    pub(super) fn raise(&mut self, about: &Raised<'_>, cause: &Cause, since: Time) -> rusqlite::Result<u64> {
        let id = self
            .db
            .prepare_cached(
                "INSERT INTO exception(partner, target, delivery, event, contradicts, cause, since, fingerprint, fact)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .insert(params![
                about.partner,
                about.delivery.map(|(target, _)| target),
                about.delivery.map(|(_, id)| id),
                about.event,
                about.contradicts.map(|first| first.to_bytes().to_vec()),
                json(cause),
                since.millis(),
                journal::fingerprint(about.kind, about.target, cause),
                &about.fact[..]
            ])?;
        self.delta.exceptions += 1;
        Ok(unsigned(id))
    }

    /// Raises an exception for a delivery that was parked just now.
    pub(super) fn raise_for(&mut self, id: i64, standing: &Standing, cause: &Cause) -> rusqlite::Result<()> {
        let (fact, kind, target) = self
            .db
            .prepare_cached(
                "SELECT identity, kind.text, target.text FROM event JOIN name kind ON kind.id = event.kind
                 JOIN name target ON target.id = ? WHERE seq = ?",
            )?
            .query_row([standing.target, standing.event], |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
        let raised = Raised {
            partner: standing.partner,
            delivery: Some((standing.target, id)),
            event: standing.event,
            kind: &kind,
            target: Some(&target),
            fact: &fact,
            contradicts: None,
        };
        self.raise(&raised, cause, self.now).map(drop)
    }

    /// Exceptions about a fact need nobody any more once it was corrected and the correction goes the same way.
    pub(super) fn settle_corrected(
        &mut self,
        partner: i64,
        accepted: &Accepted,
        event: &Event,
        destinations: &[Destination],
    ) -> Result<(), Fault> {
        let open: Vec<(i64, Option<i64>, Option<String>)> = self
            .db
            .prepare_cached(
                "SELECT exception.id, exception.delivery, name.text FROM exception
                 LEFT JOIN delivery ON delivery.id = exception.delivery
                 LEFT JOIN name ON name.id = delivery.subscription
                 WHERE exception.partner = ? AND fact = ? AND resolution IS NULL ORDER BY exception.id",
            )?
            .query_map(params![partner, &event.identity.0.as_bytes()[..]], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (exception, delivery, subscription) in open {
            let follows = subscription
                .is_none_or(|name| destinations.iter().any(|to| to.subscription.as_str() == name));
            if follows {
                let by = Successor { event: event.id, message: accepted.message_id, corrects: true };
                self.supersede(exception, delivery, by, accepted.received_at)?;
            }
        }
        Ok(())
    }

    /// Where a later state of the same thing stands behind a parked one whose lane says so, the later one wins.
    /// The row of the message that is being appended is not there yet: `bringing` is its id.
    pub(super) fn settle_outdated(
        &mut self,
        parked: i64,
        bringing: Option<MessageId>,
        now: Time,
    ) -> Result<(), Fault> {
        let about = self
            .db
            .prepare_cached(
                "SELECT delivery.partner, target, subscription, lanes, kind, order_keys FROM delivery
                 JOIN event ON event.seq = delivery.event WHERE delivery.id = ? AND state = 2 AND stuck = ?",
            )?
            .query_row(params![parked, Stuck::LatestWins.number()], |row| {
                let numbers: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?];
                Ok((numbers, Lanes::stored(row.get(3)?), row.get::<_, String>(5)?))
            })
            .optional()?;
        let Some(([partner, target, subscription, kind], lanes, keys)) = about else { return Ok(()) };
        let mut newest = None;
        for key in lanes.keys() {
            let found: Option<i64> = self
                .db
                .prepare_cached(
                    "SELECT delivery.id FROM lane_entry JOIN delivery ON delivery.id = lane_entry.delivery
                     JOIN event ON event.seq = delivery.event
                     WHERE lane_entry.partner = ? AND lane_entry.target = ? AND lane_entry.key = ?
                     AND lane_entry.delivery > ? AND delivery.subscription = ? AND event.kind = ?
                     AND event.order_keys = ? ORDER BY lane_entry.delivery DESC LIMIT 1",
                )?
                .query_row(params![partner, target, key, parked, subscription, kind, keys], |row| row.get(0))
                .optional()?;
            newest = newest.max(found);
        }
        let exception: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM exception WHERE delivery = ? AND resolution IS NULL")?
            .query_row([parked], |row| row.get(0))
            .optional()?;
        let (Some(newest), Some(exception)) = (newest, exception) else { return Ok(()) };
        let by = self
            .db
            .prepare_cached(
                "SELECT event.id, event.corrects, message.id FROM delivery JOIN event ON event.seq = delivery.event
                 LEFT JOIN message ON message.num = event.message WHERE delivery.id = ?",
            )?
            .query_row([newest], |row| {
                let message = row.get::<_, Option<[u8; 16]>>(2)?.map(MessageId::from_bytes).or(bringing);
                Ok(Successor {
                    event: EventId::from_bytes(row.get(0)?),
                    message: message.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
                    corrects: row.get::<_, Option<[u8; 32]>>(1)?.is_some(),
                })
            })?;
        self.supersede(exception, Some(parked), by, now)
    }

    /// Ends an exception because `by` says what it would have said, or better.
    fn supersede(
        &mut self,
        exception: i64,
        delivery: Option<i64>,
        by: Successor,
        now: Time,
    ) -> Result<(), Fault> {
        let mut waiting = 0;
        if let Some(id) = delivery {
            let standing = self.standing(DeliveryId(unsigned(id)), DeliveryState::Parked)?;
            waiting = standing.lanes.behind(self.db, standing.partner, standing.target, id)?;
            self.end(id, &standing, DeliveryState::Parked, DeliveryState::Discarded, now)?;
            self.release(id, &standing, now)?;
        }
        self.resolve(&journal::superseded(unsigned(exception), by, now, waiting))?;
        Ok(())
    }

    /// See `Journal::retry`.
    pub(in crate::journal::sqlite) fn retry(
        &mut self,
        exception: u64,
        remap: bool,
        by: &str,
        now: Time,
    ) -> Result<Resolution, Fault> {
        let (id, standing) = self.open(exception)?.ok_or_else(|| journal::only_discardable(exception))?;
        if remap {
            self.put_aside(id, by, now)?;
        }
        self.again(exception, "retried", id, &standing, by, now)
    }

    /// See `Journal::edit`.
    pub(in crate::journal::sqlite) fn edit(
        &mut self,
        exception: u64,
        edit: &Edit,
        by: &str,
        now: Time,
    ) -> Result<Resolution, Fault> {
        let (id, standing) = self.open(exception)?.ok_or_else(|| journal::only_discardable(exception))?;
        self.put_aside(id, by, now)?;
        match edit {
            Edit::Outbound(outbound) => self.put(id, standing.partner, outbound)?,
            Edit::Event(event) => self.revise(exception, id, &standing, event)?,
        }
        self.again(exception, "edited", id, &standing, by, now)
    }

    /// Puts another event in the place of the one that an exception is about.
    fn revise(&mut self, exception: u64, id: i64, standing: &Standing, event: &Event) -> Result<(), Fault> {
        let (parent, identity, message) = self
            .db
            .prepare_cached(
                "SELECT event.id, identity, message FROM exception JOIN event ON event.seq = exception.event
                 WHERE exception.id = ?",
            )?
            .query_row([signed(exception)], |row| {
                Ok((EventId::from_bytes(row.get(0)?), row.get::<_, [u8; 32]>(1)?, row.get::<_, i64>(2)?))
            })?;
        if identity != *event.identity.0.as_bytes() {
            return Err(journal::not_of_its_fact(exception).into());
        }
        let seq = self.store(standing.partner, message, event, false, Some(parent))?;
        self.db.prepare_cached("UPDATE delivery SET event = ? WHERE id = ?")?.execute([seq, id])?;
        Ok(())
    }

    /// Keeps the document that a delivery would have sent, so that another can take its place.
    fn put_aside(&self, id: i64, by: &str, now: Time) -> rusqlite::Result<()> {
        let moved = self
            .db
            .prepare_cached(
                "INSERT INTO outbound_past SELECT outbound.delivery, delivery.revision, outbound.partner, mapper,
                 mapper_digest, media_type, parameters, control_numbers, content, ?, ? FROM outbound
                 JOIN delivery ON delivery.id = outbound.delivery WHERE outbound.delivery = ?",
            )?
            .execute(params![by, now.millis(), id])?;
        if moved > 0 {
            self.db.prepare_cached("DELETE FROM outbound WHERE delivery = ?")?.execute([id])?;
            self.db
                .prepare_cached("UPDATE delivery SET revision = revision + 1 WHERE id = ?")?
                .execute([id])?;
        }
        Ok(())
    }

    fn put(&mut self, id: i64, partner: i64, outbound: &Outbound) -> rusqlite::Result<()> {
        self.insert_outbound(id, partner, outbound).map(drop)
    }

    /// A parked delivery goes again, with a fresh budget.
    fn again(
        &mut self,
        exception: u64,
        action: &str,
        id: i64,
        standing: &Standing,
        by: &str,
        now: Time,
    ) -> Result<Resolution, Fault> {
        let waiting = standing.lanes.behind(self.db, standing.partner, standing.target, id)?;
        self.db
            .prepare_cached("UPDATE delivery SET state = 1, due = ?, first_attempt_at = NULL WHERE id = ?")?
            .execute(params![now.millis(), id])?;
        self.delta.left(standing.target, DeliveryState::Parked);
        self.delta.entered(standing.target, DeliveryState::Ready);
        let resolution = journal::resolution(exception, action, by, now, waiting);
        self.resolve(&resolution)?;
        Ok(resolution)
    }

    /// See `Journal::assign`.
    pub(in crate::journal::sqlite) fn assign(
        &mut self,
        exception: u64,
        owner: Option<&str>,
    ) -> Result<(), Fault> {
        let changed = self
            .db
            .prepare_cached("UPDATE exception SET owner = ? WHERE id = ? AND resolution IS NULL")?
            .execute(params![owner, signed(exception)])?;
        if changed == 1 { Ok(()) } else { Err(journal::no_open_exception(exception).into()) }
    }

    /// See `Journal::discard`.
    pub(in crate::journal::sqlite) fn discard(
        &mut self,
        exception: u64,
        reason: &str,
        by: &str,
        now: Time,
    ) -> Result<Resolution, Fault> {
        let mut waiting = 0;
        if let Some((id, standing)) = self.open(exception)? {
            waiting = standing.lanes.behind(self.db, standing.partner, standing.target, id)?;
            self.end(id, &standing, DeliveryState::Parked, DeliveryState::Discarded, now)?;
            self.release(id, &standing, now)?;
        }
        let mut resolution = journal::resolution(exception, "discarded", by, now, waiting);
        resolution.reason = Some(reason.to_owned());
        self.resolve(&resolution)?;
        Ok(resolution)
    }

    /// The parked delivery behind an open exception, or none if it holds an event.
    fn open(&self, exception: u64) -> Result<Option<(i64, Standing)>, Fault> {
        let delivery: Option<i64> = self
            .db
            .prepare_cached("SELECT delivery FROM exception WHERE id = ? AND resolution IS NULL")?
            .query_row([signed(exception)], |row| row.get(0))
            .optional()?
            .ok_or_else(|| journal::no_open_exception(exception))?;
        match delivery {
            None => Ok(None),
            Some(id) => Ok(Some((id, self.standing(DeliveryId(unsigned(id)), DeliveryState::Parked)?))),
        }
    }

    fn resolve(&mut self, resolution: &Resolution) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("UPDATE exception SET resolution = ?, reason = ? WHERE id = ?")?
            .execute(params![json(resolution), resolution.reason, signed(resolution.exception)])?;
        self.delta.exceptions -= 1;
        Ok(())
    }
}

/// Says of exceptions that an older program raised what they are alike in.
pub(in crate::journal::sqlite) fn fill_fingerprints(db: &Connection) -> rusqlite::Result<()> {
    let mut missing = db.prepare(
        "SELECT exception.id, kind.text, target.text, cause FROM exception
         JOIN event ON event.seq = exception.event JOIN name kind ON kind.id = event.kind
         LEFT JOIN name target ON target.id = exception.target WHERE fingerprint IS NULL",
    )?;
    let mut fill = db.prepare("UPDATE exception SET fingerprint = ? WHERE id = ?")?;
    let rows = missing.query_map([], |row| {
        let (kind, target): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let cause: Cause = from_json(row, 3)?;
        Ok((row.get::<_, i64>(0)?, journal::fingerprint(&kind, target.as_deref(), &cause)))
    })?;
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        fill.execute(params![row.1, row.0])?;
    }
    Ok(())
}

//! Exceptions: listed, counted in groups, and shown with all that a person needs.

use rusqlite::{OptionalExtension as _, params, params_from_iter, types::Value};

use super::{Answer, Query, Reader, document, parsed};
use crate::{
    journal::{
        ATTEMPTS_SHOWN, Cause, DeliveryId, ExceptionFilter, ExceptionGroup, ExceptionRecord,
        ExceptionSummary, GroupBy, Outbound, PastOutbound, page,
        records::{Grouped, Groups},
        sqlite::{
            from_json,
            lanes::Lanes,
            write::{signed, unsigned},
        },
    },
    words::{Digest, EventId, Time},
};

const EXCEPTION: &str = "exception.id, exception.partner, exception.target, exception.delivery, exception.cause,
    exception.since, exception.resolution, event.id, event.kind, event.order_keys, delivery.lanes,
    exception.contradicts, exception.event, exception.fingerprint, exception.owner
    FROM exception JOIN event ON event.seq = exception.event LEFT JOIN delivery ON delivery.id = exception.delivery";

/// An exception's row with what its whole record needs.
pub(super) struct Stuck {
    pub(super) summary: ExceptionSummary,
    seq: i64,
    contradicts: Option<EventId>,
}

fn query(filter: &ExceptionFilter) -> Query {
    let mut query = Query::default();
    if let Some(partner) = &filter.partner {
        query.and("exception.partner = (SELECT id FROM partner WHERE text = ?)", partner.to_string());
    }
    if let Some(target) = &filter.target {
        query.and("exception.target = (SELECT id FROM name WHERE text = ?)", target.to_string());
    }
    if let Some(code) = &filter.cause {
        query.and("json_extract(exception.cause, '$.code') = ?", code.clone());
    }
    if let Some(alike) = &filter.fingerprint {
        query.and("exception.fingerprint = ?", alike.clone());
    }
    if let Some(owner) = &filter.owner {
        query.and("coalesce(exception.owner, 'nobody') = ?", owner.clone());
    }
    if let Some(until) = filter.until {
        query.and("exception.since <= ?", until.millis());
    }
    if let Some(event) = filter.event {
        query.and("exception.event = (SELECT seq FROM event WHERE id = ?)", event.to_bytes().to_vec());
    }
    if !filter.all {
        query.only("exception.resolution IS NULL");
    }
    if let Some(before) = filter.before {
        query.and("exception.id < ?", signed(before));
    }
    query
}

impl Reader {
    /// See `Journal::exceptions`.
    pub(in crate::journal::sqlite) fn exceptions(
        &mut self,
        filter: &ExceptionFilter,
    ) -> Answer<Vec<ExceptionSummary>> {
        let (clauses, values) = query(filter).page("ORDER BY exception.id DESC", filter.limit);
        Ok(self.list_exceptions(&clauses, values)?.into_iter().map(|found| found.summary).collect())
    }

    /// See `Journal::exception_groups`.
    pub(in crate::journal::sqlite) fn exception_groups(
        &mut self,
        filter: &ExceptionFilter,
        by: GroupBy,
        now: Time,
    ) -> Answer<Vec<ExceptionGroup>> {
        let (conditions, values) = query(filter).all();
        let sql = format!(
            "SELECT exception.id, exception.partner, exception.target, exception.fingerprint, exception.owner,
             exception.cause, exception.since FROM exception JOIN event ON event.seq = exception.event {conditions}
             ORDER BY exception.id DESC"
        );
        let rows: Vec<_> = self
            .db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| {
                let numbers: (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let texts: (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
                Ok((numbers, texts, from_json::<Cause>(row, 5)?, Time::from_millis(row.get(6)?)))
            })?
            .collect::<Answer<_>>()?;
        let mut groups = Groups::default();
        for ((id, partner, target), (fingerprint, owner), cause, since) in rows {
            let partner: String = self.partner(partner)?;
            let target = target.map(|target| self.text(target)).transpose()?;
            let of = Grouped {
                id: unsigned(id),
                partner: &partner,
                target: target.as_deref(),
                fingerprint: fingerprint.as_deref().unwrap_or_default(),
                owner: owner.as_deref(),
                cause: &cause,
                since,
            };
            groups.add(by, &of, now);
        }
        Ok(groups.largest(page(filter.limit)))
    }

    pub(super) fn list_exceptions(&mut self, clauses: &str, values: Vec<Value>) -> Answer<Vec<Stuck>> {
        let sql = format!("SELECT {EXCEPTION} {clauses}");
        let rows: Vec<_> = self
            .db
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| {
                let numbers: (i64, Option<i64>, Option<i64>, i64) =
                    (row.get(1)?, row.get(2)?, row.get(3)?, row.get(8)?);
                let resolution: Option<String> = row.get(6)?;
                let contradicts: Option<[u8; 16]> = row.get(11)?;
                Ok((
                    numbers,
                    unsigned(row.get(0)?),
                    from_json(row, 4)?,
                    row.get::<_, i64>(5)?,
                    resolution.map(|text| parsed(&text)).transpose()?,
                    EventId::from_bytes(row.get(7)?),
                    from_json(row, 9)?,
                    row.get::<_, Option<Vec<u8>>>(10)?,
                    contradicts.map(EventId::from_bytes),
                    row.get::<_, i64>(12)?,
                    (row.get::<_, Option<String>>(13)?, row.get::<_, Option<String>>(14)?),
                ))
            })?
            .collect::<Answer<_>>()?;
        rows.into_iter()
            .map(|(numbers, id, cause, since, resolution, event, keys, lanes, contradicts, seq, texts)| {
                let (partner, target, delivery, kind) = numbers;
                let waiting = match (&resolution, lanes, target, delivery) {
                    (None, Some(lanes), Some(target), Some(delivery)) => {
                        Lanes::stored(lanes).behind(&self.db, partner, target, delivery)?
                    }
                    _ => 0,
                };
                let summary = ExceptionSummary {
                    id,
                    partner: self.partner(partner)?,
                    target: target.map(|target| self.name(target)).transpose()?,
                    delivery: delivery.map(|delivery| DeliveryId(unsigned(delivery))),
                    event,
                    kind: self.text(kind)?.as_ref().to_owned(),
                    keys,
                    cause,
                    since: Time::from_millis(since),
                    waiting,
                    fingerprint: texts.0.unwrap_or_default(),
                    owner: texts.1,
                    resolution,
                };
                Ok(Stuck { summary, seq, contradicts })
            })
            .collect()
    }

    /// See `Journal::exception`.
    pub(in crate::journal::sqlite) fn exception(&mut self, id: u64) -> Answer<Option<ExceptionRecord>> {
        let Some(found) = self.list_exceptions("WHERE exception.id = ?", vec![signed(id).into()])?.pop()
        else {
            return Ok(None);
        };
        let Some(record) = self.event_at(found.seq)? else { return Ok(None) };
        let document = self
            .db
            .prepare_cached(
                "SELECT media_type, parameters, content FROM document
                 WHERE num = (SELECT document FROM message WHERE id = ?)",
            )?
            .query_row([&record.message_id.to_bytes()[..]], |row| document(row, 0))
            .optional()?;
        let Some(document) = document else { return Ok(None) };
        let delivery = found.summary.delivery.map(|delivery| signed(delivery.0));
        let mut attempts: Vec<_> = self
            .db
            .prepare_cached("SELECT body FROM attempt WHERE delivery = ? ORDER BY num DESC LIMIT ?")?
            .query_map(params![delivery, signed(ATTEMPTS_SHOWN as u64)], |row| from_json(row, 0))?
            .collect::<Answer<_>>()?;
        attempts.reverse();
        Ok(Some(ExceptionRecord {
            summary: found.summary,
            message_id: record.message_id,
            document,
            event: record.event,
            contradicts: found.contradicts,
            outbound: delivery.map(|delivery| self.outbound(delivery)).transpose()?.flatten(),
            past: delivery.map(|delivery| self.past(delivery)).transpose()?.unwrap_or_default(),
            attempts,
        }))
    }

    fn past(&mut self, delivery: i64) -> Answer<Vec<PastOutbound>> {
        let rows: Vec<_> = self
            .db
            .prepare_cached(
                "SELECT mapper, mapper_digest, control_numbers, media_type, parameters, content, revision, replaced_by,
                 replaced_at FROM outbound_past WHERE delivery = ? ORDER BY revision",
            )?
            .query_map([delivery], |row| {
                let digest = Digest::from_bytes(row.get(1)?);
                let about = (row.get::<_, u32>(6)?, row.get::<_, String>(7)?, row.get::<_, i64>(8)?);
                Ok((row.get::<_, i64>(0)?, digest, from_json(row, 2)?, document(row, 3)?, about))
            })?
            .collect::<Answer<_>>()?;
        rows.into_iter()
            .map(|(mapper, mapper_digest, control_numbers, document, (revision, by, at))| {
                let mapper = self.name(mapper)?;
                let outbound = Outbound { mapper, mapper_digest, document, control_numbers };
                Ok(PastOutbound { revision, outbound, by, at: Time::from_millis(at) })
            })
            .collect()
    }
}

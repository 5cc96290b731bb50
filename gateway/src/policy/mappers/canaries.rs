//! Candidates go out and come back: for a share of the business keys, or only to be watched.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{Change, ChangeError, Mappers, Pushed, load, picked, short, title};
use crate::{
    mapper::{Host, Mapper},
    policy::{
        Canary, Terms,
        live::{Policies, State},
        registry::{Ended, Index, Out},
    },
    words::{Digest, MapperName},
};

/// Between two looks for watches whose time is over.
const TICK: Duration = Duration::from_millis(500);

impl Policies {
    /// Sends a stored generation out: it serves a share of the business keys beside what is live, or is watched.
    ///
    /// # Errors
    /// It is not stored, is live already, nothing is live beside it, or it cannot be made durable.
    pub async fn send_out(
        &self,
        name: &str,
        asked: &str,
        terms: Terms,
        by: &str,
    ) -> Result<Pushed, ChangeError> {
        let mut state = self.state.lock().await;
        let mut next = state.registry.index().clone();
        let (name, digest) = picked(&state, &next, name, asked)?;
        let live = state.mappers.live.get(&name).cloned();
        let live = live.ok_or_else(|| ChangeError::NoCanary(format!("no generation of {name} is live")))?;
        if live.digest() == digest {
            return Err(ChangeError::NoCanary(format!("{} is live already", title(&live))));
        }
        let candidate = self.ready(&state, digest).await?;
        let out = Out { digest, terms: terms.clone(), by: short(by), since: self.clock.now() };
        if let Some(shelf) = next.mappers.get_mut(&name) {
            shelf.canary = Some(out);
        }
        let (what, of) = match terms.share {
            0 => ("watched", format!("{} beside {}", title(&candidate), title(&live))),
            share => {
                ("canary", format!("{} for {share} % of the keys beside {}", title(&candidate), title(&live)))
            }
        };
        let canary = Arc::new(Canary::new(candidate, terms, Arc::clone(&self.bell)));
        let change = Change::new(live, next, what, by);
        self.change(&mut state, Change { canary: Some(canary), of: Some(of), ..change }).await
    }

    /// Takes the candidate of a mapper back that is out.
    ///
    /// # Errors
    /// None is out, or it cannot be made durable.
    pub async fn call_back(&self, name: &str, by: &str) -> Result<Pushed, ChangeError> {
        let mut state = self.state.lock().await;
        let (name, _) = state.registry.index().shelf(name)?;
        let name = name.clone();
        self.end_canary(&mut state, &name, by, "taken back by hand").await
    }

    /// Takes back what took itself back and what was to be watched for a while, until `stop` is true.
    pub async fn tend(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                () = sleep(TICK) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let mut state = self.state.lock().await;
            let now = self.clock.now();
            let over = |canary: &Canary| {
                let until = canary.terms.until.filter(|until| *until <= now);
                canary.tripped().map(str::to_owned).or_else(|| until.map(|_| "its time is over".to_owned()))
            };
            let ended = state.mappers.canaries.iter();
            let ended: Vec<_> =
                ended.filter_map(|(name, canary)| Some((name.clone(), over(canary)?))).collect();
            for (name, why) in ended {
                tracing::warn!(mapper = %name, why, "the candidate is taken back");
                if let Err(error) = self.end_canary(&mut state, &name, "gateway", &why).await {
                    // It serves nothing any more in any case; the next look tries again to say so.
                    tracing::error!(mapper = %name, %error, "the end of a candidate could not be stored");
                }
            }
        }
    }

    pub(super) async fn end_canary(
        &self,
        state: &mut State,
        name: &MapperName,
        by: &str,
        why: &str,
    ) -> Result<Pushed, ChangeError> {
        let mut next = state.registry.index().clone();
        let none = || ChangeError::NoCanary(format!("no candidate of {name} is out"));
        let shelf = next.mappers.get_mut(name).ok_or_else(none)?;
        let out = shelf.canary.take().ok_or_else(none)?;
        let canary = state.mappers.canaries.get(name).cloned();
        let version = shelf.find(out.digest).map(|one| one.version.clone()).unwrap_or_default();
        let ended = Ended {
            version,
            digest: out.digest,
            at: self.clock.now(),
            by: short(by),
            why: why.chars().filter(|letter| !letter.is_control()).take(300).collect(),
            seen: canary.as_ref().map_or(0, |canary| canary.progress().seen),
        };
        shelf.ended = Some(ended.clone());
        let live = state.mappers.live.get(name).cloned().ok_or_else(none)?;
        let of = format!(
            "{name} {} ({}) after {} messages: {}",
            ended.version,
            ended.digest.short(),
            ended.seen,
            ended.why
        );
        let what = if out.terms.share == 0 { "watch ended" } else { "canary ended" };
        let change = Change::new(live, next, what, by);
        let changed = self.change(state, Change { of: Some(of), ..change }).await?;
        Ok(Pushed { ended: Some(ended), ..changed })
    }
}

/// The candidates that the index sends out; those that are out already stay as they are, with what they have seen.
pub(in crate::policy) async fn out(
    host: &Host,
    folder: &Path,
    index: &Index,
    mappers: &Mappers,
    ready: &BTreeMap<Digest, Mapper>,
    bell: &Arc<Notify>,
) -> BTreeMap<MapperName, Arc<Canary>> {
    let mut canaries = BTreeMap::new();
    for (name, shelf) in &index.mappers {
        let Some(out) = shelf.canary.as_ref().filter(|_| mappers.live.contains_key(name)) else { continue };
        let same = |canary: &&Arc<Canary>| canary.mapper.digest() == out.digest && canary.terms == out.terms;
        if let Some(canary) = mappers.canaries.get(name).filter(same) {
            canaries.insert(name.clone(), Arc::clone(canary));
            continue;
        }
        let loaded = match ready.get(&out.digest) {
            Some(mapper) => Ok(mapper.clone()),
            None => load(host, folder.to_owned(), out.digest).await,
        };
        match loaded {
            Ok(mapper) => {
                let canary = Canary::new(mapper, out.terms.clone(), Arc::clone(bell));
                canaries.insert(name.clone(), Arc::new(canary));
            }
            Err(error) => tracing::warn!(mapper = %name, %error, "a candidate cannot be sent out"),
        }
    }
    canaries
}

//! What is done now and then: forgetting callers who are gone, telling the disk of quotas, and a word about credentials
//! that end soon.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    policy::Policies,
    server,
    throttle::Limiter,
    words::{Clock, Revision, Time},
};

/// How long between two turns; a power cut loses as much of what was used of quotas.
const TURN: Duration = Duration::from_secs(1);
/// Turns between two tidyings of what grows with callers.
const TIDY: u32 = 30;
/// A credential that ends sooner is spoken of: time for two organisations to agree on a day.
const SOON: Duration = Duration::from_secs(30 * 86_400);
/// How often it is spoken of.
const AGAIN: Duration = Duration::from_secs(86_400);

pub(super) async fn run(
    limiter: Arc<Limiter>,
    policies: Arc<Policies>,
    clock: Arc<dyn Clock>,
    certificate: Option<Time>,
    mut stop: watch::Receiver<bool>,
) {
    let mut spoken: Option<(Revision, Time)> = None;
    for turn in 0_u32.. {
        let now = clock.now();
        let revision = policies.now().revision.clone();
        let again = spoken.as_ref().is_none_or(|(of, at)| *of != revision || now.since(*at) >= AGAIN);
        if again {
            speak(&policies, certificate, now);
            spoken = Some((revision, now));
        }
        let stopping = tokio::select! {
            () = tokio::time::sleep(TURN) => false,
            () = server::stopped(&mut stop) => true,
        };
        let tidied = Arc::clone(&limiter);
        // The disk may take its time, and nobody waits for it here.
        let _ = tokio::task::spawn_blocking(move || {
            if turn % TIDY == 0 { tidied.retain_recent(now) } else { tidied.sync() }
        })
        .await;
        if stopping {
            return;
        }
    }
}

fn speak(policies: &Policies, certificate: Option<Time>, now: Time) {
    let soon = now.after(SOON);
    for expiry in policies.now().expiries.iter().filter(|expiry| expiry.at <= soon) {
        let (partner, credential, expires) = (&expiry.partner, &expiry.credential, expiry.at);
        if expires <= now {
            tracing::warn!(%partner, %credential, %expires, "a credential has expired");
        } else {
            tracing::warn!(%partner, %credential, %expires, "a credential expires soon");
        }
    }
    if let Some(expires) = certificate.filter(|at| *at <= soon) {
        tracing::warn!(%expires, "the gateway's own certificate ends soon");
    }
}

//! Follows the policy folder: what is saved takes force, once two reads in a row agree.

use std::{path::PathBuf, sync::Arc, time::Duration};

use notify::{
    Event, EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::live::Policies;

/// Between two reads that must agree: a checkout in progress is seen half done.
const APART: Duration = Duration::from_millis(20);
/// Looked at this often even without a sign: some file systems give none.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Reloads after every change of `folder`, until `stop` is true.
pub async fn follow(policies: Arc<Policies>, folder: PathBuf, mut stop: watch::Receiver<bool>) {
    let (sender, mut signs) = mpsc::channel::<()>(1);
    // A full channel means that a look is due anyway.
    let watcher = notify::recommended_watcher(move |event| {
        if tells_of_change(&event) {
            let _ = sender.try_send(());
        }
    });
    let mut watcher =
        watcher.inspect_err(|error| tracing::warn!(%error, "policy files are only looked at every 5 s")).ok();
    if let Some(watcher) = &mut watcher
        && let Err(error) = watcher.watch(&folder, RecursiveMode::Recursive)
    {
        tracing::warn!(%error, "policy files are only looked at every 5 s");
    }
    let mut seen = None;
    loop {
        let sign = async { timeout(AT_LEAST, signs.recv()).await.is_ok_and(|sign| sign.is_some()) };
        let told = tokio::select! {
            told = sign => told,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if !told && watcher.is_none() {
            sleep(AT_LEAST).await;
        }
        let Some(settled) = settle(&folder).await else { continue };
        if seen.replace(settled) == Some(settled) {
            continue;
        }
        let before = policies.now().revision.clone();
        match policies.reload().await {
            Ok(revision) if revision != before => tracing::info!(%before, %revision, "policies in force"),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(revision = %before, "policies refused, {before} stays in force\n{error}")
            }
        }
    }
}

/// Our own look opens every file, and is told of it: taken for a sign, each look would cause the next.
fn tells_of_change(event: &notify::Result<Event>) -> bool {
    match event {
        Ok(Event { kind: EventKind::Access(access), .. }) => {
            matches!(access, AccessKind::Close(AccessMode::Write))
        }
        Ok(_) | Err(_) => true,
    }
}

/// The folder's digest, once it has not changed between two reads.
async fn settle(folder: &std::path::Path) -> Option<crate::words::Digest> {
    let look = || super::read(folder).map(|source| source.digest).ok();
    let mut before = look();
    // A folder that changes all the time is looked at again at the next sign.
    for _ in 0..50 {
        sleep(APART).await;
        let now = look();
        if now.is_some() && now == before {
            return now;
        }
        before = now;
    }
    None
}

#[cfg(test)]
mod tests {
    use notify::event::ModifyKind;

    use super::*;

    #[test]
    fn looking_at_a_folder_is_no_sign_of_change() {
        let told = |kind| tells_of_change(&Ok(Event::new(kind)));
        assert!(!told(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!told(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(told(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(told(EventKind::Modify(ModifyKind::Any)));
        assert!(tells_of_change(&Err(notify::Error::generic("the queue overflowed"))));
    }
}

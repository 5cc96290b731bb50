//! `mappers.lock` in the policy folder: which generation of a mapper is live, so that a change in git takes force and a
//! promotion is a revision of the folder. Where the file is absent the registry's own pointer decides.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{
    Terms,
    checked::{Pin, PinnedCanary},
    mappers::{Mappers, load},
    registry::{Index, Out, Registry, Unknown},
};
use crate::{
    mapper::{Host, Mapper},
    words::{Digest, MapperName, Time},
};

const FILE: &str = "mappers.lock";
const HEAD: &str = "# Which generation of each mapper is live. `crossdock plugin promote` and `rollback` write it; so may you.\n";

/// The file's place in a policy folder.
pub(super) fn place(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// What is live of a mapper, and a candidate with its share.
type Line = (String, Option<(String, u8)>);

/// The file's text with one pin more, or another.
pub(super) fn text(
    pins: &BTreeMap<MapperName, Pin>,
    mapper: &Mapper,
    canary: Option<(&Mapper, u8)>,
) -> String {
    let generation =
        |version: &str, digest: Digest| format!("version: {}, digest: {digest}", quoted(version));
    let pinned = |pin: &Pin| {
        let canary = pin.canary.as_ref();
        let canary = canary.map(|canary| (generation(&canary.version, canary.digest), canary.share));
        (generation(&pin.version, pin.digest), canary)
    };
    let mut all: BTreeMap<&MapperName, Line> = pins.iter().map(|(name, pin)| (name, pinned(pin))).collect();
    let canary = canary.map(|(canary, share)| (generation(canary.version(), canary.digest()), share));
    all.insert(mapper.name(), (generation(mapper.version(), mapper.digest()), canary));
    let line = |(name, (live, canary)): (&MapperName, Line)| {
        let canary = canary
            .map(|(canary, share)| format!(",\n  canary: {{ {canary}, share: {share} }}"))
            .unwrap_or_default();
        format!("{}: {{ {live}{canary} }}\n", quoted(name.as_str()))
    };
    all.into_iter().map(line).fold(HEAD.to_owned(), |text, line| text + &line)
}

/// `1.4` would be a number and `null` nothing.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Puts a text in the file's place, whole or not at all, with the mode that the file had.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    // A hidden name: whoever reads the folder in between does not see it.
    let mut new = tempfile::Builder::new().prefix(".mappers.lock").tempfile_in(folder)?;
    new.write_all(text)?;
    if let Ok(before) = fs::metadata(file) {
        new.as_file().set_permissions(before.permissions())?;
    }
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

/// Index and mappers as the file wants them; without a file they are as they were.
///
/// # Errors
/// What it names and is not stored, each at its line.
pub(super) async fn obeyed(
    lock: Option<&BTreeMap<MapperName, Pin>>,
    host: &Host,
    registry: &Registry,
    mappers: &Mappers,
    ready: &BTreeMap<Digest, Mapper>,
    now: Time,
) -> Result<(Index, Mappers), Vec<String>> {
    let (mut index, mut mappers) = (registry.index().clone(), mappers.clone());
    let mut wrong = Vec::new();
    for (name, pin) in lock.into_iter().flatten() {
        let Pin { origin, version, digest, canary } = pin;
        let shelf = index.shelf(name.as_str()).map(|(_, shelf)| shelf);
        match shelf.and_then(|shelf| shelf.pick(name, &digest.to_string()).map(|found| (shelf.live, found))) {
            Err(unknown) => {
                wrong.push(format!("{origin}: {unknown}\n  help: crossdock plugin push {name} --hold"));
                continue;
            }
            Ok((_, found)) if found.version != *version => {
                wrong.push(format!("{origin}: `{version}` is said, and {} has this digest", found.title()));
                continue;
            }
            // What is damaged costs its own operations, pinned or not.
            Ok((live, _)) if live == Some(*digest) && mappers.unusable.contains_key(name) => continue,
            Ok(_) => {}
        }
        let serving = mappers.live.get(name).filter(|live| live.digest() == *digest);
        let loaded = match serving.or_else(|| ready.get(digest)) {
            Some(mapper) => Ok(mapper.clone()),
            None => load(host, registry.folder().to_owned(), *digest).await,
        };
        match loaded {
            Ok(mapper) => {
                index.promote(name, *digest);
                mappers.unusable.remove(name);
                mappers.live.insert(name.clone(), mapper);
            }
            Err(error) => {
                wrong.push(format!("{origin}: {error}"));
                continue;
            }
        }
        if let Err(unknown) = obey_canary(&mut index, name, canary.as_ref(), now) {
            wrong.push(format!("{origin}: {unknown}\n  help: crossdock plugin push {name} --hold"));
        }
    }
    if wrong.is_empty() { Ok((index, mappers)) } else { Err(wrong) }
}

/// The candidate of a pin is out under the terms that it has, if it is out already; a watch goes on.
fn obey_canary(
    index: &mut Index,
    name: &MapperName,
    pinned: Option<&PinnedCanary>,
    now: Time,
) -> Result<(), Unknown> {
    if let Some(pinned) = pinned {
        let (_, shelf) = index.shelf(name.as_str())?;
        shelf.pick(name, &pinned.digest.to_string())?;
    }
    let Some(shelf) = index.mappers.get_mut(name) else { return Ok(()) };
    let serving = shelf.canary.as_ref().filter(|out| out.terms.share > 0);
    match pinned {
        Some(pinned)
            if serving.is_some_and(|out| (out.digest, out.terms.share) == (pinned.digest, pinned.share)) => {}
        Some(pinned) => {
            let terms = Terms::sharing(pinned.share);
            shelf.canary = Some(Out { digest: pinned.digest, terms, by: FILE.to_owned(), since: now });
        }
        None if serving.is_some() => shelf.canary = None,
        None => {}
    }
    Ok(())
}

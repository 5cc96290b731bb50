//! The mappers of a folder, ready to be called: for those who rehearse what a gateway would do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use super::{Tools, bench::Bench, description::FILE, locate::Found};
use crate::{
    mapper::{Host, Mapper},
    words::{Clock, MapperName, Random},
};

/// A host and the mappers that are at hand.
pub struct Hand<'a> {
    bench: Bench<'a>,
    mappers: BTreeMap<MapperName, Mapper>,
}

impl<'a> Hand<'a> {
    /// Opens those of the wanted mappers that `folder` has: components, `NAME.wasm`, and folders of sources, which
    /// are built first.
    ///
    /// # Errors
    /// The folder cannot be read, or a mapper in it cannot be built or loaded.
    pub fn open(
        folder: &Path,
        wanted: &BTreeSet<MapperName>,
        clock: &'a dyn Clock,
        random: &'a dyn Random,
    ) -> anyhow::Result<Self> {
        let bench = Bench::new(Tools { clock, random, verbose: false })?;
        let mut mappers = BTreeMap::new();
        fs::read_dir(folder).map_err(|error| anyhow::anyhow!("{}: {error}", folder.display()))?;
        for name in wanted {
            let component = folder.join(format!("{name}.wasm"));
            let sources = folder.join(name.as_str());
            let found = if component.is_file() {
                Found::Wasm(component)
            } else if sources.join(FILE).is_file() {
                Found::Folder(sources)
            } else {
                continue;
            };
            let mapper = bench.open(&found)?.mapper;
            mappers.insert(mapper.name().clone(), mapper);
        }
        Ok(Self { bench, mappers })
    }

    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        self.bench.host()
    }

    /// The mappers by name.
    pub fn mappers(&self) -> &BTreeMap<MapperName, Mapper> {
        &self.mappers
    }
}

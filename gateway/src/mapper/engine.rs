//! The one engine: which Wasm is allowed, how it is compiled, and how its instances are pooled.

use std::hash::{DefaultHasher, Hash, Hasher};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm,
};

use super::Error;

/// The most memory that one instance may have, whatever a limit says: the size of a pool slot.
pub(super) const SLOT_MEMORY: usize = 64 << 20;

/// Core instances in one component: interpreters come with about ten (shims, adapters, libraries).
pub(super) const CORE_INSTANCES: u32 = 40;

/// Linear memories in one component. They are summed against the limit; toolchains make one or two.
const MEMORIES: u32 = 4;

/// Tables in one component.
const TABLES: u32 = 16;

/// Elements of one table: the largest interpreter that was built needs about 20,000.
pub(super) const TABLE_ELEMENTS: usize = 100_000;

/// Host stack that one call may use before it traps.
const STACK: usize = 512 << 10;

/// What a fresh instance keeps resident: measured, the SDKs' guests fit it, and the reset is then a plain copy.
const KEEP_MEMORY: usize = 128 << 10;

/// The same for tables.
const KEEP_TABLE: usize = 64 << 10;

/// What code is made for. Only the first serves traffic; the others are for whoever writes a mapper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// To run fast.
    #[default]
    Fast,
    /// To count its instructions (wasmtime's fuel) while it runs.
    Counting,
    /// To be there soon.
    Hasty,
}

impl Code {
    const ALL: [Self; 3] = [Self::Fast, Self::Counting, Self::Hasty];

    /// Its name, by which a compiler in another process is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Counting => "counting",
            Self::Hasty => "hasty",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// An engine whose pool holds as many instances as there are workers.
pub(super) fn serving(workers: u32, code: Code) -> Result<Engine, Error> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(workers)
        .total_core_instances(workers.saturating_mul(CORE_INSTANCES))
        .total_memories(workers.saturating_mul(MEMORIES))
        .total_tables(workers.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(4 << 20)
        .max_memories_per_module(MEMORIES)
        .max_tables_per_module(TABLES)
        .max_memory_size(SLOT_MEMORY)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_MEMORY)
        .table_keep_resident(KEEP_TABLE)
        .pagemap_scan(Enabled::No);
    let mut config = settings(code);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|error| Error::Engine(error.to_string()))
}

/// An engine that only compiles: the same settings without a pool, so that it fits under a limit of address space.
pub(super) fn compiling(code: Code) -> Result<Engine, Error> {
    Engine::new(&settings(code)).map_err(|error| Error::Engine(error.to_string()))
}

/// A number that differs when compiled code of one engine does not fit another.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// What decides over compiled code. Everything that makes results differ between runs or machines is off.
fn settings(code: Code) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(if code == Code::Hasty { OptLevel::None } else { OptLevel::Speed })
        .consume_fuel(code == Code::Counting)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(STACK)
        .wasm_memory64(false);
    if code == Code::Hasty {
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    config
}

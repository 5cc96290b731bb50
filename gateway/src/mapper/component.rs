//! The first door: components with the exports of the contract.

use wasmtime::component::{
    Component as Code, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, TypedFunc,
};

use super::{
    Rejection,
    call::{Desk, Order, Raw, State},
    chain, clip,
    contract::{Contract, Exports},
};

/// A component that is ready to be called.
pub(super) struct Component {
    pre: InstancePre<State>,
    /// Where its exports are.
    pub exports: Exports,
    /// The version of the contract that it was built for.
    pub contract: &'static Contract,
}

/// A linker with all that components of these versions may import.
pub(super) fn linker(engine: &wasmtime::Engine, contracts: &[&Contract]) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for contract in contracts {
        (contract.link)(&mut linker)?;
    }
    Ok(linker)
}

impl Component {
    /// Makes compiled code ready to be called, and checks its exports once for all calls.
    ///
    /// # Safety
    /// The code must come from our own compiler.
    pub unsafe fn prepare(
        linker: &Linker<State>,
        code: &[u8],
        contract: &'static Contract,
    ) -> Result<Self, Rejection> {
        // SAFETY: the caller vouches for the code.
        let code = unsafe { Code::deserialize(linker.engine(), code) }
            .map_err(|error| Rejection::Needs(clip(&error.root_cause().to_string(), 300)))?;
        let exports = (contract.check)(linker.engine(), &code)?;
        let pre = linker.instantiate_pre(&code).map_err(|error| {
            let what = format!("something of another type than the contract says ({})", chain(&error));
            Rejection::Imports(what)
        })?;
        Ok(Self { pre, exports, contract })
    }

    /// Runs one export in a fresh instance.
    ///
    /// # Safety
    /// The export at `index` must have been type-checked against `P` and `R`.
    pub unsafe fn run<P, R>(&self, desk: &Desk, index: ComponentExportIndex, order: Order, input: P) -> Raw<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        desk.run(order, None, |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            let export = instance
                .get_func(&mut *store, index)
                .ok_or_else(|| wasmtime::Error::msg("the export is gone"))?;
            // SAFETY: the caller vouches for the type of the export.
            let export = unsafe { TypedFunc::<P, R>::new_unchecked(export) };
            export.call(&mut *store, input)
        })
    }
}

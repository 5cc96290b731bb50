//! The versions of the contract that this host serves. A version is one entry of [`SERVED`]: what its mappers may
//! import, what they must export, and how a call is lowered and lifted. Everything else is the same for all.

use wasmtime::{
    StoreContextMut,
    component::{
        Component as Code, ComponentExportIndex, ComponentNamedList, Lift, Linker, Lower, WasmList, WasmStr,
        types::ComponentItem,
    },
};

use super::{
    Outcome, Recorded, Rejection,
    call::{Context, Desk, Order, Raw, State},
    chain,
    component::Component,
    manifest::CONTRACT,
    tables::{KEY_BYTES, KEY_COLUMNS, Row},
    wire,
};
use crate::words::Document;

/// One version of the contract.
pub(super) struct Contract {
    /// Its name in a manifest: `crossdock:mapper@1.0.0`.
    pub name: &'static str,
    /// The interfaces that its components may import.
    pub imports: &'static [&'static str],
    /// What they must export.
    pub exports: &'static [&'static str],
    /// Adds its interfaces to the linker of all versions; their names carry the version.
    pub link: fn(&mut Linker<State>) -> wasmtime::Result<()>,
    /// Checks the types of the exports, once for all calls.
    pub check: fn(&wasmtime::Engine, &Code) -> Result<Exports, Rejection>,
    /// Calls `to-canonical`.
    pub to_canonical: fn(&Component, &Desk, Order, &Context, &Document) -> Raw<wire::ToResult>,
    /// Calls `from-canonical`.
    pub from_canonical: fn(&Component, &Desk, Order, &Context, &[Recorded]) -> Raw<wire::FromResult>,
    /// Calls `acknowledge`.
    pub acknowledge: fn(&Component, &Desk, Order, &Context, &[Outcome]) -> Raw<wire::AcknowledgeResult>,
}

/// Where the exports of a component are.
pub(super) struct Exports {
    pub to_canonical: ComponentExportIndex,
    pub from_canonical: ComponentExportIndex,
    pub acknowledge: ComponentExportIndex,
}

/// All versions that are served.
pub(super) static SERVED: &[&Contract] = &[&V1_0];

/// `crossdock:mapper@1.0.0`.
pub(super) static V1_0: Contract = Contract {
    name: CONTRACT,
    imports: &["crossdock:mapper/log@1.0.0", "crossdock:mapper/tables@1.0.0", "crossdock:mapper/types@1.0.0"],
    exports: &["to-canonical", "from-canonical", "acknowledge"],
    link: |linker| {
        linker.instance("crossdock:mapper/types@1.0.0")?;
        linker.instance("crossdock:mapper/tables@1.0.0")?.func_wrap("lookup", look_up)?;
        linker.instance("crossdock:mapper/log@1.0.0")?.func_wrap("write", write_log)
    },
    check: |engine, code| {
        let to_canonical = export::<wire::ToParams<'_>, wire::ToResult>(engine, code, "to-canonical")?;
        let from_canonical =
            export::<wire::FromParams<'_>, wire::FromResult>(engine, code, "from-canonical")?;
        let acknowledge =
            export::<wire::AcknowledgeParams<'_>, wire::AcknowledgeResult>(engine, code, "acknowledge")?;
        Ok(Exports { to_canonical, from_canonical, acknowledge })
    },
    to_canonical: |component, desk, order, context, document| {
        let input = (wire::ContextIn::new(context), wire::DocumentIn::new(document));
        let index = component.exports.to_canonical;
        // SAFETY: `check` above checked the export at this index against these types.
        unsafe { component.run::<wire::ToParams<'_>, wire::ToResult>(desk, index, order, input) }
    },
    from_canonical: |component, desk, order, context, events| {
        let recorded = events.iter().map(wire::RecordedIn::new).collect();
        let input = (wire::ContextIn::new(context), recorded);
        let index = component.exports.from_canonical;
        // SAFETY: `check` above checked the export at this index against these types.
        unsafe { component.run::<wire::FromParams<'_>, wire::FromResult>(desk, index, order, input) }
    },
    acknowledge: |component, desk, order, context, outcomes| {
        let ended = outcomes.iter().map(wire::OutcomeIn::new).collect();
        let input = (wire::ContextIn::new(context), ended);
        let index = component.exports.acknowledge;
        // SAFETY: `check` above checked the export at this index against these types.
        unsafe {
            component.run::<wire::AcknowledgeParams<'_>, wire::AcknowledgeResult>(desk, index, order, input)
        }
    },
};

/// Finds an export and checks its type.
pub(super) fn export<P, R>(
    engine: &wasmtime::Engine,
    component: &Code,
    name: &'static str,
) -> Result<ComponentExportIndex, Rejection>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let missing = || Rejection::Exports(format!("`{name}`"));
    let types = component.component_type();
    let item = types.get_export(engine, name).ok_or_else(missing)?;
    let wrong = |what: String| Rejection::Type { export: name, what };
    let ComponentItem::ComponentFunc(function) = item.ty else {
        return Err(wrong("it is not a function".to_owned()));
    };
    if function.async_() {
        return Err(wrong("it is asynchronous".to_owned()));
    }
    function.typecheck::<P, R>(&types.instance_type()).map_err(|error| wrong(chain(&error)))?;
    component.get_export_index(None, name).ok_or_else(missing)
}

/// `tables.lookup`.
pub(super) fn look_up(
    mut store: StoreContextMut<'_, State>,
    (table, key): (WasmStr, WasmList<WasmStr>),
) -> wasmtime::Result<(Option<Row>,)> {
    store.data_mut().count_host_call()?;
    if key.len() > KEY_COLUMNS {
        return Ok((None,));
    }
    let table: Box<str> = table.to_str(&store)?.into();
    let mut columns = Vec::with_capacity(key.len());
    for index in 0..key.len() {
        let Some(column) = key.get(&mut store, index) else { break };
        let column: Box<str> = column?.to_str(&store)?.into();
        columns.push(column);
    }
    // A longer one cannot be in any table, and hashing it would cost what the guest does not pay.
    if table.len() > KEY_BYTES || columns.iter().any(|column| column.len() > KEY_BYTES) {
        return Ok((None,));
    }
    Ok((store.data().tables.lookup(&table, &columns),))
}

/// `log.write`.
pub(super) fn write_log(
    mut store: StoreContextMut<'_, State>,
    (severity, message): (wire::WireSeverity, WasmStr),
) -> wasmtime::Result<()> {
    store.data_mut().count_host_call()?;
    let left = store.data().log.left();
    if left == 0 {
        return Ok(());
    }
    // Cut before it is copied: the guest's string may be as long as its memory.
    let message = super::clip(&message.to_str(&store)?, left);
    store.data_mut().log.write(wire::severity(severity), &message);
    Ok(())
}

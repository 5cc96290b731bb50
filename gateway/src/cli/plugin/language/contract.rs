//! The contract's text and type, for compilers that know neither.

use wit_component::StringEncoding;
use wit_parser::Resolve;

/// `crossdock:mapper@1.0.0`.
pub(super) const TEXT: &str = include_str!("../../../../../plugin-sdk/wit/mapper.wit");
/// The world in it that a mapper is of.
pub(super) const WORLD: &str = "mapper";

/// Writes the contract's type into a core module that exports its functions.
///
/// # Errors
/// The bytes are no module.
pub(in super::super) fn with_type(mut module: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("mapper.wit", TEXT)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(module)
}

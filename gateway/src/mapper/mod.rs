//! The mapper host: everything that names wasmtime.

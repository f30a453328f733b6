//! JSON Schema for arguments and answers, with bounds; houses jsonschema.
//!
//! Schemas come from MCP servers and from users' files, so they are hostile until shown otherwise:
//! [`check`] walks a schema cheaply (size, depth, shape, no remote reference), and [`JsonSchema`]
//! compiles one that passed. The dialect is 2020-12 unless `$schema` names another one that we know.
//! **Absent on purpose:** the network and the file system. A remote `$ref` is an error, never a request.

mod shape;
mod validate;

pub use shape::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, SchemaError, check};
pub use validate::{JsonSchema, Mismatch};

//! houses jsonschema.

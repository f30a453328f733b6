//! houses toml_edit; users know the file by name.

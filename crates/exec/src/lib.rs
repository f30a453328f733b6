//! a frontend that users and SDKs know by name.

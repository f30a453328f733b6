//! The client against a scripted provider.

//! wire: the client of the model provider.

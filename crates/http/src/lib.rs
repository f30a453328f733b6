//! houses reqwest; trust boundary to the network.

//! houses rmcp.

//! trust boundary: the only meeting place of MCP settings and MCP connections.

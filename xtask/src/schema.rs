//! Writes the committed schema files. A test of their crate says when they are stale.

use std::time::Duration;

use anyhow::Result;

use crate::{step, workspace};

const LIMIT: Duration = Duration::from_secs(1200);

/// Writes `docs/config.schema.json` and `docs/requirements.schema.json`: the test that compares them with
/// the types writes them when asked.
pub(crate) fn write_config() -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["test", "--quiet", "-p", "codex-config", "--lib"]);
    command.arg("the_committed_schema_is_current");
    command.env("CODEX_WRITE_CONFIG_SCHEMA", "1");
    step::run("writing the schemas below docs", &mut command, LIMIT)
}

//! `codex mcp tools [NAME] [TOOL]`: what servers offer, asked live.

use std::time::Duration;

use clap::Args;
use codex_mcp::{CatalogTool, ElicitationPolicy, HiddenReason, HiddenTool, ServerTools};
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::error::CliError;
use crate::mask::printable;
use crate::table::pretty;

use super::live::{EXIT_OK, LiveContext, LiveServers, find_server, no_such_tool};

/// Longest description in the table, in columns.
const MAX_DESCRIPTION_COLUMNS: usize = 100;
/// What to tell a user without servers.
const NOTHING_CONFIGURED: &str =
    "No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.";

/// What to tell a user whose servers are all turned off.
const ALL_DISABLED: &str =
    "note: every configured MCP server is disabled; `codex mcp list` shows them";

/// Arguments of `codex mcp tools`.
#[derive(Debug, Args)]
pub(crate) struct ToolsArgs {
    /// Server to ask; all enabled servers when left out
    name: Option<String>,
    /// Tool to show in full
    tool: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Limit of each server's start [default: its startup_timeout_sec]
    #[arg(long, value_name = "SECS", value_parser = super::call::parse_seconds)]
    timeout: Option<Duration>,
    /// Show the tools, too, that a filter, a bad schema or a pin turns off
    #[arg(long)]
    show_hidden: bool,
}

/// One tool as `--json` shows it.
#[derive(Debug, Serialize)]
struct ToolRow {
    server: String,
    name: String,
    wire_name: Option<String>,
    title: Option<String>,
    description: Option<String>,
    state: &'static str,
    reason: Option<String>,
    approval_mode: Option<codex_protocol::ToolApprovalMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approve_when: Option<codex_protocol::ApproveWhen>,
    annotations: Value,
    input_schema: Value,
    output_schema: Value,
    schema_bytes: usize,
}

/// Runs the verb; returns the exit code.
pub(crate) async fn run(args: ToolsArgs, mut context: LiveContext<'_>) -> Result<u8, CliError> {
    let config = context.config;
    let servers = match &args.name {
        Some(name) => vec![find_server(config, context.layers, name)?.clone()],
        None => config
            .mcp_servers
            .values()
            .filter(|server| server.is_enabled())
            .cloned()
            .collect(),
    };
    if servers.is_empty() {
        if !config.mcp_servers.is_empty() {
            writeln!(context.err, "{ALL_DISABLED}")?;
            if !args.json {
                return Ok(EXIT_OK);
            }
        }
        writeln!(
            context.out,
            "{}",
            if args.json { "[]" } else { NOTHING_CONFIGURED }
        )?;
        return Ok(EXIT_OK);
    }
    let policy = ElicitationPolicy::Decline("`mcp tools` does not ask");
    let mut live = LiveServers::start(&context, servers, args.timeout, policy);
    let result = show(&args, &mut live, &mut context).await;
    live.stop().await;
    result
}

async fn show(
    args: &ToolsArgs,
    live: &mut LiveServers,
    context: &mut LiveContext<'_>,
) -> Result<u8, CliError> {
    live.settle(context).await?;
    let mut failures = live.failures();
    if args.name.is_some()
        && let Some(failure) = failures.pop()
    {
        return Err(failure);
    }
    let catalog = live.handle.catalog();
    let mut rows: Vec<ToolRow> = catalog.servers().iter().flat_map(rows_of).collect();
    if let (Some(wanted), Some(server)) = (&args.tool, catalog.servers().first()) {
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        rows.retain(|row| row.name == *wanted);
        if rows.is_empty() {
            return Err(no_such_tool(
                &server.server,
                wanted,
                names.iter().map(String::as_str),
            ));
        }
    } else if !args.show_hidden {
        rows.retain(|row| row.state == "on");
    }
    let text = match (args.json, &args.tool) {
        (true, _) => pretty(&rows)?,
        (false, Some(_)) => rows
            .iter()
            .map(detail)
            .collect::<Result<Vec<_>, _>>()?
            .join("\n"),
        // Every server failed: there is nothing that the header could stand above.
        (false, None) if catalog.servers().is_empty() => String::new(),
        (false, None) => table(&rows),
    };
    context.out.write_all(text.as_bytes())?;
    context.out.flush()?;
    for server in catalog.servers() {
        let n_hidden = server.hidden.len();
        if n_hidden > 0 && !args.show_hidden && args.tool.is_none() && !args.json {
            let tools = if n_hidden == 1 { "tool" } else { "tools" };
            writeln!(
                context.err,
                "note: {} hides {n_hidden} {tools}; --show-hidden shows them",
                server.server
            )?;
        }
    }
    for failure in &failures {
        write!(context.err, "{failure}")?;
    }
    Ok(failures
        .iter()
        .map(|failure| failure.exit_code())
        .min()
        .unwrap_or(EXIT_OK))
}

fn rows_of(server: &ServerTools) -> Vec<ToolRow> {
    let name = server.server.as_str();
    let mut rows: Vec<ToolRow> = server
        .tools
        .iter()
        .map(|tool| ToolRow::on(name, tool))
        .collect();
    rows.extend(server.hidden.iter().map(|tool| ToolRow::hidden(name, tool)));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

impl ToolRow {
    fn on(server: &str, tool: &CatalogTool) -> Self {
        let definition = &tool.definition;
        Self {
            server: server.to_owned(),
            name: definition.name.clone(),
            wire_name: Some(tool.flat.clone()),
            title: definition.title.clone(),
            description: definition.description.clone(),
            state: "on",
            reason: None,
            approval_mode: Some(tool.approval_mode),
            approve_when: tool.approve_when.as_deref().cloned(),
            annotations: definition
                .raw
                .get("annotations")
                .cloned()
                .unwrap_or_default(),
            input_schema: definition.input_schema.clone(),
            output_schema: definition.output_schema.clone().unwrap_or_default(),
            schema_bytes: tool.parameters.to_string().len(),
        }
    }

    fn hidden(server: &str, tool: &HiddenTool) -> Self {
        let (state, reason) = match &tool.reason {
            HiddenReason::Filter(by) => ("off", (*by).to_owned()),
            HiddenReason::Invalid(why) => ("invalid", why.clone()),
            HiddenReason::Held(why) => ("held", why.clone()),
        };
        let definition = tool.definition.as_deref();
        let input_schema = definition
            .map(|tool| tool.input_schema.clone())
            .unwrap_or_default();
        Self {
            server: server.to_owned(),
            name: tool.name.clone(),
            wire_name: None,
            title: definition.and_then(|tool| tool.title.clone()),
            description: definition.and_then(|tool| tool.description.clone()),
            state,
            reason: Some(reason),
            approval_mode: None,
            approve_when: None,
            annotations: definition
                .and_then(|tool| tool.raw.get("annotations").cloned())
                .unwrap_or_default(),
            schema_bytes: if input_schema.is_null() {
                0
            } else {
                input_schema.to_string().len()
            },
            input_schema,
            output_schema: definition
                .and_then(|tool| tool.output_schema.clone())
                .unwrap_or_default(),
        }
    }

    fn state_cell(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} ({reason})", self.state),
            None => self.state.to_owned(),
        }
    }

    fn approval_cell(&self) -> String {
        let word = self
            .approval_mode
            .and_then(|mode| serde_json::to_value(mode).ok());
        let word = word.as_ref().and_then(Value::as_str).unwrap_or("-");
        match self.approve_when {
            Some(_) => format!("{word}, approve_when"),
            None => word.to_owned(),
        }
    }
}

fn table(rows: &[ToolRow]) -> String {
    let header = ["Server", "Tool", "State", "Approval", "Description"].map(str::to_owned);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| {
        // A fault is a sentence: beside the state it would make the column wider than the screen.
        let (state, description) = match (row.state, &row.reason) {
            ("invalid" | "held", Some(why)) => (row.state.to_owned(), Some(why.as_str())),
            _ => (row.state_cell(), row.description.as_deref()),
        };
        let description = description.or(row.title.as_deref()).unwrap_or("-");
        [
            printable(&row.server),
            printable(&row.name),
            printable(&state),
            row.approval_cell(),
            one_line(description),
        ]
    }));
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].width())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
        }
        text.push_str(&line[4]);
        text.push('\n');
    }
    text
}

fn detail(row: &ToolRow) -> Result<String, CliError> {
    let mut text = format!("{}/{}\n", printable(&row.server), printable(&row.name));
    let mut line =
        |key: &str, value: &str| text.push_str(&format!("  {key}: {}\n", printable(value)));
    if let Some(title) = &row.title {
        line("title", title);
    }
    line("state", &row.state_cell());
    line("approval", &row.approval_cell());
    line("wire name", row.wire_name.as_deref().unwrap_or("-"));
    line("schema bytes", &row.schema_bytes.to_string());
    if let Value::Object(annotations) = &row.annotations {
        for (key, value) in annotations {
            line(key, &value.to_string());
        }
    }
    if let Some(description) = &row.description {
        text.push('\n');
        for line in description.trim_end().lines() {
            text.push_str(&printable(line));
            text.push('\n');
        }
    }
    for (title, schema) in [
        ("input schema", &row.input_schema),
        ("output schema", &row.output_schema),
    ] {
        text.push_str(&format!("\n{title}:"));
        if schema.is_null() {
            text.push_str(" -\n");
        } else {
            text.push('\n');
            text.push_str(&pretty(schema)?);
        }
    }
    Ok(text)
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = printable(&line);
    if line.width() <= MAX_DESCRIPTION_COLUMNS {
        return line;
    }
    let mut cut = String::new();
    for c in line.chars() {
        if cut.width() >= MAX_DESCRIPTION_COLUMNS - 1 {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, name: &str, description: &str) -> ToolRow {
        ToolRow {
            server: server.to_owned(),
            name: name.to_owned(),
            wire_name: Some(format!("mcp__{server}__{name}")),
            title: None,
            description: Some(description.to_owned()),
            state: "on",
            reason: None,
            approval_mode: Some(codex_protocol::ToolApprovalMode::Auto),
            approve_when: None,
            annotations: serde_json::json!({"readOnlyHint": true}),
            input_schema: serde_json::json!({"type": "object"}),
            output_schema: Value::Null,
            schema_bytes: 17,
        }
    }

    #[test]
    fn the_table_has_the_form_of_the_contract() {
        let mut drop = row("docs", "drop", "Delete a page");
        drop.state = "off";
        drop.reason = Some("disabled_tools".to_owned());
        drop.approval_mode = None;
        insta::assert_snapshot!(table(&[row("docs", "search", "Search\n the manual"), drop]), @r"
        Server  Tool    State                 Approval  Description
        docs    search  on                    auto      Search the manual
        docs    drop    off (disabled_tools)  -         Delete a page
        ");
    }

    #[test]
    fn wide_and_control_characters_keep_the_columns() {
        insta::assert_snapshot!(table(&[row("日本", "a\u{1b}[2Jb", "x"), row("s", "t", "y")]), @r"
        Server  Tool       State  Approval  Description
        日本    a\x1b[2Jb  on     auto      x
        s       t          on     auto      y
        ");
    }

    #[test]
    fn a_tool_in_full_shows_its_schemas() {
        insta::assert_snapshot!(detail(&row("docs", "search", "Search\nthe manual")).unwrap(), @r#"
        docs/search
          state: on
          approval: auto
          wire name: mcp__docs__search
          schema bytes: 17
          readOnlyHint: true

        Search
        the manual

        input schema:
        {
          "type": "object"
        }

        output schema: -
        "#);
    }
}

//! Which tools the model is offered, and what a call of it means.
//!
//! Both directions are pure. Equal catalogs give equal bytes, because providers cache the beginning
//! of a request and the tools stand there. A call is looked up in the catalog's table of spellings;
//! whatever cannot run becomes [`Route::Refused`] with a sentence for the model, never an error.

use codex_api_types::{CallOutput, FunctionCall, NamespaceTool, ResponseItem, ToolSpec};
use codex_mcp::{CatalogTool, ServerTools, ToolCatalog};
use codex_model::ToolDialect;
use codex_protocol::TodoItem;
use serde_json::{Map, Value};

use crate::plan;
use crate::settings::{ThreadSettings, WebSearchMode};

/// So many characters of a server's own words describe its namespace.
const INSTRUCTIONS_LIMIT: usize = 512;
/// The server name of everything that is not a tool of an MCP server.
const OWN: &str = "codex";

/// Returns the tools in the order of the contract.
pub(crate) fn specs(settings: &ThreadSettings, catalog: &ToolCatalog) -> Vec<ToolSpec> {
    let mut specs = Vec::new();
    if settings.update_plan {
        specs.push(ToolSpec::function(
            plan::NAME,
            plan::DESCRIPTION,
            plan::parameters(),
        ));
    }
    let search = match (settings.dialect, settings.web_search) {
        (ToolDialect::Plain, _) | (_, WebSearchMode::Disabled) => None,
        (ToolDialect::OpenAi, WebSearchMode::Cached) => Some(false),
        (ToolDialect::OpenAi, WebSearchMode::Live) => Some(true),
    };
    specs.extend(search.map(|external_web_access| ToolSpec::WebSearch {
        external_web_access,
    }));
    for server in catalog
        .servers()
        .iter()
        .filter(|server| !server.tools.is_empty())
    {
        match settings.dialect {
            ToolDialect::OpenAi => specs.push(namespace(server)),
            ToolDialect::Plain => {
                specs.extend(server.tools.iter().map(|tool| function(&tool.flat, tool)));
            }
        }
    }
    specs
}

fn namespace(server: &ServerTools) -> ToolSpec {
    let description = match server.instructions.as_deref().map(str::trim) {
        Some(words) if !words.is_empty() => words.chars().take(INSTRUCTIONS_LIMIT).collect(),
        _ => format!("Tools of the MCP server `{}`.", server.server),
    };
    ToolSpec::Namespace(NamespaceTool {
        name: server.namespace.clone(),
        description,
        tools: server
            .tools
            .iter()
            .map(|tool| function(&tool.name, tool))
            .collect(),
    })
}

fn function(name: &str, tool: &CatalogTool) -> ToolSpec {
    let definition = &tool.definition;
    let description = definition
        .description
        .as_ref()
        .or(definition.title.as_ref());
    ToolSpec::function(
        name,
        description.cloned().unwrap_or_default(),
        tool.parameters.clone(),
    )
}

/// A call of the model and what is to be done.
#[derive(Debug)]
pub(crate) struct Routed {
    /// Joins the call and its output.
    pub(crate) call_id: String,
    /// The shape of its output.
    pub(crate) wire: OutputWire,
    /// What is to be done.
    pub(crate) route: Route,
}

/// The shape of a call's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputWire {
    Function,
    Custom,
}

impl OutputWire {
    /// Returns the shape of the output that belongs to a call.
    pub(crate) fn of(call: &ResponseItem) -> Self {
        match call {
            ResponseItem::CustomToolCall(_) => Self::Custom,
            _ => Self::Function,
        }
    }

    /// Makes an output.
    pub(crate) fn output(self, call_id: String, output: impl Into<CallOutput>) -> ResponseItem {
        match self {
            Self::Function => ResponseItem::function_output(call_id, output),
            Self::Custom => ResponseItem::custom_output(call_id, output),
        }
    }
}

/// What is to be done with a call.
#[derive(Debug)]
pub(crate) enum Route {
    /// A tool of an MCP server.
    Mcp {
        tool: Box<CatalogTool>,
        arguments: Map<String, Value>,
    },
    /// The plan changes.
    Plan(Vec<TodoItem>),
    /// Nothing can be run.
    Refused(Refused),
}

/// A call that cannot run, as its item shows it.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) server: String,
    pub(crate) tool: String,
    /// Parsed, or the raw text as a string.
    pub(crate) arguments: Value,
    /// One sentence, for the model and for the item.
    pub(crate) message: String,
}

/// Decides what a call means; `None` when the item is no call of ours.
pub(crate) fn route(
    item: &ResponseItem,
    settings: &ThreadSettings,
    catalog: &ToolCatalog,
) -> Option<Routed> {
    let (call_id, route) = match item {
        ResponseItem::FunctionCall(call) => (&call.call_id, function_call(call, settings, catalog)),
        ResponseItem::CustomToolCall(call) => {
            let input = Value::String(call.input.clone());
            (
                &call.call_id,
                unsupported(None, &call.name, input, settings, catalog),
            )
        }
        ResponseItem::LocalShellCall(call) => {
            let route = unsupported(
                None,
                "local_shell_call",
                call.action.clone(),
                settings,
                catalog,
            );
            (&call.call_id, route)
        }
        ResponseItem::Message(_)
        | ResponseItem::Reasoning(_)
        | ResponseItem::WebSearchCall(_)
        | ResponseItem::FunctionCallOutput(_)
        | ResponseItem::CustomToolCallOutput(_)
        | ResponseItem::Other(_) => return None,
    };
    Some(Routed {
        call_id: call_id.clone(),
        wire: OutputWire::of(item),
        route,
    })
}

fn function_call(call: &FunctionCall, settings: &ThreadSettings, catalog: &ToolCatalog) -> Route {
    let namespace = call
        .namespace
        .as_deref()
        .filter(|namespace| !namespace.is_empty());
    if let Some(tool) = catalog.lookup(namespace, &call.name) {
        return match parse_object(&call.arguments) {
            Ok(arguments) => Route::Mcp {
                tool: Box::new(tool.clone()),
                arguments,
            },
            Err(why) => malformed(tool.tool.server.as_str(), &tool.tool.tool, call, &why),
        };
    }
    if settings.update_plan && namespace.is_none() && call.name == plan::NAME {
        return match plan::parse(&call.arguments) {
            Ok(items) => Route::Plan(items),
            Err(error) => malformed(OWN, plan::NAME, call, &error.to_string()),
        };
    }
    let arguments = serde_json::from_str(&call.arguments)
        .unwrap_or_else(|_| Value::String(call.arguments.clone()));
    unsupported(namespace, &call.name, arguments, settings, catalog)
}

/// Reads arguments; a tool without any is often called with nothing at all.
fn parse_object(arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn malformed(server: &str, tool: &str, call: &FunctionCall, why: &str) -> Route {
    Route::Refused(Refused {
        server: server.to_owned(),
        tool: tool.to_owned(),
        arguments: Value::String(call.arguments.clone()),
        message: format!("failed to parse function arguments: {why}"),
    })
}

fn unsupported(
    namespace: Option<&str>,
    name: &str,
    arguments: Value,
    settings: &ThreadSettings,
    catalog: &ToolCatalog,
) -> Route {
    let called = match namespace {
        Some(namespace) if !name.starts_with(namespace) => format!("{namespace}__{name}"),
        _ => name.to_owned(),
    };
    let mut near = catalog.nearest(namespace, name);
    if settings.update_plan {
        near.extend(codex_utils_fuzzy_match::nearest(name, [plan::NAME]).map(str::to_owned));
    }
    let mut message = format!("unsupported call: {called}");
    if !near.is_empty() {
        message.push_str(&format!("; nearest: {}", near.join(", ")));
    }
    Route::Refused(Refused {
        server: OWN.to_owned(),
        tool: called,
        arguments,
        message,
    })
}

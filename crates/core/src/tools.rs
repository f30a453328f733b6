//! Which tools the model is offered, and what a call of it means.
//!
//! What is offered depends on settings and catalog alone: equal catalogs give equal bytes, because providers cache the beginning
//! of a request and the tools stand there. A call is looked up in the catalog's table of spellings;
//! whatever cannot run becomes [`Route::Refused`] with a sentence for the model, never an error.

use codex_api_types::{CallOutput, FunctionCall, NamespaceTool, ResponseItem, ToolSpec};
use codex_mcp::{CatalogTool, McpHandle, ServerTools, ToolCatalog};
use codex_model::ToolDialect;
use codex_protocol::TodoItem;
use codex_tools::request::{self, Request};
use codex_tools::specs::{self, PatchForm};
use serde_json::{Map, Value};

use crate::models;
use crate::plan;
use crate::resources::{self, ResourceRequest, ResourceTools};
use crate::settings::{CommandTools, ThreadSettings, WebSearchMode};
use crate::skills;

/// So many characters of a server's own words describe its namespace.
const INSTRUCTIONS_LIMIT: usize = 512;
/// The server name of everything that is not a tool of an MCP server.
pub(crate) const OWN: &str = "codex";

/// What there is to offer, and to look a call up in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Toolbox<'a> {
    pub(crate) settings: &'a ThreadSettings,
    pub(crate) catalog: &'a ToolCatalog,
    pub(crate) resources: ResourceTools,
    /// Asked only which servers are absent.
    pub(crate) mcp: &'a McpHandle,
}

impl Toolbox<'_> {
    /// Returns the tools in the order of the contract.
    pub(crate) fn specs(&self) -> Vec<ToolSpec> {
        let settings = self.settings;
        let mut specs = Vec::new();
        match settings.tools.commands {
            CommandTools::Sessions => {
                specs.extend([specs::exec_command(), specs::write_stdin()]);
            }
            CommandTools::Classic => specs.push(specs::shell()),
            CommandTools::Absent => {}
        }
        if settings.tools.apply_patch {
            let form = match settings.dialect {
                ToolDialect::OpenAi if models::knows_grammars(&settings.model) => {
                    PatchForm::Freeform
                }
                ToolDialect::OpenAi | ToolDialect::Plain => PatchForm::Function,
            };
            specs.push(specs::apply_patch(form));
        }
        if settings.update_plan {
            specs.push(ToolSpec::function(
                plan::NAME,
                plan::DESCRIPTION,
                plan::parameters(),
            ));
        }
        if settings.tools.view_image {
            specs.push(specs::view_image());
        }
        if self.resources == ResourceTools::Offered {
            specs.extend(resources::specs());
        }
        if skills::are_offered(self.catalog) {
            specs.extend(skills::specs(self.catalog));
        }
        let search = match (settings.dialect, settings.web_search) {
            (ToolDialect::Plain, _) | (_, WebSearchMode::Disabled) => None,
            (ToolDialect::OpenAi, WebSearchMode::Cached) => Some(false),
            (ToolDialect::OpenAi, WebSearchMode::Live) => Some(true),
        };
        specs.extend(search.map(|external_web_access| ToolSpec::WebSearch {
            external_web_access,
        }));
        let servers = self.catalog.servers().iter();
        for server in servers.filter(|server| !server.tools.is_empty()) {
            match settings.dialect {
                ToolDialect::OpenAi => specs.push(namespace(server)),
                ToolDialect::Plain => {
                    specs.extend(server.tools.iter().map(|tool| function(&tool.flat, tool)));
                }
            }
        }
        specs
    }
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
    /// Resources of MCP servers are listed or read.
    Resources {
        request: ResourceRequest,
        /// The tool's name, for the item.
        tool: String,
        /// For the item.
        arguments: Value,
    },
    /// A built-in tool.
    AtHand(Request),
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

impl Toolbox<'_> {
    /// Decides what a call means; `None` when the item is no call of ours.
    pub(crate) fn route(&self, item: &ResponseItem) -> Option<Routed> {
        let (call_id, route) = match item {
            ResponseItem::FunctionCall(call) => (&call.call_id, self.function_call(call)),
            ResponseItem::CustomToolCall(call) => {
                let route = match call.name.as_str() {
                    specs::APPLY_PATCH if self.settings.tools.apply_patch => {
                        Route::AtHand(request::patch(call.input.clone()))
                    }
                    name => {
                        let input = Value::String(call.input.clone());
                        self.unsupported(None, name, input)
                    }
                };
                (&call.call_id, route)
            }
            ResponseItem::LocalShellCall(call) => (&call.call_id, self.local_shell(&call.action)),
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

    fn function_call(&self, call: &FunctionCall) -> Route {
        let namespace = call.namespace.as_deref().filter(|name| !name.is_empty());
        if let Some(tool) = self.catalog.lookup(namespace, &call.name) {
            return match parse_object(&call.arguments) {
                Ok(arguments) => Route::Mcp {
                    tool: Box::new(tool.clone()),
                    arguments,
                },
                Err(why) => malformed(tool.tool.server.as_str(), &tool.tool.tool, call, &why),
            };
        }
        let own = match namespace {
            None => self.own_function(call),
            Some(_) => None,
        };
        own.or_else(|| self.of_absent_server(namespace, call))
            .unwrap_or_else(|| self.unsupported(namespace, &call.name, shown(&call.arguments)))
    }

    /// Refuses a call of a server whose tools are not there yet; `None` when it is of no such server.
    fn of_absent_server(&self, namespace: Option<&str>, call: &FunctionCall) -> Option<Route> {
        // A server's name may begin with another's, so the longest namespace that fits is meant.
        let in_namespace = |known: &str| {
            let name = call.name.as_str();
            let flat = name
                .strip_prefix(known)
                .and_then(|rest| rest.strip_prefix("__"));
            match namespace {
                Some(given) => (given == known).then(|| flat.unwrap_or(name)),
                None => flat,
            }
        };
        let ready = self.catalog.servers().iter();
        let ready = ready.filter(|server| in_namespace(&server.namespace).is_some());
        let n_ready = ready.map(|server| server.namespace.len()).max();
        let absent = self.mcp.absent(self.catalog).into_iter();
        let (server, tool) = absent
            .filter_map(|server| {
                let tool = in_namespace(&server.namespace)?;
                Some((server, tool))
            })
            .max_by_key(|(server, _)| server.namespace.len())
            .filter(|(server, _)| n_ready.is_none_or(|n_ready| server.namespace.len() > n_ready))?;
        Some(Route::Refused(Refused {
            server: server.server.to_string(),
            tool: tool.to_owned(),
            arguments: shown(&call.arguments),
            message: server.why,
        }))
    }

    /// Decides what a call of the engine's own tools means; `None` when it is none of them.
    fn own_function(&self, call: &FunctionCall) -> Option<Route> {
        let malformed =
            |why: &dyn std::fmt::Display| malformed(OWN, &call.name, call, &why.to_string());
        if self.settings.update_plan && call.name == plan::NAME {
            let items = plan::parse(&call.arguments);
            return Some(items.map_or_else(|error| malformed(&error), Route::Plan));
        }
        if self.offers_hand(&call.name) {
            let shell = &self.settings.shell_path;
            if let Some(read) = request::parse(&call.name, &call.arguments, shell) {
                return Some(match read {
                    Ok(request) => Route::AtHand(request),
                    Err(error) => Route::Refused(Refused {
                        server: OWN.to_owned(),
                        tool: call.name.clone(),
                        arguments: Value::String(call.arguments.clone()),
                        message: error.to_string(),
                    }),
                });
            }
        }
        if self.resources == ResourceTools::Absent {
            return None;
        }
        let parsed = match skills::are_offered(self.catalog) {
            true => skills::parse(&call.name, &call.arguments),
            false => None,
        };
        let parsed = parsed.or_else(|| resources::parse(&call.name, &call.arguments));
        Some(match parsed? {
            Ok(request) => Route::Resources {
                request,
                tool: call.name.clone(),
                arguments: shown(&call.arguments),
            },
            Err(error) => malformed(&error),
        })
    }

    /// Whether a built-in tool of this name, or of another spelling of it, may be called.
    fn offers_hand(&self, name: &str) -> bool {
        let tools = self.settings.tools;
        match name {
            specs::APPLY_PATCH => tools.apply_patch,
            specs::VIEW_IMAGE => tools.view_image,
            name => request::runs_commands(name) && tools.commands != CommandTools::Absent,
        }
    }

    fn local_shell(&self, action: &Value) -> Route {
        const NAME: &str = "local_shell_call";
        if self.settings.tools.commands == CommandTools::Absent {
            return self.unsupported(None, NAME, action.clone());
        }
        match request::parse_local_shell(action, &self.settings.shell_path) {
            Ok(request) => Route::AtHand(request),
            Err(error) => Route::Refused(Refused {
                server: OWN.to_owned(),
                tool: NAME.to_owned(),
                arguments: action.clone(),
                message: error.to_string(),
            }),
        }
    }

    fn unsupported(&self, namespace: Option<&str>, name: &str, arguments: Value) -> Route {
        let called = match namespace {
            Some(namespace) if !name.starts_with(namespace) => format!("{namespace}__{name}"),
            _ => name.to_owned(),
        };
        let mut near = self.catalog.nearest(namespace, name);
        near.extend(codex_utils_fuzzy_match::nearest(name, self.own_names()).map(str::to_owned));
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

    fn own_names(&self) -> Vec<&'static str> {
        let tools = self.settings.tools;
        let mut names = match tools.commands {
            CommandTools::Sessions => vec![specs::EXEC_COMMAND, specs::WRITE_STDIN],
            CommandTools::Classic => vec![specs::SHELL],
            CommandTools::Absent => Vec::new(),
        };
        names.extend(tools.apply_patch.then_some(specs::APPLY_PATCH));
        names.extend(tools.view_image.then_some(specs::VIEW_IMAGE));
        if self.settings.update_plan {
            names.push(plan::NAME);
        }
        if self.resources == ResourceTools::Offered {
            names.extend(resources::NAMES);
        }
        if skills::are_offered(self.catalog) {
            names.extend(skills::NAMES);
        }
        names
    }
}

/// Returns arguments as an item shows them.
fn shown(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_str(arguments).unwrap_or_else(|_| Value::String(arguments.to_owned()))
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

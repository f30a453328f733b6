//! The tools of all servers at one moment: immutable, so a turn keeps its snapshot to the end.
//!
//! Servers stand by name and tools by name (bytes): equal catalogs give equal requests, which is what
//! the provider's prompt cache needs. Lookup goes through one table of every accepted spelling and
//! never splits a name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use codex_config::McpServerConfig;
use codex_protocol::{ApproveWhen, ServerName, ToolAnnotations, ToolApprovalMode, ToolRef};
use codex_rmcp_client::{ServerInfo, ToolDefinition, ToolList};
use serde_json::Value;

use crate::filter::{FilterVerdict, judge_tool};
use crate::naming::ToolNamer;
use crate::notice::{McpNotice, quoted};
use crate::pins::PinnedTools;
use crate::schema::parameters_for_model;

/// How to be rid of the notice about a tool that cannot be used.
const SILENCE_HINT: &str = "add it to disabled_tools to silence this";

/// The tools of all servers at one moment.
#[derive(Debug, Default)]
pub struct ToolCatalog {
    servers: Vec<ServerTools>,
    /// Every accepted spelling, as (namespace or nothing, name) -> place in `servers`.
    spellings: HashMap<(Option<String>, String), (usize, usize)>,
}

/// The tools of one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerTools {
    /// The server as configured.
    pub server: ServerName,
    /// `mcp__SERVER`, which holds its tools; empty when it has none.
    pub namespace: String,
    /// The server's advice for the model; untrusted text.
    pub instructions: Option<String>,
    /// Whether it offers skills.
    pub has_skills: bool,
    /// The tools on offer, by name.
    pub tools: Vec<CatalogTool>,
    /// The tools that are not on offer, by name, each with its reason.
    pub hidden: Vec<HiddenTool>,
    /// How its list compares with its pins; `None` without `pin_tools`.
    pub pinned: Option<Arc<PinnedTools>>,
}

/// A tool on offer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CatalogTool {
    /// The raw names, for [`crate::McpHandle::call`].
    pub tool: ToolRef,
    /// The namespace in which a model sees it.
    pub namespace: String,
    /// Its name within the namespace.
    pub name: String,
    /// Its name where there are no namespaces.
    pub flat: String,
    /// What the server says about it, schema included; claims, not facts.
    pub definition: Arc<ToolDefinition>,
    /// The schema to offer to a model: the server's own, made to have the shape that providers want.
    pub parameters: Arc<Value>,
    /// Who decides whether it may run.
    pub approval_mode: ToolApprovalMode,
    /// The arguments with which it may, although the mode would ask.
    pub approve_when: Option<Arc<ApproveWhen>>,
    /// Limit of its output in tokens; `None` = the default.
    pub output_token_limit: Option<u64>,
    /// Whether calls may run beside other calls of the same server.
    pub supports_parallel_calls: bool,
}

impl CatalogTool {
    /// Returns what the server claims about the tool's effects.
    pub fn annotations(&self) -> &ToolAnnotations {
        &self.definition.annotations
    }
}

/// A tool that is not on offer.
#[derive(Debug, Clone)]
pub struct HiddenTool {
    /// The server's spelling.
    pub name: String,
    /// Why it is not on offer.
    pub reason: HiddenReason,
    /// What the server sent, unchecked; `None` when that was no JSON object.
    pub definition: Option<Arc<ToolDefinition>>,
}

/// Why a tool is not on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HiddenReason {
    /// The user's filter: `enabled_tools` or `disabled_tools`.
    Filter(&'static str),
    /// The tool cannot be used.
    Invalid(String),
    /// The tool is not what was pinned.
    Held(String),
}

impl ServerTools {
    /// Returns the raw names of the tools that would have the same name for a model and got another
    /// one each, because of characters that no model may write.
    pub fn collisions(&self) -> Vec<&str> {
        let names = self.tools.iter().map(|tool| tool.tool.tool.as_str());
        ToolNamer::falling_together(names.collect())
    }
}

impl ToolCatalog {
    /// Returns every server that has answered, by name.
    pub fn servers(&self) -> &[ServerTools] {
        &self.servers
    }

    /// Returns every tool on offer, by server and name.
    pub fn tools(&self) -> impl Iterator<Item = &CatalogTool> {
        self.servers.iter().flat_map(|server| &server.tools)
    }

    /// Returns the tools of one server.
    pub fn server(&self, name: &ServerName) -> Option<&ServerTools> {
        let found = self
            .servers
            .binary_search_by(|server| server.server.cmp(name));
        found.ok().map(|index| &self.servers[index])
    }

    /// Returns the tool of these raw names.
    pub fn get(&self, tool: &ToolRef) -> Option<&CatalogTool> {
        let tools = &self.server(&tool.server)?.tools;
        let found = tools.binary_search_by(|other| other.tool.tool.cmp(&tool.tool));
        found.ok().map(|index| &tools[index])
    }

    /// Finds the tool that a model's call names, in whichever spelling it chose:
    /// namespace and name, the flat name alone, or the flat name within the namespace.
    pub fn lookup(&self, namespace: Option<&str>, name: &str) -> Option<&CatalogTool> {
        let key = (
            namespace
                .filter(|namespace| !namespace.is_empty())
                .map(str::to_owned),
            name.to_owned(),
        );
        let &(server, tool) = self.spellings.get(&key)?;
        Some(&self.servers[server].tools[tool])
    }

    /// Returns the flat names that are nearest to a name that was not found, best first.
    pub fn nearest(&self, namespace: Option<&str>, name: &str) -> Vec<String> {
        let asked = match namespace {
            Some(namespace) if !name.starts_with(namespace) => format!("{namespace}__{name}"),
            _ => name.to_owned(),
        };
        let flats = self.tools().map(|tool| tool.flat.as_str());
        let near = codex_utils_fuzzy_match::nearest_all(&asked, flats);
        near.into_iter().take(3).map(str::to_owned).collect()
    }

    /// Joins the listings of all servers and gives the tools their names.
    pub(crate) fn build(listings: &BTreeMap<ServerName, Arc<ServerListing>>) -> Self {
        let refs: Vec<ToolRef> = listings
            .iter()
            .flat_map(|(server, listing)| {
                let tools = listing.offered.iter();
                tools.map(|tool| ToolRef {
                    server: server.clone(),
                    tool: tool.definition.name.clone(),
                })
            })
            .collect();
        let mut exposed = refs.iter().cloned().zip(ToolNamer::name_all(&refs));
        let mut catalog = Self::default();
        for (server, listing) in listings {
            let named = listing.offered.iter().zip(exposed.by_ref());
            let tools: Vec<CatalogTool> = named
                .map(|(offered, (tool, exposed))| CatalogTool {
                    tool,
                    namespace: exposed.namespace,
                    name: exposed.name,
                    flat: exposed.flat,
                    definition: offered.definition.clone(),
                    parameters: offered.parameters.clone(),
                    approval_mode: offered.approval_mode,
                    approve_when: offered.approve_when.clone(),
                    output_token_limit: offered.output_token_limit,
                    supports_parallel_calls: offered.supports_parallel_calls,
                })
                .collect();
            catalog.servers.push(ServerTools {
                server: server.clone(),
                namespace: tools
                    .first()
                    .map(|tool| tool.namespace.clone())
                    .unwrap_or_default(),
                instructions: listing.instructions.clone(),
                has_skills: listing.has_skills,
                tools,
                hidden: listing.hidden.clone(),
                pinned: listing.pinned.clone(),
            });
        }
        catalog.note_spellings();
        catalog
    }

    /// Fills the table of spellings. What is offered comes first: a tool whose raw name looks like
    /// the flat name of another keeps its own name, whatever the order.
    fn note_spellings(&mut self) {
        let Self { servers, spellings } = self;
        let places = servers.iter().enumerate().flat_map(|(server, listed)| {
            let tools = listed.tools.iter().enumerate();
            tools.map(move |(index, tool)| ((server, index), tool))
        });
        for (place, tool) in places.clone() {
            let namespace = Some(tool.namespace.clone());
            spellings.insert((namespace, tool.name.clone()), place);
            spellings.insert((None, tool.flat.clone()), place);
        }
        for (place, tool) in places {
            let lenient = (Some(tool.namespace.clone()), tool.flat.clone());
            spellings.entry(lenient).or_insert(place);
        }
    }
}

/// What one server offers after filters and checks, before names are given.
#[derive(Debug, Default)]
pub(crate) struct ServerListing {
    pub(crate) instructions: Option<String>,
    pub(crate) has_skills: bool,
    pub(crate) offered: Vec<OfferedTool>,
    pub(crate) hidden: Vec<HiddenTool>,
    pub(crate) pinned: Option<Arc<PinnedTools>>,
    /// What the user must hear about this list, each once.
    pub(crate) complaints: Vec<McpNotice>,
}

#[derive(Debug)]
pub(crate) struct OfferedTool {
    pub(crate) definition: Arc<ToolDefinition>,
    parameters: Arc<Value>,
    approval_mode: ToolApprovalMode,
    approve_when: Option<Arc<ApproveWhen>>,
    output_token_limit: Option<u64>,
    supports_parallel_calls: bool,
}

impl ServerListing {
    /// Applies filters and checks to what a server listed.
    pub(crate) fn new(
        config: &McpServerConfig,
        info: &ServerInfo,
        list: ToolList,
        pinned: Option<PinnedTools>,
    ) -> Self {
        let holds = |pinned: &PinnedTools| pinned.holds_instructions();
        let instructions = match pinned.as_ref().is_some_and(holds) {
            true => None,
            false => info.instructions.clone(),
        };
        let mut listing = Self {
            instructions,
            has_skills: info.has_skills(),
            pinned: pinned.map(Arc::new),
            ..Self::default()
        };
        let server = &config.name;
        let mut definitions: BTreeMap<String, ToolDefinition> = BTreeMap::new();
        let mut doubles: Vec<String> = Vec::new();
        for definition in list.tools {
            match definitions.entry(definition.name.clone()) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(definition);
                }
                std::collections::btree_map::Entry::Occupied(_) => doubles.push(definition.name),
            }
        }
        let is_wanted = |name: &String| judge_tool(&config.tools, name) == FilterVerdict::On;
        for name in doubles.into_iter().filter(is_wanted) {
            let shown = quoted(&name);
            let text =
                format!("MCP server `{server}` lists tool `{shown}` twice; the first is used");
            listing
                .complaints
                .push(McpNotice::about(server, text).of_tool(&name));
        }
        if let Some(pinned) = &listing.pinned {
            let is_wanted = |tool: &str| is_wanted(&tool.to_owned());
            let complaint = pinned.complaint(server, is_wanted);
            listing.complaints.extend(complaint);
        }
        let unmatched = crate::filter::unmatched(config, |name| {
            definitions.contains_key(name) || list.rejected.iter().any(|tool| tool.name == name)
        });
        listing
            .complaints
            .extend(unmatched.map(|text| McpNotice::about(server, text)));
        for rejected in list.rejected {
            // To turn off a name that is listed twice would turn off the good one, too.
            let hint = (!definitions.contains_key(&rejected.name)).then_some(SILENCE_HINT);
            let definition = rejected.definition;
            match judge_tool(&config.tools, &rejected.name) {
                FilterVerdict::Off(by) => listing.filter_out(by, rejected.name, definition),
                FilterVerdict::On => {
                    listing.hide(server, rejected.name, rejected.why, definition, hint);
                }
            }
        }
        for (name, definition) in definitions {
            listing.take(config, name, definition);
        }
        listing.hidden.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(why) = list.truncated {
            let why = quoted(&why);
            let text = format!("the tools of MCP server `{server}` are incomplete: {why}");
            listing.complaints.push(McpNotice::about(server, text));
        }
        listing
    }

    fn take(&mut self, config: &McpServerConfig, name: String, definition: ToolDefinition) {
        if let FilterVerdict::Off(by) = judge_tool(&config.tools, &name) {
            self.filter_out(by, name, Some(definition));
            return;
        }
        if let Some(why) = self.pinned.as_ref().and_then(|pinned| pinned.held(&name)) {
            // All of them are told in one sentence.
            self.hidden.push(HiddenTool {
                name,
                reason: HiddenReason::Held(why),
                definition: Some(Arc::new(definition)),
            });
            return;
        }
        match parameters_for_model(&definition.input_schema, config.tool_input_schema_max_bytes) {
            Err(why) => {
                let definition = Some(definition);
                self.hide(&config.name, name, why, definition, Some(SILENCE_HINT));
            }
            Ok(parameters) => {
                let settings = config.tool_settings.get(&name);
                self.offered.push(OfferedTool {
                    parameters: Arc::new(parameters),
                    approval_mode: config.approval_mode(&name),
                    approve_when: config.approve_when(&name).cloned().map(Arc::new),
                    output_token_limit: settings.and_then(|settings| settings.output_token_limit),
                    supports_parallel_calls: config.supports_parallel_tool_calls,
                    definition: Arc::new(definition),
                });
            }
        }
    }

    /// Leaves out a tool that the user does not want, and says nothing about it.
    fn filter_out(&mut self, by: &'static str, name: String, definition: Option<ToolDefinition>) {
        self.hidden.push(HiddenTool {
            name,
            reason: HiddenReason::Filter(by),
            definition: definition.map(Arc::new),
        });
    }

    fn hide(
        &mut self,
        server: &ServerName,
        name: String,
        why: String,
        definition: Option<ToolDefinition>,
        hint: Option<&str>,
    ) {
        let shown = quoted(&name);
        let text = format!(
            "tool `{shown}` of MCP server `{server}` is left out: {}",
            quoted(&why)
        );
        self.complaints.push(McpNotice {
            hints: hint.map(str::to_owned).into_iter().collect(),
            ..McpNotice::about(server, text).of_tool(&name)
        });
        let definition = definition.map(Arc::new);
        self.hidden.push(HiddenTool {
            name,
            reason: HiddenReason::Invalid(why),
            definition,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A catalog of servers with these tools.
    fn catalog(servers: &[(&str, &[&str])]) -> ToolCatalog {
        let listings = servers.iter().map(|(server, tools)| {
            let offered = tools.iter().map(|name| OfferedTool {
                definition: Arc::new(ToolDefinition {
                    name: (*name).to_owned(),
                    title: None,
                    description: None,
                    input_schema: Value::Null,
                    output_schema: None,
                    annotations: ToolAnnotations::default(),
                    meta: None,
                    raw: Value::Null,
                }),
                parameters: Arc::default(),
                approval_mode: ToolApprovalMode::Auto,
                approve_when: None,
                output_token_limit: None,
                supports_parallel_calls: false,
            });
            let listing = ServerListing {
                offered: offered.collect(),
                ..ServerListing::default()
            };
            (ServerName::from_config(server), Arc::new(listing))
        });
        ToolCatalog::build(&listings.collect())
    }

    fn found(catalog: &ToolCatalog, namespace: Option<&str>, name: &str) -> Option<String> {
        let tool = catalog.lookup(namespace, name)?;
        Some(tool.tool.to_string())
    }

    #[test]
    fn every_spelling_of_the_contract_is_accepted() {
        let catalog = catalog(&[("s", &["t"])]);
        for (namespace, name) in [
            (Some("mcp__s"), "t"),
            (None, "mcp__s__t"),
            (Some(""), "mcp__s__t"),
            (Some("mcp__s"), "mcp__s__t"),
        ] {
            let found = found(&catalog, namespace, name);
            assert_eq!(found.as_deref(), Some("s/t"), "{namespace:?} {name}");
        }
        assert_eq!(found(&catalog, None, "t"), None);
    }

    #[test]
    fn a_tool_named_like_the_flat_name_of_another_is_the_one_that_is_called() {
        let catalog = catalog(&[("s", &["a", "mcp__s__a"])]);
        let called = found(&catalog, Some("mcp__s"), "mcp__s__a");
        assert_eq!(called.as_deref(), Some("s/mcp__s__a"));
        assert_eq!(found(&catalog, None, "mcp__s__a").as_deref(), Some("s/a"));
    }
}

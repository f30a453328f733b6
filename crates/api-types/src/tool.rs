//! Tools as they are offered to the model.
//!
//! Equal tools give equal bytes: providers cache the beginning of a request, and tools stand before
//! the conversation there. Schemas are shared ([`Arc`]) because the catalog, the request and the
//! recorder hold the same ones.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

/// One entry of `tools`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolSpec {
    /// A function with JSON arguments.
    Function(FunctionTool),
    /// Functions under one name, in the `openai` dialect: one per MCP server.
    Namespace(NamespaceTool),
    /// A tool that takes free text in a grammar.
    Custom {
        /// Name of the tool.
        name: String,
        /// What it does.
        description: String,
        /// `{"type":"grammar","syntax":"lark","definition":…}`
        format: Value,
    },
    /// The provider's own search.
    WebSearch {
        /// Whether it may fetch live pages.
        external_web_access: bool,
    },
}

/// A function with JSON arguments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionTool {
    /// Name of the function.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Whether the provider forces the schema; we never ask for that.
    pub strict: bool,
    /// JSON schema of the arguments, verbatim.
    pub parameters: Arc<Value>,
}

/// Functions under one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamespaceTool {
    /// Name of the namespace.
    pub name: String,
    /// What its functions have in common.
    pub description: String,
    /// Entries of kind [`ToolSpec::Function`].
    pub tools: Vec<ToolSpec>,
}

impl ToolSpec {
    /// Makes a function that is not strict.
    pub fn function(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: impl Into<Arc<Value>>,
    ) -> Self {
        Self::Function(FunctionTool {
            name: name.into(),
            description: description.into(),
            strict: false,
            parameters: parameters.into(),
        })
    }

    /// Returns the exposed name of each function in this entry, `namespace__function` in a
    /// namespace; the provider's own tools have none.
    pub fn exposed_names(&self) -> Vec<String> {
        match self {
            Self::Function(function) => vec![function.name.clone()],
            Self::Custom { name, .. } => vec![name.clone()],
            Self::Namespace(namespace) => {
                let inner = namespace.tools.iter().flat_map(Self::exposed_names);
                inner
                    .map(|name| format!("{}__{name}", namespace.name))
                    .collect()
            }
            Self::WebSearch { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    fn wire(tool: &ToolSpec) -> String {
        serde_json::to_string(tool).unwrap()
    }

    #[test]
    fn a_function_says_that_it_is_not_strict() {
        let tool = ToolSpec::function("f", "does f", json!({"type": "object", "properties": {}}));
        assert_snapshot!(wire(&tool),
            @r#"{"type":"function","name":"f","description":"does f","strict":false,"parameters":{"type":"object","properties":{}}}"#);
    }

    #[test]
    fn a_namespace_holds_functions() {
        let tool = ToolSpec::Namespace(NamespaceTool {
            name: "mcp__t".to_owned(),
            description: "tests".to_owned(),
            tools: vec![ToolSpec::function("echo", "", json!({"type": "object"}))],
        });
        assert_snapshot!(wire(&tool),
            @r#"{"type":"namespace","name":"mcp__t","description":"tests","tools":[{"type":"function","name":"echo","description":"","strict":false,"parameters":{"type":"object"}}]}"#);
        assert_eq!(tool.exposed_names(), ["mcp__t__echo"]);
    }

    #[test]
    fn custom_tools_and_the_search_have_their_own_shape() {
        let custom = ToolSpec::Custom {
            name: "apply_patch".to_owned(),
            description: "patches".to_owned(),
            format: json!({"type": "grammar", "syntax": "lark", "definition": "start: X"}),
        };
        assert_snapshot!(wire(&custom),
            @r#"{"type":"custom","name":"apply_patch","description":"patches","format":{"type":"grammar","syntax":"lark","definition":"start: X"}}"#);
        let search = ToolSpec::WebSearch {
            external_web_access: false,
        };
        assert_snapshot!(wire(&search), @r#"{"type":"web_search","external_web_access":false}"#);
    }
}

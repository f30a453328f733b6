//! The names by which a model calls the tools of MCP servers.
//!
//! Two forms are offered: a namespace `mcp__SERVER` with a tool `TOOL` in it, or one flat name
//! `mcp__SERVER__TOOL`. Raw names may hold any character, so two of them can fall together: then
//! *each* of them gets a suffix made from the raw names, and neither depends on which came first.

use std::collections::HashMap;
use std::fmt::Write as _;

use codex_protocol::{ServerName, ToolRef};
use sha2::{Digest, Sha256};

/// Longest namespace, tool name and flat name, in bytes; what providers accept.
const MAX_NAME_BYTES: usize = 64;
/// Hex digits of the suffix that tells falling-together names apart.
const SUFFIX_DIGITS: usize = 12;

/// How one tool is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedName {
    /// `mcp__SERVER`.
    pub namespace: String,
    /// The tool's name within the namespace.
    pub name: String,
    /// `mcp__SERVER__TOOL`.
    pub flat: String,
}

/// Gives exposed names to a whole catalog at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToolNamer;

impl ToolNamer {
    /// Names every tool; the result has the order of `tools` and depends on their set alone.
    pub fn name_all(tools: &[ToolRef]) -> Vec<ExposedName> {
        let namespaces = Self::namespaces(tools);
        let in_namespace: Vec<Wish> = tools
            .iter()
            .zip(&namespaces)
            .map(|(tool, namespace)| Wish {
                scope: namespace.clone(),
                wanted: sanitize(&tool.tool),
                server: tool.server.as_str(),
                tool: &tool.tool,
            })
            .collect();
        let flat: Vec<Wish> = tools
            .iter()
            .map(|tool| Wish {
                scope: String::new(),
                wanted: format!(
                    "mcp__{}__{}",
                    sanitize(tool.server.as_str()),
                    sanitize(&tool.tool)
                ),
                server: tool.server.as_str(),
                tool: &tool.tool,
            })
            .collect();
        let (names, flats) = (settle(&in_namespace), settle(&flat));
        let exposed = namespaces.into_iter().zip(names).zip(flats);
        exposed
            .map(|((namespace, name), flat)| ExposedName {
                namespace,
                name,
                flat,
            })
            .collect()
    }

    /// Returns those of the tools of one server that fall together without a suffix.
    pub(crate) fn falling_together(tools: Vec<&str>) -> Vec<&str> {
        let mut wanted: HashMap<String, usize> = HashMap::new();
        for tool in &tools {
            *wanted.entry(sanitize(tool)).or_default() += 1;
        }
        let is_shared = |tool: &&str| wanted.get(&sanitize(tool)).is_some_and(|n| *n > 1);
        tools.into_iter().filter(is_shared).collect()
    }

    /// Names the tools of one server alone, before any of them is known.
    pub(crate) fn namespace(server: &ServerName) -> String {
        let tool = ToolRef {
            server: server.clone(),
            tool: String::new(),
        };
        Self::namespaces(&[tool]).concat()
    }

    fn namespaces(tools: &[ToolRef]) -> Vec<String> {
        let mut servers: Vec<&str> = tools.iter().map(|tool| tool.server.as_str()).collect();
        servers.sort_unstable();
        servers.dedup();
        let wishes: Vec<Wish> = servers
            .iter()
            .map(|&server| Wish {
                scope: String::new(),
                wanted: format!("mcp__{}", sanitize(server)),
                server,
                tool: "",
            })
            .collect();
        let settled: HashMap<&str, String> = servers.iter().copied().zip(settle(&wishes)).collect();
        tools
            .iter()
            .map(|tool| settled[tool.server.as_str()].clone())
            .collect()
    }
}

/// A name that somebody would like to have.
struct Wish<'a> {
    /// Names of different scopes cannot clash.
    scope: String,
    wanted: String,
    server: &'a str,
    tool: &'a str,
}

/// Grants each wish, or cuts it and adds its suffix when it is too long or wanted twice.
fn settle(wishes: &[Wish<'_>]) -> Vec<String> {
    let mut suffixed: Vec<bool> = wishes
        .iter()
        .map(|wish| wish.wanted.len() > MAX_NAME_BYTES)
        .collect();
    loop {
        let names: Vec<String> = wishes
            .iter()
            .zip(&suffixed)
            .map(|(wish, &suffixed)| {
                if suffixed {
                    wish.with_suffix()
                } else {
                    wish.wanted.clone()
                }
            })
            .collect();
        let mut holders: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, (wish, name)) in wishes.iter().zip(&names).enumerate() {
            holders.entry((&wish.scope, name)).or_default().push(index);
        }
        // A suffixed name can meet a raw one that looks like it, so this may take another round;
        // each round suffixes at least one more wish.
        let clashing: Vec<usize> = holders
            .into_values()
            .filter(|indices| indices.len() > 1)
            .flatten()
            .filter(|&index| !suffixed[index])
            .collect();
        if clashing.is_empty() {
            return names;
        }
        clashing
            .into_iter()
            .for_each(|index| suffixed[index] = true);
    }
}

impl Wish<'_> {
    fn with_suffix(&self) -> String {
        let digest = Sha256::new()
            .chain_update(self.server)
            .chain_update([0])
            .chain_update(self.tool)
            .finalize();
        let mut digits = String::with_capacity(SUFFIX_DIGITS);
        for byte in digest.iter().take(SUFFIX_DIGITS / 2) {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        // `wanted` is ASCII, so that every byte is a character.
        let kept = self.wanted.len().min(MAX_NAME_BYTES - SUFFIX_DIGITS - 1);
        format!("{}_{digits}", &self.wanted[..kept])
    }
}

fn sanitize(raw: &str) -> String {
    raw.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tools: &[(&str, &str)]) -> String {
        let tools: Vec<ToolRef> = tools
            .iter()
            .map(|(server, tool)| ToolRef {
                server: ServerName::from_config(server),
                tool: (*tool).to_owned(),
            })
            .collect();
        let exposed = ToolNamer::name_all(&tools);
        let lines = exposed
            .iter()
            .map(|name| format!("{} | {} | {}", name.namespace, name.name, name.flat));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn plain_names_stay_plain() {
        insta::assert_snapshot!(names(&[("docs", "search"), ("docs", "get_page"), ("time", "search")]), @r"
        mcp__docs | search | mcp__docs__search
        mcp__docs | get_page | mcp__docs__get_page
        mcp__time | search | mcp__time__search
        ");
    }

    #[test]
    fn other_characters_become_an_underscore_each() {
        insta::assert_snapshot!(names(&[("my-server", "get.päge"), ("a/b", "x y")]), @r"
        mcp__my_server | get_p_ge | mcp__my_server__get_p_ge
        mcp__a_b | x_y | mcp__a_b__x_y
        ");
    }

    #[test]
    fn each_of_two_equal_names_gets_its_own_suffix() {
        insta::assert_snapshot!(names(&[("s", "a-b"), ("s", "a_b"), ("s", "c")]), @r"
        mcp__s | a_b_ed3867d6ec2b | mcp__s__a_b_ed3867d6ec2b
        mcp__s | a_b_8d47d403dd72 | mcp__s__a_b_8d47d403dd72
        mcp__s | c | mcp__s__c
        ");
    }

    #[test]
    fn servers_that_look_alike_get_different_namespaces() {
        insta::assert_snapshot!(names(&[("a-b", "t"), ("a_b", "t")]), @r"
        mcp__a_b_9aa38f2e9e2a | t | mcp__a_b__t_3d10eddc37f1
        mcp__a_b_1c051b5d2c87 | t | mcp__a_b__t_98090cd08bd2
        ");
    }

    #[test]
    fn flat_names_of_two_servers_can_clash_while_their_namespaces_do_not() {
        insta::assert_snapshot!(names(&[("a", "b__c"), ("a__b", "c")]), @r"
        mcp__a | b__c | mcp__a__b__c_01b8a75bced8
        mcp__a__b | c | mcp__a__b__c_a92700ced282
        ");
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let long = "t".repeat(70);
        let longer = "t".repeat(71);
        let server = "s".repeat(80);
        let exposed = names(&[("x", &long), ("x", &longer), (&server, "t")]);
        insta::assert_snapshot!(exposed, @r"
        mcp__x | ttttttttttttttttttttttttttttttttttttttttttttttttttt_b61534b16e26 | mcp__x__ttttttttttttttttttttttttttttttttttttttttttt_b61534b16e26
        mcp__x | ttttttttttttttttttttttttttttttttttttttttttttttttttt_9705251069e7 | mcp__x__ttttttttttttttttttttttttttttttttttttttttttt_9705251069e7
        mcp__ssssssssssssssssssssssssssssssssssssssssssssss_2a8f0b82f59d | t | mcp__ssssssssssssssssssssssssssssssssssssssssssssss_538cf3d252a4
        ");
        for name in exposed.split(['|', '\n']) {
            assert!(name.trim().len() <= MAX_NAME_BYTES, "{name}");
        }
    }

    #[test]
    fn a_raw_name_that_looks_like_a_suffixed_one_steps_aside() {
        let taken = names(&[("s", "a-b"), ("s", "a_b")]);
        let suffixed = taken.split([' ', '\n']).nth(2).expect("a name").to_owned();
        let exposed = names(&[("s", "a-b"), ("s", "a_b"), ("s", &suffixed)]);
        let mut tool_names: Vec<&str> = exposed
            .lines()
            .filter_map(|line| line.split(" | ").nth(1))
            .collect();
        tool_names.sort_unstable();
        tool_names.dedup();
        assert_eq!(tool_names.len(), 3, "{exposed}");
    }

    #[test]
    fn the_order_of_the_tools_changes_no_name() {
        let forth = names(&[("s", "a-b"), ("t", "x"), ("s", "a_b")]);
        let back = names(&[("s", "a_b"), ("t", "x"), ("s", "a-b")]);
        let mut forth: Vec<&str> = forth.lines().collect();
        let mut back: Vec<&str> = back.lines().collect();
        forth.sort_unstable();
        back.sort_unstable();
        assert_eq!(forth, back);
    }
}

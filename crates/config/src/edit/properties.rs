//! What holds for every file and every edit, tried on generated ones.

use std::collections::BTreeMap;

use codex_host::Secret;
use codex_protocol::{SandboxMode, ToolApprovalMode};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::text::BYTE_ORDER_MARK;
use super::*;
use crate::{
    Enablement, EnvVar, EnvVarSource, HttpAuth, McpTransport, OAuthConfig, OAuthGrant, OffReason,
    PeerHttp, ServerSandbox, StartupReadiness, TokenEndpointAuthMethod, ToolFilter, ToolSettings,
};

/// A piece of a file that belongs together, with the server it is about.
#[derive(Debug, Clone)]
struct Piece {
    server: Option<&'static str>,
    text: String,
}

/// How a file spells its servers: one kind a file, as TOML has rules against mixtures.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Headers,
    Inline,
    Dotted,
    RootDotted,
}

const NAMES: [&str; 4] = ["a", "b", "c", "\"d.e\""];
const VALUES: [&str; 5] = [
    "\"x\"",
    "\"# [mcp_servers.b]\"",
    "\"\"\"\n[mcp_servers.b]\ncommand = 'no'\n\"\"\"",
    "\"ä\\n\\u00e9\"",
    "\"\"",
];

fn comment() -> impl Strategy<Value = &'static str> {
    select(&["", "", "# note\n", "  # [mcp_servers.b]\n", "# a\n# b\n"])
}

fn piece(name: &'static str, spelling: Spelling) -> impl Strategy<Value = Piece> {
    let list = select(&["[]", "[ \"1\",\"2\" ]", "[ # list\n  '1', # one\n  ]"]);
    (comment(), select(&VALUES), list, any::<bool>(), select(&["", " # keep", "  "])).prop_map(
        move |(comment, command, args, env, tail)| {
            let text = match spelling {
                Spelling::Headers => {
                    let table = format!("[mcp_servers.{name}]{tail}\ncommand = {command}{tail}\nargs={args}\nunknown = 1_0\n");
                    let env = if env { format!("\n[mcp_servers.{name}.env]\nA = {command}\n") } else { String::new() };
                    let later = format!("\n[mcp_servers.{name}.tools.t]\nfuture = 2\n[mcp_servers.{name}.oauth]\nfuture = 3\n");
                    format!("{comment}{table}{env}{later}\n")
                }
                Spelling::Inline => {
                    let one_line = command.replace('\n', "");
                    let one_line = if one_line.starts_with("\"\"\"") { "'m'" } else { &one_line };
                    format!("{comment}{name} = {{ command = {one_line}, unknown = 0x1F }}{tail}\n")
                }
                Spelling::Dotted => format!("{comment}{name}.command = {command}{tail}\n{name}.args = {args}\n"),
                Spelling::RootDotted => format!("{comment}mcp_servers.{name}.command = {command}{tail}\nmcp_servers.{name}.env.A = {command}\n"),
            };
            Piece { server: Some(name), text }
        },
    )
}

/// A file as pieces in their order.
fn file() -> impl Strategy<Value = Vec<Piece>> {
    let spelling = select(&[
        Spelling::Headers,
        Spelling::Inline,
        Spelling::Dotted,
        Spelling::RootDotted,
    ]);
    let root = select(&[
        "",
        "model = \"m\" # mine\n",
        "# head\n\n",
        "approval_policy='never'\n\n",
    ]);
    let tail = select(&[
        "",
        "[features]\nview_image = true\n",
        "# the end\n[projects.\"/p\"]\ntrust_level = 'trusted'\n",
    ]);
    (root, spelling, vec(any::<bool>(), NAMES.len()), tail).prop_flat_map(
        |(root, spelling, used, tail)| {
            let names = NAMES.into_iter().zip(used).filter(|(_, used)| *used);
            let pieces: Vec<_> = names
                .map(|(name, _)| piece(name, spelling).boxed())
                .collect();
            let open = match spelling {
                Spelling::Headers | Spelling::RootDotted => "",
                Spelling::Inline | Spelling::Dotted => "[mcp_servers] # all of them\n",
            };
            pieces.prop_map(move |pieces| {
                let plain = |text: &str| Piece {
                    server: None,
                    text: text.to_owned(),
                };
                let mut file = vec![plain(root), plain(open)];
                file.extend(pieces);
                file.push(plain(tail));
                file
            })
        },
    )
}

/// The bytes of a file: line ends, mark and last line end as asked for.
fn bytes_of(file: &[Piece], crlf: bool, mark: bool, last_line_end: bool) -> String {
    let mut text: String = file.iter().map(|piece| piece.text.as_str()).collect();
    if !last_line_end {
        text.truncate(text.trim_end().len());
    }
    if crlf {
        text = text.replace('\n', "\r\n");
    }
    format!("{}{text}", if mark { BYTE_ORDER_MARK } else { "" })
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec("[ -~äß\\n\"'\\\\]{0,8}", 0..3)
}

fn table() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z_.\" -]{1,6}", "[ -~é\\n]{0,8}", 0..3)
}

/// Headers and the variables that hold their values.
fn named() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z_.\" -]{1,6}", "[A-Z_][A-Z0-9_]{0,4}", 0..3)
}

fn secrets(map: BTreeMap<String, String>) -> BTreeMap<String, Secret> {
    map.into_iter()
        .map(|(key, value)| (key, Secret::new(value)))
        .collect()
}

fn transport() -> impl Strategy<Value = McpTransport> {
    let env_var = (
        "[A-Z]{1,4}",
        option::of(select(&[EnvVarSource::Local, EnvVarSource::Remote])),
    )
        .prop_map(|(name, source)| EnvVar { name, source });
    let stdio = (
        "[ -~ü]{1,8}",
        texts(),
        table(),
        vec(env_var, 0..3),
        option::of("/[a-z]{1,5}"),
        any::<bool>(),
        option::of((any::<bool>(), vec("/[a-z]{1,5}", 0..3), any::<bool>())),
    );
    let stdio = stdio.prop_map(
        |(command, args, env, env_vars, cwd, inherit_env, sandbox)| {
            let mut server = McpServerConfig::stdio(ServerName::from_config("b"), command);
            if let McpTransport::Stdio(stdio) = &mut server.transport {
                stdio.args = args;
                stdio.env = secrets(env);
                stdio.env_vars = env_vars;
                stdio.cwd = cwd.map(PathBuf::from);
                stdio.inherit_env = inherit_env;
                stdio.sandbox = sandbox.map(|(writes, roots, network_access)| match writes {
                    true => ServerSandbox {
                        writable_roots: roots.into_iter().map(PathBuf::from).collect(),
                        network_access,
                        ..ServerSandbox::of_mode(SandboxMode::WorkspaceWrite)
                    },
                    false => ServerSandbox {
                        network_access,
                        ..ServerSandbox::of_mode(SandboxMode::ReadOnly)
                    },
                });
            }
            server.transport
        },
    );
    let http = (
        table(),
        named(),
        option::of("[A-Z]{1,4}"),
        option::of("[ -~]{1,5}"),
        option::of(select(&[HttpAuth::Oauth, HttpAuth::EmaAuth])),
        option::of("https://[a-z]{1,5}/"),
        option::of(oauth()),
        option::of(peer()),
    );
    let http = http.prop_map(
        |(headers, env_headers, bearer, helper, auth, resource, oauth, peer)| {
            let mut server = McpServerConfig::http(
                ServerName::from_config("b"),
                "https://mcp.example.com/mcp?q=1",
            );
            if let McpTransport::StreamableHttp(http) = &mut server.transport {
                http.http_headers = secrets(headers);
                http.env_http_headers = env_headers;
                http.bearer_token_env_var = bearer;
                http.http_headers_helper = helper;
                http.auth = auth;
                http.oauth_resource = resource;
                http.oauth = oauth;
                http.http = peer;
            }
            server.transport
        },
    );
    prop_oneof![stdio, http]
}

fn oauth() -> impl Strategy<Value = OAuthConfig> {
    let text = || option::of("[ -~]{1,5}");
    let method = select(&[
        TokenEndpointAuthMethod::ClientSecretBasic,
        TokenEndpointAuthMethod::None,
        TokenEndpointAuthMethod::PrivateKeyJwt,
    ]);
    let grant = select(&[OAuthGrant::DeviceCode, OAuthGrant::ClientCredentials]);
    let client = ("[a-z]{1,5}", text(), option::of("[A-Z]{1,4}"));
    let way = (
        option::of(method),
        option::of(grant),
        option::of(any::<u16>()),
    );
    let places = (text(), text(), text(), text(), text());
    (client, way, places).prop_map(|(client, way, places)| OAuthConfig {
        client_id: Some(client.0),
        client_secret: client.1.map(Secret::new),
        client_secret_env_var: client.2,
        token_endpoint_auth_method: way.0,
        grant: way.1,
        callback_port: way.2,
        callback_url: places.0,
        authorization_server_issuer: places.1,
        client_metadata_url: places.2,
        private_key_file: places.3.map(PathBuf::from),
        assertion_file: places.4.map(PathBuf::from),
    })
}

fn peer() -> impl Strategy<Value = PeerHttp> {
    let path = || option::of("/[a-z]{1,5}".prop_map(PathBuf::from));
    let proxy = option::of("http://[a-z]{1,5}:[0-9]{1,3}".prop_map(Secret::new));
    (proxy, "[*a-z.]{1,5}", path(), path(), path()).prop_map(
        |(proxy, no_proxy, ca_file, client_cert, client_key)| PeerHttp {
            proxy,
            no_proxy: Some(no_proxy),
            ca_file,
            client_cert,
            client_key,
        },
    )
}

fn tool() -> impl Strategy<Value = ToolSettings> {
    let rules = select(&[
        r#"{"id": {"min": 1, "max": 2.5}}"#,
        r#"[{"a b": {"one_of": ["\n", true]}}, {"c": {"absent": true}}]"#,
    ]);
    let rule = rules.prop_map(|rule| serde_json::from_str(rule).expect("it is a rule"));
    (option::of(mode()), option::of(1_u64..9), option::of(rule)).prop_map(
        |(approval_mode, output_token_limit, rule)| ToolSettings {
            approval_mode,
            output_token_limit,
            approve_when: rule.filter(|_| approval_mode != Some(ToolApprovalMode::Approve)),
        },
    )
}

fn mode() -> impl Strategy<Value = ToolApprovalMode> {
    select(&[
        ToolApprovalMode::Auto,
        ToolApprovalMode::Prompt,
        ToolApprovalMode::Writes,
        ToolApprovalMode::Approve,
    ])
}

/// Server `b` in every shape that a file can hold.
fn server_b() -> impl Strategy<Value = McpServerConfig> {
    let millis = || option::of((0_u64..4_000_000).prop_map(Duration::from_millis));
    let words = (
        option::of("[ -~]{1,5}"),
        option::of(texts()),
        option::of(mode()),
    );
    let tools = (
        option::of(texts()),
        texts(),
        btree_map("[a-z. ]{1,4}", tool(), 0..3),
    );
    (
        transport(),
        any::<[bool; 6]>(),
        millis(),
        millis(),
        words,
        tools,
        option::of(1_u64..9),
    )
        .prop_map(
            |(transport, flags, startup, tool, words, tools, max_bytes)| {
                let [off, required, parallel, connection, expand, pin] = flags;
                let on = match off {
                    true => Enablement::Off(OffReason::User),
                    false => Enablement::On,
                };
                let ready = match connection {
                    true => StartupReadiness::Connection,
                    false => StartupReadiness::Catalog,
                };
                McpServerConfig {
                    display_name: words.0,
                    scopes: words.1,
                    default_tools_approval_mode: words.2,
                    enablement: on,
                    required,
                    supports_parallel_tool_calls: parallel,
                    startup_readiness: ready,
                    expand_env: expand,
                    pin_tools: pin,
                    startup_timeout: startup,
                    tool_timeout: tool,
                    tools: ToolFilter {
                        enabled: tools.0,
                        disabled: tools.1,
                    },
                    tool_settings: tools.2,
                    tool_input_schema_max_bytes: max_bytes,
                    ..McpServerConfig::new(ServerName::from_config("b"), transport)
                }
            },
        )
}

fn path() -> AbsPath {
    AbsPath::new("/home/ada/.codex/config.toml").expect("it is absolute")
}

/// Reads `b` out of a text, without the place where it stands.
fn read_b(text: &Text) -> McpServerConfig {
    let entry = text
        .tree
        .entry(&["mcp_servers", "b"])
        .expect("it was written");
    let layers = text.layers(&path());
    let read = entry::read(entry, &layers, &mut Vec::new());
    McpServerConfig {
        source: None,
        ..read.server
    }
}

/// Finds every piece of the others in an edited text, in their order and byte for byte.
fn others_are_whole(
    file: &[Piece],
    before: &str,
    crlf: bool,
    after: &str,
) -> Result<(), TestCaseError> {
    let mut rest = after;
    for piece in file.iter().filter(|piece| piece.server != Some("b")) {
        let wanted = bytes_of(std::slice::from_ref(piece), crlf, false, false);
        let at = rest.find(&wanted);
        prop_assert!(at.is_some(), "{wanted:?} is gone from {after:?}");
        rest = &rest[at.unwrap_or_default() + wanted.len()..];
    }
    // A file without any line end has no kind of line end to keep.
    let windows = before.contains('\n') && crlf;
    prop_assert!(
        !windows || !after.replace("\r\n", "").contains('\n'),
        "{after:?}"
    );
    prop_assert!(windows || !after.contains("\r\n"), "{after:?}");
    Ok(())
}

/// The keys of `b` that this program does not know, as far as they have a place in its new entry.
#[derive(Debug, PartialEq)]
struct Unknown([Option<Node>; 3]);

impl Unknown {
    fn of(text: &Text, server: &McpServerConfig) -> Self {
        let value = |key: &[&str]| {
            let path = [&["mcp_servers", "b"], key].concat();
            text.tree.entry(&path).map(|entry| entry.node.clone())
        };
        let is_http = matches!(server.transport, McpTransport::StreamableHttp(_));
        let oauth = value(&["oauth", "future"]).filter(|_| is_http);
        Self([value(&["unknown"]), value(&["tools", "t", "future"]), oauth])
    }
}

proptest! {
    #![proptest_config(crate::properties::config())]

    /// Rows E1, E2, E9, E11.
    #[test]
    fn an_edit_of_b_never_changes_a_byte_of_the_others(
        file in file(), server in server_b(), crlf: bool, mark: bool, last_line_end: bool,
    ) {
        let before = bytes_of(&file, crlf, mark, last_line_end);
        let mut text = Text::parse(&path(), Some(before.as_bytes())).expect("the generator writes TOML");
        let unknown = Unknown::of(&text, &server);
        text.apply(&path(), &Change::Server(Box::new(server.clone())))?;
        prop_assert_eq!(unknown, Unknown::of(&text, &server));
        let with_b = String::from_utf8(text.bytes())?;
        prop_assert_eq!(with_b.starts_with(BYTE_ORDER_MARK), mark);
        others_are_whole(&file, &before, crlf, &with_b)?;
        text.apply(&path(), &Change::Remove(vec!["mcp_servers".to_owned(), "b".to_owned()]))?;
        others_are_whole(&file, &before, crlf, &String::from_utf8(text.bytes())?)?;
    }

    /// Row E9.
    #[test]
    fn a_written_server_reads_back_as_it_was(file in file(), server in server_b()) {
        // Without an older `b`, whose unknown keys would stay.
        let file: Vec<Piece> = file.into_iter().filter(|piece| piece.server != Some("b")).collect();
        let before = bytes_of(&file, false, false, true);
        let mut text = Text::parse(&path(), Some(before.as_bytes())).expect("the generator writes TOML");
        text.apply(&path(), &Change::Server(Box::new(server.clone())))?;
        prop_assert_eq!(read_b(&text), server);
    }
}

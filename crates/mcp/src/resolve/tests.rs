//! Entries on one side, endpoints or sentences on the other.

use std::path::PathBuf;

use codex_config::{EnvVar, PeerHttp};

use super::*;

fn env() -> Env {
    Env::from_pairs([
        ("HOME", "/home/ada"),
        ("PATH", "/bin"),
        ("TOKEN", "s3cret"),
        ("EMPTY", " "),
        ("TEAM", "blue"),
        ("GITHUB_TOKEN", "never passed on"),
    ])
}

fn name() -> ServerName {
    ServerName::from_config("oa")
}

fn stdio(change: impl FnOnce(&mut McpServerConfig, &mut StdioTransport)) -> String {
    let mut transport = StdioTransport {
        command: "prog".to_owned(),
        ..StdioTransport::default()
    };
    let mut config = McpServerConfig::stdio(name(), "prog");
    change(&mut config, &mut transport);
    config.transport = McpTransport::Stdio(transport);
    show(&config)
}

fn http(change: impl FnOnce(&mut McpServerConfig, &mut HttpTransport)) -> String {
    let mut transport = HttpTransport {
        url: "https://a.example/mcp".to_owned(),
        ..HttpTransport::default()
    };
    let mut config = McpServerConfig::http(name(), "https://a.example/mcp");
    change(&mut config, &mut transport);
    config.transport = McpTransport::StreamableHttp(Box::new(transport));
    show(&config)
}

fn show(config: &McpServerConfig) -> String {
    let resolved = match resolve_endpoint(config, &env(), Path::new("/")) {
        Ok(resolved) => resolved,
        Err(error) => return error.to_string(),
    };
    let mut text = match resolved.endpoint {
        ServerEndpoint::Stdio(launch) => {
            let env: Vec<String> = launch
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!(
                "{} {:?} in {} with {}",
                launch.program,
                launch.args,
                launch.cwd.display(),
                env.join(" ")
            )
        }
        ServerEndpoint::Http(http) => {
            let mut headers: Vec<String> = http
                .headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            headers.sort();
            let bearer = match http.auth {
                RequestAuth::Bearer(token) => token.expose().to_owned(),
                _ => "-".to_owned(),
            };
            format!("{} bearer {bearer} headers {}", http.url, headers.join(" "))
        }
    };
    for warning in resolved.warnings {
        text += "\nwarning: ";
        text += &warning;
    }
    text
}

fn variable(name: &str, source: Option<EnvVarSource>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        source,
    }
}

/// Rows 5.args, 5.env, 5.env_vars, 11.literal.
#[test]
fn a_child_gets_the_short_list_and_what_is_named() {
    let shown = stdio(|_, transport| {
        transport.args = vec!["-x".to_owned()];
        transport.env_vars = vec![variable("TEAM", None)];
        transport
            .env
            .insert("MODE".to_owned(), Secret::new("${TEAM}"));
    });
    assert_eq!(
        shown,
        r#"prog ["-x"] in / with HOME=/home/ada MODE=${TEAM} PATH=/bin TEAM=blue"#
    );
}

/// Rows 5.env, 5.env_vars.
#[test]
fn env_beats_env_vars_and_both_beat_what_is_inherited() {
    let shown = stdio(|_, transport| {
        transport.env_vars = vec![variable("TEAM", Some(EnvVarSource::Local))];
        transport.env.insert("TEAM".to_owned(), Secret::new("red"));
        transport.env.insert("PATH".to_owned(), Secret::new("/opt"));
    });
    assert_eq!(shown, "prog [] in / with HOME=/home/ada PATH=/opt TEAM=red");
}

/// Rows 5.env_vars, 5.cwd, 11.unset.
#[test]
fn missing_things_are_named_with_their_server() {
    let shown = stdio(|_, transport| transport.env_vars = vec![variable("NOPE", None)]);
    assert_eq!(
        shown,
        "Environment variable NOPE for MCP server 'oa' is not set"
    );
    let shown = stdio(|_, transport| {
        transport.env_vars = vec![variable("TEAM", Some(EnvVarSource::Remote))]
    });
    assert_eq!(
        shown,
        "env_vars of MCP server 'oa' takes TEAM from a remote host, and there is none here"
    );
    let shown = stdio(|_, transport| transport.cwd = Some(PathBuf::from("no/such/dir")));
    assert_eq!(
        shown,
        "the working directory `/no/such/dir` of MCP server 'oa' is not a directory"
    );
}

/// Rows 5.expand_env, 11.literal.
#[test]
fn variables_in_texts_are_filled_in_only_when_asked() {
    let fill = |expand: bool| {
        stdio(|config, transport| {
            config.expand_env = expand;
            transport.args = vec!["--team=${TEAM}".to_owned(), "${X:-d}".to_owned()];
        })
    };
    assert_eq!(
        fill(true),
        r#"prog ["--team=blue", "d"] in / with HOME=/home/ada PATH=/bin"#
    );
    assert_eq!(
        fill(false),
        r#"prog ["--team=${TEAM}", "${X:-d}"] in / with HOME=/home/ada PATH=/bin"#
    );
}

/// Row 11.fields.
#[test]
fn every_field_that_says_where_and_what_can_be_made_of_variables() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::from_pairs([("V", "v"), ("DIR", dir.path().to_str().unwrap())]);
    let server = |transport: McpTransport| {
        let mut config = McpServerConfig::new(name(), transport);
        config.expand_env = true;
        config
    };
    let stdio = server(McpTransport::Stdio(StdioTransport {
        command: "${V}-c".to_owned(),
        args: vec!["${V}-a".to_owned()],
        env: [("E".to_owned(), Secret::new("${V}-e"))].into(),
        cwd: Some(PathBuf::from("${DIR}")),
        ..StdioTransport::default()
    }));
    let resolved = resolve_endpoint(&stdio, &env, Path::new("/")).unwrap();
    let ServerEndpoint::Stdio(launch) = resolved.endpoint else {
        panic!()
    };
    assert_eq!(
        (launch.program.as_str(), launch.args),
        ("v-c", vec!["v-a".to_owned()])
    );
    assert_eq!(
        (launch.env.get("E"), launch.cwd.as_path()),
        (Some("v-e"), dir.path())
    );

    let http = server(McpTransport::StreamableHttp(Box::new(HttpTransport {
        url: "https://${V}.example/mcp".to_owned(),
        http_headers: [("X-A".to_owned(), Secret::new("${V}-h"))].into(),
        http_headers_helper: Some("${DIR}/helper".to_owned()),
        http: Some(PeerHttp {
            ca_file: Some(PathBuf::from("${DIR}/${V}.pem")),
            ..PeerHttp::default()
        }),
        ..HttpTransport::default()
    })));
    let resolved = resolve_endpoint(&http, &env, Path::new("/")).unwrap();
    let ServerEndpoint::Http(endpoint) = resolved.endpoint else {
        panic!()
    };
    assert_eq!(endpoint.url.as_str(), "https://v.example/mcp");
    assert_eq!(endpoint.headers["x-a"], "v-h");
    let helper = resolved.headers_helper.unwrap().program;
    assert_eq!(Path::new(&helper), dir.path().join("helper"));
}

/// Row 11.fields.
#[test]
fn every_key_about_the_way_to_a_server_can_be_made_of_variables() {
    let env = Env::from_pairs([("V", "v")]);
    let shared = codex_http::HttpClient::from_env(env.clone());
    let told = |fill: fn(&mut PeerHttp)| {
        let mut way = PeerHttp::default();
        fill(&mut way);
        let mut config = McpServerConfig::http(name(), "https://a.example/mcp");
        config.expand_env = true;
        if let McpTransport::StreamableHttp(http) = &mut config.transport {
            http.http = Some(way);
        }
        let error = http_client(&config, &env, Path::new("/"), &shared).unwrap_err();
        let sources = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        let texts: Vec<String> = sources.map(ToString::to_string).collect();
        texts.join(": ")
    };
    // The file is not there, and is named as it is after its variables were filled in.
    let text = told(|way| way.ca_file = Some("/none/${V}.pem".into()));
    assert!(text.contains("/none/v.pem"), "{text}");
    let rows: [fn(&mut PeerHttp); 5] = [
        |way| way.proxy = Some(Secret::new("http://${NOPE}:1")),
        |way| way.no_proxy = Some("${NOPE}".to_owned()),
        |way| way.ca_file = Some("${NOPE}".into()),
        |way| way.client_cert = Some("${NOPE}".into()),
        |way| way.client_key = Some("${NOPE}".into()),
    ];
    for fill in rows {
        let unset = "Environment variable NOPE for MCP server 'oa' is not set";
        assert_eq!(told(fill), unset);
    }
}

/// Row 5.url.
#[test]
fn an_address_made_of_variables_is_held_to_the_same_rules() {
    let to = |url: &str| {
        let text = http(|config, transport| {
            config.expand_env = true;
            transport.url = url.to_owned();
        });
        text.replace("the url of MCP server 'oa' is not usable: ", "")
    };
    assert_eq!(
        to("https://${TEAM}.example/mcp"),
        "https://blue.example/mcp bearer - headers "
    );
    let rows = [
        "https://${X:-evil.example#}.example/mcp",
        "https://${TEAM}:${TOKEN}@a.example/mcp",
        "${X:-ftp}://a.example/mcp",
        "${TEAM}",
    ];
    insta::assert_snapshot!(rows.map(to).join("\n"), @"
    it must not contain a fragment (`#…`)
    it must not contain a user name or password
    it is not an absolute http or https URL
    it is not an absolute http or https URL
    ");
}

/// Rows 5.bearer_token_env_var, 5.http_headers, 5.env_http_headers.
#[test]
fn headers_come_from_three_places() {
    let shown = http(|_, transport| {
        transport.bearer_token_env_var = Some("TOKEN".to_owned());
        transport
            .http_headers
            .insert("X-A".to_owned(), Secret::new("1"));
        transport
            .env_http_headers
            .insert("X-Team".to_owned(), "TEAM".to_owned());
        transport
            .env_http_headers
            .insert("X-None".to_owned(), "NOPE".to_owned());
    });
    insta::assert_snapshot!(shown, @r"
    https://a.example/mcp bearer s3cret headers x-a=1 x-team=blue
    warning: Environment variable NOPE for MCP server 'oa' is not set; header X-None is left out
    ");
}

/// Row 5.http_headers_helper.
#[test]
fn the_program_of_a_project_gets_the_short_list_and_that_of_its_user_everything() {
    let names = |of_project: bool| {
        let mut config = McpServerConfig::http(name(), "https://a.example/mcp");
        if let McpTransport::StreamableHttp(http) = &mut config.transport {
            http.http_headers_helper = Some("token".to_owned());
            http.helper_of_project = of_project;
        }
        let resolved = resolve_endpoint(&config, &env(), Path::new("/")).unwrap();
        let env = resolved.headers_helper.unwrap().env;
        let names: Vec<&str> = env.iter().map(|(name, _)| name).collect();
        names.join(" ")
    };
    assert_eq!(names(true), "HOME PATH");
    assert_eq!(names(false), "EMPTY GITHUB_TOKEN HOME PATH TEAM TOKEN");
}

/// Rows 5.bearer_token_env_var, 5.env_http_headers, 11.unset.
#[test]
fn a_token_that_is_missing_or_empty_is_an_error() {
    let bearer = |variable: &str| {
        http(|_, transport| transport.bearer_token_env_var = Some(variable.to_owned()))
    };
    assert_eq!(
        bearer("NOPE"),
        "Environment variable NOPE for MCP server 'oa' is not set"
    );
    assert_eq!(
        bearer("EMPTY"),
        "Environment variable EMPTY for MCP server 'oa' is empty"
    );
    let shown = http(|_, transport| {
        transport
            .env_http_headers
            .insert("Authorization".to_owned(), "NOPE".to_owned());
    });
    assert_eq!(
        shown,
        "Environment variable NOPE for MCP server 'oa' is not set"
    );
}

#[test]
fn bad_headers_are_named_and_their_values_are_not() {
    let shown = http(|_, transport| {
        transport
            .http_headers
            .insert("X-A".to_owned(), Secret::new("top\nsecret"));
    });
    assert_eq!(
        shown,
        "header `X-A` of MCP server 'oa' is not usable: the value holds characters that no header may hold"
    );
    let shown = http(|_, transport| {
        transport
            .http_headers
            .insert("Mcp-Session-Id".to_owned(), Secret::new("1"));
    });
    assert_eq!(
        shown,
        "header `Mcp-Session-Id` of MCP server 'oa' is not usable: the protocol sets it"
    );
}

#[test]
fn what_is_not_built_yet_says_so() {
    let shown = http(|_, transport| transport.auth = Some(HttpAuth::Chatgpt));
    assert_eq!(
        shown,
        "`auth = \"chatgpt\"` of MCP server 'oa' is not available in this version"
    );
}

#[test]
fn debug_shows_no_secret() {
    let mut config = McpServerConfig::http(name(), "https://a.example/mcp?token=s3cret");
    let mut transport = HttpTransport {
        url: "https://a.example/mcp?token=s3cret".to_owned(),
        ..HttpTransport::default()
    };
    transport
        .http_headers
        .insert("X-A".to_owned(), Secret::new("s3cret"));
    transport.bearer_token_env_var = Some("TOKEN".to_owned());
    config.transport = McpTransport::StreamableHttp(Box::new(transport));
    let resolved = resolve_endpoint(&config, &env(), Path::new("/")).unwrap();
    assert!(!format!("{resolved:?}").contains("s3cret"), "{resolved:?}");
}

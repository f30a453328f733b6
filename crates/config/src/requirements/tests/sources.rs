//! Both spellings of the allowlist in both places that it can stand in.

use super::*;

/// The place of the requirements: the machine's file, or the preferences in base64.
type Place = (&'static str, fn(&str) -> Machine, &'static str);

const PLACES: [Place; 2] = [
    (
        "/etc/requirements.toml",
        |text| Machine::new(text),
        "/etc/requirements.toml",
    ),
    (
        "com.openai.codex:requirements_toml_base64",
        |text| Machine::new("").preference(text),
        "MDM com.openai.codex:requirements_toml_base64",
    ),
];

const USER: &str = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nargs = [\"--ro\", \"db1\"]\n\
                    [mcp_servers.evil]\ncommand = \"docs-mcp\"\n\
                    [mcp_servers.web]\nurl = \"https://mcp.example.com/mcp\"\n\
                    [mcp_servers.web2]\nurl = \"https://evil.example/mcp\"\n";

/// What the servers are when the rule of `docs` and that of `web` are these.
fn judged(place: Place, text: &str) -> (String, String) {
    let machine = (place.1)(text).user(USER);
    let servers = machine.loaded().config.mcp_servers;
    let reasons = servers
        .values()
        .filter_map(|server| match &server.enablement {
            Enablement::Off(reason) => reason.text(),
            Enablement::On => None,
        });
    let expected = format!("requirements ({})", place.2);
    assert!(
        reasons
            .into_iter()
            .all(|text| machine.short(&text) == expected)
    );
    (machine.servers(), machine.said())
}

/// Rows 10.form-a, 10.form-b, 10.reason.
#[test]
fn both_forms_hold_in_the_file_and_in_base64() {
    let evil = "[mcp_server_allowlist.web2]\nurl = \"https://mcp.example.com/mcp\"\n";
    for place in PLACES {
        for form in [FORM_A, FORM_B] {
            let (servers, said) = judged(place, &format!("{form}{evil}"));
            let lines: Vec<&str> = servers.lines().collect();
            let [docs, other, web, web2] = lines.as_slice() else {
                panic!("{servers}")
            };
            assert_eq!([*docs, web], ["docs: on", "web: on"], "{} {form}", place.0);
            assert_eq!(*other, "evil: requirements: its name is not listed");
            let expected = "web2: requirements: its url is not an allowed one (";
            assert!(
                web2.starts_with(expected) && web2.contains(place.0),
                "{web2}"
            );
            assert_eq!(said, "");
        }
    }
}

/// Rows 10.form-a, 10.form-b, 10.fails-closed.
#[test]
fn a_bad_entry_of_either_form_is_told_with_its_place_in_either_source() {
    for place in PLACES {
        for (table, bad) in [
            (
                "mcp_server_allowlist.docs",
                "[mcp_server_allowlist.docs]\ncommand = 3\n",
            ),
            (
                "mcp_servers.docs.identity",
                "[mcp_servers.docs.identity]\ncommand = 3\n",
            ),
        ] {
            let good = "[mcp_server_allowlist.web]\nurl = \"https://mcp.example.com/mcp\"\n";
            let (servers, said) = judged(place, &format!("{bad}{good}"));
            assert!(servers.contains("web: on\n"), "{servers}");
            assert!(
                servers.contains("docs: requirements: its entry allows nothing"),
                "{servers}"
            );
            let expected = format!("{}:2:11: [{table}] allows nothing: invalid type", place.0);
            assert!(said.contains(&expected), "{said}");
        }
    }
}

/// Row 10.not-from-home.
#[test]
fn a_file_of_the_home_or_of_a_project_is_no_policy() {
    let rules = "[mcp_servers]\n[features]\nview_image = false\n";
    let trusted = "[projects.\"/PROJECT\"]\ntrust_level = \"trusted\"\n";
    let machine = Machine::new("");
    let work = machine.path("work").display().to_string();
    for folder in [".git", ".codex"] {
        std::fs::create_dir(machine.path("work").join(folder)).unwrap();
    }
    let user = format!("{USER}{}", trusted.replace("/PROJECT", &work));
    let machine = machine
        .user(&user)
        .file("home/requirements.toml", rules)
        .file("home/managed_requirements.toml", rules)
        .file("work/requirements.toml", rules)
        .file("work/.codex/requirements.toml", rules)
        .file("work/.codex/config.toml", "mcp_server_allowlist = {}\n");
    assert_eq!(machine.servers(), "docs: on\nevil: on\nweb: on\nweb2: on\n");
    let config = machine.loaded().config;
    assert!(config.features.enabled(Feature::ViewImage));
    assert!(machine.said().contains("`mcp_server_allowlist` is ignored"));
}

//! Any key set by a program that has read the file before.

use insta::assert_snapshot;

use super::*;
use crate::layers::{ConfigLayer, version_of};
use crate::{LayerSource, LoadRequest, SystemPaths, key_path, load};

/// One edit: `=` replaces, `+` merges, `-` removes.
fn edit(file: &mut ConfigFile, deed: char, key: &str, value: &str) -> Result<(), EditError> {
    let key = key_path(key)?;
    let value: TomlValue = value.parse().unwrap();
    match deed {
        '=' => file.set_value(&key, &value).map(drop),
        '+' => file.merge_value(&key, &value).map(drop),
        _ => file.remove_value(&key).map(drop),
    }
}

fn edited(text: &str, deed: char, key: &str, value: &str) -> String {
    let home = home(text);
    let mut file = ConfigFile::open(&home.home).unwrap();
    match edit(&mut file, deed, key, value).and_then(|()| file.save()) {
        Ok(_) => home.text(),
        Err(error) => format!("Error: {error}"),
    }
}

#[test]
fn a_value_is_set_in_the_spelling_of_its_file() {
    assert_snapshot!(edited("# c\nmodel = \"m\" # mine\n", '=', "model", "'n'"), @r#"
    # c
    model = "n" # mine
    "#);
    assert_snapshot!(edited("model = \"m\"\n", '=', "mcp_servers.\"a.b\".command", "'x'"), @r#"
    model = "m"

    [mcp_servers."a.b"]
    command = "x"
    "#);
    assert_snapshot!(edited("[tools]\nview_image = true\n", '-', "tools.view_image", "0"), @"
    [tools]
    ");
}

#[test]
fn a_table_is_replaced_whole_or_merged() {
    let text = "# mine\n[mcp_servers.a] # c\ncommand = \"x\"\nunknown = 1\n\n[mcp_servers.a.env]\nA = \"1\"\nB = \"2\"\n";
    let value = "{ command = 'y', env = { A = '3' } }";
    assert_snapshot!(edited(text, '=', "mcp_servers.a", value), @r#"
    # mine
    [mcp_servers.a] # c
    command = "y"

    [mcp_servers.a.env]
    A = "3"
    "#);
    assert_snapshot!(edited(text, '+', "mcp_servers.a", value), @r#"
    # mine
    [mcp_servers.a] # c
    command = "y"
    unknown = 1

    [mcp_servers.a.env]
    A = "3"
    B = "2"
    "#);
}

#[test]
fn what_has_headers_of_its_own_gives_way_to_a_value() {
    let text = "a = 1\n\n[tools.update_plan]\nenabled = true\n\n[z]\nb = 1\n";
    assert_snapshot!(edited(text, '=', "tools.update_plan", "false"), @"
    a = 1

    [z]
    b = 1

    [tools]
    update_plan = false
    ");
    assert_snapshot!(edited("[[x]]\na = 1\n[[x]]\na = 2\n[z]\nb = 1\n", '=', "x", "[3]"), @"
    x = [3]
    [z]
    b = 1
    ");
}

/// Row E9.
#[test]
fn a_result_that_would_not_say_what_was_wanted_is_not_written() {
    // A key below a value, and an element that TOML cannot give a name.
    for (text, key) in [("a = 1\n", "a.b"), ("[[a]]\nb = 1\n", "a.b")] {
        let said = edited(text, '=', key, "2");
        assert!(said.starts_with("Error: cannot edit `a.b` in "), "{said}");
    }
    // The proof itself.
    let mut edit = Text::parse(&AbsPath::new("/c.toml").unwrap(), Some(b"a = 1\n")).unwrap();
    let wanted = edit.tree.clone();
    for wrong in ["a = 2\n", "a = 1\nb = 1\n", "", "a = \n"] {
        let path = AbsPath::new("/c.toml").unwrap();
        let accepted = edit.accept(
            &path,
            &["a".to_owned()],
            Some(wrong.to_owned()),
            wanted.clone(),
        );
        assert!(
            matches!(accepted, Err(EditError::Shape { .. })),
            "{wrong:?}"
        );
        assert_eq!(edit.body, "a = 1\n");
    }
}

/// Row E7.
#[test]
fn a_version_that_is_not_there_any_more_writes_nothing() {
    let text = "\u{feff}model = \"m\"\n";
    let home = home(text);
    let read = ConfigFile::open(&home.home).unwrap().version();
    assert_eq!(read, version_of(b"model = \"m\"\n"));

    let mut file = ConfigFile::open(&home.home).unwrap();
    file.expect_version(&read).unwrap();
    edit(&mut file, '=', "model", "'n'").unwrap();
    let written = file.version();
    assert_eq!(file.save().unwrap(), Saved::Written);
    assert_eq!(written, version_of(home.text().as_bytes()));

    let mut file = ConfigFile::open(&home.home).unwrap();
    let error = file.expect_version(&read).unwrap_err();
    let EditError::Version {
        expected, found, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((expected, found), (&read, &written));
    assert_snapshot!(error, @"config.toml was changed since it was read; nothing was written");
    assert_eq!(error.hints(), ["read it again and repeat the change"]);
}

/// Row E7.
#[test]
fn a_version_holds_until_the_file_is_replaced() {
    let home = home("model = \"m\"\n");
    let mut file = ConfigFile::open(&home.home).unwrap();
    let read = file.version();
    file.expect_version(&read).unwrap();
    edit(&mut file, '=', "model", "'n'").unwrap();
    let other = "model = \"by an editor\"\n";
    PrivateFile::replace(&home.home.config_file(), other.as_bytes()).unwrap();
    let error = file.save().unwrap_err();
    assert!(matches!(error, EditError::Version { .. }), "{error}");
    assert_eq!(home.text(), other);
}

/// Row E6.
#[test]
fn an_edit_that_is_made_again_is_checked_again_and_its_version_is_that_of_the_file() {
    let by_an_editor = |text: &str| {
        let home = home("");
        let mut file = ConfigFile::open(&home.home).unwrap();
        edit(&mut file, '=', "mcp_servers.s.url", "'http://h/'").unwrap();
        PrivateFile::replace(&home.home.config_file(), text.as_bytes()).unwrap();
        (file.save_checked(&LayerStack::default()), home.text())
    };
    let (version, text) = by_an_editor("model = \"m\"\n");
    assert!(text.starts_with("model = \"m\"\n"), "{text}");
    assert_eq!(version.unwrap(), version_of(text.as_bytes()));
    let stdio = "[mcp_servers.s]\ncommand = \"x\"\n";
    let (refused, text) = by_an_editor(stdio);
    assert!(matches!(refused, Err(EditError::Config(_))), "{refused:?}");
    assert_eq!(text, stdio);
}

/// Row E7.
#[test]
fn the_version_of_a_file_is_that_of_its_layer_and_of_no_file_that_of_an_empty_one() {
    for text in ["", "model = \"m\"\n", "\u{feff}model = \"m\"\r\n"] {
        let home = home(text);
        let cwd = AbsPath::new(home.dir.path()).unwrap();
        let system = SystemPaths::below(cwd.join("no-system").as_path());
        let layers = load(&LoadRequest::new(home.home.clone(), cwd, system)).unwrap();
        let layer = layers.layers.layers()[0].version();
        let file = ConfigFile::open(&home.home).unwrap();
        assert_eq!(file.version(), layer, "{text:?}");
    }
    let home = home("");
    std::fs::remove_file(home.home.config_file()).unwrap();
    let file = ConfigFile::open(&home.home).unwrap();
    assert_eq!(file.version(), version_of(b""));
}

#[test]
fn only_a_fault_that_the_change_brings_is_found() {
    let text = "model = 3\n[mcp_servers.broken]\n[mcp_servers.a]\ncommand = \"x\"\n";
    let checked = |deed, key: &str, value: &str| {
        let home = home(text);
        let mut file = ConfigFile::open(&home.home).unwrap();
        edit(&mut file, deed, key, value).unwrap();
        match file.check(&LayerStack::default()) {
            Ok(()) => "fits".to_owned(),
            Err(error) => error
                .to_string()
                .replace(&home.home.path().to_string(), "HOME"),
        }
    };
    assert_snapshot!(checked('=', "mcp_servers.a.args", "['1']"), @"fits");
    assert_snapshot!(checked('=', "mcp_servers.a.new_key", "1"), @"fits");
    assert_snapshot!(checked('=', "a.\"b c\"", "1"), @"fits");
    assert_snapshot!(checked('=', "mcp_servers.a.args", "1"), @r#"
    HOME/config.toml:5:8: invalid type: integer `1`, expected an array
    in `mcp_servers.a.args`
    "#);
    assert_snapshot!(checked('=', "mcp_servers.a.url", "'http://h/'"), @r#"
    HOME/config.toml:5:1: url is not supported for stdio
    in `mcp_servers.a.url`
    "#);
    assert_snapshot!(checked('=', "mcp_servers", "1"), @r#"
    HOME/config.toml:2:1: invalid type: expected a table
    in `mcp_servers`
    "#);
    assert_snapshot!(checked('=', "model_provider", "1"), @r#"
    HOME/config.toml:2:18: invalid type: integer `1`, expected a string
    in `model_provider`
    "#);
    assert_snapshot!(checked('=', "features.view_image", "1"), @r#"
    HOME/config.toml:7:14: invalid type: expected a boolean
    in `features.view_image`
    "#);
    assert_snapshot!(checked('=', "model_providers.p", "{ name = 'p' }"), @r#"
    HOME/config.toml:6:18: missing field `base_url`
    in `model_providers.p`
    "#);
}

#[test]
fn the_command_or_url_of_a_server_may_stand_in_another_layer_and_in_no_older_text() {
    let other = "[mcp_servers.s]\ncommand = 'x'\n[mcp_servers.w]\nurl = 'http://h/'\n";
    let own = "[mcp_servers.a]\ncommand = 'x'\n";
    let home = home(own);
    let parsed = |source, text: &str| ConfigLayer::parse(source, Arc::from(text)).unwrap();
    let mut layers = LayerStack::default();
    let system = AbsPath::new("/etc/codex/config.toml").unwrap();
    layers.push(parsed(LayerSource::System { file: system }, other));
    let file = home.home.config_file();
    layers.push(parsed(LayerSource::User { file }, own));
    layers.merge();
    let checked = |deed, key: &str, value: &str| {
        let mut file = ConfigFile::open(&home.home).unwrap();
        edit(&mut file, deed, key, value).unwrap();
        let why = file.check(&layers).err().map(|error| error.to_string());
        let path = home.home.path().to_string();
        why.map_or("fits".to_owned(), |why| why.replace(&path, "HOME"))
    };
    assert_eq!(checked('=', "mcp_servers.s.enabled", "false"), "fits");
    assert_eq!(checked('=', "mcp_servers.w.scopes", "['a']"), "fits");
    assert_snapshot!(checked('=', "mcp_servers.w.args", "['a']"), @"
    HOME/config.toml:5:1: args is not supported for streamable_http
    in `mcp_servers.w.args`
    ");
    assert_snapshot!(checked('=', "mcp_servers.n.enabled", "false"), @"
    HOME/config.toml:4:14: invalid transport
    in `mcp_servers.n`
    ");
    assert_snapshot!(checked('-', "mcp_servers.a.command", "0"), @"
    HOME/config.toml:1:14: invalid transport
    in `mcp_servers.a`
    ");
}

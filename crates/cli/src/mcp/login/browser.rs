//! Opens an address in the user's browser: by argv and never through a shell.

use std::process::{Command, Stdio};

use codex_host::Env;
use url::Url;

/// Whether the browser is on another machine: an SSH session without a display.
pub(super) fn is_remote(env: &Env) -> bool {
    let has = |name: &str| env.non_empty(name).is_some();
    let has_display = has("DISPLAY") || has("WAYLAND_DISPLAY") || has("BROWSER");
    (has("SSH_CONNECTION") || has("SSH_TTY")) && !has_display
}

/// Starts the browser and does not wait for it; the first program that exists is taken.
pub(super) fn open(url: &Url, env: &Env) -> Result<(), String> {
    // Whoever made the address, nothing but a web page is opened.
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the address is no web page".to_owned());
    }
    let mut why = "no program is known that opens one; set BROWSER".to_owned();
    for argv in openers(env) {
        let Some((program, args)) = argv.split_first() else {
            continue;
        };
        match spawn(program, args, url) {
            Ok(()) => return Ok(()),
            Err(error) => why = format!("`{program}`: {error}"),
        }
    }
    Err(why)
}

fn openers(env: &Env) -> Vec<Vec<String>> {
    if let Some(browser) = env.non_empty("BROWSER") {
        // A list with colons is a list of alternatives; a blank separates arguments.
        let alternatives = browser.split(':').map(|command| {
            let words = command.split_whitespace().filter(|word| *word != "%s");
            words.map(str::to_owned).collect::<Vec<_>>()
        });
        return alternatives.filter(|argv| !argv.is_empty()).collect();
    }
    let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if cfg!(target_os = "macos") {
        vec![argv(&["open"])]
    } else if cfg!(windows) {
        vec![argv(&["rundll32", "url.dll,FileProtocolHandler"])]
    } else {
        vec![argv(&["xdg-open"]), argv(&["gio", "open"])]
    }
}

fn spawn(program: &str, args: &[String], url: &Url) -> std::io::Result<()> {
    let mut command = Command::new(program);
    command.args(args).arg(url.as_str());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C here is not meant for the browser.
        command.process_group(0);
    }
    // It outlives this command: nobody waits for it.
    command.spawn().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_names_alternatives_with_arguments() {
        let env = Env::from_pairs([("BROWSER", "firefox --new-window %s:links")]);
        assert_eq!(
            openers(&env),
            [
                vec!["firefox".to_owned(), "--new-window".to_owned()],
                vec!["links".to_owned()]
            ]
        );
    }

    #[test]
    fn only_an_ssh_session_without_display_is_remote() {
        let remote = |pairs: &[(&str, &str)]| is_remote(&Env::from_pairs(pairs.iter().copied()));
        assert!(remote(&[("SSH_CONNECTION", "a")]));
        assert!(!remote(&[("SSH_CONNECTION", "a"), ("DISPLAY", ":0")]));
        assert!(!remote(&[]));
    }

    #[cfg(unix)]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes its own browser")]
    fn a_url_with_quotes_reaches_the_browser_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (program, seen) = (folder.path().join("browser"), folder.path().join("seen"));
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$@\" > '{0}.part'\nmv '{0}.part' '{0}'\n",
            seen.display()
        );
        std::fs::write(&program, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        let url = "https://h.example/a'b;$(id)`id`?x=\"y\"&z='|>w %s";
        let url = Url::parse(url).unwrap();
        let browser = program.to_string_lossy().into_owned();
        open(&url, &Env::from_pairs([("BROWSER", browser)])).unwrap();
        let begin = std::time::Instant::now();
        while !seen.exists() && begin.elapsed() < std::time::Duration::from_secs(20) {
            std::thread::yield_now();
        }
        let seen = std::fs::read_to_string(&seen).unwrap();
        assert_eq!(seen, format!("1\n{url}\n"));
    }

    #[test]
    fn nothing_but_a_web_page_is_opened() {
        let url = Url::parse("file:///etc/passwd").unwrap();
        assert!(open(&url, &Env::from_pairs([("BROWSER", "true")])).is_err());
    }
}

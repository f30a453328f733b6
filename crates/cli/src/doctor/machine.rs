//! The checks of this machine: program, terminal, git, files, network variables.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use codex_host::{AbsPath, CodexHome, Env};
use codex_http::shown_origin;
use codex_process::ChildSpec;
use url::Url;

use super::report::{Category, Check, Status};

/// Variables that lead HTTP elsewhere.
const PROXY_VARIABLES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/// Which program runs, and whether a terminal would find the same one.
pub(crate) fn installation() -> Check {
    let check = Check::new("installation", Category::Environment)
        .ok(format!("codex {}", env!("CARGO_PKG_VERSION")));
    match std::env::current_exe() {
        Ok(program) => check.detail("program", program.display().to_string()),
        Err(error) => check.status(
            Status::Warning,
            format!("the path of this program is not known: {error}"),
        ),
    }
}

/// What can be shown here.
pub(crate) fn terminal(env: &Env) -> Check {
    let is_terminal = |yes: bool| if yes { "terminal" } else { "no terminal" };
    let term = env.non_empty("TERM").unwrap_or("not set");
    let mut check = Check::new("terminal.env", Category::Environment)
        .ok(format!("TERM {term}"))
        .detail("stdin", is_terminal(io::stdin().is_terminal()))
        .detail("stdout", is_terminal(io::stdout().is_terminal()))
        .detail("stderr", is_terminal(io::stderr().is_terminal()));
    for name in ["COLORTERM", "NO_COLOR", "TERM_PROGRAM", "LANG", "LC_ALL"] {
        if let Some(value) = env.non_empty(name) {
            check = check.detail(name, value);
        }
    }
    check
}

/// Whether git is there, and whether this directory is a repository.
pub(crate) fn git(env: &Env, cwd: &AbsPath) -> Check {
    let check = Check::new("git.environment", Category::Environment);
    let root = cwd
        .as_path()
        .ancestors()
        .find(|folder| folder.join(".git").exists());
    let check = match root {
        Some(root) => check.detail("repository", root.display().to_string()),
        None => check.detail("repository", "none around this directory"),
    };
    let spec = ChildSpec::new("git", env.clone(), cwd.as_path());
    match spec.find_program() {
        Ok(program) => check.ok(program.display().to_string()),
        Err(error) => check
            .status(Status::Warning, error.to_string())
            .remedy("install git, or put it on PATH"),
    }
}

/// Whether our own files are where they should be and private.
pub(crate) fn state(env: &Env) -> Check {
    let check = Check::new("state.paths", Category::Environment);
    let home = match CodexHome::find(env) {
        Ok(home) => home,
        Err(error) => {
            return check
                .status(Status::Fail, error.to_string())
                .remedy("correct CODEX_HOME, or unset it");
        }
    };
    let path = home.path().as_path();
    let check = check.detail("codex_home", path.display().to_string());
    let Ok(facts) = std::fs::metadata(path) else {
        return check.ok(format!("{} is made by the first write", path.display()));
    };
    let mut loose = Vec::new();
    for name in [".credentials.json", "auth.json", "config.toml"] {
        loose.extend(loose_mode(&path.join(name)));
    }
    if facts.permissions().readonly() {
        return check
            .status(
                Status::Fail,
                format!("{} cannot be written to", path.display()),
            )
            .remedy("give yourself the right to write there");
    }
    match loose.is_empty() {
        true => check.ok(path.display().to_string()),
        false => check
            .status(Status::Warning, "others can read private files")
            .list("readable", loose)
            .remedy("chmod 600 the files"),
    }
}

/// Names a file that others may read although it may hold secrets.
#[cfg(unix)]
fn loose_mode(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0 && file.file_name() != Some(OsStr::new("config.toml")))
        .then(|| format!("{} has mode {mode:o}", file.display()))
}

#[cfg(not(unix))]
fn loose_mode(_file: &Path) -> Option<String> {
    None
}

/// What others of this name look at, and there is nothing of here.
pub(crate) fn not_applicable() -> [Check; 2] {
    [
        Check::new("updates.status", Category::Updates).status(
            Status::Skip,
            "not applicable: codex looks for no updates; what installed it updates it",
        ),
        Check::new("background.server", Category::Background).status(
            Status::Skip,
            "not applicable: nothing of codex runs in the background",
        ),
    ]
}

/// The variables that decide how the network is reached; nothing is connected to.
pub(crate) fn network(env: &Env) -> Check {
    let mut check = Check::new("network.env", Category::Connectivity).ok("no proxy");
    let mut n_proxies = 0;
    for name in PROXY_VARIABLES {
        for spelled in [name.to_owned(), name.to_ascii_lowercase()] {
            let Some(value) = env.non_empty(&spelled) else {
                continue;
            };
            n_proxies += 1;
            match proxy_origin(value) {
                Some(origin) => check = check.detail(&spelled, origin),
                None => {
                    let why = format!("{spelled} is no address of a proxy");
                    return check
                        .status(Status::Fail, why)
                        .remedy(format!("correct {spelled}, or unset it"));
                }
            }
        }
    }
    if n_proxies > 0 {
        check = check.ok(format!("{n_proxies} proxy variables"));
    }
    for spelled in ["NO_PROXY", "no_proxy"] {
        if let Some(value) = env.non_empty(spelled) {
            check = check.detail(spelled, value);
        }
    }
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let Some(path) = env.get_os(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        let path = PathBuf::from(path);
        check = check.detail(name, path.display().to_string());
        let opened = match name {
            "SSL_CERT_DIR" => std::fs::read_dir(&path).map(drop),
            _ => std::fs::File::open(&path).map(drop),
        };
        if let Err(error) = opened {
            return check
                .status(Status::Fail, format!("{name} cannot be read: {error}"))
                .remedy(format!("correct {name}, or unset it"));
        }
    }
    check
}

/// Returns what may be shown of a proxy: no user, no password, no path.
fn proxy_origin(value: &str) -> Option<String> {
    let whole = match value.contains("://") {
        true => value.to_owned(),
        false => format!("http://{value}"),
    };
    let url: Url = whole.parse().ok()?;
    let is_proxy = matches!(
        url.scheme(),
        "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h"
    );
    url.host_str().filter(|_| is_proxy)?;
    Some(shown_origin(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_password_and_path() {
        let shown = |value: &str| proxy_origin(value);
        assert_eq!(
            shown("http://me:secret@proxy.example:3128/secret").as_deref(),
            Some("http://proxy.example:3128")
        );
        assert_eq!(shown("proxy:1").as_deref(), Some("http://proxy:1"));
        assert_eq!(shown("gopher://proxy:1"), None);
    }
}

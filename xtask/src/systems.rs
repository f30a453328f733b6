//! Type-checks of the code for other systems, where Debian's compiler with the sources of its standard
//! library is installed: rustup's has none for them here. Nothing is linked, and nothing runs.
//!
//! It is no part of the gate: the compiler comes with Debian's security updates and goes with them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{step, workspace};

const LIMIT: Duration = Duration::from_secs(30 * 60);
const CARGO: &str = "/usr/bin/cargo";
const COMPILER: &str = "/usr/bin/rustc";
/// Beside Debian's compiler; an older package of the same name has no `std` to build.
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const PACKAGES: &str = "rustc-web cargo-web rust-web-src gcc-mingw-w64-x86-64";

/// A system, and the crates that are checked for it.
struct System {
    name: &'static str,
    target: &'static str,
    crates: &'static [&'static str],
    /// What compiles the C code of these crates.
    c_compiler: Option<&'static str>,
}

const SYSTEMS: &[System] = &[
    System {
        name: "Windows",
        target: "x86_64-pc-windows-gnu",
        crates: &["codex-cli"],
        c_compiler: Some("x86_64-w64-mingw32-gcc"),
    },
    System {
        name: "macOS",
        target: "aarch64-apple-darwin",
        // No crate with C code: that would need Apple's headers.
        crates: &["codex-sandbox"],
        c_compiler: None,
    },
];

/// Checks what can be checked, and says what was.
pub(crate) fn check() -> Result<String> {
    if ![CARGO, COMPILER, SOURCES]
        .iter()
        .all(|part| Path::new(part).exists())
    {
        return Ok(format!(
            "not type-checked for Windows and macOS: that needs `apt-get install {PACKAGES}`"
        ));
    }
    let mut said = Vec::new();
    for system in SYSTEMS {
        said.push(match system.c_compiler {
            Some(compiler) if !Path::new("/usr/bin").join(compiler).exists() => {
                format!("not for {}: there is no {compiler}", system.name)
            }
            _ => {
                system.check()?;
                format!("{} for {}", system.crates.join(", "), system.name)
            }
        });
    }
    Ok(format!("type-checked, not run: {}", said.join("; ")))
}

impl System {
    fn check(&self) -> Result<()> {
        let mut command = Command::new(CARGO);
        command
            .current_dir(workspace::root())
            .args([
                "check",
                "--locked",
                "--quiet",
                "-Zbuild-std=std,panic_abort",
            ])
            .args(["--target", self.target])
            .args(self.crates.iter().flat_map(|name| ["-p", name]))
            .env("CARGO_TARGET_DIR", workspace::root().join("target/systems"))
            .env("RUSTC", COMPILER)
            // Unstable switches of a stable compiler: no other way builds `std`.
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTUP_TOOLCHAIN");
        if let Some(compiler) = self.c_compiler {
            let target = self.target.replace('-', "_");
            command.env(format!("CC_{target}"), compiler);
            let archiver = compiler.replace("gcc", "ar");
            command.env(format!("AR_{target}"), archiver);
        }
        step::run(&format!("the check for {}", self.name), &mut command, LIMIT)
    }
}

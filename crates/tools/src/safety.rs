//! What is known about a command before it runs: that it only reads, that it destroys, or nothing.
//!
//! The lists are short on purpose. A command is known to be safe only when it and its options can
//! neither write, nor start another program, nor talk to the network.

use crate::script::{Command, Script};

/// What is known about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// It only reads.
    KnownSafe,
    /// Nothing.
    Unknown,
    /// It destroys what cannot be brought back.
    Dangerous,
}

/// Judges a command by its words.
pub fn judge(argv: &[String]) -> Safety {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let Some(script) = shell_script(&words) else {
        return of_command(&words);
    };
    // Whatever calls itself a shell can destroy; only the shell itself is known to do what it is told.
    let is_shell = words
        .first()
        .is_some_and(|shell| !installed_name(shell).contains('/'));
    let script = Script::parse(script);
    if script.commands.iter().any(is_dangerous) {
        return Safety::Dangerous;
    }
    let commands = script.plain_commands().unwrap_or_default();
    let known = is_shell && !commands.is_empty() && commands.iter().all(|words| is_safe(words));
    if known {
        Safety::KnownSafe
    } else {
        Safety::Unknown
    }
}

/// Returns the script of `bash -lc SCRIPT` and its like.
pub fn shell_script<'a>(words: &[&'a str]) -> Option<&'a str> {
    let [shell, flag, script] = words else {
        return None;
    };
    let is_shell = ["bash", "sh", "zsh", "dash"].contains(&base_name(shell));
    (is_shell && ["-c", "-lc", "-cl"].contains(flag)).then_some(script)
}

fn of_command(words: &[&str]) -> Safety {
    let command: Command = words.iter().map(|word| Some((*word).to_owned())).collect();
    match (is_dangerous(&command), is_safe(words)) {
        (true, _) => Safety::Dangerous,
        (false, true) => Safety::KnownSafe,
        (false, false) => Safety::Unknown,
    }
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Returns the name of a program that is found by its name or where the system keeps its programs;
/// another path is returned whole, since it may lead to anything that calls itself `ls`.
fn installed_name(program: &str) -> &str {
    let below = program.strip_prefix("/usr/bin/");
    below.or(program.strip_prefix("/bin/")).unwrap_or(program)
}

fn is_safe(words: &[&str]) -> bool {
    let Some((program, args)) = words.split_first() else {
        return false;
    };
    let has = |options: &[&str]| args.iter().any(|arg| is_option(arg, options));
    // git is missing on purpose: a repository's own settings start programs (`core.fsmonitor`,
    // `diff.external`, filters) whatever the verb.
    match installed_name(program) {
        "cat" | "cd" | "cut" | "echo" | "expr" | "false" | "grep" | "head" | "id" | "ls" | "nl"
        | "paste" | "pwd" | "rev" | "seq" | "stat" | "tail" | "tr" | "true" | "uname" | "wc"
        | "which" | "whoami" => true,
        // Its second file is written.
        "uniq" => args.iter().all(|arg| arg.starts_with('-')),
        "sort" => !has(&[
            "-o",
            "--output",
            "--compress-program",
            "-T",
            "--temporary-directory",
        ]),
        "base64" => !has(&["-o", "--output"]),
        "find" => !args.iter().any(|arg| {
            let acts = [
                "-exec", "-execdir", "-ok", "-okdir", "-delete", "-fls", "-fprint", "-fprint0",
                "-fprintf",
            ];
            acts.contains(arg)
        }),
        "rg" => !has(&["--pre", "--hostname-bin", "--search-zip", "-z"]),
        "sed" => is_safe_sed(args),
        _ => false,
    }
}

/// Whether an argument is one of the options, with a value in it or abbreviated too.
fn is_option(arg: &str, options: &[&str]) -> bool {
    let name = arg.split('=').next().unwrap_or(arg);
    options
        .iter()
        .any(|option| match option.strip_prefix("--") {
            Some(_) => name.len() > 2 && option.starts_with(name) && name.starts_with("--"),
            // Short options may stand together, and a value may follow at once.
            None => {
                let letter = &option[1..];
                name.starts_with('-') && !name.starts_with("--") && name.contains(letter)
            }
        })
}

/// `sed -n 1,5p FILE…` prints; everything else may write or run.
fn is_safe_sed(args: &[&str]) -> bool {
    let [flag, program, files @ ..] = args else {
        return false;
    };
    let range = program.strip_suffix('p').unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    *flag == "-n"
        && range.split(',').count() <= 2
        && range.split(',').all(is_number)
        && files.iter().all(|file| !file.starts_with('-'))
}

/// Programs that start the program that is named after their own options.
const STARTERS: &[&str] = &[
    "command", "doas", "env", "exec", "find", "ionice", "nice", "nohup", "setsid", "stdbuf",
    "sudo", "time", "timeout", "xargs",
];
/// How many words of a starter are looked at; its options end long before.
const N_STARTER_WORDS: usize = 64;

fn is_dangerous(command: &Command) -> bool {
    let words = command
        .iter()
        .map(|word| word.as_deref().unwrap_or_default());
    let words: Vec<&str> = words.collect();
    if destroys(&words) {
        return true;
    }
    let starts = words
        .first()
        .is_some_and(|name| STARTERS.contains(&base_name(name)));
    // Which options take a value differs from starter to starter: any word may be the program.
    let n_looked_at = words.len().min(N_STARTER_WORDS);
    starts && (1..n_looked_at).any(|at| destroys(&words[at..]))
}

/// Whether a program with its arguments destroys by itself.
fn destroys(words: &[&str]) -> bool {
    let Some((program, args)) = words.split_first() else {
        return false;
    };
    let has = |options: &[&str]| args.iter().any(|arg| is_option(arg, options));
    match base_name(program) {
        "rm" => has(&["-r", "-R", "-f", "--recursive", "--force"]),
        "git" => match git_verb(args) {
            Some("reset" | "rm" | "clean") => true,
            Some("push") => has(&["-f", "--force"]) || args.iter().any(|arg| arg.starts_with('+')),
            _ => false,
        },
        "find" => args.contains(&"-delete"),
        "dd" | "shred" | "shutdown" | "reboot" | "halt" | "poweroff" => true,
        "chmod" | "chown" => has(&["-R", "--recursive"]),
        name => name.starts_with("mkfs"),
    }
}

/// Returns the verb behind git's own options.
fn git_verb<'a>(args: &[&'a str]) -> Option<&'a str> {
    let takes_value = [
        "-C",
        "-c",
        "--attr-source",
        "--config-env",
        "--git-dir",
        "--namespace",
        "--super-prefix",
        "--work-tree",
    ];
    let mut args = args.iter();
    loop {
        let arg = args.next()?;
        if takes_value.contains(arg) {
            args.next();
        } else if !arg.starts_with('-') {
            return Some(arg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Safety {
        judge(&["/bin/bash", "-lc", text].map(str::to_owned))
    }

    #[test]
    fn every_row_of_the_table() {
        use Safety::{Dangerous, KnownSafe, Unknown};
        let rows = [
            ("ls -la && cat f | head -n 3", KnownSafe),
            ("/bin/ls", KnownSafe),
            ("/tmp/ls", Unknown),
            ("./ls", Unknown),
            ("git status", Unknown),
            ("git log --oneline -n 3", Unknown),
            ("git -c core.pager=x log", Unknown),
            ("git -C d reset --hard", Dangerous),
            ("git --git-dir d --no-pager clean -fd", Dangerous),
            ("git -C reset status", Unknown),
            ("git commit -m x", Unknown),
            ("find . -name '*.rs'", KnownSafe),
            ("find . -delete", Dangerous),
            ("find . -exec rm f ';'", Unknown),
            ("find . -exec rm -rf {} +", Dangerous),
            ("find . | xargs -n 1 rm -rf", Dangerous),
            ("find . | xargs grep x", Unknown),
            ("timeout 5 rm -rf x", Dangerous),
            ("rg -n x src", KnownSafe),
            ("rg --pre=./x y", Unknown),
            ("rg -nz y", Unknown),
            ("sed -n 1,5p f", KnownSafe),
            ("sed -n 7p f", KnownSafe),
            ("sed -n '1e rm f'", Unknown),
            ("sed -i s/a/b/ f", Unknown),
            ("sort f", KnownSafe),
            ("sort -no f f", Unknown),
            ("uniq a b", Unknown),
            ("cargo test", Unknown),
            ("ls > f", Unknown),
            ("ls; $(x)", Unknown),
            ("echo rm -rf /", KnownSafe),
            ("echo 'rm -rf /'", KnownSafe),
            ("rm f", Unknown),
            ("rm -rf /", Dangerous),
            ("ls; rm -fr \"$HOME\"", Dangerous),
            ("sudo -n /bin/rm --recursive x", Dangerous),
            ("sudo -u root rm -rf /", Dangerous),
            ("env -u X A=1 nice -n 5 rm -rf /", Dangerous),
            ("sudo ls", Unknown),
            ("if true; then git reset --hard; fi", Dangerous),
            ("X=$(git push --force)", Dangerous),
            ("git push origin +main", Dangerous),
            ("dd if=a of=b", Dangerous),
            ("mkfs.ext4 x", Dangerous),
        ];
        for (text, expected) in rows {
            assert_eq!(script(text), expected, "{text}");
        }
    }

    #[test]
    fn a_command_without_a_shell_is_judged_too() {
        let judge = |words: &[&str]| {
            judge(
                &words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(judge(&["ls", "*"]), Safety::KnownSafe);
        for (shell, expected) in [
            ("bash", Safety::KnownSafe),
            ("/usr/bin/bash", Safety::KnownSafe),
            ("./bash", Safety::Unknown),
            ("/tmp/sh", Safety::Unknown),
        ] {
            assert_eq!(judge(&[shell, "-c", "ls"]), expected, "{shell}");
        }
        assert_eq!(judge(&["./bash", "-c", "rm -rf x"]), Safety::Dangerous);
        assert_eq!(judge(&["rm", "-rf", "x"]), Safety::Dangerous);
        assert_eq!(judge(&["python3", "-c", "ls"]), Safety::Unknown);
        assert_eq!(judge(&[]), Safety::Unknown);
    }
}

//! What is known about a command before it runs: that it only reads, that it destroys, or nothing.
//!
//! The lists are short on purpose. A command is known to be safe only when it and its options can
//! neither write, nor start another program, nor talk to the network.

use crate::script::{self, Script};

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
    if Reader::default().destroys_by_any_way(&words.iter().copied().map(Some).collect::<Vec<_>>()) {
        return Safety::Dangerous;
    }
    let is_known = match shell_script(&words) {
        None => is_safe(&words),
        // Only the shell itself is known to do what it is told.
        Some(_) if installed_name(words[0]).contains('/') => false,
        Some(script) => {
            let script = Script::parse(script);
            let commands = script.plain_commands().unwrap_or_default();
            !commands.is_empty() && commands.iter().all(|words| is_safe(words))
        }
    };
    match is_known {
        true => Safety::KnownSafe,
        false => Safety::Unknown,
    }
}

/// Returns the script of `bash -lc SCRIPT` and its like.
pub fn shell_script<'a>(words: &[&'a str]) -> Option<&'a str> {
    let [shell, flag, script] = words else {
        return None;
    };
    let is_shell = SHELLS.contains(&base_name(shell));
    (is_shell && ["-c", "-lc", "-cl"].contains(flag)).then_some(script)
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
        // Its second file is written, and behind `--` every word is a file.
        "uniq" => args.iter().all(|arg| arg.starts_with('-') && *arg != "--"),
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

/// Programs that run the script behind `-c`.
const SHELLS: &[&str] = &["bash", "dash", "sh", "zsh"];
/// Programs that start the program that is named after their own options.
const STARTERS: &[&str] = &[
    "builtin", "busybox", "command", "doas", "env", "exec", "find", "ionice", "nice", "nohup",
    "setsid", "stdbuf", "sudo", "time", "timeout", "xargs",
];
/// How many words of a starter are looked at; its options end long before.
const N_STARTER_WORDS: usize = 64;
/// How many scripts are read for one command, the scripts within scripts included.
const N_SCRIPTS: usize = 32;

/// Looks for what destroys, also in the scripts that a command hands to a shell. What cannot be read
/// there may be anything.
struct Reader {
    n_scripts_left: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            n_scripts_left: N_SCRIPTS,
        }
    }
}

impl Reader {
    /// Whether a command destroys, itself or by what it starts; `None` for a word that is only known
    /// when it runs.
    fn destroys_by_any_way(&mut self, words: &[Option<&str>]) -> bool {
        if self.destroys(words) {
            return true;
        }
        let name = words.first().copied().flatten();
        let starts = name.is_some_and(|name| STARTERS.contains(&base_name(name)));
        // Which options take a value differs from starter to starter: any word may be the program.
        let n_looked_at = words.len().min(N_STARTER_WORDS);
        starts && (1..n_looked_at).any(|at| self.destroys(&words[at..]))
    }

    fn destroys(&mut self, words: &[Option<&str>]) -> bool {
        let Some((Some(program), args)) = words.split_first() else {
            return false;
        };
        match base_name(program) {
            "eval" => {
                let text: Option<Vec<&str>> = args.iter().copied().collect();
                self.script_destroys(text.map(|words| words.join(" ")).as_deref())
            }
            name if SHELLS.contains(&name) => shell_scripts(args)
                .into_iter()
                .any(|script| self.script_destroys(script)),
            _ => {
                let args = args.iter().map(|word| word.unwrap_or_default());
                destroys(program, &args.collect::<Vec<_>>())
            }
        }
    }

    fn script_destroys(&mut self, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|text| text.len() <= script::LIMIT) else {
            return true;
        };
        let Some(n_left) = self.n_scripts_left.checked_sub(1) else {
            return true;
        };
        self.n_scripts_left = n_left;
        let script = Script::parse(text);
        script.commands.iter().any(|command| {
            let words: Vec<Option<&str>> = command.iter().map(Option::as_deref).collect();
            self.destroys_by_any_way(&words)
        })
    }
}

/// Returns the script that a shell is given by an option with a `c` in it, and what else may be one;
/// nothing when it runs a file or what it reads.
fn shell_scripts<'a>(args: &[Option<&'a str>]) -> Vec<Option<&'a str>> {
    let mut found = Vec::new();
    let (mut has_script, mut n_values, mut options_end) = (false, 0_usize, false);
    for arg in args {
        match arg {
            Some("--" | "-") if !options_end => options_end = true,
            Some("--rcfile" | "--init-file") if !options_end => n_values += 1,
            Some(arg) if !options_end && arg.starts_with("--") => {}
            Some(arg) if !options_end && arg.starts_with(['-', '+']) => {
                has_script |= arg.starts_with('-') && arg.contains('c');
                n_values += arg.matches(['o', 'O']).count();
            }
            // The value of an option, or of what only looks like one: the script is yet to come.
            word if n_values > 0 => {
                n_values -= 1;
                found.push(*word);
            }
            // An option or the script, which only shows when it runs.
            None if !has_script => found.push(None),
            word => {
                found.push(*word);
                break;
            }
        }
    }
    match has_script {
        true => found,
        false => Vec::new(),
    }
}

/// Whether a program with its arguments destroys by itself.
fn destroys(program: &str, args: &[&str]) -> bool {
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

    fn of_script(text: &str) -> Safety {
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
            ("uniq -c", KnownSafe),
            ("uniq a b", Unknown),
            ("uniq -- -a -b", Unknown),
            ("uniq -c -- -a -b", Unknown),
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
            ("bash -c 'rm -rf x'", Dangerous),
            ("bash -c 'ls'", Unknown),
            ("sudo -n sh -ec 'rm -rf x'", Dangerous),
            ("/bin/dash -e -c 'cd /; rm -rf x'", Dangerous),
            ("zsh -euo pipefail -c 'rm -rf x'", Dangerous),
            ("bash -co pipefail 'rm -rf x'", Dangerous),
            ("bash --norc +x -c -- 'rm -rf x'", Dangerous),
            ("bash -c 'ls' 'rm -rf x'", Unknown),
            ("bash ./f -c 'rm -rf x'", Unknown),
            ("bash \"$X\"", Unknown),
            ("bash -c \"$X\"", Dangerous),
            ("bash $X -c ls", Dangerous),
            ("bash -c 'sh -c \"rm -rf x\"'", Dangerous),
            ("bash -c 'echo \"$1\"' _ \"$X\"", Unknown),
            ("find . -exec sh -c 'rm -rf \"$1\"' _ {} ';'", Dangerous),
            ("eval 'rm -rf x'", Dangerous),
            ("eval rm '-rf' x", Dangerous),
            ("builtin eval 'rm -rf x'", Dangerous),
            ("eval \"$X\"", Dangerous),
            ("eval ls", Unknown),
        ];
        for (text, expected) in rows {
            assert_eq!(of_script(text), expected, "{text}");
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
        for flags in [
            &["-ec"][..],
            &["-e", "-c"],
            &["-o", "errexit", "-lc"],
            &["-O", "extglob", "-c"],
        ] {
            let with = |script| [&["bash"], flags, &[script]].concat();
            assert_eq!(judge(&with("rm -rf x")), Safety::Dangerous, "{flags:?}");
            assert_eq!(judge(&with("ls")), Safety::Unknown, "{flags:?}");
        }
        assert_eq!(judge(&["eval", "rm -rf x"]), Safety::Dangerous);
        assert_eq!(judge(&["busybox", "rm", "-rf", "x"]), Safety::Dangerous);
        assert_eq!(judge(&["rm", "-rf", "x"]), Safety::Dangerous);
        assert_eq!(judge(&["python3", "-c", "ls"]), Safety::Unknown);
        assert_eq!(judge(&[]), Safety::Unknown);
    }

    #[test]
    fn what_is_too_long_or_too_deep_to_be_read_may_destroy() {
        let long = format!("ls {}", "x".repeat(script::LIMIT));
        assert_eq!(of_script(&long), Safety::Dangerous);
        assert_eq!(of_script(&"eval ls;".repeat(16)), Safety::Unknown);
        assert_eq!(of_script(&"eval ls;".repeat(N_SCRIPTS)), Safety::Dangerous);
        assert_eq!(
            of_script(&format!("{}ls", "sudo eval ".repeat(31))),
            Safety::Dangerous
        );
    }
}

//! Policies on real folders: what is writable, kept, and kept missing.
#![expect(clippy::disallowed_methods, reason = "tests prepare files directly")]

use std::fs;

use super::*;

/// A folder outside of `/tmp`, so that what is in it is writable by its own right only.
struct Disk(tempfile::TempDir);

impl Disk {
    fn with(folders: &[&str]) -> Self {
        let disk = Self(tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap());
        for folder in folders {
            fs::create_dir_all(disk.at(folder)).unwrap();
        }
        disk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn access(&self, cwd: &str, workspace: WorkspaceWrite, env: &[(&str, &Path)]) -> Access {
        let env = Env::from_pairs(env.iter().copied());
        let policy = SandboxPolicy::WorkspaceWrite(workspace);
        of_policy(&policy, &self.at(cwd), &env).unwrap().unwrap()
    }
}

fn without_tmp() -> WorkspaceWrite {
    WorkspaceWrite {
        exclude_slash_tmp: true,
        ..WorkspaceWrite::default()
    }
}

#[test]
fn read_only_opens_nothing_and_full_access_is_no_sandbox() {
    let env = Env::default();
    let of = |policy| of_policy(&policy, Path::new("/"), &env).unwrap();
    let network_access = true;
    let expected = Access {
        network: true,
        ..Access::default()
    };
    assert_eq!(
        of(SandboxPolicy::ReadOnly { network_access }),
        Some(expected)
    );
    assert_eq!(of(SandboxPolicy::DangerFullAccess), None);
}

#[test]
fn what_exists_is_kept_and_what_is_missing_stays_missing() {
    let disk = Disk::with(&["w/.git", "more/.codex", "t"]);
    let workspace = WorkspaceWrite {
        writable_roots: vec!["../more".into(), "not there".into()],
        ..without_tmp()
    };
    let access = disk.access("w", workspace, &[("TMPDIR", &disk.at("t"))]);
    assert_eq!(
        access.writable,
        [disk.at("w"), disk.at("more"), disk.at("t")]
    );
    assert_eq!(
        access.read_only,
        [disk.at("w/.git"), disk.at("more/.codex")]
    );
    assert!(access.absent.contains(&disk.at("w/.codex")));
    assert!(!access.network);
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_another_command_holds_counts_as_missing() {
    use std::os::unix::fs::PermissionsExt;

    let disk = Disk::with(&["w/.git", "w/.codex"]);
    fs::set_permissions(disk.at("w/.codex"), fs::Permissions::from_mode(0o1755)).unwrap();
    let access = disk.access("w", without_tmp(), &[]);
    assert_eq!(access.absent, [disk.at("w/.codex")]);
    assert_eq!(access.read_only, [disk.at("w/.git")]);
}

#[test]
fn below_a_repository_no_git_folder_is_invented() {
    let disk = Disk::with(&["w/.git", "w/sub"]);
    let access = disk.access("w/sub", without_tmp(), &[]);
    assert_eq!(access.absent, [disk.at("w/sub/.codex")]);
    assert_eq!(access.read_only, [] as [PathBuf; 0]);
}

#[test]
fn folders_between_a_workspace_and_an_outer_root_are_pinned_and_protected() {
    let disk = Disk::with(&["t/repo/.git", "t/repo/sub/deep"]);
    let access = disk.access(
        "t/repo/sub/deep",
        without_tmp(),
        &[("TMPDIR", &disk.at("t"))],
    );
    let expected = ["t/repo/sub/deep", "t", "t/repo/sub", "t/repo"].map(|name| disk.at(name));
    assert_eq!(access.writable, expected);
    assert_eq!(access.read_only, [disk.at("t/repo/.git")]);
}

#[test]
fn a_worktree_leads_to_its_repository() {
    let disk = Disk::with(&["t/main/.git/worktrees/x", "w"]);
    fs::write(disk.at("w/.git"), "gitdir: ../t/main/.git/worktrees/x\n").unwrap();
    fs::write(disk.at("t/main/.git/worktrees/x/commondir"), "../..\n").unwrap();
    let access = disk.access("w", without_tmp(), &[("TMPDIR", &disk.at("t"))]);
    let expected = ["w/.git", "t/main/.git/worktrees/x", "t/main/.git"].map(|name| disk.at(name));
    assert_eq!(access.read_only, expected);
}

#[cfg(unix)]
#[test]
fn a_link_is_kept_with_what_it_leads_to() {
    let disk = Disk::with(&["w/real"]);
    std::os::unix::fs::symlink("real", disk.at("w/.git")).unwrap();
    let access = disk.access("w", without_tmp(), &[]);
    assert_eq!(access.read_only, [disk.at("w/.git"), disk.at("w/real")]);
}

#[test]
fn the_home_of_the_agent_is_kept_wherever_it_is() {
    let disk = Disk::with(&["w/home"]);
    let access = disk.access("w", without_tmp(), &[("CODEX_HOME", &disk.at("w/home"))]);
    assert_eq!(access.read_only, [disk.at("w/home")]);
}

#[test]
fn a_home_that_is_missing_stays_missing_where_it_could_be_made() {
    let disk = Disk::with(&["w/.git", "t/user"]);
    let of_home = |home: &str| {
        let env = [("TMPDIR", &*disk.at("t")), ("HOME", &disk.at(home))];
        let access = disk.access("w", without_tmp(), &env);
        (access.writable, access.absent)
    };
    let pinned = ["w", "t", "t/user"].map(|name| disk.at(name));
    for (home, first) in [("t/user", "t/user/.codex"), ("t/user/no/such", "t/user/no")] {
        let expected = [disk.at("w/.codex"), disk.at(first)];
        assert_eq!(of_home(home), (pinned.to_vec(), expected.to_vec()));
    }
    // The first is held already, and nobody inside can make the others.
    for home in ["w", "", "elsewhere"] {
        let expected = (pinned[..2].to_vec(), vec![disk.at("w/.codex")]);
        assert_eq!(of_home(home), expected, "{home}");
    }
}

#[test]
fn what_leads_to_something_kept_cannot_be_replaced() {
    let disk = Disk::with(&["w", "t/deep/home"]);
    let env = [
        ("TMPDIR", &*disk.at("t")),
        ("CODEX_HOME", &disk.at("t/deep/home")),
    ];
    let access = disk.access("w", without_tmp(), &env);
    assert_eq!(
        access.writable,
        ["w", "t", "t/deep"].map(|name| disk.at(name))
    );
    assert_eq!(access.read_only, [disk.at("t/deep/home")]);
}

#[cfg(unix)]
#[test]
fn the_whole_disk_and_the_switches_of_the_kernel_are_no_roots() {
    for cwd in ["/", "/proc"] {
        let policy = SandboxPolicy::WorkspaceWrite(without_tmp());
        let refused = of_policy(&policy, Path::new(cwd), &Env::default());
        assert!(
            matches!(refused, Err(SandboxError::BadRoot { .. })),
            "{cwd}"
        );
    }
}

/// What is refused, or the writable paths.
#[cfg(unix)]
fn refused(disk: &Disk, root: &str, tmpdir: &str) -> Option<PathBuf> {
    let workspace = WorkspaceWrite {
        writable_roots: vec![root.into()],
        ..without_tmp()
    };
    let env = Env::from_pairs([("TMPDIR", disk.at(tmpdir))]);
    let policy = SandboxPolicy::WorkspaceWrite(workspace);
    match of_policy(&policy, &disk.at("w"), &env) {
        Ok(_) => None,
        Err(SandboxError::LinkInRoot { link, .. }) => Some(link),
        Err(other) => panic!("{other}"),
    }
}

#[cfg(unix)]
#[test]
fn a_root_behind_a_link_that_commands_can_change_is_refused() {
    use std::os::unix::fs::symlink;

    let disk = Disk::with(&["w/sub", "victim/deep", "t", "own"]);
    symlink(disk.at("victim"), disk.at("w/cache")).unwrap();
    symlink("../w/cache/deep", disk.at("own/link")).unwrap();
    symlink("loop", disk.at("w/loop")).unwrap();
    symlink(disk.at("t"), disk.at("own/t")).unwrap();
    let link = Some(disk.at("w/cache"));
    assert_eq!(refused(&disk, "cache", "t"), link);
    assert_eq!(refused(&disk, "cache/deep/..", "t"), link);
    // A link of nobody's that leads over one, and the temporary folder.
    assert_eq!(refused(&disk, "../own/link", "t"), link);
    assert_eq!(refused(&disk, "none", "w/cache/deep"), link);
    // Links outside of all roots are the user's own; what leads nowhere is no root.
    assert_eq!(refused(&disk, "../own/t", "own/t"), None);
    assert_eq!(refused(&disk, "loop", "w/none"), None);
}

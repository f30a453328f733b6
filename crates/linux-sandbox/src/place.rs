//! A path as the very place that was planned: no link on the way to it is followed.
//!
//! The plan was made from real paths. A command that runs beside may have put a link in the place of
//! a directory since; what that leads to must neither become writable nor be touched. `openat2`
//! would do this in one call, but it is not there inside of a sandbox like ours, and in many containers.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

/// Opens what is at an absolute path, for its place only. A link at the end is opened itself; one
/// before it is no directory (`ENOTDIR`).
pub(crate) fn open_place(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Err(Errno::EINVAL);
    }
    let mut place = open("/", flags, Mode::empty())?;
    for part in parts {
        let Component::Normal(name) = part else {
            return Err(Errno::EINVAL);
        };
        place = openat(&place, name, flags, Mode::empty())?;
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::fstat;
    use nix::unistd::getuid;

    use super::*;

    #[test]
    fn no_link_on_the_way_is_followed_and_none_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        symlink("a", at("link")).unwrap();
        symlink("b", at("a/last")).unwrap();
        let kind = |name: &str| {
            let place = open_place(&at(name))?;
            Ok(fstat(&place)?.st_mode & nix::libc::S_IFMT)
        };
        assert_eq!(kind("a/b"), Ok(nix::libc::S_IFDIR));
        assert_eq!(kind("link/b"), Err(Errno::ENOTDIR));
        assert_eq!(kind("a/last"), Ok(nix::libc::S_IFLNK));
        assert_eq!(kind("a/../a/b"), Err(Errno::EINVAL));
        assert_eq!(kind("none"), Err(Errno::ENOENT));
        // Links of /proc lead anywhere too.
        let own = open_place(Path::new("/proc/self/cwd"));
        assert_eq!(own.map(drop), Err(Errno::ENOTDIR), "{}", getuid());
        assert_eq!(open_place(Path::new("a")).map(drop), Err(Errno::EINVAL));
    }
}

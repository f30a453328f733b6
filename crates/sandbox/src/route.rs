//! The way to a root: where a path really leads, and over which links.
//!
//! Roots are looked up for every command, so a link on the way to one must not be a command's own:
//! what it leads to would be writable for the next command. Both come from one walk, since a path
//! that is asked twice may give two answers while a command runs beside.

use std::io;
use std::path::{Component, Path, PathBuf};

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The path as it was asked for.
    asked: PathBuf,
    /// The same without links.
    pub(crate) real: PathBuf,
    /// The links on the way, each by its own real path.
    links: Vec<PathBuf>,
}

impl Route {
    /// Follows an absolute path to what exists there.
    pub(crate) fn of(asked: PathBuf) -> io::Result<Self> {
        let mut real = PathBuf::new();
        let mut links = Vec::new();
        let mut ahead = parts(&asked);
        while let Some(part) = ahead.pop() {
            match part.components().next() {
                Some(Component::ParentDir) => {
                    real.pop();
                }
                Some(Component::CurDir) | None => {}
                Some(Component::Prefix(_) | Component::RootDir) => real.push(part),
                Some(Component::Normal(_)) => {
                    real.push(part);
                    if !real.symlink_metadata()?.is_symlink() {
                        continue;
                    }
                    ahead.extend(parts(&real.read_link()?));
                    links.push(real.clone());
                    real.pop();
                    if links.len() > MAX_LINKS {
                        return Err(io::Error::other("too many links"));
                    }
                }
            }
        }
        Ok(Self { asked, real, links })
    }

    /// Returns the path as it was asked for and a link on its way that lies inside of a root.
    pub(crate) fn link_in<'a>(&'a self, roots: &[PathBuf]) -> Option<(&'a Path, &'a Path)> {
        let is_inside = |link: &&PathBuf| roots.iter().any(|root| link.starts_with(root));
        let link = self.links.iter().find(is_inside)?;
        Some((&self.asked, link))
    }
}

/// Returns the components of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().rev();
    parts.map(|part| Path::new(&part).to_owned()).collect()
}

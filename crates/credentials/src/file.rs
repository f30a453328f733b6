//! stub
use crate::Collection;
use codex_host::CodexHome;
/// The file that holds one collection.
#[derive(Debug)]
pub struct FileBackend;
impl FileBackend {
    /// Names the file of a collection in a home directory; nothing is opened.
    pub fn new(_home: &CodexHome, _collection: Collection) -> Self {
        todo!()
    }
}

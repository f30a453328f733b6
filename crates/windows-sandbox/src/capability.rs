//! The SID of a folder that may be written.
//!
//! It is made from the path, so that nothing has to be stored, and no two folders share one: a command
//! that may write one workspace cannot write another. It is no secret: only who makes a token can put
//! a SID into it, and a restricted token makes none that can do more.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Makes another SID of the same path than any other use of the same scheme.
const PURPOSE: &[u8] = b"codex sandbox folder 1\0";

/// Returns the SID in its written form. Letters count as Windows counts them: in either case.
pub(crate) fn of_folder(folder: &Path) -> String {
    let name = folder.to_string_lossy().to_lowercase();
    let name = name.trim_end_matches(['\\', '/']).replace('/', "\\");
    let digest = Sha256::new()
        .chain_update(PURPOSE)
        .chain_update(name)
        .finalize();
    let mut sid = "S-1-5-21".to_owned();
    for part in digest.chunks_exact(4).take(4) {
        let number = part
            .iter()
            .fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
        sid.push_str(&format!("-{number}"));
    }
    sid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_sid_however_it_is_spelled_and_another_folder_another() {
        let sid = |folder: &str| of_folder(Path::new(folder));
        let one = sid(r"C:\Users\me\work");
        assert!(
            one.starts_with("S-1-5-21-") && one.split('-').count() == 8,
            "{one}"
        );
        for same in [
            r"c:\users\ME\work",
            r"C:\Users\me\work\",
            "C:/Users/me/work",
        ] {
            assert_eq!(sid(same), one, "{same}");
        }
        for other in [r"C:\Users\me", r"C:\Users\me\work2", r"D:\Users\me\work"] {
            assert_ne!(sid(other), one, "{other}");
        }
    }
}

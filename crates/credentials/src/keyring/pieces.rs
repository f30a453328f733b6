//! Records that are larger than what a keyring takes at once: pieces and a header.
//!
//! Windows takes 2,560 bytes of UTF-16, and a login has twice that. Such a record lies in entries
//! `<key>#<set>.<n>`, and the entry `<key>` is a header that says how many there are. There are two
//! sets, `a` and `b`: a new record goes into the set that the header does not name, the header is
//! written last, and only then the old set goes. So a writer that is killed leaves the old record
//! whole, and what it left over is found and removed by the next writer.
//! Trap: a reader may meet a writer in the middle; the digest tells, and it reads again.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::calls::{ServiceCalls, Written};
use crate::KeyringError;
use crate::key::hex;

/// A record of 64 pieces has 80 KB on Windows: no login.
const MOST_PIECES: usize = 64;
/// The header must fit too.
const LEAST_LIMIT: usize = 512;
const READ_TRIES: usize = 3;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    codex_pieces: Pieces,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pieces {
    set: PieceSet,
    count: usize,
    sha256: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PieceSet {
    A,
    B,
}

impl PieceSet {
    const ALL: [Self; 2] = [Self::A, Self::B];

    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn user(self, key: &str, n: usize) -> String {
        let set = match self {
            Self::A => 'a',
            Self::B => 'b',
        };
        format!("{key}#{set}.{n}")
    }
}

/// Reads a record, whole or in pieces.
pub(super) fn load(
    calls: &ServiceCalls<'_>,
    key: &str,
) -> Result<Option<Zeroizing<String>>, KeyringError> {
    for _ in 0..READ_TRIES {
        let Some(text) = calls.get(key)? else {
            return Ok(None);
        };
        let Some(pieces) = header(&text) else {
            return Ok(Some(text));
        };
        if let Some(text) = join(calls, key, &pieces)? {
            return Ok(Some(text));
        }
    }
    Err(KeyringError::Damaged)
}

/// Writes a record and reads it back.
pub(super) fn save(calls: &ServiceCalls<'_>, key: &str, text: &str) -> Result<(), KeyringError> {
    // What cannot be read is replaced like anything else.
    let old = match calls.get(key) {
        Err(KeyringError::Damaged) => None,
        old => old?,
    };
    let old = old.and_then(|text| header(&text));
    match calls.set(key, text)? {
        Written::Whole if old.is_some() => {
            for set in PieceSet::ALL {
                delete_from(calls, key, set, 0)?;
            }
        }
        Written::Whole => {}
        Written::TooLong { limit } => {
            let set = old.map_or(PieceSet::A, |old| old.set.other());
            save_pieces(calls, key, text, limit, set)?;
        }
    }
    match load(calls, key)? {
        Some(kept) if kept.as_str() == text => Ok(()),
        _ => Err(KeyringError::NotKept),
    }
}

/// Deletes a record with all its pieces, and returns whether there was one.
pub(super) fn delete(calls: &ServiceCalls<'_>, key: &str) -> Result<bool, KeyringError> {
    let mut was_there = false;
    // The header goes last: while it is there, a deletion that broke off can be repeated.
    for set in PieceSet::ALL {
        was_there |= delete_from(calls, key, set, 0)?;
    }
    was_there |= calls.delete(key)?;
    Ok(was_there)
}

fn save_pieces(
    calls: &ServiceCalls<'_>,
    key: &str,
    text: &str,
    limit: usize,
    set: PieceSet,
) -> Result<(), KeyringError> {
    let pieces = split(text, limit);
    if limit < LEAST_LIMIT || pieces.len() > MOST_PIECES {
        return Err(KeyringError::TooLarge);
    }
    for (n, piece) in pieces.iter().enumerate() {
        write_whole(calls, &set.user(key, n), piece)?;
    }
    let header = Header {
        codex_pieces: Pieces {
            set,
            count: pieces.len(),
            sha256: hex(text.as_bytes()),
        },
    };
    let header = serde_json::to_string(&header).map_err(|_| KeyringError::TooLarge)?;
    write_whole(calls, key, &header)?;
    delete_from(calls, key, set.other(), 0)?;
    delete_from(calls, key, set, pieces.len())?;
    Ok(())
}

fn write_whole(calls: &ServiceCalls<'_>, user: &str, text: &str) -> Result<(), KeyringError> {
    match calls.set(user, text)? {
        Written::Whole => Ok(()),
        Written::TooLong { .. } => Err(KeyringError::TooLarge),
    }
}

/// Deletes the pieces of a set from `first` on, the last one first: a deletion that breaks off
/// leaves no gap behind which the next one would find nothing.
fn delete_from(
    calls: &ServiceCalls<'_>,
    key: &str,
    set: PieceSet,
    first: usize,
) -> Result<bool, KeyringError> {
    let mut end = first;
    while end < MOST_PIECES && calls.get(&set.user(key, end))?.is_some() {
        end += 1;
    }
    for n in (first..end).rev() {
        calls.delete(&set.user(key, n))?;
    }
    Ok(end > first)
}

/// Puts the pieces together; `None` when they are not those of the header.
fn join(
    calls: &ServiceCalls<'_>,
    key: &str,
    pieces: &Pieces,
) -> Result<Option<Zeroizing<String>>, KeyringError> {
    let mut text = Zeroizing::new(String::new());
    for n in 0..pieces.count.min(MOST_PIECES) {
        match calls.get(&pieces.set.user(key, n))? {
            Some(piece) => text.push_str(&piece),
            None => return Ok(None),
        }
    }
    Ok((hex(text.as_bytes()) == pieces.sha256).then_some(text))
}

fn header(text: &str) -> Option<Pieces> {
    let header: Header = serde_json::from_str(text).ok()?;
    Some(header.codex_pieces)
}

/// Cuts a text so that each piece has at most `limit` bytes, in UTF-16 and in UTF-8.
fn split(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut n_utf16) = (0, 0);
    for (position, character) in text.char_indices() {
        let bytes = character.len_utf16() * 2;
        let end = position + character.len_utf8();
        if position > start && (n_utf16 + bytes > limit || end - start > limit) {
            pieces.push(&text[start..position]);
            (start, n_utf16) = (position, 0);
        }
        n_utf16 += bytes;
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_to_the_limit_in_both_encodings() {
        let text = "aä€😀".repeat(300);
        let pieces = split(&text, 512);
        assert_eq!(pieces.concat(), text);
        for piece in pieces {
            assert!(piece.len() <= 512 && piece.encode_utf16().count() * 2 <= 512);
        }
    }

    #[test]
    fn an_ordinary_record_is_no_header() {
        assert!(header(r#"{"server_name":"a"}"#).is_none());
        assert!(header(r#"{"codex_pieces":{"set":"a","count":2,"sha256":"x"}}"#).is_some());
    }
}

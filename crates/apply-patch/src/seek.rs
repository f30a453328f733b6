//! Finds the lines of a hunk in a file.
//!
//! Models copy lines nearly right: white space at the ends is lost, quotes and dashes become plain.
//! So four ways of comparing are tried, the exact one first. Only an exact place may be one of
//! several (the first below the last hunk is meant); a place that is merely similar must be the only
//! one.

use std::borrow::Cow;

use crate::lines::Line;

/// Two lines are the same when …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sameness {
    /// … they are.
    Exact,
    /// … they are up to white space at their ends.
    TrailingSpace,
    /// … they are up to white space on both sides.
    Space,
    /// … they are once typographic signs are made plain, too.
    Typography,
}

const LADDER: [Sameness; 4] = [
    Sameness::Exact,
    Sameness::TrailingSpace,
    Sameness::Space,
    Sameness::Typography,
];

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// No line fits; or only one above the start, counted from 0.
    Nowhere { above: Option<usize> },
    /// These places look alike.
    Ambiguous(Vec<usize>),
}

/// Where a search may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// The first line that counts.
    pub(crate) from: usize,
    /// Only the last lines of the file count.
    pub(crate) at_end: bool,
}

/// Returns the index of the first line of the place that `pattern` names.
pub(crate) fn find(file: &[Line], pattern: &[&str], scope: Scope) -> Result<usize, Miss> {
    let mut above = None;
    for sameness in LADDER {
        let texts: Vec<Cow<'_, [u8]>> = file.iter().map(|it| sameness.key(&it.text)).collect();
        let wanted = pattern.iter().map(|it| sameness.key(it.as_bytes()));
        let wanted: Vec<Cow<'_, [u8]>> = wanted.collect();
        let places = places(&texts, &wanted);
        let fits = |place: &usize| {
            *place >= scope.from && (!scope.at_end || place + pattern.len() == file.len())
        };
        let mut inside = places.iter().copied().filter(fits);
        match (inside.next(), inside.next()) {
            (Some(place), None) => return Ok(place),
            (Some(place), Some(_)) if sameness == Sameness::Exact => return Ok(place),
            (Some(one), Some(two)) => {
                return Err(Miss::Ambiguous(
                    [one, two].into_iter().chain(inside).collect(),
                ));
            }
            (None, _) => above = above.or(places.first().copied()),
        }
    }
    Err(Miss::Nowhere { above })
}

fn places(file: &[Cow<'_, [u8]>], wanted: &[Cow<'_, [u8]>]) -> Vec<usize> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let windows = file.windows(wanted.len()).enumerate();
    windows
        .filter(|(_, window)| *window == wanted)
        .map(|(index, _)| index)
        .collect()
}

impl Sameness {
    fn key(self, line: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Exact => Cow::Borrowed(line),
            Self::TrailingSpace => Cow::Borrowed(line.trim_ascii_end()),
            Self::Space => Cow::Borrowed(line.trim_ascii()),
            Self::Typography => match std::str::from_utf8(line) {
                Ok(text) => {
                    let plain: String = text.chars().map(plain).collect();
                    Cow::Owned(plain.trim().as_bytes().to_vec())
                }
                Err(_) => Cow::Borrowed(line.trim_ascii()),
            },
        }
    }
}

/// Returns the plain sign for a typographic one.
fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201B}' => '\'',
        '\u{201C}'..='\u{201F}' => '"',
        '\u{00A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        other => other,
    }
}

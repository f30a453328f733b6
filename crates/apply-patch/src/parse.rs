//! From text to a patch.
//!
//! Markers stand alone on their line; everything else belongs to the section above it. Models wrap a
//! patch in blank lines or in the here-document of a shell, which is taken off; an empty line inside a
//! hunk is a kept empty line whose space was lost. Anything else that is odd is refused with its line.

use std::path::PathBuf;

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File:";
const DELETE: &str = "*** Delete File:";
const UPDATE: &str = "*** Update File:";
const MOVE: &str = "*** Move to:";
const END_OF_FILE: &str = "*** End of File";

/// A patch as it was written; no file has been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// What is done, in order; never empty.
    pub ops: Vec<FileOp>,
}

/// What is done to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOp {
    /// Makes a file.
    Add {
        /// The file.
        path: PathBuf,
        /// Its lines, without line ends.
        lines: Vec<String>,
    },
    /// Removes a file.
    Delete {
        /// The file.
        path: PathBuf,
    },
    /// Changes a file, moves it, or both.
    Update {
        /// The file.
        path: PathBuf,
        /// Its new place.
        move_to: Option<PathBuf>,
        /// What changes, from the top of the file to its end.
        hunks: Vec<Hunk>,
    },
}

/// One place of a file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hunk {
    /// Lines that stand above the place, each below the one before.
    pub anchors: Vec<String>,
    /// The place, line by line.
    pub lines: Vec<HunkLine>,
    /// The place is at the end of the file.
    pub at_end: bool,
    /// The line of the patch on which the hunk begins.
    pub patch_line: usize,
}

/// One line of a hunk, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HunkLine {
    /// It is there and stays.
    Keep(String),
    /// It is there and goes.
    Remove(String),
    /// It comes.
    Insert(String),
}

/// Why a text is no patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {kind}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// The first line is another one.
    #[error("a patch begins with `*** Begin Patch`")]
    NoBegin,
    /// The text ends too early.
    #[error("the patch ends without `*** End Patch`")]
    NoEnd,
    /// There is text after the end.
    #[error("nothing may follow `*** End Patch`")]
    AfterEnd,
    /// There is no file in it.
    #[error("the patch names no file")]
    Empty,
    /// A marker without a path.
    #[error("`{0}` needs a path")]
    NoPath(&'static str),
    /// A path with a NUL byte in it.
    #[error("a path holds no NUL byte")]
    NulInPath,
    /// Not a marker, where one is needed.
    #[error(
        "expected `*** Add File: PATH`, `*** Update File: PATH`, `*** Delete File: PATH` or `*** End Patch`, found `{0}`"
    )]
    NoHeader(String),
    /// A line of a new file without `+`.
    #[error("every line of an added file begins with `+`, found `{0}`")]
    NotAdded(String),
    /// A line of a hunk that is none.
    #[error("a line of a hunk begins with ` `, `-`, `+` or `@@`, found `{0}`")]
    NotInHunk(String),
    /// `@@` and nothing below it.
    #[error("the hunk changes nothing: it needs lines that begin with `-` or `+`")]
    EmptyHunk,
    /// An update that does nothing.
    #[error("`*** Update File: {0}` has neither a hunk nor `*** Move to:`")]
    NothingToUpdate(String),
    /// A second hunk without `@@`.
    #[error("after `*** End of File` a new hunk begins with `@@`")]
    AfterEndOfFile,
}

/// Reads a patch.
pub fn parse(text: &str) -> Result<Patch, ParseError> {
    Reader::new(text).patch()
}

/// The lines of a patch and where in them we are.
struct Reader<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut lines: Vec<&str> = text.split('\n').collect();
        // A patch that was written with CRLF throughout means nothing by it.
        let has_crlf = |line: &&str| line.ends_with('\r');
        if let [all @ .., last] = lines.as_mut_slice()
            && !all.is_empty()
            && all.iter().all(has_crlf)
        {
            for line in all {
                *line = &line[..line.len() - 1];
            }
            *last = last.strip_suffix('\r').unwrap_or(last);
        }
        Self { lines, next: 0 }
    }

    fn patch(mut self) -> Result<Patch> {
        self.skip_blank();
        let terminator = self.here_document();
        match self.peek().map(str::trim) {
            Some(BEGIN) => self.next += 1,
            _ => return Err(self.here(ParseErrorKind::NoBegin)),
        }
        let mut ops = Vec::new();
        loop {
            let Some(line) = self.peek() else {
                return Err(self.here(ParseErrorKind::NoEnd));
            };
            let line = line.trim_end();
            if line == END {
                break;
            }
            if line.is_empty() {
                self.next += 1;
                continue;
            }
            ops.push(self.op(line)?);
        }
        if ops.is_empty() {
            return Err(self.here(ParseErrorKind::Empty));
        }
        self.next += 1;
        self.skip_blank();
        if terminator.is_some() && self.peek().map(str::trim) == terminator {
            self.next += 1;
            self.skip_blank();
        }
        match self.peek() {
            None => Ok(Patch { ops }),
            Some(_) => Err(self.here(ParseErrorKind::AfterEnd)),
        }
    }

    /// Steps over `<<'EOF'` and returns the word that ends it.
    fn here_document(&mut self) -> Option<&'a str> {
        let word = self.peek()?.trim().strip_prefix("<<")?;
        let word = word.trim_start_matches('-').trim();
        self.next += 1;
        Some(word.trim_matches(['\'', '"']))
    }

    fn op(&mut self, header: &'a str) -> Result<FileOp> {
        if let Some(rest) = header.strip_prefix(ADD) {
            let path = self.path(rest, ADD)?;
            self.next += 1;
            return Ok(FileOp::Add {
                path,
                lines: self.added()?,
            });
        }
        if let Some(rest) = header.strip_prefix(DELETE) {
            let path = self.path(rest, DELETE)?;
            self.next += 1;
            return Ok(FileOp::Delete { path });
        }
        if let Some(rest) = header.strip_prefix(UPDATE) {
            let path = self.path(rest, UPDATE)?;
            self.next += 1;
            return self.update(path);
        }
        Err(self.here(ParseErrorKind::NoHeader(excerpt(header))))
    }

    fn path(&self, rest: &str, marker: &'static str) -> Result<PathBuf> {
        match rest.trim() {
            "" => Err(self.here(ParseErrorKind::NoPath(marker))),
            path if path.contains('\0') => Err(self.here(ParseErrorKind::NulInPath)),
            path => Ok(PathBuf::from(path)),
        }
    }

    fn added(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        while let Some(line) = self.peek() {
            match line.strip_prefix('+') {
                Some(text) => lines.push(text.to_owned()),
                None if ends_section(line) => break,
                None if line.trim().is_empty() && self.is_last_of_section() => {}
                None => return Err(self.here(ParseErrorKind::NotAdded(excerpt(line)))),
            }
            self.next += 1;
        }
        Ok(lines)
    }

    fn update(&mut self, path: PathBuf) -> Result<FileOp> {
        let mut move_to = None;
        if let Some(rest) = self.peek().and_then(|line| line.strip_prefix(MOVE)) {
            move_to = Some(self.path(rest, MOVE)?);
            self.next += 1;
        }
        let mut hunks = Vec::new();
        while let Some(line) = self.peek() {
            if ends_section(line) {
                break;
            }
            if line.trim().is_empty() && self.is_last_of_section() {
                self.next += 1;
                continue;
            }
            hunks.push(self.hunk()?);
        }
        if hunks.is_empty() && move_to.is_none() {
            let path = path.display().to_string();
            return Err(self.here(ParseErrorKind::NothingToUpdate(path)));
        }
        Ok(FileOp::Update {
            path,
            move_to,
            hunks,
        })
    }

    fn hunk(&mut self) -> Result<Hunk> {
        let mut hunk = Hunk {
            patch_line: self.next + 1,
            ..Hunk::default()
        };
        while let Some(rest) = self.peek().and_then(|line| line.strip_prefix("@@")) {
            hunk.anchors.extend(anchor(rest).map(str::to_owned));
            self.next += 1;
        }
        while let Some(line) = self.peek() {
            if line.starts_with("@@") || ends_section(line) {
                break;
            }
            if line.trim_end() == END_OF_FILE {
                hunk.at_end = true;
                self.next += 1;
                break;
            }
            if line.trim().is_empty() && self.is_last_of_section() {
                break;
            }
            hunk.lines.push(self.hunk_line(line)?);
            self.next += 1;
        }
        let changes = |line: &HunkLine| !matches!(line, HunkLine::Keep(_));
        if !hunk.lines.iter().any(changes) {
            return Err(self.here(ParseErrorKind::EmptyHunk));
        }
        let goes_on = self.peek().is_some_and(|line| {
            !line.starts_with("@@") && !ends_section(line) && !line.trim().is_empty()
        });
        match hunk.at_end && goes_on {
            true => Err(self.here(ParseErrorKind::AfterEndOfFile)),
            false => Ok(hunk),
        }
    }

    fn hunk_line(&self, line: &str) -> Result<HunkLine> {
        let text = line.get(1..).unwrap_or_default().to_owned();
        match line.as_bytes().first() {
            None => Ok(HunkLine::Keep(String::new())),
            Some(b' ') => Ok(HunkLine::Keep(text)),
            Some(b'-') => Ok(HunkLine::Remove(text)),
            Some(b'+') => Ok(HunkLine::Insert(text)),
            Some(_) => Err(self.here(ParseErrorKind::NotInHunk(excerpt(line)))),
        }
    }

    /// Whether only blank lines stand between here and the next section.
    fn is_last_of_section(&self) -> bool {
        let rest = self.lines[self.next..].iter();
        let mut rest = rest.skip_while(|line| line.trim().is_empty());
        rest.next().is_none_or(|line| ends_section(line))
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim().is_empty()) {
            self.next += 1;
        }
    }

    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.next).copied()
    }

    fn here(&self, kind: ParseErrorKind) -> ParseError {
        ParseError {
            line: self.next.min(self.lines.len().saturating_sub(1)) + 1,
            kind,
        }
    }
}

/// Whether a line begins the next file or ends the patch.
fn ends_section(line: &str) -> bool {
    line.trim_end() == END || [ADD, DELETE, UPDATE].iter().any(|it| line.starts_with(it))
}

/// Returns what is looked for; a bare `@@`, and the line numbers of a diff, name nothing.
fn anchor(rest: &str) -> Option<&str> {
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    if let Some((numbers, _)) = text.split_once("@@")
        && numbers.trim().starts_with('-')
        && numbers.chars().all(|c| "-+, 0123456789".contains(c))
    {
        return None;
    }
    (!text.trim().is_empty()).then_some(text)
}

/// A line as a message shows it.
fn excerpt(line: &str) -> String {
    let text: String = line.chars().take(80).collect();
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests;

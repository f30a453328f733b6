//! A thread file survives whatever happens to its writer.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare files directly"
)]

use std::path::{Path, PathBuf};

use codex_api_types::{ContentItem, ResponseItem};
use codex_host::{AbsPath, CodexHome};
use codex_protocol::{AskForApproval, SandboxMode, ThreadId};
use codex_rollout::{
    RolloutError, RolloutLine, RolloutReader, RolloutWriter, ThreadMeta, TurnContext, TurnEnd,
    find_thread, latest_thread, rollout_path,
};
use jiff::Timestamp;

fn meta(id: ThreadId, cwd: &str) -> ThreadMeta {
    ThreadMeta {
        version: 1,
        id,
        created_at: "2026-11-21T10:00:00Z".to_owned(),
        cwd: PathBuf::from(cwd),
        originator: "test".to_owned(),
        codex_version: "0.1.0".to_owned(),
        source: None,
        model: "gpt-5.5".to_owned(),
        provider: "openai".to_owned(),
        forked_from: None,
    }
}

fn item(text: &str) -> RolloutLine {
    RolloutLine::Item {
        item: ResponseItem::input_message("user", vec![ContentItem::input_text(text)]),
    }
}

fn context() -> RolloutLine {
    RolloutLine::Context(TurnContext {
        cwd: PathBuf::from("/srv"),
        model: "gpt-5.5".to_owned(),
        approval: AskForApproval::Never,
        sandbox: SandboxMode::ReadOnly,
        writable_roots: Vec::new(),
        network_access: false,
    })
}

fn sample() -> Vec<RolloutLine> {
    vec![
        context(),
        RolloutLine::TurnStarted,
        item("grüße\nzweite Zeile"),
        RolloutLine::Compacted {
            items: vec![ResponseItem::input_message("user", Vec::new())],
        },
        RolloutLine::TurnEnded {
            end: TurnEnd::Failed,
            message: Some("why".to_owned()),
        },
    ]
}

struct Room {
    _folder: tempfile::TempDir,
    home: CodexHome,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = CodexHome::at(AbsPath::new(folder.path()).unwrap());
        Self {
            _folder: folder,
            home,
        }
    }

    async fn thread(&self, id: ThreadId, at: &str, cwd: &str, lines: &[RolloutLine]) -> PathBuf {
        let path = rollout_path(&self.home, id, at.parse().unwrap());
        let writer = RolloutWriter::create(&path, &[RolloutLine::Meta(meta(id, cwd))]).unwrap();
        for line in lines {
            writer.append(line).await.unwrap();
        }
        writer.flush().await.unwrap();
        path
    }
}

/// The time inside a fresh id, so that the folder is the one that the id names.
fn now_of(id: ThreadId) -> String {
    let hex: String = id
        .to_string()
        .chars()
        .filter(|c| *c != '-')
        .take(12)
        .collect();
    let milliseconds = i64::from_str_radix(&hex, 16).unwrap();
    Timestamp::from_millisecond(milliseconds)
        .unwrap()
        .to_string()
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let room = Room::new();
    let id = ThreadId::generate();
    let path = room
        .thread(id, "2026-11-21T10:00:00Z", "/srv", &sample())
        .await;

    let recorded = RolloutReader::read(&path).unwrap();
    assert_eq!(recorded.meta, meta(id, "/srv"));
    assert_eq!(recorded.lines, sample());
    assert_eq!(recorded.n_damaged, 0);
    assert!(
        path.ends_with(format!(
            "sessions/2026/11/21/rollout-2026-11-21T10-00-00-{id}.jsonl"
        )),
        "{path:?}"
    );
}

#[tokio::test]
async fn a_borrowed_item_is_the_same_line() {
    let room = Room::new();
    let path = room
        .thread(
            ThreadId::generate(),
            "2026-11-21T10:00:00Z",
            "/srv",
            &[item("x")],
        )
        .await;
    let writer = RolloutWriter::append_to(&path).unwrap();
    let RolloutLine::Item { item } = item("x") else {
        unreachable!("made above")
    };
    writer.append_item(&item).await.unwrap();
    writer.flush().await.unwrap();
    let lines = RolloutReader::read(&path).unwrap().lines;
    assert_eq!(lines[0], lines[1]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_a_thread() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    let path = room
        .thread(ThreadId::generate(), "2026-11-21T10:00:00Z", "/srv", &[])
        .await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_file_cut_at_any_byte_keeps_its_whole_lines_and_takes_new_ones() {
    let room = Room::new();
    let id = ThreadId::generate();
    let path = room
        .thread(id, "2026-11-21T10:00:00Z", "/srv", &sample())
        .await;
    let whole = std::fs::read(&path).unwrap();
    let n_meta = whole.iter().position(|byte| *byte == b'\n').unwrap();

    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        if cut < n_meta {
            assert!(
                matches!(RolloutReader::read(&path), Err(RolloutError::NoMeta { .. })),
                "cut at {cut}"
            );
            continue;
        }
        let n_ends = whole[n_meta + 1..].iter().enumerate();
        let n_whole = n_ends
            .filter(|(at, byte)| **byte == b'\n' && n_meta + 1 + at <= cut)
            .count();
        let before = RolloutReader::read(&path).unwrap();
        assert_eq!(before.lines, sample()[..n_whole], "cut at {cut}");

        let writer = RolloutWriter::append_to(&path).unwrap();
        writer.append(&item("after")).await.unwrap();
        writer.flush().await.unwrap();
        let after = RolloutReader::read(&path).unwrap();
        let mut expected = sample()[..n_whole].to_vec();
        expected.push(item("after"));
        assert_eq!(after.lines, expected, "cut at {cut}");
        assert!(
            std::fs::read(&path).unwrap().starts_with(&whole[..cut]),
            "a thread file is only ever appended to"
        );
    }
}

#[tokio::test]
async fn a_line_of_a_later_version_is_left_alone() {
    let room = Room::new();
    let path = room
        .thread(ThreadId::generate(), "2026-11-21T10:00:00Z", "/srv", &[])
        .await;
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"type\":\"hologram\",\"x\":[1]}\n\n\u{0}noise\n");
    std::fs::write(&path, text).unwrap();
    let recorded = RolloutReader::read(&path).unwrap();
    assert_eq!(recorded.lines, [RolloutLine::Unknown]);
    assert_eq!(recorded.n_damaged, 1);
}

#[tokio::test]
async fn a_thread_is_found_by_the_time_in_its_id_and_elsewhere_too() {
    let room = Room::new();
    let (near, far) = (ThreadId::generate(), ThreadId::generate());
    let near_path = room.thread(near, &now_of(near), "/srv", &[]).await;
    let far_path = room.thread(far, "1999-01-01T00:00:00Z", "/srv", &[]).await;
    assert_eq!(find_thread(&room.home, near), Some(near_path));
    assert_eq!(find_thread(&room.home, far), Some(far_path));
    assert_eq!(find_thread(&room.home, ThreadId::generate()), None);
}

#[tokio::test]
async fn the_latest_thread_is_that_of_the_directory_or_of_any() {
    let room = Room::new();
    let ids = [(); 3].map(|()| ThreadId::generate());
    room.thread(ids[0], "2025-12-31T23:59:59Z", "/a", &[]).await;
    let in_a = room.thread(ids[1], "2026-11-02T08:00:00Z", "/a", &[]).await;
    let newest = room.thread(ids[2], "2026-11-02T09:00:00Z", "/b", &[]).await;
    assert_eq!(latest_thread(&room.home, None), Some(newest));
    assert_eq!(latest_thread(&room.home, Some(Path::new("/a"))), Some(in_a));
    assert_eq!(latest_thread(&room.home, Some(Path::new("/c"))), None);
}

#[test]
fn a_home_that_cannot_be_written_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("sessions");
    std::fs::write(&in_the_way, "a file").unwrap();
    let home = CodexHome::at(AbsPath::new(folder.path()).unwrap());
    let id = ThreadId::generate();
    let path = rollout_path(&home, id, "2026-11-21T10:00:00Z".parse().unwrap());
    let error = RolloutWriter::create(&path, &[]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot create the thread file `"),
        "{text}"
    );
    assert!(!error.hints().is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_once_and_stops_the_file_there() {
    let full = Path::new("/dev/full");
    let writer = RolloutWriter::append_to(full).unwrap();
    writer.append(&item("lost")).await.unwrap();
    let told = writer.flush().await.unwrap_err().to_string();
    assert!(told.contains("No space left on device"), "{told}");
    assert!(writer.append(&item("later")).await.is_err());
}

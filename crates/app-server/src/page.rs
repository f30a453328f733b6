//! Lists in pieces: a cursor is the number of rows before it.

use codex_app_server_protocol::Fault;

/// A piece of a list and where it goes on.
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// Cuts a piece out of a list.
pub(crate) fn page<T>(
    rows: Vec<T>,
    cursor: Option<&str>,
    limit: Option<u32>,
) -> Result<Page<T>, Fault> {
    let start: usize = match cursor {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Fault::state(format!("invalid cursor: {cursor}")))?,
    };
    let limit = limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
    let n_rows = rows.len();
    let data: Vec<T> = rows.into_iter().skip(start).take(limit).collect();
    let end = start.saturating_add(data.len());
    Ok(Page {
        data,
        next_cursor: (end < n_rows && end > start).then(|| end.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let cut = |cursor: Option<&str>, limit| {
            let page = page(vec![1, 2, 3], cursor, limit).unwrap();
            (page.data, page.next_cursor)
        };
        assert_eq!(cut(None, None), (vec![1, 2, 3], None));
        assert_eq!(cut(None, Some(2)), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(cut(Some("2"), Some(2)), (vec![3], None));
        assert_eq!(cut(Some("9"), Some(2)), (vec![], None));
        assert_eq!(cut(None, Some(0)), (vec![1], Some("1".to_owned())));
        assert!(page(vec![1], Some("x"), None).is_err());
    }
}

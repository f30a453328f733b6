//! What a web page calls itself. Where an API was asked, a page is an answer from the wrong place, and
//! its title tells more than its first words, which are markup.

/// A longer title is cut.
const SHOWN_TITLE: usize = 80;

/// Returns the words for a body that is a web page with a title, and nothing for any other body.
pub fn page_words(body: &str) -> Option<String> {
    let lower = body.trim_start().to_ascii_lowercase();
    let is_page = ["<!doctype html", "<html"]
        .iter()
        .any(|start| lower.starts_with(start));
    let title = lower.split_once("<title").filter(|_| is_page)?.1;
    let (_, title) = title.split_once('>')?;
    let end = title.find("</title")?;
    // Only ASCII letters changed, so that the place is the same in the body.
    let start = body.len() - title.len();
    let title = &body[start..start + end];
    let words = title.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let shown: String = line.chars().take(SHOWN_TITLE).collect();
    let cut = if shown.len() < line.len() { "…" } else { "" };
    (!shown.is_empty()).then(|| format!("a web page, \"{shown}{cut}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_by_its_title_on_one_line() {
        let rows = [
            (
                "<!DOCTYPE html>\n<HTML><head><Title lang=en>Nöt\r\n Found</TITLE>",
                Some("a web page, \"Nöt Found\""),
            ),
            ("<html><title></title>", None),
            ("<html><body>nothing", None),
            ("<html><title>never ended", None),
            ("{\"error\": \"<title>x</title>\"}", None),
            ("", None),
        ];
        for (body, expected) in rows {
            assert_eq!(page_words(body).as_deref(), expected, "{body}");
        }
        let long = format!("<html><title>{}</title>", "ä".repeat(500));
        let words = page_words(&long).unwrap();
        assert_eq!(
            words,
            format!("a web page, \"{}…\"", "ä".repeat(SHOWN_TITLE))
        );
    }
}

//! A browser that follows redirects and keeps cookies.

use std::collections::BTreeMap;

use codex_test_support::{BrowserPage, browser_send};
use url::Url;

#[derive(Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Goes to the page at the end of all redirects.
    pub(crate) fn open(&mut self, url: &str) -> BrowserPage {
        let mut url: Url = url.parse().unwrap();
        for _ in 0..20 {
            let page = self.get(&url);
            match page.header("location") {
                Some(location) => url = url.join(location).unwrap(),
                None => return page,
            }
        }
        panic!("an endless redirect to {url}")
    }

    /// Returns the first address that begins with `stop`, without going there.
    pub(crate) fn address_at(&mut self, url: &str, stop: &str) -> String {
        let mut url: Url = url.parse().unwrap();
        while !url.as_str().starts_with(stop) {
            let page = self.get(&url);
            url = url.join(page.header("location").unwrap()).unwrap();
        }
        url.into()
    }

    fn get(&mut self, url: &Url) -> BrowserPage {
        let host = format!("127.0.0.1:{}", url.port().unwrap());
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let query = url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let page = browser_send(
            &host,
            &format!(
                "GET {}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {}\r\n\r\n",
                url.path(),
                cookies.join("; ")
            ),
        );
        for (_, cookie) in page.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }
}

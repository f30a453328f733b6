//! What the user says, as the engine takes it.

use std::path::PathBuf;

use codex_app_server_protocol::{Fault, UserInput};
use codex_protocol::UserInput as Said;
use codex_tools::picture;

use crate::blocking::blocking;

/// Reads what is said; pictures are read and checked before anything is asked of a model.
pub(super) async fn read_input(input: Vec<UserInput>, cwd: PathBuf) -> Result<Vec<Said>, Fault> {
    blocking(move || input.into_iter().map(|part| read(part, &cwd)).collect()).await?
}

fn read(part: UserInput, cwd: &std::path::Path) -> Result<Said, Fault> {
    match part {
        UserInput::Text { text, .. } => Ok(Said::Text(text)),
        UserInput::Image { url } if url.starts_with("data:") => Ok(Said::Image {
            path: PathBuf::from("image"),
            data_url: url,
        }),
        UserInput::Image { .. } => {
            let text = "only pictures with a `data:` URL or on this machine can be sent";
            Err(Fault::state(text))
        }
        UserInput::LocalImage { path } => match picture::data_url(&cwd.join(&path)) {
            Ok(data_url) => Ok(Said::Image { path, data_url }),
            Err(why) => {
                let text = format!("cannot read image `{}`: {why}", path.display());
                Err(Fault::state(text))
            }
        },
        UserInput::Skill { name, path } => Ok(Said::Text(format!("[${name}]({path})"))),
        UserInput::Mention { name, path } => Ok(Said::Text(format!("[@{name}]({path})"))),
    }
}

//! A picture on the disk as the wire wants it.
//!
//! Only the head is decoded: it holds the kind and the size, and the pixels are the provider's
//! business.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imagesize::ImageType;

/// The largest picture.
pub const LIMIT_MIB: u64 = 20;

/// Why a file cannot be shown as a picture; the caller names the file.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a directory or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is too large.
    #[error("more than {LIMIT_MIB} MiB")]
    TooLarge,
    /// Providers do not take it.
    #[error("not a PNG, JPEG, GIF or WebP picture")]
    UnknownKind,
    /// It has no size.
    #[error("the picture has no pixels")]
    NoPixels,
    /// Its head is not complete.
    #[error("the picture is cut short")]
    CutShort,
}

/// Reads a picture and returns it as a `data:` URL. Blocks.
pub fn data_url(path: &Path) -> Result<String, PictureError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(PictureError::NotAFile);
    }
    let limit = LIMIT_MIB * 1024 * 1024;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(PictureError::TooLarge);
    }
    let media_type = media_type(&bytes)?;
    Ok(format!(
        "data:{media_type};base64,{}",
        STANDARD.encode(&bytes)
    ))
}

fn media_type(bytes: &[u8]) -> Result<&'static str, PictureError> {
    let media_type = match imagesize::image_type(bytes) {
        Ok(ImageType::Png) => "image/png",
        Ok(ImageType::Jpeg) => "image/jpeg",
        Ok(ImageType::Gif) => "image/gif",
        Ok(ImageType::Webp) => "image/webp",
        Ok(_) | Err(_) => return Err(PictureError::UnknownKind),
    };
    match imagesize::blob_size(bytes) {
        Ok(size) if size.width > 0 && size.height > 0 => Ok(media_type),
        Ok(_) => Err(PictureError::NoPixels),
        Err(_) => Err(PictureError::CutShort),
    }
}

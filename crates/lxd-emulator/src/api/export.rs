//! Handing out the files of backups, whole or in parts.

use std::{io::SeekFrom, path::PathBuf, time::UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use lxd_transport::Body;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

use crate::{api::backups::locate, call::Call, clock, envelope::Reply, failure::Failure};

/// So much is read at once.
const CHUNK: u64 = 64 << 10;

/// `GET .../backups/BACKUP/export`.
pub(crate) async fn get(
    call: Call,
    pool: &str,
    kind: &str,
    name: &str,
    backup: &str,
) -> Result<Reply, Failure> {
    let (_, path) = locate(&call, pool, kind, name, backup)?;
    Ok(Reply::Raw(file(path, &call.headers).await?))
}

/// The answer that a file is, or the part of it that is asked for.
pub(crate) async fn file(path: PathBuf, asked: &HeaderMap) -> Result<Response<Body>, Failure> {
    let mut file = File::open(path).await?;
    let data = file.metadata().await?;
    let (length, changed) = (data.len(), modified(&data));
    let same = asked.get(header::IF_RANGE).is_none_or(|wanted| *wanted == *changed);
    let range = asked.get(header::RANGE).filter(|_| same).and_then(|range| range.to_str().ok());
    let part = match range.map(|range| parse(range, length)) {
        None => None,
        Some(Some(part)) => Some(part),
        Some(None) => return Ok(out_of_range(length, &changed)),
    };
    let (start, end) = part.unwrap_or((0, length));
    file.seek(SeekFrom::Start(start)).await?;
    let chunks = stream::unfold((file, end - start), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = vec![0; usize::try_from(left.min(CHUNK)).unwrap_or_default()];
        let read = file.read_exact(&mut chunk).await;
        let left = left - chunk.len() as u64;
        Some((read.map(|_| Bytes::from(chunk)), (file, left)))
    });
    let mut response = Response::new(Body::from_sized_stream(end - start, Box::pin(chunks)));
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline;filename="));
    if let Ok(value) = HeaderValue::try_from(changed) {
        headers.insert(header::LAST_MODIFIED, value);
    }
    if part.is_some() {
        let span = format!("bytes {start}-{}/{length}", end.saturating_sub(1));
        headers.extend(HeaderValue::try_from(span).ok().map(|span| (header::CONTENT_RANGE, span)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// `bytes=FROM-`, `bytes=FROM-TO` or `bytes=-COUNT`, as the first byte and the one after the last.
fn parse(range: &str, length: u64) -> Option<(u64, u64)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from, to) {
        ("", count) => (length.saturating_sub(count.parse().ok()?), length),
        (from, "") => (from.parse().ok()?, length),
        (from, to) => (from.parse().ok()?, to.parse::<u64>().ok()?.saturating_add(1).min(length)),
    };
    (from < to && from < length).then_some((from, to))
}

fn out_of_range(length: u64, changed: &str) -> Response<Body> {
    let mut response = Response::new(Body::from("invalid range: failed to overlap\n"));
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    for (name, value) in
        [(header::CONTENT_RANGE, format!("bytes */{length}")), (header::LAST_MODIFIED, changed.to_owned())]
    {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    response
}

/// When a file was written, as HTTP says it.
fn modified(data: &std::fs::Metadata) -> String {
    let since = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let seconds = since.unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = clock::civil(i64::try_from(days).unwrap_or_default());
    let weekday =
        ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).unwrap_or_default()];
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .get(usize::try_from(month.saturating_sub(1)).unwrap_or_default())
        .copied()
        .unwrap_or_default();
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_writes_them() {
        assert_eq!(parse("bytes=0-", 10), Some((0, 10)));
        assert_eq!(parse("bytes=2-4", 10), Some((2, 5)));
        assert_eq!(parse("bytes=2-99", 10), Some((2, 10)));
        assert_eq!(parse("bytes=-3", 10), Some((7, 10)));
        assert_eq!(parse("bytes=10-", 10), None);
        assert_eq!(parse("lines=1-", 10), None);
    }
}

//! Content that comes in pieces, changes meanwhile, or isn't there: only what was asked for is ever called complete.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use lxd_storage::{BackupHandle, Error, ErrorKind, types::VolumeType};

use crate::script::{Reply, Script, answer, sync};

/// Answers the downloads of a backup in turn by these, and the last of them from then on.
fn serving(answers: &[&'static str]) -> Script {
    let (count, answers) = (AtomicUsize::new(0), answers.to_vec());
    Script::start(move |request| {
        if !request.ends_with("/export") {
            return sync(r#"{"auth":"trusted","api_extensions":["custom_volume_backup"]}"#);
        }
        let number = count.fetch_add(1, Ordering::Relaxed);
        let text = answers[number.min(answers.len() - 1)];
        Reply::Cut(text.replace('\n', "\r\n").into_bytes())
    })
}

fn backup(script: &Script) -> BackupHandle {
    script.client().storage_pool("p").volume(VolumeType::Custom, "v").backup("b")
}

async fn content(script: &Script) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    backup(script).download().await?.copy_to(&mut content).await?;
    Ok(content)
}

/// Ten bytes announced, half of them sent.
const HALF: &str = "HTTP/1.1 200 OK\nAccept-Ranges: bytes\nETag: \"one\"\nContent-Length: 10\n\n01234";

#[tokio::test]
async fn what_was_cut_goes_on_where_it_broke() {
    let rest = "HTTP/1.1 206 P\nETag: \"one\"\nContent-Range: bytes 5-9/10\nContent-Length: 5\n\n56789";
    let script = serving(&[HALF, rest]);
    assert_eq!(content(&script).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn a_part_of_the_rest_is_not_the_end() {
    let some = "HTTP/1.1 206 P\nETag: \"one\"\nContent-Range: bytes 5-6/10\nContent-Length: 2\n\n56";
    let rest = "HTTP/1.1 206 P\nETag: \"one\"\nContent-Range: bytes 7-9/10\nContent-Length: 3\n\n789";
    assert_eq!(content(&serving(&[HALF, some, rest])).await.unwrap(), b"0123456789");

    let beyond = "HTTP/1.1 206 P\nETag: \"one\"\nContent-Range: bytes 5-12/10\nContent-Length: 8\n\n56789abc";
    assert_eq!(content(&serving(&[HALF, beyond])).await.unwrap_err().kind(), ErrorKind::Interrupted);

    let head = "HTTP/1.1 206 P\nETag: \"one\"\nContent-Range: bytes 5-9/10\nTransfer-Encoding: chunked\n\n";
    let longer: &'static str = format!("{head}8\n56789abc\n0\n\n").leak();
    let error = content(&serving(&[HALF, longer])).await.unwrap_err();
    assert!(error.to_string().contains("more content came than was announced"), "{error}");
}

#[tokio::test]
async fn two_contents_are_never_mixed() {
    for other in [
        "HTTP/1.1 206 P\nETag: \"two\"\nContent-Range: bytes 5-9/10\nContent-Length: 5\n\nNEWER",
        "HTTP/1.1 206 P\nContent-Range: bytes 5-9/10\nContent-Length: 5\n\nNEWER",
        "HTTP/1.1 200 OK\nETag: \"two\"\nContent-Length: 10\n\nNEWERNEWER",
    ] {
        let error = content(&serving(&[HALF, other])).await.unwrap_err();
        assert!(error.to_string().contains("is another now"), "{error}");
    }
    // Where nothing tells contents apart, none is taken up in the middle.
    let unnamed = "HTTP/1.1 200 OK\nAccept-Ranges: bytes\nContent-Length: 10\n\n01234";
    let error = content(&serving(&[unnamed])).await.unwrap_err();
    assert!(error.to_string().contains("cannot be taken up"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_starting_is_waited_for() {
    let starting = "HTTP/1.1 503 Service Unavailable\nContent-Length: 0\n\n";
    let rest = "HTTP/1.1 206 P\nETag: \"one\"\nContent-Range: bytes 5-9/10\nContent-Length: 5\n\n56789";
    assert_eq!(content(&serving(&[HALF, starting, rest])).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn a_page_or_nothing_is_no_content() {
    let script = Script::start(|request| {
        if request.ends_with("/export") {
            return answer("200 OK", "text/html", "<html>log in here</html>");
        }
        sync(r#"{"auth":"trusted","api_extensions":["custom_volume_backup"]}"#)
    });
    let error = content(&script).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Decode && error.to_string().contains("log in here"), "{error}");
    let nothing = "HTTP/1.1 204 No Content\n\n";
    assert_eq!(content(&serving(&[nothing])).await.unwrap_err().kind(), ErrorKind::Decode);
}

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-downloads-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const WHOLE: &str = "HTTP/1.1 200 OK\nContent-Length: 5\n\n01234";

#[tokio::test]
async fn a_file_that_came_meanwhile_stays() {
    let folder = Folder::new("meanwhile");
    let target = folder.0.join("x");
    let script = serving(&[WHOLE]);
    let other = target.clone();
    let mut download = backup(&script)
        .download()
        .await
        .unwrap()
        .with_progress(move |_| fs::write(&other, "somebody else's").unwrap());
    let error = download.save_to(&target).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Local && error.to_string().contains("is there already"), "{error}");
    assert_eq!(
        (fs::read(&target).unwrap(), folder.names()),
        (b"somebody else's".to_vec(), vec!["x".to_owned()])
    );

    let mut download = backup(&script).download().await.unwrap();
    download.overwrite(&target).await.unwrap();
    assert_eq!((fs::read(&target).unwrap(), folder.names()), (b"01234".to_vec(), vec!["x".to_owned()]));
}

#[tokio::test]
async fn two_downloads_to_one_name_are_one_and_an_error() {
    let folder = Folder::new("two");
    let (script, target) = (serving(&[WHOLE]), folder.0.join("x"));
    // What an earlier run, killed, left behind is in nobody's way.
    fs::write(folder.0.join(format!("x.part-{}", std::process::id())), "").unwrap();
    let (mut first, mut second) =
        (backup(&script).download().await.unwrap(), backup(&script).download().await.unwrap());
    let (first, second) = tokio::join!(first.save_to(&target), second.save_to(&target));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1, "{first:?} {second:?}");
    assert_eq!(fs::read(&target).unwrap(), b"01234");
    assert_eq!(folder.names().len(), 2);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_known_before_anything_is_packed() {
    let script = serving(&[WHOLE]);
    let volume = backup(&script).volume().clone();
    let error = volume.export().to_file("/nonexistent/folder/x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    assert_eq!(script.seen(), Vec::<String>::new());
}

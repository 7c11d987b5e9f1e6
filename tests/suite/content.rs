//! Files in volumes, to be compared before and after.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files with all that a careless copy loses: depth, links, empty files, odd names, holes and size.
pub(crate) fn fill(root: &Path) {
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::write(root.join("empty"), b"").unwrap();
    fs::write(root.join("deep/er/odd é%20 name"), b"odd").unwrap();
    let noise: Vec<u8> = (0..5_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(root.join("deep/noise"), noise).unwrap();
    std::os::unix::fs::symlink("deep/noise", root.join("link")).unwrap();
}

/// The SHA-256 as exports tell it.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hmac_sha256::Hash::hash(bytes.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every path below a folder, with what is in it.
pub(crate) fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let content = if kind.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if kind.is_dir() {
                folders.push(path.clone());
                b"folder".to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            found.push((path.strip_prefix(root).unwrap().to_owned(), content));
        }
    }
    found.sort();
    found
}

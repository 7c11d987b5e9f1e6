//! Files in volumes and beside them, to be compared before and after.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::ctx::Ctx;

/// A folder for the files of one case, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(ctx: &Ctx) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-files-{}", ctx.name("")));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn sha256(path: &Path) -> String {
    sha256_of(fs::read(path).unwrap())
}

/// Bytes that don't compress, which servers do on the way to each other.
pub(crate) fn noise(length: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    (0..length / 4).flat_map(next).collect()
}

/// Files with all that a careless copy loses: depth, links, empty files, odd names, holes and size.
pub(crate) fn fill(root: &Path) {
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::write(root.join("empty"), b"").unwrap();
    fs::write(root.join("deep/er/odd é%20 name"), b"odd").unwrap();
    fs::write(root.join("deep/noise"), noise(5_000_000)).unwrap();
    std::os::unix::fs::symlink("deep/noise", root.join("link")).unwrap();
}

/// The SHA-256 as exports tell it.
pub(crate) fn sha256_of(bytes: impl AsRef<[u8]>) -> String {
    hmac_sha256::Hash::hash(bytes.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Paths below a folder, with what is in them.
pub(crate) type Contents = Vec<(PathBuf, Vec<u8>)>;

/// Every path below a folder, with what is in it.
pub(crate) fn contents(root: &Path) -> Contents {
    try_contents(root).unwrap()
}

/// The same of a folder that may change while it is read.
pub(crate) fn try_contents(root: &Path) -> std::io::Result<Contents> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?.file_type();
            let content = if kind.is_symlink() {
                fs::read_link(&path)?.into_os_string().into_encoded_bytes()
            } else if kind.is_dir() {
                folders.push(path.clone());
                b"folder".to_vec()
            } else {
                fs::read(&path)?
            };
            found.push((path.strip_prefix(root).unwrap().to_owned(), content));
        }
    }
    found.sort();
    Ok(found)
}

//! Archives and images that become volumes, for servers that take them.

use lxd_storage::Upload;

use crate::{
    calls::calls,
    fixture::{DEADLINE, pool},
};

/// As short as an ISO image can be.
fn iso() -> Vec<u8> {
    let mut image = vec![0; 64 << 10];
    image[32_769..32_774].copy_from_slice(b"CD001");
    image
}

/// An archive with one empty file.
fn tar() -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "f", &b""[..]).unwrap();
    archive.into_inner().unwrap()
}

calls![
    ISO_CALLS:
    "volumes.import_iso": |client| pool(&client).volumes().import_iso(Upload::from(iso()), "n").with_deadline(DEADLINE),
];

calls![
    TAR_CALLS:
    "volumes.import_tar": |client| {
        pool(&client).volumes().import_tar(Upload::from(tar()), "n").with_deadline(DEADLINE)
    },
];

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
    let mut header = [0; 512];
    let fields: [(usize, &[u8]); 6] = [
        (0, b"f"),
        (100, b"0000644"),
        (124, b"00000000000"),
        (136, b"00000000000"),
        (156, b"0"),
        (257, b"ustar\x0000"),
    ];
    for (at, field) in fields {
        header[at..at + field.len()].copy_from_slice(field);
    }
    // The checksum is of a header that has spaces in its place.
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    [header.to_vec(), vec![0; 1024]].concat()
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

//! The program in a folder of its own, ended with the value.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

pub(crate) struct Program {
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts it with a socket of this name in the folder, and waits until it listens.
    pub(crate) fn start(personality: &str, socket: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lxd-emulator"));
        command.arg("--socket").arg(folder.path().join(socket)).args(["--personality", personality]);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut program = Self { child, folder };
        let mut line = String::new();
        BufReader::new(program.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "{line:?}");
        program
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // By a signal that lets it remove its own folder.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Whether a program is in the path.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

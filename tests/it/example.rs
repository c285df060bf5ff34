//! The examples as running programs: built when the first test needs one.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A running example. It ends with the test.
pub struct Example {
    process: Child,
    /// The address in its first line of output.
    pub address: SocketAddr,
}

impl Example {
    /// Starts an example on a free port. Its first line is `greeting` and its address.
    pub fn start(name: &str, greeting: &str) -> Example {
        let mut process = Command::new(folder().join(name))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix(greeting).unwrap().trim_end_matches('/');
        Example { address: address.parse().unwrap(), process }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the folder of the examples, after building them once: `cargo test --test it` does not.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Cargo puts tests into `target/PROFILE/deps` and examples into `target/PROFILE/examples`.
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--example", "echo", "--example", "lines"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .args(["--profile", if profile.ends_with("release") { "release" } else { "dev" }])
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .status();
        assert!(status.expect("cargo starts").success(), "the examples cannot be built");
        profile.join("examples")
    })
}

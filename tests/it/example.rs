//! The examples as running programs: built when the first test needs one.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// A running example that listens. It ends with the test.
pub struct Example {
    _program: Program,
    /// The address in its first line of output.
    pub address: SocketAddr,
}

impl Example {
    /// Starts an example on a free port. Its first line is `greeting` and its address.
    pub fn start(name: &str, greeting: &str) -> Example {
        let mut program = Program::start(name, &["127.0.0.1:0"]);
        let line = program.read_line();
        let address = line.strip_prefix(greeting).unwrap().trim_end_matches('/');
        Example { address: address.parse().unwrap(), _program: program }
    }
}

/// A running example. It ends with the test.
pub struct Program {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    pub fn start(name: &str, arguments: &[&str]) -> Program {
        let mut process = Command::new(folder().join(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let output = BufReader::new(process.stdout.take().unwrap());
        Program { process, output }
    }

    /// Waits for the next line of its output.
    pub fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Writes a line to its standard input.
    pub fn write_line(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the program of an example.
pub fn path(name: &str) -> PathBuf {
    folder().join(name)
}

/// Returns the folder of the examples, after building them once: `cargo test --test it` does not.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Cargo puts tests into `target/PROFILE/deps` and examples into `target/PROFILE/examples`.
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked"])
            .args([
                "--example",
                "echo",
                "--example",
                "lines",
                "--example",
                "sealed",
                "--example",
                "bot",
            ])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .args(["--profile", if profile.ends_with("release") { "release" } else { "dev" }])
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .status();
        assert!(status.expect("cargo starts").success(), "the examples cannot be built");
        profile.join("examples")
    })
}

//! The conformance runs of `tests/conformance/`, which are made for any server and any client: here
//! with this server, and with the clients of this repository, which also write to each other.
//!
//! They speak no TLS. A build with it has the runs of a store only, whose servers start without it.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::example;
#[cfg(not(feature = "tls"))]
use crate::support::Server;

/// Returns a Python that has the package `websockets`.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<&str> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let has_websockets = |python: &&&str| {
            let mut command = Command::new(python);
            command.args(["-c", "import websockets"]).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        // The second is Debian's, if another one comes first in the path.
        let found = ["python3", "/usr/bin/python3"].iter().find(has_websockets).copied();
        found.expect("python3 with websockets: apt-get install python3-websockets")
    })
}

/// Returns the path of a file of the runs.
fn file(name: &str) -> String {
    format!("{}/tests/conformance/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script of Python, which has to succeed. Returns its output.
fn run(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(python());
    let output = command.arg(file(script)).args(arguments).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A client of this repository.
enum Client {
    Python,
    Rust,
    JavaScript,
}

impl Client {
    /// Returns the command of its driver.
    fn command(&self) -> String {
        match self {
            Client::Python => format!("{} {}", python(), file("drivers/python.py")),
            Client::Rust => example::path("bot").to_str().expect("UTF-8").to_owned(),
            Client::JavaScript => {
                let node = "node --experimental-websocket --no-warnings";
                format!("{node} {}", file("drivers/client.mjs"))
            }
        }
    }
}

/// Lets the clients write to each other while everything breaks.
fn check_chaos(options_of_server: &str) {
    let server = format!("{} --log warn {options_of_server}", env!("CARGO_BIN_EXE_sotto"));
    let mut arguments = vec!["--server", &server, "--messages", "100", "--seconds", "6"];
    arguments.extend(["--calm", "0.5", "--deadline", "60", "--linger", "1"]);
    let clients = [Client::Python, Client::Rust, Client::JavaScript];
    let commands: Vec<String> = clients.iter().map(Client::command).collect();
    arguments.extend(commands.iter().flat_map(|command| ["--client", command]));
    let told = run("chaos.py", &arguments);
    assert!(told.contains("lost: 0, doubled: 0"), "{told}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn server_says_and_expects_the_lines_of_each_script() {
    let server = Server::start(&[]);
    let told = run("lines.py", &[&format!("ws://{}/ws", server.address)]);
    let scripts = std::fs::read_dir(file("scripts")).expect("a folder").count();
    assert_eq!(told.lines().filter(|line| line.starts_with("ok ")).count(), scripts, "{told}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn python_client_keeps_its_other_promises() {
    let server = Server::start(&[]);
    run("python_client.py", &[&format!("ws://{}/ws", server.address)]);
}

/// Holds an echo bot, by its command, to one answer for each message.
#[cfg(not(feature = "tls"))]
fn check_echo(bot: &str) {
    let server = env!("CARGO_BIN_EXE_sotto");
    let options = ["--messages", "400", "--seconds", "6", "--deadline", "60"];
    run("echo.py", &[&["--server", server, "--bot", bot], &options[..]].concat());
}

#[cfg(not(feature = "tls"))]
#[test]
fn echo_bot_answers_once_whatever_is_killed() {
    let bot = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/python/echo.py");
    check_echo(&format!("{} {bot}", python()));
}

/// As it stands in the guide, beside the client in pieces.
#[cfg(not(feature = "tls"))]
#[test]
fn echo_bot_of_the_guide_answers_once() {
    let guide = include_str!("../../src/guide/developers.md");
    let bot = guide.split("```js\n").find(|block| block.starts_with("// node echo.mjs"));
    let bot = bot.and_then(|block| block.split("```").next()).expect("the bot");
    let folder = std::env::temp_dir().join(format!("sotto-guide-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for module in ["client", "memory", "protocol", "sends", "socket", "bounded"] {
        let module = format!("{module}.js");
        let www = concat!(env!("CARGO_MANIFEST_DIR"), "/www");
        std::fs::copy(format!("{www}/{module}"), folder.join(&module)).expect("a copy");
    }
    std::fs::write(folder.join("package.json"), r#"{ "type": "module" }"#).expect("a file");
    std::fs::write(folder.join("echo.mjs"), bot).expect("a file");
    let node = "node --experimental-websocket --no-warnings";
    check_echo(&format!("{node} {}", folder.join("echo.mjs").display()));
    std::fs::remove_dir_all(&folder).expect("the folder");
}

#[cfg(not(feature = "tls"))]
#[test]
fn clients_lose_and_double_nothing_while_all_breaks() {
    check_chaos("");
}

#[cfg(feature = "store")]
#[test]
fn clients_of_a_store_lose_and_double_nothing() {
    check_chaos("--store {dir}/store");
}

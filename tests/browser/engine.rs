//! The engines that the page is tested in: how their drivers are started, and told which browser
//! to run.
//!
//! **Invariants**
//! - A driver serves one browser, and the browser ends with it.
//! - Each browser has a profile of its own, in the folder that it is given or in memory.
//!
//! It does not know any command of WebDriver.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::webdriver::wait_for;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

const CHROMIUM_ARGUMENTS: [&str; 12] = [
    "--headless=new",
    // Root has no sandbox, and these pages come from the test itself.
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    // Names of other hosts are never looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    // The browser ends when its driver does, however that ends.
    "--remote-debugging-pipe",
    "--lang=en-US",
    "--window-size=1024,768",
];

/// A screen for WebKit, which has no headless mode. It ends with the last window.
const SCREEN_ARGUMENTS: [&str; 8] =
    ["-displayfd", "1", "-screen", "0", "1600x1000x24", "-terminate", "-nolisten", "tcp"];

/// A driver that runs, and the screen of its browser if it needs one.
pub struct Driver {
    process: Child,
    screen: Option<Child>,
    pub port: u16,
}

impl Engine {
    /// Starts a driver, and waits until it listens. A driver that ends because another program took
    /// its port in the same moment is started again.
    pub fn start_driver(self, profile: &Path) -> Driver {
        std::fs::create_dir_all(profile).expect("a folder for the profile");
        wait_for(&format!("driver of {self:?}"), || match self {
            Engine::Chromium => {
                let driver = spawn(Command::new("chromedriver").arg("--port=0"));
                listening(driver, "started successfully on port ")
            }
            Engine::Firefox => {
                let mut command = Command::new("geckodriver");
                let driver = spawn(command.args(["--port=0", "--profile-root"]).arg(profile));
                listening(driver, "Listening on 127.0.0.1:")
            }
            Engine::WebKit => start_webkit(),
        })
    }

    /// Returns the capabilities to ask for. The arguments are Chromium's, and win over those of
    /// every browser.
    pub fn capabilities(self, profile: &Path, arguments: &[&str]) -> Value {
        assert!(arguments.is_empty() || self == Engine::Chromium, "{self:?} has no arguments");
        match self {
            Engine::Chromium => {
                let own_profile = format!("--user-data-dir={}", profile.display());
                let arguments = [&CHROMIUM_ARGUMENTS, arguments, &[&own_profile]].concat();
                json!({"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}})
            }
            Engine::Firefox => json!({"moz:firefoxOptions": {"args": ["-headless"]}}),
            // The driver's own choice is MiniBrowser with a profile in memory.
            Engine::WebKit => json!({}),
        }
    }
}

/// Waits for the port that a driver tells behind this text.
fn listening(process: Child, behind: &str) -> Option<Driver> {
    let mut driver = Driver { process, screen: None, port: 0 };
    driver.port = told(&mut driver.process, behind)?;
    Some(driver)
}

/// WebKit's driver does not tell its port, so it gets one that is free now.
fn start_webkit() -> Option<Driver> {
    let mut screen = spawn(Command::new("Xvfb").args(SCREEN_ARGUMENTS));
    let display: Option<u16> = told(&mut screen, "");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let port = free.expect("a free port").port();
    let mut command = Command::new("WebKitWebDriver");
    command.arg(format!("--port={port}")).env("GDK_BACKEND", "x11").env("LC_ALL", "en_US.UTF-8");
    let process = spawn(command.env("DISPLAY", format!(":{}", display.unwrap_or_default())));
    let mut driver = Driver { process, screen: Some(screen), port };
    let listens = wait_for("WebKit's driver, or its end", || {
        let has_ended = driver.process.try_wait().expect("a child").is_some();
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        (has_ended || listens()).then_some(!has_ended)
    });
    (listens && display.is_some()).then_some(driver)
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = command.spawn();
    started.unwrap_or_else(|error| {
        panic!("{}: {error}; tests/run installs it", command.get_program().display())
    })
}

/// Returns the number that a program tells behind this text, or `None` if it ends without one.
fn told(program: &mut Child, behind: &str) -> Option<u16> {
    let lines = BufReader::new(program.stdout.as_mut().expect("it was piped")).lines();
    let told = |line: &str| line.split_once(behind)?.1.trim_end_matches('.').parse().ok();
    lines.map_while(Result::ok).find_map(|line| told(&line))
}

impl Drop for Driver {
    fn drop(&mut self) {
        for process in std::iter::once(&mut self.process).chain(&mut self.screen) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

//! A WebDriver client: as much of the W3C's protocol as these tests need.
//!
//! **Invariants**
//! - Each browser has a driver and a profile of its own.
//! - Elements are found as assistive technology finds them: by role and accessible name, as the
//!   browser itself computes them.
//! - An element may still be on its way, so every gesture waits for its element.
//!
//! It does not know the meaning of a page.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine::{Driver, Engine};
use crate::support::PATIENCE;

// Keys without a character (WebDriver, 17.4.2).
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";
pub const SHIFT: &str = "\u{E008}";
pub const ESCAPE: &str = "\u{E00C}";
pub const END: &str = "\u{E010}";
pub const HOME: &str = "\u{E011}";

/// The name of an element reference in JSON (WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The pause between two looks: short for a person, and long enough to leave the page a core.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Errors in the console that no page can prevent: a server was out of reach or full, which the
/// page itself shows, and a header for secure contexts came without one.
const UNAVOIDABLE: [&str; 6] = [
    "WebSocket connection to ",
    // The script of the service worker, which is asked for once the page is there.
    "network - An unknown error occurred when fetching the script.",
    "Failed to load resource: net::ERR_",
    "/readyz - Failed to load resource: the server responded with a status of 503",
    "/readyz - Failed to load resource: the server responded with a status of 421",
    "The Cross-Origin-Opener-Policy header has been ignored",
];

/// A command may take as long as the gesture that it makes, while no core is free.
const COMMAND_MAX: Duration = PATIENCE.saturating_mul(2);

/// The key under which `WITNESS` keeps errors.
const ERRORS: &str = "test errors";

/// The key of the milliseconds by which the clock of `WITNESS` goes ahead.
const AHEAD: &str = "test clock";

/// A script to run before the page's own, described where it stands.
pub const WITNESS: &str = include_str!("witness.js");

/// Elements that may have a role without saying so.
const NATIVE: [(&str, &str); 5] = [
    ("button", "button, summary"),
    ("textbox", "input, textarea"),
    ("link", "a[href]"),
    ("dialog", "dialog"),
    ("navigation", "nav"),
];

/// Returns the elements that fit a selector and that assistive technology gets to see.
const VISIBLE: &str = "
    const [within, selector] = arguments;
    const modal = [...document.querySelectorAll('dialog:modal')].pop();
    return [...within.querySelectorAll(selector)].filter((element) =>
      element.checkVisibility({ visibilityProperty: true })
        && !element.closest('[aria-hidden=true], [inert]')
        && (!modal || modal.contains(element)));
";

/// A browser without a window that runs until it is dropped. Then its console must hold no error.
pub struct Browser {
    engine: Engine,
    /// `None` while the browser is being dropped.
    driver: Option<Driver>,
    port: u16,
    /// The path of every command, empty until there is a session.
    session: String,
    profile: PathBuf,
}

/// An element reference.
#[derive(Clone, PartialEq)]
pub struct Element(String);

impl Browser {
    /// Starts Chromium. These arguments win over those of every browser.
    pub fn start(arguments: &[&str]) -> Browser {
        Browser::start_with(Engine::Chromium, arguments)
    }

    /// Starts a browser of this engine.
    pub fn start_in(engine: Engine) -> Browser {
        Browser::start_with(engine, &[])
    }

    fn start_with(engine: Engine, arguments: &[&str]) -> Browser {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("browser-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let driver = engine.start_driver(&profile);
        let (port, session) = (driver.port, String::new());
        let mut browser = Browser { engine, driver: Some(driver), port, session, profile };
        let wanted = engine.capabilities(&browser.profile, arguments);
        let session =
            browser.command("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        let session = session.unwrap_or_else(|error| panic!("{engine:?} does not start: {error}"));
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        browser
    }

    pub fn go(&self, url: &str) {
        self.must("/url", json!({"url": url}));
    }

    pub fn reload(&self) {
        self.must("/refresh", json!({}));
    }

    pub fn back(&self) {
        self.must("/back", json!({}));
    }

    pub fn forward(&self) {
        self.must("/forward", json!({}));
    }

    pub fn title(&self) -> String {
        self.get("/title").expect("a page")
    }

    /// Returns the tab that commands go to.
    pub fn tab(&self) -> String {
        self.get("/window").expect("a tab")
    }

    /// Opens an empty tab in the same profile, and turns to it.
    pub fn new_tab(&self) -> String {
        let tab = text(&self.must("/window/new", json!({"type": "tab"}))["handle"]);
        self.turn_to(&tab);
        tab
    }

    pub fn turn_to(&self, tab: &str) {
        self.must("/window", json!({"handle": tab}));
    }

    /// Plays a screen of this size, which below 640 px is a phone. In Firefox and WebKit this is
    /// the size of the window, which is at least 500 px wide.
    pub fn resize(&self, width: u32, height: u32) {
        if self.engine != Engine::Chromium {
            self.must("/window/rect", json!({"width": width, "height": height}));
            return;
        }
        let mobile = width < 640;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Asks for this colour scheme, and for colours that change at once instead of gradually.
    pub fn prefer_colours(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Tells the page, as a phone does, whether there is a network. WebSockets are not affected.
    pub fn tell_network(&self, online: bool) {
        let conditions = json!({"offline": !online, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.devtools("Network.emulateNetworkConditions", conditions);
    }

    /// Turns the clock of a page with `WITNESS` ahead. Its timers go on as before.
    pub fn turn_clock(&self, ahead: Duration) {
        let script = "sessionStorage.setItem(arguments[0], arguments[1]);";
        self.run(script, json!([AHEAD, ahead.as_millis().to_string()]));
    }

    /// Runs a function body in the page. A promise that it returns is waited for.
    pub fn run(&self, script: &str, arguments: Value) -> Value {
        self.must("/execute/sync", json!({"script": script, "args": arguments}))
    }

    /// Gives a command of Chromium's own, where WebDriver has none.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.must("/goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    /// Ends the tab's process, as a phone does that is short of memory.
    pub fn crash_tab(&self) {
        let crash = json!({"cmd": "Page.crash", "params": {}});
        assert!(self.post("/goog/cdp/execute", crash).is_err(), "the tab goes on");
    }

    /// Returns the elements with this role and name, in the order of the page. In a name, `…`
    /// stands for any text.
    pub fn all(&self, role: &str, name: &str) -> Vec<Element> {
        let root = json!({"using": "css selector", "value": ":root"});
        // While a page is being left there is none.
        self.post("/element", root)
            .map_or(Vec::new(), |root| self.all_in(&element(&root), role, name))
    }

    /// Returns the elements with this role and name within another element.
    pub fn all_in(&self, within: &Element, role: &str, name: &str) -> Vec<Element> {
        match self.engine {
            Engine::Chromium => self.query(within, role, name),
            Engine::Firefox | Engine::WebKit => self.ask_each(within, role, name),
        }
    }

    /// Looks the elements up in Chromium's accessibility tree, by one command.
    fn query(&self, Element(within): &Element, role: &str, name: &str) -> Vec<Element> {
        // A reference of chromedriver ends in the number by which DevTools call the element, so
        // elements that DevTools find can be named to chromedriver.
        let (page, number) = within.rsplit_once('.').expect("a reference of chromedriver's");
        let number: u64 = number.parse().expect("a number");
        let query = json!({"cmd": "Accessibility.queryAXTree", "params": {"backendNodeId": number, "role": role}});
        let Ok(found) = self.post("/goog/cdp/execute", query) else { return Vec::new() };
        let nodes = found["nodes"].as_array().expect("nodes").iter();
        nodes
            .filter(|node| node["ignored"] == false && fits(&text(&node["name"]["value"]), name))
            .map(|node| Element(format!("{page}.{}", node["backendDOMNodeId"])))
            .collect()
    }

    /// Asks Firefox or WebKit for role and name of each visible element that may have this role.
    fn ask_each(&self, within: &Element, role: &str, name: &str) -> Vec<Element> {
        let native = NATIVE.iter().find(|(native, _)| *native == role).map(|(_, tags)| tags);
        let selector = format!("{}, [role={role}]", native.unwrap_or(&"[role=none]"));
        let arguments = json!([within.argument(), selector]);
        let visible = self.post("/execute/sync", json!({"script": VISIBLE, "args": arguments}));
        let visible = visible.unwrap_or_default();
        let elements = visible.as_array().into_iter().flatten().map(element);
        let fits = |found: &Element| {
            let (its_role, its_name) = self.role_and_name(found);
            its_role == role && fits(&its_name, name)
        };
        elements.filter(fits).collect()
    }

    fn role_and_name(&self, Element(id): &Element) -> (String, String) {
        let told = |what| self.get(&format!("/element/{id}/computed{what}")).unwrap_or_default();
        (told("role"), told("label"))
    }

    /// Returns `true` if an element has this role and name now.
    pub fn has(&self, role: &str, name: &str) -> bool {
        !self.all(role, name).is_empty()
    }

    /// Waits for an element with this role and name.
    #[track_caller]
    pub fn find(&self, role: &str, name: &str) -> Element {
        wait_for(&format!("{role} {name}"), || self.all(role, name).into_iter().next())
    }

    /// Waits until no element has this role and name.
    #[track_caller]
    pub fn wait_until_gone(&self, role: &str, name: &str) {
        wait_for(&format!("end of {role} {name}"), || (!self.has(role, name)).then_some(()));
    }

    /// Waits for an element with this role and a text that fits the pattern.
    #[track_caller]
    pub fn wait_for_text(&self, role: &str, pattern: &str) {
        let mut seen: Vec<String> = Vec::new();
        let start = Instant::now();
        while !seen.iter().any(|text| fits(text, pattern)) {
            assert!(start.elapsed() < PATIENCE, "{role} {pattern} did not come, but {seen:?}");
            std::thread::sleep(LOOK_AGAIN);
            seen = self.texts(role);
        }
    }

    /// Returns the texts of all elements with this role.
    pub fn texts(&self, role: &str) -> Vec<String> {
        let found = self.all(role, "…").into_iter();
        found
            .filter_map(|Element(id)| self.get(&format!("/element/{id}/property/textContent")).ok())
            .collect()
    }

    #[track_caller]
    pub fn click(&self, role: &str, name: &str) {
        self.act(role, name, "click", &json!({}));
    }

    /// Types at the end of a field. Keys such as `SHIFT` are held down until all are typed.
    #[track_caller]
    pub fn enter(&self, role: &str, name: &str, keys: &str) {
        self.act(role, name, "value", &json!({"text": keys}));
    }

    /// Waits until an element with this role and name takes the gesture: it is not covered, and not
    /// about to go.
    #[track_caller]
    fn act(&self, role: &str, name: &str, gesture: &str, given: &Value) {
        wait_for(&format!("{role} {name} that takes a {gesture}"), || {
            self.all(role, name)
                .iter()
                .find(|element| self.try_act(element, gesture, given))
                .map(drop)
        });
    }

    /// Makes a gesture. Returns `true` if the element took it.
    pub fn try_act(&self, Element(id): &Element, gesture: &str, given: &Value) -> bool {
        self.post(&format!("/element/{id}/{gesture}"), given.clone()).is_ok()
    }

    /// Strikes keys at the focused element.
    pub fn press(&self, keys: &str) {
        let strike =
            |key: char| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}));
        let strikes: Vec<Value> = keys.chars().flat_map(strike).collect();
        self.must(
            "/actions",
            json!({"actions": [{"type": "key", "id": "keyboard", "actions": strikes}]}),
        );
    }

    /// Strikes Tab until this element has the focus.
    #[track_caller]
    pub fn tab_to(&self, role: &str, name: &str) {
        let mut passed = Vec::new();
        while passed.len() < 50 {
            let focus = self.focus();
            if focus.0 == role && fits(&focus.1, name) {
                return;
            }
            passed.push(focus);
            self.press(TAB);
        }
        panic!("Tab does not lead to {role} {name}, but to {passed:?}");
    }

    /// Returns role and name of the focused element.
    pub fn focus(&self) -> (String, String) {
        let active =
            self.command("GET", &self.path("/element/active"), &Value::Null).unwrap_or_default();
        self.role_and_name(&element(&active))
    }

    /// Returns the new errors in the console, without the unavoidable ones. In Firefox and WebKit
    /// these are the errors in the tab, if its page has `WITNESS`.
    pub fn console_errors(&self) -> Vec<String> {
        if self.engine != Engine::Chromium {
            let script = "
                const errors = JSON.parse(sessionStorage.getItem(arguments[0]) ?? '[]');
                sessionStorage.removeItem(arguments[0]);
                return errors;
            ";
            let errors = self.post("/execute/sync", json!({"script": script, "args": [ERRORS]}));
            return errors.unwrap_or_default().as_array().into_iter().flatten().map(text).collect();
        }
        let entries = self.post("/se/log", json!({"type": "browser"})).unwrap_or_default();
        let entries = entries.as_array().into_iter().flatten();
        let errors =
            entries.filter(|entry| entry["level"] == "SEVERE").map(|entry| text(&entry["message"]));
        errors.filter(|error| !UNAVOIDABLE.iter().any(|start| error.contains(start))).collect()
    }

    fn get(&self, path: &str) -> Result<String, String> {
        self.command("GET", &self.path(path), &Value::Null).map(|value| text(&value))
    }

    fn must(&self, path: &str, body: Value) -> Value {
        self.post(path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        self.command("POST", &self.path(path), &body)
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.session)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let failed = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(failed)?;
        stream.set_read_timeout(Some(COMMAND_MAX)).map_err(failed)?;
        let (port, length) = (self.port, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        // Chromedriver does not close a connection that it was asked to close, so the length tells
        // where an answer ends.
        let mut answer = BufReader::new(stream);
        let head: Vec<String> = answer
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let length = head.iter().find_map(|line| {
            line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        });
        let mut body = vec![0; length.ok_or("no answer")?];
        answer.read_exact(&mut body).map_err(failed)?;
        let value =
            serde_json::from_slice::<Value>(&body).map_err(|error| error.to_string())?["value"]
                .take();
        if head[0].starts_with("HTTP/1.1 200 ") { Ok(value) } else { Err(text(&value["message"])) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed && let Ok(picture) = self.get("/screenshot") {
            let path = self.profile.with_extension("png");
            let bytes = data_encoding::BASE64.decode(picture.as_bytes()).unwrap_or_default();
            let _ = fs::write(&path, bytes);
            eprintln!("what the browser showed: {}", path.display());
        }
        let errors = self.console_errors();
        let _ = self.command("DELETE", &self.session, &Value::Null);
        drop(self.driver.take());
        // The last of its processes may still write to the folder while it is being removed.
        let start = Instant::now();
        while fs::remove_dir_all(&self.profile).is_err()
            && self.profile.exists()
            && start.elapsed() < PATIENCE
        {
            std::thread::sleep(LOOK_AGAIN);
        }
        assert!(failed || errors.is_empty(), "in the console: {errors:#?}");
    }
}

/// Looks until `look` returns something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Returns `true` if the text fits the pattern, in which `…` stands for any text.
pub fn fits(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    true
}

impl Element {
    /// Returns the element as an argument of a script.
    pub fn argument(&self) -> Value {
        json!({ELEMENT: self.0})
    }
}

fn element(reference: &Value) -> Element {
    Element(text(&reference[ELEMENT]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

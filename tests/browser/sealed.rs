//! The numbers of the end-to-end encryption, in the WebCrypto of each engine.
//!
//! **Invariants**
//! - The modules are those that a server serves; only the check of them is the test's.

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::engines::in_each_engine;
use crate::page::home;
use crate::support::Server;
use crate::webdriver::{Browser, WITNESS, wait_for};
use crate::wire::Wire;

/// The check that Node.js runs, too.
const CHECK: &str = include_str!("../page/vectors.mjs");

const VECTORS: &str = include_str!("../page/sealed.json");

/// Leaves the list of failures where a test finds it. The script of a driver may live in a sandbox
/// that imports nothing, so this one is the page's.
const START: &str = "
    const names = ['bytes', 'hpke', 'card', 'sealed'];
    Promise.all(names.map((name) => import(new URL(`${name}.js`, location.href).href)))
      .then((loaded) => checkVectors(
        Object.fromEntries(loaded.map((module, n) => [names[n], module])), JSON.parse(VECTORS)))
      .catch((error) => [String(error), error.stack])
      .then((failures) => sessionStorage.setItem('failures', JSON.stringify(failures)));
";

in_each_engine![numbers_of_every_section_are_the_known_ones,];

fn numbers_of_every_section_are_the_known_ones(engine: Engine) {
    let server = Server::start(&[]);
    let check = CHECK.replace("export async function", "async function");
    // As text: in a literal of JavaScript, the key `__proto__` has another meaning.
    let vectors = Value::from(VECTORS);
    let script = format!("{WITNESS}{{ {check} const VECTORS = {vectors}; {START} }}");
    let wire = Wire::with_script(server.address, &script);
    let browser = Browser::start_in(engine);
    browser.go(&home(wire.address));
    let failures = wait_for("end of the check", || {
        let told = browser.run("return sessionStorage.getItem('failures');", json!([]));
        told.as_str().map(str::to_owned)
    });
    assert_eq!(failures, "[]");
}

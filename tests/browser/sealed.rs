//! The cryptography of the page in each engine, held against numbers of other implementations.
//!
//! **Invariants**
//! - The numbers, and the code that compares them, are those of `tests/page`.

use serde_json::json;

use crate::engine::Engine;
use crate::engines::in_each_engine;
use crate::page::home;
use crate::support::Server;
use crate::webdriver::Browser;

const VECTORS: &str = include_str!("../page/sealed.json");
const CHECKER: &str = include_str!("../page/vectors.mjs");

/// Imports the modules of the page, and returns what the checker finds.
const CHECK: &str = "
    const names = ['hpke', 'card', 'sealed', 'bytes'];
    const load = (name) => import(new URL(`${name}.js`, location.href).href);
    // As a value it would lose its keys named __proto__ on the way.
    const given = JSON.parse(arguments[0]);
    return Promise.all(names.map(load)).then((loaded) => {
        const modules = Object.fromEntries(names.map((name, index) => [name, loaded[index]]));
        return checkVectors(modules, given);
    });
";

in_each_engine![numbers_of_other_implementations_come_out,];

fn numbers_of_other_implementations_come_out(engine: Engine) {
    let server = Server::start(&[]);
    let browser = Browser::start_in(engine);
    browser.go(&home(server.address));
    let script = CHECKER.replace("export ", "") + CHECK;
    let found = browser.run(&script, json!([VECTORS]));
    assert_eq!(found["failures"], json!([]), "{engine:?}");
    assert!(found["count"].as_u64() > Some(450), "{engine:?}: {found}");
}

//! Scripts in shorthand, for the tests of ownership.

use super::*;

/// Runs a script in shorthand with a new hub, once without a store and once with one. The name of a
/// connection is its id, with strokes behind it for later connections.
///
/// - `alice' joins`, `alice' joins keyless`: joins with the key of `alice`, without a key;
/// - `alice' < joined true 2`, `alice' < joined keyless`: the answer, with `resumed` and `held`;
/// - `alice joins {}`, `alice joins keyless {}`: joins with this card;
/// - `bob < free alice`, `bob < taken alice`, `bob < card alice {}`: the answers to `lookup`;
/// - `bob > send alice 1 r`, `bob < message alice 1 1`: words are the values of the protocol page's
///   lines, in order, and a number stands for the mid with this count.
#[track_caller]
pub fn check(limits: Limits, script: &str) {
    Chat::new(limits.clone()).check(&long(script));
    Chat::with_store(limits).check(&long(script));
}

/// Expands shorthand to the lines of the protocol.
pub fn long(script: &str) -> String {
    script
        .lines()
        .map(|step| {
            let words: Vec<&str> = step.split_whitespace().collect();
            long_card_step(&words).unwrap_or_else(|| long_step(&words)) + "\n"
        })
        .collect()
}

/// Expands a step about cards.
fn long_card_step(words: &[&str]) -> Option<String> {
    let [name, sign, ..] = *words else { return None };
    let id = name.trim_end_matches('\'');
    let key = format!(r#""key":"the key of {id} 0123""#);
    let line = match words[1..] {
        ["joins", "keyless", card] => {
            return Some(format!(r#"{name} > {{"type":"join","id":"{id}","card":{card}}}"#));
        }
        ["joins", card] if card != "keyless" => {
            return Some(format!(r#"{name} > {{"type":"join","id":"{id}",{key},"card":{card}}}"#));
        }
        [">", "card"] => r#"{"type":"card"}"#.to_owned(),
        [">", "card", card] => format!(r#"{{"type":"card","card":{card}}}"#),
        [">", "lookup", id] => format!(r#"{{"type":"lookup","id":"{id}"}}"#),
        ["<", "free", id] => format!(r#"{{"type":"card","id":"{id}","claimed":false}}"#),
        ["<", "taken", id] => format!(r#"{{"type":"card","id":"{id}","claimed":true}}"#),
        ["<", "card", id, card] => {
            format!(r#"{{"type":"card","id":"{id}","claimed":true,"card":{card}}}"#)
        }
        _ => return None,
    };
    Some(format!("{name} {sign} {line}"))
}

fn long_step(words: &[&str]) -> String {
    let [name, sign, ..] = *words else { return String::new() };
    let id = name.trim_end_matches('\'');
    let line = match words[1..] {
        ["joins"] => {
            return format!(
                r#"{name} > {{"type":"join","id":"{id}","key":"the key of {id} 0123"}}"#
            );
        }
        ["joins", "keyless"] => return format!(r#"{name} > {{"type":"join","id":"{id}"}}"#),
        [">", "send", to, body] => format!(r#"{{"type":"send","to":"{to}","body":{body}}}"#),
        [">", "send", to, body, r] => {
            format!(r#"{{"type":"send","to":"{to}","body":{body},"ref":"{r}"}}"#)
        }
        [">", "signal", to, body] => format!(r#"{{"type":"signal","to":"{to}","body":{body}}}"#),
        [">", "ack", to, ref numbers @ ..] => {
            format!(r#"{{"type":"ack","to":"{to}","mids":{}}}"#, mids(numbers))
        }
        [">", "leave"] => r#"{"type":"leave"}"#.to_owned(),
        [">", kind @ ("watch" | "unwatch" | "block" | "unblock"), ref ids @ ..] => {
            format!(r#"{{"type":"{kind}","ids":{ids:?}}}"#)
        }
        ["<", "joined", "keyless"] => joined(id, "false", "0"),
        ["<", "joined", id] => joined(id, "false", "0"),
        ["<", "joined", resumed, held] => joined(id, resumed, held),
        ["<", "message", from, body, n] => {
            format!(
                r#"{{"type":"message","from":"{from}","body":{body},"mid":"{}","at":5}}"#,
                mid(n)
            )
        }
        ["<", "sent", r, n] => {
            format!(r#"{{"type":"sent","ref":"{r}","mid":"{}","at":5}}"#, mid(n))
        }
        ["<", "sent", r, n, "held"] => {
            format!(r#"{{"type":"sent","ref":"{r}","mid":"{}","at":5,"held":true}}"#, mid(n))
        }
        ["<", "delivered", from, ref numbers @ ..] => {
            format!(r#"{{"type":"delivered","from":"{from}","mids":{}}}"#, mids(numbers))
        }
        ["<", "expired", to, ref numbers @ ..] => {
            format!(r#"{{"type":"expired","to":"{to}","mids":{}}}"#, mids(numbers))
        }
        ["<", "signal", from, body] => {
            format!(r#"{{"type":"signal","from":"{from}","body":{body}}}"#)
        }
        ["<", "online", id] => format!(r#"{{"type":"presence","id":"{id}","online":true}}"#),
        ["<", "offline", id] => format!(r#"{{"type":"presence","id":"{id}","online":false}}"#),
        ["<", "error", code] => format!(r#"{{"type":"error","code":"{code}"}}"#),
        ["<", "error", code, to] => format!(r#"{{"type":"error","code":"{code}","to":"{to}"}}"#),
        ["<", "error", code, r, to] => {
            format!(r#"{{"type":"error","code":"{code}","ref":"{r}","to":"{to}"}}"#)
        }
        _ => return words.join(" "),
    };
    format!("{name} {sign} {}", line.replace("\", \"", "\",\""))
}

fn mid(number: &str) -> String {
    number
        .parse()
        .map_or(number.to_owned(), |count: u64| Mid { prefix: 0xabc.into(), count }.to_string())
}

fn mids(numbers: &[&str]) -> String {
    format!("{:?}", numbers.iter().map(|number| mid(number)).collect::<Vec<String>>())
}

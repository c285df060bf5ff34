//! The commands of the guide's page on the API, as they stand there.

use std::process::Command;

use super::*;

const PAGE: &str = include_str!("../../../src/guide/api.md");

/// Returns the blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// Runs commands in the folder, behind these, and returns their output.
fn run(folder: &Folder, before: &[&str], commands: &str) -> String {
    let script = format!("set -e\n{}\n{commands}", before.join("\n"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("HOME", &folder.0)
        .env_remove("http_proxy")
        .current_dir(&folder.0)
        .output()
        .expect("bash");
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn commands_of_the_guide_do_as_they_say() {
    let folder = Folder::new();
    let [start, variables, send, key, rest] = blocks("sh")[..] else { panic!("five blocks") };
    let [sent, told] = blocks("json")[..] else { panic!("two blocks") };
    // The test starts the server itself, on a free port.
    let options = run(&folder, &["sotto() { echo \"$*\"; }"], start);
    let options = options.trim_end().replace("127.0.0.1:8081", "127.0.0.1:0");
    let token = folder.path("token");
    let options: Vec<&str> =
        options.split(' ').map(|word| if word == "token" { &token } else { word }).collect();
    let server = Server::start(&options);
    let line = server.wait_for_log("API on http://127.0.0.1:");
    let port = line.rsplit(':').next().expect("a port");
    let config = format!("silent\nshow-error\nconnect-to = 127.0.0.1:8081:127.0.0.1:{port}\n");
    fs::write(folder.0.join(".curlrc"), config).expect("a file");

    drop(Client::join_owned(&server, "bob", KEY));
    let answers = lines(&run(&folder, &[variables], send));
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    let (mut bob, _) = Client::join_owned(&server, "bob", KEY);
    let message = bob.hear_type("message");
    assert_eq!(message["body"], "Your parcel is on its way");
    let mut expected = lines(sent).remove(0);
    (expected["mid"], expected["at"]) = (message["mid"].clone(), message["at"].clone());
    assert_eq!(*answer, expected);

    let key = run(&folder, &[variables], &format!("{key}\necho $KEY"));
    bob.say(json!({"type": "send", "to": "shop", "body": "thanks", "ref": "1"}));
    assert_eq!(bob.hear_type("sent")["held"], true);
    let (mut shop, joined) = Client::join_owned(&server, "shop", key.trim_end());
    assert_eq!((&joined["resumed"], &joined["held"]), (&true.into(), &1.into()));
    let mid = shop.hear_type("message")["mid"].clone();
    shop.say(json!({"type": "ack", "to": "bob", "mids": [mid]}));
    assert_eq!(bob.hear_type("delivered")["mids"], json!([mid]));
    // Sending goes on meanwhile.
    run(&folder, &[variables], &send.replace("order-17", "order-18"));
    bob.hear_type("message");

    assert_eq!(lines(&run(&folder, &[variables], rest)), lines(told));
    assert_eq!(bob.hear_close().1, 4002);
}

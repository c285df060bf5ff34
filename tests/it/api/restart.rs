//! A server with a store: what the next one knows of a backend.

use super::*;

#[test]
fn message_survives_a_killed_server_and_is_sent_once() {
    let folder = Folder::new();
    let store = folder.path("store");
    let (mut server, address) = folder.start(&["--store", &store]);
    drop(Client::join_owned(&server, "bob", KEY));
    let mut backend = Backend::connect(&address);
    let sent: Vec<Value> = (0..20).map(|n| backend.send_taken(message(&n.to_string()))).collect();
    server.signal(Signal::KILL);
    server.wait_for_exit();
    let (server, address) = folder.start(&["--store", &store]);
    let mut backend = Backend::connect(&address);
    for (n, sent) in sent.iter().enumerate() {
        assert_eq!(backend.send_taken(message(&n.to_string())), *sent);
    }
    let (mut bob, joined) = Client::join_owned(&server, "bob", KEY);
    assert_eq!(joined["held"], 20);
    for sent in &sent {
        assert_eq!(bob.hear_type("message")["mid"], sent["mid"]);
    }
    // The claim is on disk, too.
    let mut client = Client::connect(&server);
    client.say(json!({"type": "join", "id": "shop", "key": KEY}));
    client.hear_error("id_taken");
}

#[test]
fn message_to_an_id_without_a_key_is_answered_once_on_disk() {
    let folder = Folder::new();
    let (server, address) = folder.start(&["--store", &folder.path("store")]);
    let mut bob = Client::join(&server, "bob");
    let mut backend = Backend::connect(&address);
    let sent = backend.send_taken(message("1"));
    assert_eq!(backend.send_taken(message("1")), sent);
    assert_eq!(bob.hear_type("message")["mid"], sent["mid"]);
}

//! Logins in front of a server, as the guide has them: a proxy asks a stand-in for the login, which
//! knows people by their cookie.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::json;

use super::proxies::{Proxy, install_certificate};
use super::{begin_machine, run_in_namespaces, shell};
use crate::support::{Client, Server, read_head, sotto};

/// Returns the code blocks of the guide's section about logins that hold this text.
fn snippet(text: &str) -> String {
    let guide = include_str!("../../../src/guide/hosting.md");
    let section = guide.split("\n## Ids from a login").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("its text");
    let mut blocks = section.split("\n```").skip(1).step_by(2);
    let block = blocks.find(|block| block.contains(text)).expect("a block with this text");
    block.split_once('\n').expect("a language").1.to_owned()
}

/// Answers a proxy that asks for the login of a request: 200 and the user in this field if there is
/// a cookie `user=…`, and otherwise 401. It ends with the test.
fn stand_in(port: u16, path: &'static str, field: &'static str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            assert!(head.first().is_some_and(|line| line.starts_with(&format!("GET {path}"))));
            let is_cookie = |line: &str| line.to_ascii_lowercase().starts_with("cookie: ");
            let cookie = head.iter().find(|line| is_cookie(line));
            let user = cookie.and_then(|line| line.split_once("user=")).map(|(_, user)| user);
            let status = if user.is_some() { "200 OK" } else { "401 Unauthorized" };
            let user = user.map(|user| format!("{field}: {user}\r\n")).unwrap_or_default();
            let close = "Connection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{user}{close}").as_bytes());
        }
    });
}

fn sotto_behind_login() -> Server {
    let options = ["--origin", "https://chat.example", "--forwarded", "x-forwarded-for"];
    Server::spawn_plain(&mut sotto(&[&options[..], &["--id-header", "Remote-User"]].concat()))
}

/// Asks for the page's id, with these fields, and returns the answer.
fn whoami(proxy: &Proxy, fields: &str) -> String {
    let mut wire = proxy.connect();
    let host = "Host: chat.example\r\nConnection: close\r\n";
    let request = format!("GET /whoami HTTP/1.1\r\n{host}{fields}\r\n");
    wire.write_all(request.as_bytes()).expect("it reads");
    let head = read_head(&mut wire);
    let mut body = String::new();
    let _unclean = BufReader::new(wire).read_line(&mut body);
    head + &body
}

/// Checks that the login decides on the id, whatever a client says itself.
fn check(proxy: &Proxy, refused: &str) {
    let answer = whoami(proxy, "Cookie: user=alice\r\nRemote-User: mallory\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("alice\n"), "{answer}");
    let answer = whoami(proxy, "Remote-User: mallory\r\n");
    assert!(answer.starts_with(&format!("HTTP/1.1 {refused} ")), "{answer}");
    let open = |fields: &str| {
        Client::try_ask("chat.example", proxy.connect(), "/ws", fields).expect("an answer")
    };
    let refusal = open("Remote-User: mallory\r\n").err().expect("a refusal");
    assert!(refusal.starts_with(&format!("HTTP/1.1 {refused} ")), "{refusal}");
    let spoofed = "Cookie: user=alice\r\nRemote-User: mallory\r\nremote-user: mallory\r\n";
    let mut alice = open(spoofed).expect("an upgrade");
    for (id, answer) in [("mallory", "error"), ("bob", "error"), ("alice", "joined")] {
        alice.say(json!({"type": "join", "id": id, "key": "0123456789abcdef"}));
        alice.hear_type(answer);
    }
    let mut bob = open("Cookie: user=bob\r\n").expect("an upgrade");
    bob.say(json!({"type": "join", "id": "bob"}));
    bob.hear_type("joined");
    bob.say(json!({"type": "send", "to": "alice", "body": "through a login"}));
    assert_eq!(alice.hear_type("message")["body"], "through a login");
}

#[test]
fn nginx_asks_oauth2_proxy_for_the_id() {
    run_in_namespaces("host_files::logins::nginx");
}

#[test]
#[ignore = "it needs namespaces: nginx_asks_oauth2_proxy_for_the_id starts it"]
fn nginx() {
    begin_machine();
    let certificate = install_certificate();
    stand_in(4180, "/oauth2/auth", "X-Auth-Request-User");
    let config = std::fs::read_to_string(super::file("proxies/nginx.conf")).expect("a file");
    let (inside, beside) = (snippet("auth_request_set"), snippet("location @login"));
    let config = config.replace("    location / {", &format!("{beside}\nlocation / {{\n{inside}"));
    shell("rm -f /etc/nginx/sites-enabled/*");
    std::fs::write("/etc/nginx/sites-enabled/sotto.conf", config).expect("a folder");
    let _server = sotto_behind_login();
    check(&Proxy::start("nginx -g 'daemon off;'", certificate), "302");
}

#[test]
fn caddy_asks_authelia_for_the_id() {
    run_in_namespaces("host_files::logins::caddy");
}

#[test]
#[ignore = "it needs namespaces: caddy_asks_authelia_for_the_id starts it"]
fn caddy() {
    begin_machine();
    stand_in(9091, "/api/authz/forward-auth", "Remote-User");
    let options = "{\nlocal_certs\nskip_install_trust\nadmin off\n}\n";
    shell("mkdir -p /etc/caddy");
    std::fs::write("/etc/caddy/Caddyfile", format!("{options}{}", snippet("forward_auth")))
        .expect("a folder");
    let _server = sotto_behind_login();
    let root = "/run/.local/share/caddy/pki/authorities/local/root.crt";
    check(&Proxy::start("caddy run --config /etc/caddy/Caddyfile", root), "401");
}

#[test]
fn token_made_as_the_guide_says_opens_its_id() {
    let file = std::env::temp_dir().join(format!("login-{}", std::process::id()));
    let file = file.to_str().expect("UTF-8");
    let make = snippet("b64()").replace("/etc/sotto/login", file);
    shell(&format!("openssl rand -hex 32 >{file}"));
    let made = std::process::Command::new("bash").args(["-euc", &make]).output().expect("bash");
    let server = Server::start(&["--auth", &format!("jwt:{file}")]);
    std::fs::remove_file(file).expect("it is there");
    let token = String::from_utf8(made.stdout).expect("UTF-8");
    let mut alice = Client::connect(&server);
    alice.say(json!({"type": "join", "id": "alice", "token": token.trim_end()}));
    alice.hear_type("joined");
}

//! A login elsewhere says whose id it is: nginx in front names it, or a link brings a token.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use crate::page::home;
use crate::support::{Client, Server};
use crate::webdriver::{Browser, wait_for};

const SECRET: &str = "a secret of this test, 32 bytes!";
const BY_HEADER: [&str; 4] = ["--forwarded", "x-forwarded-for", "--id-header", "Remote-User"];

/// nginx in front of a server. It takes the user of each request for granted.
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    /// Starts it for this user; no user is none.
    fn start(name: &str, server: &Server, user: &str) -> Nginx {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        Nginx::start_at(free.expect("a free port"), name, server, user)
    }

    fn start_at(address: SocketAddr, name: &str, server: &Server, user: &str) -> Nginx {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{name}"));
        fs::create_dir_all(&folder).expect("a folder");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|part| format!("{part}_temp_path {}/{part};\n", folder.display()))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr; worker_processes 1; events {{}}
            http {{
                access_log off;
                {temporary}
                map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
                server {{
                    listen {address};
                    location / {{
                        proxy_pass http://{};
                        proxy_http_version 1.1;
                        proxy_set_header Host $http_host;
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection $connection_upgrade;
                        proxy_set_header Remote-User '{user}';
                    }}
                }}
            }}",
            server.address
        );
        fs::write(folder.join("nginx.conf"), config).expect("a file");
        let mut child = Command::new("nginx")
            .args(["-p", folder.to_str().expect("UTF-8"), "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx");
        wait_for("nginx", || {
            assert!(child.try_wait().expect("a child").is_none(), "nginx has ended");
            TcpStream::connect(address).ok()
        });
        Nginx { child, folder, address }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes a token for this id.
fn token(id: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let claims = json!({"sub": id, "exp": now + 3600}).to_string();
    let [header, claims] =
        [r#"{"alg":"HS256"}"#, &claims].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
    let message = format!("{header}.{claims}");
    let mac = hmac_sha256::HMAC::mac(&message, SECRET);
    format!("{message}.{}", BASE64URL_NOPAD.encode(&mac))
}

/// Joins as bob, through a proxy of this machine.
fn bob(server: &Server) -> Client {
    let mut bob = Client::ask(server, server.connect(), "/ws", "Remote-User: bob\r\n")
        .unwrap_or_else(|head| panic!("{head}"));
    bob.say(json!({"type": "join", "id": "bob"}));
    bob.hear_type("joined");
    bob
}

#[test]
fn page_behind_a_proxy_opens_as_the_id_it_names() {
    let server = Server::start(&BY_HEADER);
    let nginx = Nginx::start("named", &server, "alice");
    let alice = Browser::visit(nginx.address);
    alice.wait_for_text("status", "Connected");
    alice.find("heading", "alice");
    let mut bob = bob(&server);
    bob.say(json!({"type": "send", "to": "alice", "body": "through nginx"}));
    alice.open("bob…");
    alice.wait_for_message("through nginx");
    alice.reload();
    alice.wait_for_text("status", "Connected");
    alice.click("button", "Settings");
    alice.click("button", "Use another ID");
    let field = alice.find("textbox", "Your ID");
    let shown = "const [at] = arguments; return [at.value, at.readOnly]";
    wait_for("a fixed id", || {
        (alice.run(shown, json!([field.argument()])) == json!(["alice", true])).then_some(())
    });
    alice.click("button", "Join");
    alice.wait_for_text("status", "Connected");
}

#[test]
fn page_follows_the_login_of_another_person() {
    let server = Server::start(&BY_HEADER);
    let nginx = Nginx::start("first", &server, "alice");
    let address = nginx.address;
    let browser = Browser::visit(address);
    browser.find("heading", "alice");
    browser.wait_for_text("status", "Connected");
    drop(nginx);
    let _nginx = Nginx::start_at(address, "second", &server, "bob");
    browser.reload();
    browser.find("heading", "bob");
    browser.wait_for_text("status", "Connected");
}

#[test]
fn page_that_no_login_has_named_an_id_for_says_so() {
    let server = Server::start(&BY_HEADER);
    let nginx = Nginx::start("nameless", &server, "");
    let alice = Browser::visit(nginx.address);
    alice.wait_for_text("alert", "Your login doesn’t open this chat…");
    alice.enter("textbox", "Your ID", "alice");
    alice.click("button", "Join");
    alice.wait_for_text("alert", "Your login doesn’t open this chat…");
    assert!(!alice.has("textbox", "Password of this server"));
}

#[test]
fn token_in_a_link_opens_its_id_in_this_tab_only() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("jwt-{}", std::process::id()));
    fs::write(&file, SECRET).expect("a file");
    let server = Server::start(&["--auth", &format!("jwt:{}", file.display())]);
    fs::remove_file(&file).expect("it is there");
    let alice = Browser::start(&[]);
    alice.go(&format!("{}#token={}", home(server.address), token("alice")));
    alice.wait_for_text("status", "Connected");
    alice.find("heading", "alice");
    let kept = "return [location.hash, JSON.stringify(localStorage).includes('token'),
        JSON.stringify(sessionStorage).includes('token')]";
    assert_eq!(alice.run(kept, json!([])), json!(["", false, true]));
    alice.reload();
    alice.wait_for_text("status", "Connected");
    // Neither a foreign token nor a broken one throws anybody out.
    for foreign in [&token("mallory"), "x.e30.x"] {
        alice.go(&format!("{}#token={foreign}", home(server.address)));
        alice.wait_for_text("status", "Connected");
        alice.find("heading", "alice");
    }
}

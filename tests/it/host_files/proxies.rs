//! Proxies in front of a server, each with its file from `src/host/proxies/`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::{begin_machine, run_in_namespaces, shell};
use crate::support::{Certificate, Client, PATIENCE, Server, Wire, sotto};

/// The address of the proxy, and of its clients: the kernel connects to an address of this machine
/// from the same address.
const HTTPS: ([u8; 4], u16) = ([203, 0, 113, 7], 443);

/// A proxy that runs in the foreground.
pub struct Proxy {
    child: Child,
    client: Arc<ClientConfig>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts a proxy, and waits until it answers. `root` is the file of the certificate that its
    /// clients trust, which the proxy may make first.
    pub fn start(command: &str, root: &str) -> Proxy {
        let mut child = Command::new("bash")
            .args(["-c", &format!("exec {command}")])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/run")
            .stdin(Stdio::null())
            .spawn()
            .expect("a proxy");
        let start = Instant::now();
        let address = SocketAddr::from(HTTPS);
        loop {
            assert!(child.try_wait().expect("a child").is_none(), "{command} has ended");
            assert!(start.elapsed() < PATIENCE, "{command} does not listen");
            if let (Ok(wire), Ok(root)) =
                (TcpStream::connect(address), CertificateDer::from_pem_file(root))
            {
                let client = Certificate::trusting(root);
                let wire = Wire::of(wire).expect("a socket");
                if wire.try_secure_as("chat.example", client.clone()).is_ok() {
                    return Proxy { child, client };
                }
            }
            std::thread::yield_now();
        }
    }

    /// Connects over https, as a browser does.
    pub fn connect(&self) -> Wire {
        let wire = Wire::plain(HTTPS.into());
        wire.try_secure_as("chat.example", self.client.clone()).expect("a handshake")
    }

    /// Opens the chat, as a page of this origin does.
    fn open(&self, origin: &str) -> Result<Client, String> {
        let fields = format!("Origin: {origin}\r\n");
        Client::try_ask("chat.example", self.connect(), "/ws", &fields).expect("an answer")
    }

    /// Checks that the page comes, that two people can chat, that their address is known, and that
    /// foreign pages are refused.
    fn check(&self, server: &Server) {
        let mut wire = self.connect();
        let request = "GET / HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n";
        wire.write_all(request.as_bytes()).expect("it reads");
        let mut page = Vec::new();
        // HAProxy ends the stream without a close_notify.
        let _unclean = wire.read_to_end(&mut page);
        let page = String::from_utf8_lossy(&page);
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<title>"), "{page}");
        let [mut alice, mut bob] = ["alice", "bob"].map(|id| {
            let mut client = self.open("https://chat.example").expect("an upgrade");
            client.say(json!({"type": "join", "id": id}));
            client.hear_type("joined");
            client
        });
        alice.say(json!({"type": "send", "to": "bob", "body": "through a proxy"}));
        assert_eq!(bob.hear_type("message")["body"], "through a proxy");
        let refusal = self.open("https://evil.example").err().expect("a refusal");
        assert!(refusal.starts_with("HTTP/1.1 403 "), "{refusal}");
        // Not the address of the proxy, which is 127.0.0.1.
        server.wait_for_log("refused 203.0.113.7: Origin \"https://evil.example\"");
    }
}

/// Starts sotto behind a proxy of this machine, as the guide says.
fn sotto_behind(forwarding: &str) -> Server {
    let options = ["--origin", "https://chat.example", "--forwarded", forwarding];
    Server::spawn_plain(&mut sotto(&options))
}

/// Puts a certificate where certbot would.
pub fn install_certificate() -> &'static str {
    let Certificate { certificate, key } = Certificate::new("chat.example");
    let folder = "/etc/letsencrypt/live/chat.example";
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    shell(&format!(
        "mkdir -p {folder}
        cp {certificate} {folder}/fullchain.pem
        cp {key} {folder}/privkey.pem"
    ));
    "/etc/letsencrypt/live/chat.example/fullchain.pem"
}

#[test]
fn nginx_passes_page_chat_and_address_on() {
    run_in_namespaces("host_files::proxies::nginx");
}

#[test]
#[ignore = "it needs namespaces: nginx_passes_page_chat_and_address_on starts it"]
fn nginx() {
    begin_machine();
    let certificate = install_certificate();
    shell(
        "rm -f /etc/nginx/sites-enabled/*
        cp $FILES/proxies/nginx.conf /etc/nginx/sites-enabled/sotto.conf",
    );
    let server = sotto_behind("x-forwarded-for");
    Proxy::start("nginx -g 'daemon off;'", certificate).check(&server);
}

#[test]
fn caddy_passes_page_chat_and_address_on() {
    run_in_namespaces("host_files::proxies::caddy");
}

#[test]
#[ignore = "it needs namespaces: caddy_passes_page_chat_and_address_on starts it"]
fn caddy() {
    begin_machine();
    // Besides the file itself: certificates of an authority of its own, because Let's Encrypt
    // cannot reach this machine.
    shell(
        "mkdir -p /etc/caddy
        cp $FILES/proxies/Caddyfile /etc/caddy/sotto
        printf '{\\nlocal_certs\\nskip_install_trust\\nadmin off\\n}\\nimport sotto\\n' >/etc/caddy/Caddyfile",
    );
    let server = sotto_behind("x-forwarded-for");
    let root = "/run/.local/share/caddy/pki/authorities/local/root.crt";
    Proxy::start("caddy run --config /etc/caddy/Caddyfile", root).check(&server);
}

#[test]
fn apache_passes_page_chat_and_address_on() {
    run_in_namespaces("host_files::proxies::apache");
}

#[test]
#[ignore = "it needs namespaces: apache_passes_page_chat_and_address_on starts it"]
fn apache() {
    begin_machine();
    let certificate = install_certificate();
    shell(
        "rm -f /etc/apache2/sites-enabled/*
        cp $FILES/proxies/apache.conf /etc/apache2/sites-enabled/sotto.conf
        mkdir -p /run/apache2
        a2enmod -q ssl proxy_http",
    );
    let server = sotto_behind("x-forwarded-for");
    Proxy::start("apache2ctl -D FOREGROUND", certificate).check(&server);
}

#[test]
fn haproxy_passes_page_chat_and_address_on() {
    run_in_namespaces("host_files::proxies::haproxy");
}

#[test]
#[ignore = "it needs namespaces: haproxy_passes_page_chat_and_address_on starts it"]
fn haproxy() {
    begin_machine();
    let certificate = install_certificate();
    shell(
        "cp $FILES/proxies/haproxy.cfg /etc/haproxy/haproxy.cfg
        cat /etc/letsencrypt/live/chat.example/*.pem >/etc/haproxy/chat.example.pem",
    );
    let server = sotto_behind("proxy");
    Proxy::start("haproxy -db -f /etc/haproxy/haproxy.cfg", certificate).check(&server);
}

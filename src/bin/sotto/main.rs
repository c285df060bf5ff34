//! The program: from arguments to a [`Config`], a logger, listening sockets, the loop, and an exit
//! code.
//!
//! **Invariants**
//! - Everything that can fail does so before the loop runs, but for the last commit of a store. One
//!   sentence on standard error says what: exit code 2 for an option, 1 for the machine.
//!
//! It does not know how options are written (`options.rs`), nor how a turn goes.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use log::{info, warn};

#[cfg(feature = "api")]
use sotto::api::token::Tokens;
#[cfg(feature = "auth")]
use sotto::auth::{Source, jwt::Jwt};
use sotto::chat::hub::Hub;
#[cfg(feature = "auth")]
use sotto::chat::vouching::Voucher;
use sotto::config::{Config, ListenAddress};
#[cfg(any(feature = "host", feature = "api"))]
use sotto::event_loop::Socket;
use sotto::event_loop::{Acceptor, EventLoop, connections_possible, raise_descriptor_limit};
#[cfg(feature = "host")]
use sotto::host::password;
use sotto::limits::CONNECTIONS_MAX;
use sotto::memory::SubnetHash;
use sotto::net::connection::{Shared, View};
#[cfg(feature = "host")]
use sotto::net::http::Entry;
use sotto::net::http::assets::Files;
#[cfg(feature = "peerjs")]
use sotto::net::http::peerjs::Addresses;
use sotto::net::http::{Access, Endpoint, Origin, Site};
use sotto::net::proxies::Proxies;
#[cfg(feature = "host")]
use sotto::server::JoinLog;
use sotto::server::{Disk, NoDisk, Server, limits};
#[cfg(feature = "store")]
use sotto::store::Opened;
use sotto::time::Now;

mod options;
mod stderr_log;

#[cfg(feature = "host")]
use options::Secrets;
use options::{Command, Options};
use stderr_log::StderrLog;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1), std::env::vars_os()) {
        Ok(Command::Run(options)) => *options,
        Ok(Command::Print(text)) => {
            // An error means that the reader has closed standard output, and is not interested.
            let _ = write!(io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Command::Check(options)) => return end(2, check(&options)),
        #[cfg(feature = "host")]
        Ok(Command::Health(probe)) => return end(1, probe.ask()),
        Err(sentence) => return fail(2, sentence),
    };
    if let Err(error) = StderrLog::install(options.log) {
        return fail(1, error);
    }
    end(1, serve(options))
}

/// Returns the exit code: 0, or after a sentence about the error `code`.
fn end(code: u8, result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => fail(code, sentence),
    }
}

fn fail(code: u8, sentence: impl Display) -> ExitCode {
    say(format_args!("sotto: {sentence}"));
    ExitCode::from(code)
}

/// Writes a line to standard error, even with `--log off`.
fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Checks the files that the options name and that are not read yet.
fn check(options: &Options) -> Result<(), String> {
    #[cfg(feature = "store")]
    if let Some(folder) = &options.config.store {
        return sotto::store::check(folder);
    }
    let _checked = options;
    Ok(())
}

/// Serves until a signal ends the server.
fn serve(mut options: Options) -> Result<(), String> {
    if !options.unknown_variables.is_empty() {
        let names = options.unknown_variables.join(", ");
        warn!("unknown environment variables, ignored: {names}; --help lists the options");
    }
    limit_connections(&mut options.config)?;
    let (hub_limits, _) = limits(&options.config);
    #[cfg(feature = "store")]
    if let Some(folder) = &options.config.store {
        let random = std::array::from_fn(|_| random().to_le_bytes());
        let mut store = Opened::open(folder, random)?;
        let hub = store.restore(hub_limits, Now::read())?;
        let hash = store.subnet_hash();
        return run(options, hub, Some(hash), |event_loop| {
            let waker = event_loop.waker().map_err(|error| error.to_string())?;
            // A loop that has ended needs no waking.
            store.start(move || drop(waker.wake()))
        });
    }
    run(options, Hub::new(hub_limits, random()), None, |_| Ok(NoDisk))
}

/// Returns a random number from the system: a hasher with random keys makes one of nothing.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(feature = "peerjs")]
fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    key.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random().to_le_bytes()));
    key
}

/// Listens and serves. `start_disk` is called once the server listens.
fn run<D: Disk>(
    options: Options,
    hub: Hub<D::Journal>,
    subnet_hash: Option<SubnetHash>,
    start_disk: impl FnOnce(&EventLoop) -> Result<D, String>,
) -> Result<(), String> {
    let files = options.files();
    #[cfg(feature = "api")]
    let api_tokens = options.api_tokens;
    #[cfg(feature = "host")]
    let secrets = options.secrets;
    let Options { config, origins, proxies, identity, .. } = options;
    let mut event_loop = EventLoop::new().map_err(|error| format!("cannot begin: {error}"))?;
    let addresses = listen(&mut event_loop, &config)?;
    let metrics = listen_also(&mut event_loop, config.metrics, View::Metrics, &config)?;
    let redirect = listen_also(&mut event_loop, config.redirect, View::Redirect, &config)?;
    let scheme = if identity.is_some() { "https" } else { "http" };
    if let (Some(identity), Some((certificate, key))) = (identity, config.tls_files()) {
        event_loop.speak_tls(identity, certificate.into(), key.into());
    }
    // Behind a Unix socket, visitors see the port of a proxy: the usual one, if no origin tells
    // another.
    let port = addresses.iter().find_map(ListenAddress::port).unwrap_or(443);
    let disk = start_disk(&event_loop)?;
    let mut shared = shared(&config, files, origins, proxies, port);
    if let Some(hash) = subnet_hash {
        shared.addresses.set_hash(hash);
    }
    let mut server = Server::with_disk(config.max_clients, hub, disk, shared);
    server.log_lines_dropped = stderr_log::dropped;
    #[cfg(feature = "host")]
    guard(&mut server, &mut event_loop, &config, secrets);
    log_limits(&config);
    for address in addresses {
        say(format_args!("listening on {scheme}://{address}{}", config.base));
    }
    if let Some(address) = redirect {
        say(format_args!("redirecting from http://{address}"));
    }
    if let Some(address) = metrics {
        say(format_args!("metrics on http://{address}/metrics"));
    }
    #[cfg(feature = "api")]
    open_api(&mut server, &mut event_loop, &config, api_tokens)?;
    event_loop.run(&mut server).map_err(|error| format!("cannot wait for the kernel: {error}"))?;
    server.finish(Now::read()).map_err(|error| format!("the last changes are lost: {error}"))
}

/// Listens for backends, if the options say so.
#[cfg(feature = "api")]
fn open_api(
    server: &mut Server<Socket, impl Disk>,
    event_loop: &mut EventLoop,
    config: &Config,
    tokens: Option<Tokens>,
) -> Result<(), String> {
    let Some((address, tokens)) = config.api.as_ref().zip(tokens) else { return Ok(()) };
    server.open_api(tokens);
    event_loop.api_token_file = config.api_token_file.clone();
    let address = listen_at(event_loop, address, View::Api, config)?;
    say(format_args!("API on http://{address}"));
    Ok(())
}

/// Makes the server private if there is a secret for that, and has joins logged as the options say.
#[cfg(feature = "host")]
fn guard(
    server: &mut Server<Socket, impl Disk>,
    event_loop: &mut EventLoop,
    config: &Config,
    secrets: Secrets,
) {
    server.joins = JoinLog::new(config.log_addresses, config.log_ids);
    event_loop.password_file = config.password_file.clone();
    if let Some(password) = &secrets.password {
        server.require_password(password, password::random_key());
    }
    #[cfg(feature = "auth")]
    ask_for_login(server, event_loop, config, secrets.auth);
}

/// Makes the server private if a login elsewhere decides on ids.
#[cfg(feature = "auth")]
fn ask_for_login(
    server: &mut Server<Socket, impl Disk>,
    event_loop: &mut EventLoop,
    config: &Config,
    auth: Option<(Source, Jwt)>,
) {
    if let Some((source, check)) = auth {
        event_loop.auth = Some(source);
        server.require_login(Voucher::Token(Box::new(check)));
    } else if config.id_header.is_some() {
        server.require_login(Voucher::Header);
    }
}

/// Tells in the log how many connections and how much memory there may be.
fn log_limits(config: &Config) {
    info!(
        "at most {} connections; at most {} MiB of memory if every buffer fills up, and about {} \
         MiB with 1000 quiet clients (kernel buffers not counted)",
        config.max_clients,
        config.memory_bytes_max() >> 20,
        config.memory_bytes_usual() >> 20
    );
}

/// Lowers `--max-clients` to the connections that open descriptors allow.
fn limit_connections(config: &mut Config) -> Result<(), String> {
    if let Err(error) = raise_descriptor_limit() {
        warn!("cannot raise the limit of open descriptors: {error}");
    }
    let possible = connections_possible().saturating_sub(config.api_connections());
    let wanted = config.max_clients;
    if possible == 0 {
        return Err(
            "the limit of open descriptors leaves none for connections: raise ulimit -n".into()
        );
    }
    config.max_clients = wanted.min(possible);
    if config.max_clients < wanted && wanted != CONNECTIONS_MAX {
        warn!(
            "--max-clients is lowered from {wanted} to {possible}: the limit of open descriptors \
             (ulimit -n) allows no more"
        );
    }
    Ok(())
}

/// Listens where the chat is to be served, and returns the addresses with their ports.
fn listen(event_loop: &mut EventLoop, config: &Config) -> Result<Vec<ListenAddress>, String> {
    #[cfg(feature = "host")]
    {
        let inherited = sotto::host::sockets::inherited()?;
        if !inherited.is_empty() {
            let adopted = inherited
                .into_iter()
                .map(|socket| event_loop.listen(Acceptor::adopt(socket, config)?, View::Page));
            return adopted
                .collect::<io::Result<_>>()
                .map_err(|error| format!("cannot use the sockets of LISTEN_FDS: {error}"));
        }
    }
    let addresses = config.listen.iter();
    addresses.map(|address| listen_at(event_loop, address, View::Page, config)).collect()
}

/// Listens at one more address, if there is one, and returns it with its port.
fn listen_also(
    event_loop: &mut EventLoop,
    address: Option<SocketAddr>,
    view: View,
    config: &Config,
) -> Result<Option<ListenAddress>, String> {
    let address = address.map(ListenAddress::Tcp);
    address.map(|address| listen_at(event_loop, &address, view, config)).transpose()
}

fn listen_at(
    event_loop: &mut EventLoop,
    address: &ListenAddress,
    view: View,
    config: &Config,
) -> Result<ListenAddress, String> {
    Acceptor::bind(address, config)
        .and_then(|acceptor| event_loop.listen(acceptor, view))
        .map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Puts together what all connections share: the site, and the limits. With TLS, `port` is the one
/// that visitors over plain HTTP are redirected to.
fn shared(
    config: &Config,
    files: Files,
    origins: Vec<Origin>,
    proxies: Proxies,
    port: u16,
) -> Shared {
    let access = Access::Pages(origins);
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: Some("sotto.v1") };
    let site = Site::new(files, access.clone(), endpoint).below(config.base.clone());
    #[cfg(feature = "peerjs")]
    let site = match config.peerjs.clone() {
        Some(path) => site.for_peerjs(Addresses::new(path, random_key())),
        None => site,
    };
    #[cfg(feature = "host")]
    let site = site.with_entry(entry(config));
    let (_, connection_limits) = limits(config);
    let mut shared = if config.tls_files().is_some() {
        let site = site.over_tls();
        let site = if config.no_hsts { site } else { site.with_hsts() };
        let mut shared = Shared::new(site, connection_limits);
        shared.set_redirect(Site::redirect(port, access));
        shared
    } else {
        Shared::new(site, connection_limits)
    };
    shared.proxies = proxies;
    #[cfg(feature = "auth")]
    if let Some(field) = &config.id_header {
        shared.set_id_field(field);
    }
    shared
}

/// Returns the way into the chat, for the page to know.
#[cfg(feature = "host")]
fn entry(config: &Config) -> Entry {
    #[cfg(feature = "auth")]
    if config.auth.is_some() || config.id_header.is_some() {
        return Entry::Login(None);
    }
    if config.password_file.is_some() { Entry::Password } else { Entry::Open }
}

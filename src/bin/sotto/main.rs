//! Arguments → [`Config`], logger, bind, run, exit code.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use log::{LevelFilter, info, warn};

use sotto::chat::hub::Hub;
use sotto::config::Config;
use sotto::event_loop::{EventLoop, connections_possible, raise_descriptor_limit};
use sotto::limits::CONNECTIONS_MAX;
use sotto::net::addresses::Addresses;
use sotto::net::connection::{Shared, View};
use sotto::net::http::assets::Files;
use sotto::net::http::{Access, Endpoint, Origin, Site};
#[cfg(feature = "tls")]
use sotto::net::tls::Identity;
use sotto::server::{Server, limits};

mod stderr_log;

use stderr_log::StderrLog;

#[cfg(feature = "tls")]
macro_rules! tls_help {
    () => {
        "  \
  --tls-cert FILE         speak https and wss: the certificate with its chain, in PEM; SIGHUP reads it anew
  --tls-key FILE          the key of that certificate, in PEM
  --redirect ADDRESS:PORT where to send people from http to https  [off]
"
    };
}
#[cfg(not(feature = "tls"))]
macro_rules! tls_help {
    () => {
        ""
    };
}

const HELP: &str = concat!(
    "\
sotto: private one-to-one web chat

Usage: sotto [OPTIONS]

Each --name VALUE can also be given as the environment variable SOTTO_NAME, dashes as underscores; the command line wins.

  --listen ADDRESS:PORT   where to serve; port 0 takes a free one  [127.0.0.1:8080]
  --metrics ADDRESS:PORT  where to serve /metrics for Prometheus, and nothing else  [off]
",
    tls_help!(),
    "  \
  --origin URL            also accept pages from here; repeatable (in the environment: separated by spaces)
  --www DIR               serve the page from a folder, read anew at each request
  --max-clients N         connections at once  [32768, or what descriptors allow]
  --per-address N         connections from one IPv4 address or IPv6 /64; 0: any number  [0]
  --max-message BYTES     longest WebSocket message from a client  [65536]
  --outbox BYTES          most that may wait for one client  [524288]
  --outbox-total BYTES    most that may wait for all  [67108864]
  --rate N                lines a second from one client; 0: no limit  [100]
  --burst N               lines from one client at once  [1000]
  --ping SECONDS          a client silent for so long is pinged  [25]
  --timeout SECONDS       a client silent for so long is gone  [40]
  --join-timeout SECONDS  from accept to join, or to the end of a request head  [10]
  --hold SECONDS          how long an owned id and its messages are kept  [600]
  --held BYTES            most that is held for one owned id  [524288]
  --held-total BYTES      most that is held for all  [67108864]
  --owned N               owned ids  [100000]
  --log LEVEL             off, error, warn, info, debug or trace  [info]
  --help, --version
"
);

const NAMES: [&str; 22] = [
    "listen",
    "metrics",
    "tls-cert",
    "tls-key",
    "redirect",
    "origin",
    "www",
    "max-clients",
    "per-address",
    "max-message",
    "outbox",
    "outbox-total",
    "rate",
    "burst",
    "ping",
    "timeout",
    "join-timeout",
    "hold",
    "held",
    "held-total",
    "owned",
    "log",
];

/// Options that need TLS.
const TLS_NAMES: [&str; 3] = ["tls-cert", "tls-key", "redirect"];

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let options = match parse(arguments, |name| std::env::var_os(name)) {
        Ok(Command::Run(options)) => *options,
        Ok(Command::Print(text)) => {
            // Whoever closed standard output does not want to read it.
            let _ = write!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Err(sentence) => return fail(2, sentence),
    };
    if let Err(error) = StderrLog::install(options.log) {
        return fail(1, error);
    }
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => fail(1, sentence),
    }
}

fn fail(code: u8, sentence: impl Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "sotto: {sentence}");
    ExitCode::from(code)
}

fn serve(options: Options) -> Result<(), String> {
    let Options { mut config, origins, .. } = options;
    if let Err(error) = raise_descriptor_limit() {
        warn!("cannot raise the limit of open descriptors: {error}");
    }
    let (wanted, possible) = (config.max_clients, connections_possible());
    if possible == 0 {
        return Err("the limit of open descriptors (ulimit -n) leaves none for connections".into());
    }
    config.max_clients = wanted.min(possible);
    if config.max_clients < wanted && wanted != CONNECTIONS_MAX {
        warn!(
            "--max-clients is {possible}, not {wanted}: that is what the limit of open descriptors allows"
        );
    }
    let mut event_loop =
        EventLoop::bind(&config).map_err(|error| cannot_listen(config.listen, &error))?;
    let address = event_loop.address().map_err(|error| error.to_string())?;
    let files = config.www.take().map_or(Files::BuiltIn, Files::Folder);
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: Some("sotto.v1") };
    let access = Access::Pages(origins);
    let (hub_limits, connection_limits) = limits(&config);
    #[cfg(not(feature = "tls"))]
    let (scheme, shared) =
        ("http", Shared::new(Site::new(files, access, endpoint), connection_limits));
    #[cfg(feature = "tls")]
    let (scheme, shared) = {
        let site = Site::new(files, access.clone(), endpoint);
        match (options.identity, config.tls_files()) {
            (Some(identity), Some((certificate, key))) => {
                event_loop
                    .speak_tls(identity, certificate.into(), key.into())
                    .map_err(|error| error.to_string())?;
                let mut shared = Shared::new(site.over_tls(), connection_limits);
                shared.set_redirect(Site::redirect(address.port(), access));
                ("https", shared)
            }
            _ => ("http", Shared::new(site, connection_limits)),
        }
    };
    // A hasher with random keys, asked to hash nothing, is a random number from the system.
    let hub = Hub::new(hub_limits, RandomState::new().hash_one(()));
    let mut server =
        Server::new(config.max_clients, Addresses::new(config.per_address), hub, shared);
    server.log_lines_dropped = stderr_log::dropped;
    let mut bind = |at: Option<SocketAddr>, view| {
        at.map(|at| {
            event_loop.bind_also(at, view, &config).map_err(|error| cannot_listen(at, &error))
        })
        .transpose()
    };
    let metrics = bind(config.metrics, View::Metrics)?;
    #[cfg(feature = "tls")]
    let redirect = bind(config.redirect, View::Redirect)?;
    info!(
        "at most {} connections and {} MiB of memory, the kernel's buffers not counted",
        config.max_clients,
        config.memory_bytes_max() >> 20
    );
    let _ = writeln!(std::io::stderr(), "listening on {scheme}://{address}");
    #[cfg(feature = "tls")]
    if let Some(address) = redirect {
        let _ = writeln!(std::io::stderr(), "redirecting from http://{address}");
    }
    if let Some(address) = metrics {
        let _ = writeln!(std::io::stderr(), "metrics on http://{address}/metrics");
    }
    event_loop.run(&mut server).map_err(|error| format!("cannot wait for the kernel: {error}"))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    format!("cannot listen on {address}: {error}")
}

// ---- options ----

enum Command {
    Run(Box<Options>),
    Print(String),
}

struct Options {
    config: Config,
    origins: Vec<Origin>,
    log: LevelFilter,
    /// What the files for TLS hold.
    #[cfg(feature = "tls")]
    identity: Option<Identity>,
}

/// Reads the environment, then the command line over it.
fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let mut options = Options {
        config: Config::default(),
        origins: Vec::new(),
        log: LevelFilter::Info,
        #[cfg(feature = "tls")]
        identity: None,
    };
    for name in NAMES {
        let variable = format!("SOTTO_{}", name.replace('-', "_").to_uppercase());
        if let Some(value) = environment(&variable) {
            options.set(name, value).map_err(|sentence| format!("{variable}: {sentence}"))?;
        }
    }
    let mut of_environment = std::mem::take(&mut options.origins);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            lexopt::Arg::Long("help") => return Ok(Command::Print(HELP.into())),
            lexopt::Arg::Long("version") => {
                let with = if cfg!(feature = "tls") { " (tls)" } else { "" };
                return Ok(Command::Print(format!("sotto {}{with}\n", env!("CARGO_PKG_VERSION"))));
            }
            lexopt::Arg::Long(name) if NAMES.contains(&name) => {
                let name = name.to_owned();
                let value = parser.value().map_err(|error| error.to_string())?;
                options.set(&name, value).map_err(|sentence| format!("--{name}: {sentence}"))?;
            }
            other => return Err(format!("{}; --help lists the options", other.unexpected())),
        }
    }
    if options.origins.is_empty() {
        options.origins.append(&mut of_environment);
    }
    options.config.check()?;
    #[cfg(feature = "tls")]
    if let Some((certificate, key)) = options.config.tls_files() {
        options.identity = Some(Identity::load(certificate, key)?);
    }
    Ok(Command::Run(Box::new(options)))
}

impl Options {
    fn set(&mut self, name: &str, value: OsString) -> Result<(), String> {
        let config = &mut self.config;
        match name {
            "www" => {
                let folder = PathBuf::from(value);
                if !folder.join("index.html").is_file() {
                    return Err("there is no index.html in this folder".into());
                }
                config.www = Some(folder);
                return Ok(());
            }
            _ if TLS_NAMES.contains(&name) && !cfg!(feature = "tls") => {
                return Err(
                    "this sotto is built without TLS: build it with `--features tls`".into()
                );
            }
            "tls-cert" => {
                config.tls_cert = Some(value.into());
                return Ok(());
            }
            "tls-key" => {
                config.tls_key = Some(value.into());
                return Ok(());
            }
            _ => {}
        }
        let value = value.to_str().ok_or("this is not UTF-8")?;
        let seconds = || number(value).map(|seconds| Duration::from_secs(seconds as u64));
        match name {
            "listen" => config.listen = address(value)?,
            "metrics" => config.metrics = Some(address(value)?),
            "redirect" => config.redirect = Some(address(value)?),
            "origin" => {
                for origin in value.split_ascii_whitespace() {
                    self.origins.push(Origin::parse(origin)?);
                }
            }
            "max-clients" => config.max_clients = number(value)?,
            "per-address" => config.per_address = number_or_0(value)?,
            "max-message" => config.max_message = number(value)?,
            "outbox" => config.outbox = number(value)?,
            "outbox-total" => config.outbox_total = number(value)?,
            "rate" => config.rate = number_or_0(value)?,
            "burst" => config.burst = number(value)?,
            "ping" => config.ping = seconds()?,
            "timeout" => config.timeout = seconds()?,
            "join-timeout" => config.join_timeout = seconds()?,
            "hold" => config.hold = seconds()?,
            "held" => config.held = number(value)?,
            "held-total" => config.held_total = number(value)?,
            "owned" => config.owned = number(value)?,
            "log" => {
                self.log = LevelFilter::from_str(value).map_err(|_| {
                    format!("\"{value}\" is not off, error, warn, info, debug or trace")
                })?;
            }
            _ => return Err("is no option".into()),
        }
        Ok(())
    }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("\"{value}\" is not like 127.0.0.1:8080 or [::1]:8080"))
}

/// A whole number above 0.
fn number(value: &str) -> Result<usize, String> {
    match number_or_0(value)? {
        0 => Err("must be above 0".into()),
        number => Ok(number),
    }
}

/// A whole number. What a number of bytes, seconds or lines can be at most is far above what is of
/// use.
fn number_or_0(value: &str) -> Result<usize, String> {
    let number = value.parse::<u32>();
    number.map_or_else(
        |_| Err(format!("\"{value}\" is not a whole number up to {}", u32::MAX)),
        |n| Ok(n as usize),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str, environment: &[(&str, &str)]) -> Result<Options, String> {
        let arguments = line.split_whitespace().map(OsString::from);
        let look_up = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        match parse(arguments, look_up)? {
            Command::Run(options) => Ok(*options),
            Command::Print(text) => Err(text),
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let environment =
            [("SOTTO_MAX_CLIENTS", "5"), ("SOTTO_ORIGIN", "https://a.example https://b.example")];
        let options = run("", &environment).expect("good options");
        assert_eq!((options.config.max_clients, options.origins.len()), (5, 2));
        let options =
            run("--max-clients=7 --origin https://c.example", &environment).expect("good options");
        assert_eq!((options.config.max_clients, options.origins.len()), (7, 1));
        let options =
            run("--listen [::1]:0 --ping 1 --timeout 2 --rate 0 --burst 7 --log off", &[])
                .expect("good options");
        assert_eq!((options.config.rate, options.config.burst), (0, 7));
        assert_eq!(options.config.listen.to_string(), "[::1]:0");
        assert_eq!((options.config.ping.as_secs(), options.log), (1, LevelFilter::Off));
    }

    #[test]
    fn a_bad_option_is_refused_in_one_sentence_that_names_it() {
        let check = |line: &str, words: &str| {
            let sentence = run(line, &[]).err().unwrap_or_else(|| panic!("{line} was accepted"));
            assert!(sentence.contains(words) && !sentence.contains('\n'), "{line}: {sentence}");
        };
        check("--listen localhost", "--listen: \"localhost\" is not like 127.0.0.1:8080");
        check("--metrics 9100", "--metrics: \"9100\" is not like 127.0.0.1:8080");
        check("--origin chat.example", "--origin: ");
        check("--max-clients 0", "--max-clients: must be above 0");
        check("--max-message 64k", "--max-message: \"64k\" is not a whole number");
        check("--outbox 1000", "--outbox must be at least 262144 bytes");
        check("--ping 40", "--timeout must be greater than --ping");
        check("--rate -1", "--rate: \"-1\" is not a whole number");
        check("--www /nowhere", "--www: there is no index.html");
        check("--log loud", "--log: \"loud\"");
        if cfg!(feature = "tls") {
            check("--tls-cert cert.pem", "--tls-cert and --tls-key belong together");
            check("--redirect 127.0.0.1:80", "--redirect leads to https");
        } else {
            check(
                "--tls-cert cert.pem",
                "--tls-cert: this sotto is built without TLS: build it with `--features tls`",
            );
            check("--redirect 127.0.0.1:80", "--redirect: this sotto is built without TLS");
        }
        check("--burst 0", "--burst: must be above 0");
        check("--hold 0", "--hold: must be above 0");
        check("--listen", "--listen");
        check("serve", "serve");
        let sentence = run("", &[("SOTTO_PING", "soon")]).err().unwrap_or_default();
        assert!(sentence.starts_with("SOTTO_PING: "), "{sentence}");
    }

    #[test]
    fn help_lists_every_option() {
        let has_tls = cfg!(feature = "tls");
        for name in NAMES.iter().filter(|name| has_tls || !TLS_NAMES.contains(name)) {
            assert!(HELP.contains(&format!("  --{name} ")), "{name}");
        }
    }
}

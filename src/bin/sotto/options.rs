//! The program's options, as one table: the command line, the environment, `--help` and the checks
//! of values all read it.
//!
//! **Invariants**
//! - An option is one row of [`OPTIONS`]; its name stands nowhere else in the program.
//! - `--help` takes each default from [`Config::default`] and each range from the row.
//! - An error is one sentence that names the option or variable to change.
//!
//! It does not know the purpose of a value. Values that depend on each other are checked by
//! [`Config::check`].

use std::ffi::OsString;
#[cfg(feature = "host")]
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

#[cfg(feature = "api")]
use sotto::api::token::Tokens;
#[cfg(feature = "auth")]
use sotto::auth::{Source, jwt::Jwt};
use sotto::config::Config;
#[cfg(any(feature = "api", feature = "host"))]
use sotto::config::ListenAddress;
use sotto::event_loop::{Identity, WITHOUT_TLS};
#[cfg(feature = "host")]
use sotto::host::health::Probe;
#[cfg(feature = "host")]
use sotto::host::password;
use sotto::limits::MESSAGE_BYTES;
use sotto::net::http::Origin;
use sotto::net::http::assets::Files;
#[cfg(feature = "host")]
use sotto::net::proxies::Forwarding;
use sotto::net::proxies::Proxies;

mod values;

use values::{address, flag, folder, forwarding, level, listen_address, number, url_path};
#[cfg(feature = "auth")]
use values::{field_name, jwt_file, name};

/// The beginning of an option's name in the environment.
const VARIABLE_PREFIX: &str = "SOTTO_";
/// The greatest number an option takes; far above every useful number of bytes, seconds or lines.
const NUMBER_MAX: usize = u32::MAX as usize;
/// Columns of `--help`, as in the source.
const HELP_COLUMNS: usize = 100;
/// The column in which the descriptions of `--help` begin.
const DESCRIPTION_COLUMN: usize = 26;

/// The outcome of reading the command line.
pub enum Command {
    /// Run the server.
    Run(Box<Options>),
    /// Print this text and stop.
    Print(String),
    /// The options are good: check the store, too, and stop.
    Check(Box<Options>),
    /// Ask a running server whether it is well, and stop.
    #[cfg(feature = "host")]
    Health(Probe),
}

/// The operator's choices.
pub struct Options {
    /// All choices that the library has a name for.
    pub config: Config,
    /// The origins that pages may come from, besides the server's own.
    pub origins: Vec<Origin>,
    /// The proxies that are believed.
    pub proxies: Proxies,
    /// The least severe level that is logged.
    pub log: LevelFilter,
    /// Certificate and key, read from the files of `--tls-cert` and `--tls-key`.
    pub identity: Option<Identity>,
    /// The secrets of a private server.
    #[cfg(feature = "host")]
    pub secrets: Secrets,
    /// The tokens, read from the file of `--api-token-file`.
    #[cfg(feature = "api")]
    pub api_tokens: Option<Tokens>,
    /// Environment variables that are named like options, but are none.
    pub unknown_variables: Vec<String>,
}

/// The secrets of a private server, read from the files that options name.
#[cfg(feature = "host")]
#[derive(Default)]
pub struct Secrets {
    /// The password, of `--password-file`.
    pub password: Option<String>,
    /// The source of the key of `--auth`, and the check with it.
    #[cfg(feature = "auth")]
    pub auth: Option<(Source, Jwt)>,
}

/// One row of the table.
struct Opt {
    name: &'static str,
    value: Value,
    help: &'static str,
    /// The feature of the build without which the option has no meaning.
    feature: Option<Feature>,
}

/// A feature of the build.
struct Feature {
    is_built_in: bool,
    /// The sentence for an option without it.
    without: &'static str,
}

const TLS: Feature = Feature { is_built_in: cfg!(feature = "tls"), without: WITHOUT_TLS };
const STORE: Feature = Feature {
    is_built_in: cfg!(feature = "store"),
    without: "this sotto is built without a store: build it with `--features store`",
};

const HOST: Feature = Feature {
    is_built_in: cfg!(feature = "host"),
    without: "this sotto is built without this option: build it with `--features host`",
};

const PEERJS: Feature = Feature {
    is_built_in: cfg!(feature = "peerjs"),
    without: "this sotto is built without this option: build it with `--features peerjs`",
};
const AUTH: Feature = Feature {
    is_built_in: cfg!(feature = "auth"),
    without: "this sotto is built without this option: build it with `--features auth`",
};

/// The syntax of an option's value, and where the value is kept.
#[cfg_attr(not(feature = "auth"), expect(dead_code, reason = "some values need the feature"))]
enum Value {
    /// No value on the command line; `true` or `false` in the environment.
    Flag(fn(&mut Config) -> &mut bool),
    /// Addresses and ports, or `unix:` and a path, separated by white space.
    Listen,
    /// One of these.
    #[cfg(feature = "api")]
    OneListen(fn(&mut Config) -> &mut Option<ListenAddress>),
    OptionalAddress(fn(&mut Config) -> &mut Option<SocketAddr>),
    /// A path that is opened later.
    File(fn(&mut Config) -> &mut Option<PathBuf>),
    /// A folder that is made if it is not there.
    NewFolder(fn(&mut Config) -> &mut Option<PathBuf>),
    /// A folder that has to hold the page.
    Folder(fn(&mut Config) -> &mut Option<PathBuf>),
    Count(RangeInclusive<usize>, fn(&mut Config) -> &mut usize),
    Bytes(RangeInclusive<usize>, fn(&mut Config) -> &mut usize),
    /// Whole seconds, at least one.
    Seconds(fn(&mut Config) -> &mut Duration),
    /// A path of a URL, with or without a slash at its end.
    UrlPath(fn(&mut Config) -> &mut String),
    OptionalUrlPath(fn(&mut Config) -> &mut Option<String>),
    /// Origins, separated by white space.
    Origins,
    /// The way in which proxies tell the address of a client.
    Forwarding,
    /// Networks of proxies, separated by white space.
    Networks,
    /// `jwt:` and a path that is opened later.
    Jwt(fn(&mut Config) -> &mut Option<PathBuf>),
    /// The name of a field of HTTP.
    Field(fn(&mut Config) -> &mut Option<String>),
    /// Any text but none.
    Name(fn(&mut Config) -> &mut Option<String>),
    LogLevel,
}

use Value::{
    Bytes, Count, Field, File, Flag, Folder, Jwt as JwtFile, Listen, LogLevel, Name, Networks,
    NewFolder, OptionalAddress, OptionalUrlPath, Origins, Seconds, UrlPath,
};

const ANY: RangeInclusive<usize> = 1..=NUMBER_MAX;
const ANY_OR_0: RangeInclusive<usize> = 0..=NUMBER_MAX;

/// Every option that is about a server that runs, in the order of `--help`.
#[rustfmt::skip]
static OPTIONS: [Opt; 34 + 2 * cfg!(feature = "api") as usize] = [
    opt("listen", Listen,
        "Serve the page and chat here, or at unix:PATH, a Unix socket; port 0 picks a free one; \
         repeatable, or in the variable separated by spaces"),
    opt("metrics", OptionalAddress(|c| &mut c.metrics),
        "Serve /metrics for Prometheus here, and nothing else"),
    #[cfg(feature = "api")]
    opt("api", Value::OneListen(|c| &mut c.api),
        "Take messages from backends over HTTP here, or at unix:PATH"),
    #[cfg(feature = "api")]
    opt("api-token-file", File(|c| &mut c.api_token_file),
        "Let only backends in that say the token in this file; SIGHUP reads it again"),
    opt("tls-cert", File(|c| &mut c.tls_cert),
        "Speak https and wss with this certificate and its chain, in PEM; SIGHUP reads it again")
        .needs(TLS),
    opt("tls-key", File(|c| &mut c.tls_key),
        "Private key of that certificate, in PEM; SIGHUP reads it again").needs(TLS),
    opt("no-hsts", Flag(|c| &mut c.no_hsts),
        "Do not tell browsers of an https --origin at port 443 to come back over https only")
        .needs(TLS),
    opt("redirect", OptionalAddress(|c| &mut c.redirect),
        "Send browsers that come here over http to https").needs(TLS),
    opt("origin", Origins,
        "Accept pages from this address, too; repeatable, or in the variable separated by spaces"),
    opt("base", UrlPath(|c| &mut c.base),
        "Serve the page and the chat below this path, such as /chat/"),
    opt("peerjs", OptionalUrlPath(|c| &mut c.peerjs),
        "Serve PeerJS clients below this path, such as /calls, in place of a PeerServer")
        .needs(PEERJS),
    opt("forwarded", Value::Forwarding,
        "Take the address of a client from its proxy: x-forwarded-for, forwarded, or proxy for the \
         PROXY protocol"),
    opt("trusted-proxy", Networks,
        "Believe proxies at this address or network, such as 10.0.0.0/8, instead of those here; \
         repeatable, or in the variable separated by spaces"),
    opt("password-file", File(|c| &mut c.password_file),
        "Let only clients join that say the password in this file; SIGHUP reads it again")
        .needs(HOST),
    opt("auth", JwtFile(|c| &mut c.auth),
        "Let only clients join that say a token (JWT) for their id, signed with the secret or \
         public key in this file; SIGHUP reads it again").needs(AUTH),
    opt("auth-audience", Name(|c| &mut c.auth_audience),
        "Take only tokens that are for this audience").needs(AUTH),
    opt("id-header", Field(|c| &mut c.id_header),
        "Let a client join under the id only that its trusted proxy names in this header, such as \
         Remote-User").needs(AUTH),
    opt("store", NewFolder(|c| &mut c.store),
        "Keep owned ids and their messages in this folder, so that they survive a restart")
        .needs(STORE),
    opt("www", Folder(|c| &mut c.www),
        "Serve the page from this folder, read again at each request"),
    opt("max-clients", Count(ANY, |c| &mut c.max_clients),
        "Most connections at one time; the limit of open descriptors may allow fewer"),
    opt("per-address", Count(ANY_OR_0, |c| &mut c.per_address),
        "Most connections from one IPv4 address or IPv6 /64 but this machine's; 0: no limit"),
    opt("max-message", Bytes(MESSAGE_BYTES, |c| &mut c.max_message),
        "Longest WebSocket message from a client"),
    opt("outbox", Bytes(ANY, |c| &mut c.outbox),
        "Most that may wait for one client; at least 262144, and four times --max-message"),
    opt("outbox-total", Bytes(ANY, |c| &mut c.outbox_total),
        "Most that may wait for all clients; at least --outbox"),
    opt("rate", Count(ANY_OR_0, |c| &mut c.rate),
        "Most lines a second that are read from one client; 0: no limit"),
    opt("burst", Count(ANY, |c| &mut c.burst),
        "Lines read from one client at once before --rate slows it down"),
    opt("ping", Seconds(|c| &mut c.ping),
        "Ping a client that stays silent this long"),
    opt("timeout", Seconds(|c| &mut c.timeout),
        "Disconnect a client that stays silent this long; must be greater than --ping"),
    opt("join-timeout", Seconds(|c| &mut c.join_timeout),
        "Disconnect a client that takes longer to join, or to send a request"),
    opt("hold", Seconds(|c| &mut c.hold),
        "Keep an owned id and its messages this long after its last connection ended"),
    opt("held", Bytes(ANY, |c| &mut c.held),
        "Most that is kept for one owned id; at least two messages of --max-message"),
    opt("held-total", Bytes(ANY, |c| &mut c.held_total),
        "Most that is kept for all owned ids; at least 16 messages of --max-message"),
    opt("owned", Count(ANY, |c| &mut c.owned),
        "Most owned ids at one time"),
    opt("log-addresses", Flag(|c| &mut c.log_addresses),
        "Name the address of a client in the line of the log about its join").needs(HOST),
    opt("log-ids", Flag(|c| &mut c.log_ids),
        "Name the id of a client in the line of the log about its join").needs(HOST),
    opt("log", LogLevel,
        "Log lines of this level and above: off, error, warn, info, debug or trace"),
];

const fn opt(name: &'static str, value: Value, help: &'static str) -> Opt {
    Opt { name, value, help, feature: None }
}

/// Reads the environment, then the command line, which wins.
///
/// # Errors
/// One sentence for the operator, naming the option or variable to change.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, String> {
    let CommandLine { purpose, given } = read_command_line(arguments)?;
    match purpose {
        Purpose::Help => return Ok(Command::Print(help())),
        Purpose::Version => return Ok(Command::Print(version())),
        _ => {}
    }
    let mut options = Options::default();
    options.read_environment(environment, &given)?;
    for (option, value) in given {
        options.set(option, value).map_err(|sentence| format!("--{}: {sentence}", option.name))?;
    }
    if options.config.listen.is_empty() {
        options.config.listen = Config::default().listen;
    }
    match purpose {
        Purpose::PageHash => return options.files().sums().map(Command::Print),
        #[cfg(feature = "host")]
        Purpose::Health(url) => return options.probe(url).map(Command::Health),
        _ => {}
    }
    if options.proxies.forwarding.is_none() && !options.proxies.trusted.is_empty() {
        return Err("--trusted-proxy needs --forwarded: how does the proxy tell addresses?".into());
    }
    #[cfg(feature = "auth")]
    options.check_id_header()?;
    options.config.check()?;
    options.read_files()?;
    let options = Box::new(options);
    Ok(match purpose {
        Purpose::Check => Command::Check(options),
        _ => Command::Run(options),
    })
}

/// The command line, before any value is looked at.
struct CommandLine {
    purpose: Purpose,
    /// The options in their order.
    given: Vec<(&'static Opt, OsString)>,
}

/// What the program is started for. The last one on the command line counts.
enum Purpose {
    Run,
    Help,
    Version,
    PageHash,
    Check,
    /// A URL may follow.
    #[cfg(feature = "host")]
    Health(Option<OsString>),
}

fn read_command_line(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut purpose, mut given) = (Purpose::Run, Vec::new());
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        purpose = match argument {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => Purpose::Help,
            lexopt::Arg::Long("version") => Purpose::Version,
            lexopt::Arg::Long("page-hash") => Purpose::PageHash,
            lexopt::Arg::Long("check") => Purpose::Check,
            #[cfg(feature = "host")]
            lexopt::Arg::Long("health") => Purpose::Health(parser.optional_value()),
            #[cfg(feature = "host")]
            lexopt::Arg::Value(url) if matches!(purpose, Purpose::Health(None)) => {
                Purpose::Health(Some(url))
            }
            argument => {
                let option = match &argument {
                    lexopt::Arg::Long(name) => OPTIONS.iter().find(|option| option.name == *name),
                    _ => None,
                };
                let Some(option) = option else {
                    return Err(format!("{}; --help lists the options", argument.unexpected()));
                };
                let value = match option.value {
                    Flag(_) => parser.optional_value().unwrap_or_else(|| "true".into()),
                    _ => parser.value().map_err(|error| error.to_string())?,
                };
                given.push((option, value));
                purpose
            }
        };
        if matches!(purpose, Purpose::Help | Purpose::Version) {
            break;
        }
    }
    Ok(CommandLine { purpose, given })
}

impl Default for Options {
    fn default() -> Options {
        Options {
            config: Config { listen: Vec::new(), ..Config::default() },
            origins: Vec::new(),
            proxies: Proxies::default(),
            log: LevelFilter::Info,
            identity: None,
            #[cfg(feature = "api")]
            api_tokens: None,
            #[cfg(feature = "host")]
            secrets: Secrets::default(),
            unknown_variables: Vec::new(),
        }
    }
}

impl Options {
    /// Returns the probe for `--health`: of this URL, or else of a server with these options.
    #[cfg(feature = "host")]
    fn probe(&self, url: Option<OsString>) -> Result<Probe, String> {
        if let Some(url) = url {
            return Probe::parse(&url.to_string_lossy())
                .map_err(|error| format!("--health: {error}"));
        }
        let address = self.config.listen.first().ok_or("--listen names no address")?;
        // The kernel connects to an address of this machine from the same address.
        let peer = match address {
            ListenAddress::Tcp(address) if address.ip().is_unspecified() => {
                Some(Ipv4Addr::LOCALHOST.into())
            }
            ListenAddress::Tcp(address) => Some(address.ip()),
            ListenAddress::Unix(_) => None,
        };
        let expects_preamble =
            self.proxies.forwarding == Some(Forwarding::ProxyProtocol) && self.proxies.trusts(peer);
        Ok(Probe::of_own(address, expects_preamble))
    }

    /// Checks that it is known which peers are proxies, if these name ids.
    #[cfg(feature = "auth")]
    fn check_id_header(&self) -> Result<(), String> {
        let tells_in_field = self.proxies.forwarding.is_some_and(|way| way.field().is_some());
        if self.config.id_header.is_none() || tells_in_field {
            return Ok(());
        }
        Err("--id-header needs --forwarded x-forwarded-for or forwarded, so that it is known which \
             peers are proxies"
            .into())
    }

    /// Returns the source of the page's files.
    pub fn files(&self) -> Files {
        self.config.www.clone().map_or(Files::BuiltIn, Files::Folder)
    }

    /// Reads the files that options name.
    fn read_files(&mut self) -> Result<(), String> {
        if let Some((certificate, key)) = self.config.tls_files() {
            self.identity = Some(Identity::load(certificate, key)?);
        }
        #[cfg(feature = "host")]
        if let Some(file) = &self.config.password_file {
            self.secrets.password = Some(password::read(file)?);
        }
        #[cfg(feature = "auth")]
        if let Some(file) = self.config.auth.clone() {
            let source = Source { file, audience: self.config.auth_audience.clone() };
            let check = source.read()?;
            self.secrets.auth = Some((source, check));
        }
        #[cfg(feature = "api")]
        if let Some(file) = &self.config.api_token_file {
            self.api_tokens = Some(Tokens::read(file)?);
        }
        Ok(())
    }

    /// Reads the variables that begin with [`VARIABLE_PREFIX`], but for options that are `given` on
    /// the command line.
    ///
    /// One that is no option is only remembered: it may be meant for another program. Kubernetes,
    /// for one, sets `SOTTO_PORT` for a service called `sotto`.
    fn read_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        given: &[(&Opt, OsString)],
    ) -> Result<(), String> {
        for (variable, value) in environment {
            let variable = variable.to_string_lossy();
            let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else { continue };
            match OPTIONS.iter().find(|option| option.is_variable(name)) {
                Some(option) if given.iter().any(|(one, _)| one.name == option.name) => {}
                Some(option) => {
                    self.set(option, value).map_err(|sentence| format!("{variable}: {sentence}"))?
                }
                None => self.unknown_variables.push(variable.into_owned()),
            }
        }
        Ok(())
    }

    /// Sets one option, or refuses its value in one sentence.
    fn set(&mut self, option: &Opt, value: OsString) -> Result<(), String> {
        if let Some(Feature { is_built_in: false, without }) = option.feature {
            return Err(without.into());
        }
        let config = &mut self.config;
        let text = value.to_str().ok_or("this is not UTF-8");
        match &option.value {
            Flag(field) => *field(config) = flag(text?)?,
            File(field) | NewFolder(field) => *field(config) = Some(value.into()),
            Folder(field) => *field(config) = Some(folder(value)?),
            Listen => {
                for address in text?.split_ascii_whitespace() {
                    config.listen.push(listen_address(address)?);
                }
            }
            #[cfg(feature = "api")]
            Value::OneListen(field) => *field(config) = Some(listen_address(text?)?),
            OptionalAddress(field) => *field(config) = Some(address(text?)?),
            Count(range, field) | Bytes(range, field) => *field(config) = number(text?, range)?,
            Seconds(field) => {
                *field(config) = Duration::from_secs(number(text?, &ANY)? as u64);
            }
            Origins => {
                for origin in text?.split_ascii_whitespace() {
                    self.origins.push(Origin::parse(origin)?);
                }
            }
            UrlPath(field) => *field(config) = url_path(text?)?,
            OptionalUrlPath(field) => *field(config) = Some(url_path(text?)?),
            Value::Forwarding => self.proxies.forwarding = Some(forwarding(text?)?),
            Networks => {
                for network in text?.split_ascii_whitespace() {
                    self.proxies.trusted.push(network.parse()?);
                }
            }
            #[cfg(not(feature = "auth"))]
            JwtFile(_) | Field(_) | Name(_) => {}
            #[cfg(feature = "auth")]
            JwtFile(field) => *field(config) = Some(jwt_file(text?)?),
            #[cfg(feature = "auth")]
            Field(field) => *field(config) = Some(field_name(text?)?),
            #[cfg(feature = "auth")]
            Name(field) => *field(config) = Some(name(text?)?),
            LogLevel => self.log = level(text?)?,
        }
        Ok(())
    }
}

impl Opt {
    const fn needs(mut self, feature: Feature) -> Opt {
        self.feature = Some(feature);
        self
    }

    /// Returns `true` if the option has a meaning in this build.
    fn is_built_in(&self) -> bool {
        self.feature.as_ref().is_none_or(|feature| feature.is_built_in)
    }

    /// Returns `true` if this is the option's name in the environment, such as `MAX_CLIENTS`.
    fn is_variable(&self, name: &str) -> bool {
        let as_variable = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
        self.name.bytes().map(as_variable).eq(name.bytes())
    }

    /// Returns the word that stands for the value in `--help`.
    fn placeholder(&self) -> &'static str {
        match self.value {
            Flag(_) => "",
            Listen | OptionalAddress(_) => "ADDRESS:PORT",
            #[cfg(feature = "api")]
            Value::OneListen(_) => "ADDRESS:PORT",
            UrlPath(_) | OptionalUrlPath(_) => "PATH",
            Value::Forwarding => "WAY",
            Networks => "NETWORK",
            JwtFile(_) => "jwt:FILE",
            Field(_) | Name(_) => "NAME",
            File(_) => "FILE",
            Folder(_) | NewFolder(_) => "DIR",
            Count(..) => "N",
            Bytes(..) => "BYTES",
            Seconds(_) => "SECONDS",
            Origins => "URL",
            LogLevel => "LEVEL",
        }
    }

    /// Returns the value that holds if the option is not given, with its unit.
    fn default(&self) -> String {
        let Options { mut config, log, .. } = Options::default();
        match &self.value {
            Listen => Config::default().listen.iter().map(ToString::to_string).collect(),
            #[cfg(feature = "api")]
            Value::OneListen(_) => "off".into(),
            OptionalAddress(_) | OptionalUrlPath(_) | Flag(_) | Value::Forwarding => "off".into(),
            JwtFile(_) | Field(_) => "off".into(),
            File(_) | NewFolder(_) | Origins | Name(_) => "none".into(),
            Networks => "loopback".into(),
            UrlPath(_) => "/".into(),
            Folder(_) => "built in".into(),
            Count(_, field) => field(&mut config).to_string(),
            Bytes(_, field) => format!("{} bytes", field(&mut config)),
            Seconds(field) => format!("{} seconds", field(&mut config).as_secs()),
            LogLevel => log.as_str().to_ascii_lowercase(),
        }
    }

    /// Returns the sentence of the row, with the range if the row has one of its own.
    fn description(&self) -> String {
        match &self.value {
            Count(range, _) | Bytes(range, _) if *range != ANY && *range != ANY_OR_0 => {
                format!("{}, {} to {}", self.help, range.start(), range.end())
            }
            _ => self.help.into(),
        }
    }
}

fn help() -> String {
    let mut text = format!(
        "sotto: private one-to-one web chat\n\nUsage: sotto [OPTIONS]\n\n\
         The default of each option is in brackets. Numbers are whole, from 1 to {NUMBER_MAX} if\n\
         nothing else is said. Each --name VALUE can also be given as an environment variable,\n\
         SOTTO_NAME, with dashes as underscores; the command line wins.\n\n"
    );
    for option in OPTIONS.iter().filter(|option| option.is_built_in()) {
        let left = format!("--{} {}", option.name, option.placeholder());
        let left = left.trim_end();
        let default = format!("[{}]", option.default());
        push_help(&mut text, left, option.description().split(' ').chain([default.as_str()]));
    }
    let mut push = |left: &str, sentence: &str| push_help(&mut text, left, sentence.split(' '));
    push("-h, --help", "Print this text");
    push("--version", "Print the version");
    push("--page-hash", "Print the SHA-256 of each file of the page, as sha256sum does");
    push("--check", "Check the options, and the files that they name; exit code 0 or 2");
    #[cfg(feature = "host")]
    push("--health [URL]", "Ask a running server whether it is well; exit code 0 or 1");
    text
}

/// Appends one entry of `--help`; its words are broken into lines of [`HELP_COLUMNS`].
fn push_help<'a>(text: &mut String, left: &str, words: impl IntoIterator<Item = &'a str>) {
    let indent = DESCRIPTION_COLUMN - 1;
    text.push_str(&format!("  {left:0$}", indent - 2));
    let mut column = indent;
    for word in words {
        if column + 1 + word.len() > HELP_COLUMNS {
            text.push_str(&format!("\n{:1$}", "", indent));
            column = indent;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.len();
    }
    text.push('\n');
}

fn version() -> String {
    let features =
        [("tls", TLS), ("store", STORE), ("host", HOST), ("peerjs", PEERJS), ("auth", AUTH)];
    let built_in = features.iter().filter(|(_, feature)| feature.is_built_in);
    let names = built_in.map(|(name, _)| *name);
    #[cfg(feature = "api")]
    let names = names.chain(["api"]);
    let names: Vec<&str> = names.collect();
    let with = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    format!("sotto {}{with}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests;

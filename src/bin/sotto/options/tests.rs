//! Options as an operator types them: one line per case.

use super::*;
use sotto::config::ListenAddress;
use sotto::limits::OUTBOX_BYTES_MIN;
use sotto::net::proxies::Forwarding;

fn run(line: &str, environment: &[(&str, &str)]) -> Result<Options, String> {
    let arguments = line.split_whitespace().map(OsString::from);
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    match parse(arguments, environment)? {
        Command::Run(options) => Ok(*options),
        Command::Print(text) => Err(text),
        _ => Err("another purpose".into()),
    }
}

#[test]
fn command_line_wins_over_the_environment() {
    let environment =
        [("SOTTO_MAX_CLIENTS", "5"), ("SOTTO_ORIGIN", "https://a.example https://b.example")];
    let options = run("", &environment).expect("good options");
    assert_eq!((options.config.max_clients, options.origins.len()), (5, 2));
    let options =
        run("--max-clients=7 --origin https://c.example", &environment).expect("good options");
    assert_eq!((options.config.max_clients, options.origins.len()), (7, 1));
    let options = run("--listen [::1]:0 --ping 1 --timeout 2 --rate 0 --burst 7 --log off", &[])
        .expect("good options");
    assert_eq!((options.config.rate, options.config.burst), (0, 7));
    assert_eq!(options.config.listen, [listen_address("[::1]:0").expect("an address")]);
    assert_eq!((options.config.ping.as_secs(), options.log), (1, LevelFilter::Off));
}

#[test]
#[cfg(feature = "tls")]
fn flag_needs_no_value_on_the_command_line() {
    let no_hsts = |line: &str, environment: &[(&str, &str)]| {
        run(line, environment).expect("good options").config.no_hsts
    };
    assert!(!no_hsts("", &[]) && no_hsts("--no-hsts --ping 5", &[]));
    let environment = [("SOTTO_NO_HSTS", "true")];
    assert!(no_hsts("", &environment) && !no_hsts("--no-hsts=false", &environment));
    assert!(!no_hsts("", &[("SOTTO_NO_HSTS", "false")]));
}

#[test]
fn proxies_are_believed_as_the_options_say() {
    let proxies = |line: &str, environment: &[(&str, &str)]| {
        run(line, environment).expect("good options").proxies
    };
    assert_eq!(proxies("", &[]).forwarding, None);
    let none = proxies("--forwarded X-Forwarded-For", &[]);
    assert_eq!((none.forwarding, none.trusted.len()), (Some(Forwarding::XForwardedFor), 0));
    let environment =
        [("SOTTO_FORWARDED", "proxy"), ("SOTTO_TRUSTED_PROXY", "10.0.0.0/8 fd00::/8")];
    let of_environment = proxies("", &environment);
    assert_eq!(of_environment.forwarding, Some(Forwarding::ProxyProtocol));
    assert_eq!(of_environment.trusted.len(), 2);
    assert_eq!(proxies("--trusted-proxy 192.0.2.1", &environment).trusted.len(), 1);
}

#[test]
fn path_and_socket_are_kept_in_one_form() {
    let config = |line: &str| run(line, &[]).expect("good options").config;
    assert_eq!(config("").base, "");
    for line in ["--base /chat", "--base /chat/", "--base=/chat//"] {
        assert_eq!(config(line).base, "/chat", "{line}");
    }
    assert_eq!(
        (config("--base /").base, config("--base /a/b-c_d.e/").base.as_str()),
        (String::new(), "/a/b-c_d.e")
    );
    let listen = config("--listen unix:/run/sotto.sock").listen;
    assert_eq!(listen, [ListenAddress::Unix("/run/sotto.sock".into())]);
}

#[test]
fn addresses_to_listen_on_add_up() {
    let listen = |line: &str, variable: &str| {
        let environment: &[_] = &[("SOTTO_LISTEN", variable)];
        let environment = if variable.is_empty() { &[] } else { environment };
        let listen = run(line, environment).expect("good options").config.listen;
        listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listen("", ""), "127.0.0.1:8080");
    assert_eq!(listen("--listen 0.0.0.0:80 --listen unix:/a", ""), "0.0.0.0:80 unix:/a");
    assert_eq!(listen("", "[::]:80 unix:/b"), "[::]:80 unix:/b");
    assert_eq!(listen("--listen 0.0.0.0:80", "[::]:80 unix:/b"), "0.0.0.0:80");
}

#[test]
fn bad_option_is_refused_in_one_sentence_that_names_it() {
    let check = |line: &str, words: &str| {
        let sentence = run(line, &[]).err().unwrap_or_else(|| panic!("{line} was accepted"));
        assert!(sentence.contains(words) && !sentence.contains('\n'), "{line}: {sentence}");
    };
    check("--listen localhost", "--listen: \"localhost\" is not like 127.0.0.1:8080");
    check("--listen unix:", "--listen: unix: needs a path");
    check("--base chat", "--base: \"chat\" is not a path");
    check("--base /a//b", "--base: ");
    check("--base /a?b", "--base: ");
    check("--forwarded x-real-ip", "--forwarded: \"x-real-ip\" is not");
    check(
        "--forwarded proxy --trusted-proxy 10.0.0.1/8",
        "--trusted-proxy: \"10.0.0.1/8\" has bits",
    );
    check("--trusted-proxy 10.0.0.0/8", "--trusted-proxy needs --forwarded");
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
        check("--no-hsts=perhaps", "--no-hsts: \"perhaps\" is not true or false");
    } else {
        check(
            "--tls-cert cert.pem",
            "--tls-cert: this sotto is built without TLS: build it with `--features tls`",
        );
        check("--redirect 127.0.0.1:80", "--redirect: this sotto is built without TLS");
    }
    if cfg!(not(feature = "host")) {
        let words = "this sotto is built without this option: build it with `--features host`";
        check("--password-file x", &format!("--password-file: {words}"));
        check("--log-ids", &format!("--log-ids: {words}"));
    }
    if cfg!(feature = "auth") {
        check("--auth login.pem", "--auth: \"login.pem\" is not like jwt:");
        check("--auth jwt:", "--auth: \"jwt:\" is not like jwt:");
        check("--auth jwt:/nowhere/x", "--auth: /nowhere/x cannot be read: ");
        check("--auth-audience=", "--auth-audience: is empty");
        check("--id-header Remote:User", "--id-header: \"Remote:User\" is not the name");
        for line in ["", " --forwarded proxy"] {
            check(&format!("--id-header Remote-User{line}"), "--id-header needs --forwarded x-");
        }
    } else {
        let words = "this sotto is built without this option: build it with `--features auth`";
        check("--auth jwt:x", &format!("--auth: {words}"));
        check("--id-header x", &format!("--id-header: {words}"));
    }
    check("--burst 0", "--burst: must be above 0");
    check("--hold 0", "--hold: must be above 0");
    check("--listen", "--listen");
    check("serve", "serve");
    let sentence = run("", &[("SOTTO_PING", "soon")]).err().unwrap_or_default();
    assert!(sentence.starts_with("SOTTO_PING: "), "{sentence}");
}

#[test]
fn check_reads_every_option() {
    let check = |line: &str| match parse(line.split_whitespace().map(OsString::from), []) {
        Ok(Command::Check(options)) => Ok(options.config.max_clients),
        Ok(_) => panic!("it is no check"),
        Err(sentence) => Err(sentence),
    };
    assert_eq!(check("--check --max-clients 7"), Ok(7));
    assert_eq!(check("--max-clients 7 --check"), Ok(7));
    assert!(check("--check --max-clients 0").is_err() && check("--ping 40 --check").is_err());
}

#[test]
#[cfg(feature = "host")]
fn health_asks_a_url_or_the_first_address() {
    let probe = |line: &str| match parse(line.split_whitespace().map(OsString::from), []) {
        Ok(Command::Health(probe)) => Ok(probe),
        Ok(_) => panic!("it is no check of health"),
        Err(sentence) => Err(sentence),
    };
    let own = |address: &str, expects_preamble| {
        Ok(Probe::of_own(&listen_address(address).expect("an address"), expects_preamble))
    };
    let url = Probe::parse("http://127.0.0.1:80/readyz");
    assert_eq!(probe("--health"), own("127.0.0.1:8080", false));
    assert_eq!(probe("--health --listen unix:/a --listen [::]:80"), own("unix:/a", false));
    assert_eq!(probe("--listen [::1]:80 --forwarded proxy --health"), own("[::1]:80", true));
    let trusting = "--forwarded proxy --trusted-proxy 192.0.2.7 --health --listen";
    let trusted = |address: &str| probe(&format!("{trusting} {address}"));
    assert_eq!(trusted("127.0.0.1:80"), own("127.0.0.1:80", false));
    assert_eq!(trusted("0.0.0.0:80"), own("0.0.0.0:80", false));
    assert_eq!(trusted("192.0.2.7:80"), own("192.0.2.7:80", true));
    assert_eq!(trusted("unix:/a"), own("unix:/a", true));
    assert_eq!(probe("--health http://127.0.0.1:80/readyz"), url);
    assert_eq!(probe("--health=http://127.0.0.1:80/readyz --ping 1"), url);
    assert!(probe("--health https://chat.example").is_err_and(|text| text.contains("--health: ")));
    assert!(probe("--health http://a http://b").is_err());
}

#[test]
fn help_lists_every_option_within_100_columns() {
    let help = help();
    for option in OPTIONS.iter().filter(|option| option.is_built_in()) {
        assert!(help.contains(&format!("\n  --{} ", option.name)), "{}", option.name);
    }
    assert!(help.lines().all(|line| line.len() <= 100 && line == line.trim_end()), "{help}");
    assert_eq!(help.contains("--tls-cert"), cfg!(feature = "tls"));
    assert_eq!(help.contains("--store"), cfg!(feature = "store"));
    assert_eq!(run("-h", &[]).err(), run("--help", &[]).err());
    for option in ["help", "version", "page-hash", "check"] {
        assert!(help.contains(&format!("--{option} ")), "{option}");
    }
}

#[test]
fn help_shows_defaults_and_limits() {
    // As one line: where `--help` breaks lines does not matter here.
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    let Config { listen, max_message, outbox, timeout, owned, .. } = Config::default();
    let (min, max) = (MESSAGE_BYTES.start(), MESSAGE_BYTES.end());
    for words in [
        format!("[{}] --metrics", listen[0]),
        format!("from a client, {min} to {max} [{max_message} bytes] --outbox "),
        format!("at least {OUTBOX_BYTES_MIN}, and four times --max-message [{outbox} bytes]"),
        format!("greater than --ping [{} seconds] --join-timeout", timeout.as_secs()),
        format!("[{owned}] --log"),
        "debug or trace [info] -h, --help".into(),
    ] {
        assert!(help.contains(&words), "{words}, not in {help}");
    }
}

#[test]
fn number_outside_its_range_is_refused_with_the_range() {
    let check =
        |line: &str, sentence: &str| assert_eq!(run(line, &[]).err().as_deref(), Some(sentence));
    check("--max-message 511", "--max-message: \"511\" is not a whole number from 512 to 16777216");
    check(
        "--max-message 16777217",
        "--max-message: \"16777217\" is not a whole number from 512 to 16777216",
    );
    check("--rate 4294967296", "--rate: \"4294967296\" is not a whole number from 0 to 4294967295");
    assert!(run("--max-message 512", &[]).is_ok());
    let outbox = "--outbox 67108864 --outbox-total 67108864";
    let held = "--held 67108864 --held-total 536870912";
    assert!(run(&format!("--max-message 16777216 {outbox} {held}"), &[]).is_ok());
}

#[test]
fn unknown_variable_is_remembered_and_stops_nothing() {
    let environment = [("SOTTO_PIN", "1"), ("SOTTO_PING", "5"), ("PATH", "/bin"), ("SOTTO_", "")];
    let options = run("", &environment).expect("good options");
    assert_eq!(options.unknown_variables, ["SOTTO_PIN", "SOTTO_"]);
    assert_eq!(options.config.ping.as_secs(), 5);
}

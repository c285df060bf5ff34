//! The files of `src/host/watch/`, each read by the program that it is made for.

use std::collections::BTreeSet;

use super::{file, shell};
#[cfg(all(feature = "tls", feature = "store"))]
use crate::support::{Server, Wire};

#[test]
fn rules_fire_when_a_person_is_needed_and_not_before() {
    shell("promtool check rules $FILES/watch/alerts.yaml");
    shell("promtool test rules $FILES/watch/alerts-test.yaml");
}

/// Returns all names of metrics of sotto in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_part = |char: char| char.is_ascii_lowercase() || char == '_';
    let names = text.match_indices("sotto_").map(|(at, _)| {
        let name = &text[at..];
        &name[..name.find(|char| !is_part(char)).unwrap_or(name.len())]
    });
    names.collect()
}

#[test]
#[cfg(all(feature = "tls", feature = "store"))]
fn dashboard_and_rules_show_metrics_that_there_are() {
    use std::io::{Read, Write};

    let folder = crate::store::Folder::new();
    let server = Server::start(&["--store", folder.path(), "--metrics", "127.0.0.1:0"]);
    let line = server.wait_for_log("metrics on http://");
    let address = line.trim_start_matches("metrics on http://").trim_end_matches("/metrics");
    let mut wire = Wire::plain(address.parse().expect("an address"));
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    wire.write_all(request.as_bytes()).expect("it reads");
    let mut page = String::new();
    wire.read_to_string(&mut page).expect("an answer");
    let known = metrics(&page);
    for name in ["watch/grafana.json", "watch/alerts.yaml"] {
        let text = std::fs::read_to_string(file(name)).expect("it is there");
        let shown = metrics(&text);
        let unknown: Vec<_> = shown.difference(&known).collect();
        assert!(unknown.is_empty() && !shown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn dashboard_is_json_with_a_question_in_each_panel() {
    let text = std::fs::read_to_string(file("watch/grafana.json")).expect("it is there");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() > 9);
    for panel in panels {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let expression = target["expr"].as_str().expect("an expression");
            assert!(!metrics(expression).is_empty(), "{expression}");
        }
    }
}

#[test]
fn wrong_password_is_found_by_fail2ban() {
    super::run_in_namespaces("host_files::watch::fail2ban");
}

#[test]
#[ignore = "it needs namespaces: wrong_password_is_found_by_fail2ban starts it"]
fn fail2ban() {
    super::begin_machine();
    // As the journal gives lines to fail2ban; that they are sotto's is what host::joins tests.
    shell(
        "install -m 644 $FILES/watch/fail2ban-filter.conf /etc/fail2ban/filter.d/sotto.conf
        install -m 644 $FILES/watch/fail2ban-jail.conf /etc/fail2ban/jail.d/sotto.conf
        line='Nov 27 18:00:00 host sotto[1]: INFO  [sotto::server::joins] refused a join from'
        echo \"$line 203.0.113.7: forbidden, wrong password\" >/run/log
        echo \"$line 2001:db8::7: too_many, after wrong passwords\" >>/run/log
        echo \"$line 203.0.113.7: forbidden, no password\" >>/run/log
        fail2ban-regex /run/log sotto >/run/said
        grep -q '3 lines, 0 ignored, 2 matched, 1 missed' /run/said",
    );
}

#[test]
fn log_file_is_rotated_and_goes_on() {
    super::run_in_namespaces("host_files::watch::logrotate");
}

#[test]
#[ignore = "it needs namespaces: log_file_is_rotated_and_goes_on starts it"]
fn logrotate() {
    super::begin_machine();
    shell(
        "install -m 644 $FILES/watch/logrotate.conf /etc/logrotate.d/sotto
        echo one >/var/log/sotto.log
        exec 3>>/var/log/sotto.log
        logrotate --force /etc/logrotate.d/sotto
        echo two >&3
        [ \"$(zcat /var/log/sotto.log.1.gz) $(cat /var/log/sotto.log)\" = 'one two' ]",
    );
}

//! The guide: how sotto is built, spoken to and run.
//!
//! | page | answers |
//! |---|---|
//! | [`architecture`] | How does one thread serve every client? Where do I begin to read? |
//! | [`protocol`] | Which lines do a client and the server exchange? |
//! | [`developers`] | How do I send messages to an id from a program? |
//! | [`api`] | How does a backend send messages, by curl for one? |
//! | [`encryption`] | How do two clients write so that the server cannot read it? |
//! | [`options`] | Which options are there, with which limits? |
//! | [`hosting`] | How do I get from nothing to a family chat, and keep it running? |
//! | [`operations`] | How does it behave on a host: memory, signals, log, metrics, the store? |
//! | [`peerjs`] | How do pages with PeerJS use it in place of a PeerServer? |
//! | [`files`] | Which files are there for hosts? |
//! | [`security`] | Which promises does it make, and how do I report a weakness? |
//! | [`performance`] | How fast is it, and how far do the figures carry? |
//! | [`changes`] | Which changes came with which version? |
//!
//! Each page is a Markdown file in `src/guide/`, so the repository and rustdoc show the same text.
//!
//! Invariant:
//! - Every link of a page works in both places. The page defines its links at its end, as paths
//!   between files. This file defines the same names in front of the page, as paths between items,
//!   and the first definition of a name counts (CommonMark, 4.7). Rustdoc checks these; a test
//!   checks the others.

/// Makes a module of each page, with the targets that its links have in rustdoc.
macro_rules! pages {
    ($($page:ident)*) => {$(
        #[doc = concat!(
            "[api]: crate::guide::api\n",
            "[architecture]: crate::guide::architecture\n",
            "[changes]: crate::guide::changes\n",
            "[encryption]: crate::guide::encryption\n",
            "[hosting]: crate::guide::hosting\n",
            "[operations]: crate::guide::operations\n",
            "[options]: crate::guide::options\n",
            "[peerjs]: crate::guide::peerjs\n",
            "[performance]: crate::guide::performance\n",
            "[protocol]: crate::guide::protocol\n",
            "[security]: crate::guide::security\n",
            "[`Budget`]: crate::memory::Budget\n",
            "[`Journal`]: crate::chat::journal\n",
            "[`Token`]: crate::token::Token\n",
            "[`chat/clients.rs`]: crate::chat::clients\n",
            "[`chat/hub.rs`]: crate::chat::hub\n",
            "[`chat/outbox.rs`]: crate::chat::outbox\n",
            "[`chat/owners.rs`]: crate::chat::owners\n",
            "[`chat/payers.rs`]: crate::chat::payers\n",
            "[`chat/presence.rs`]: crate::chat::presence\n",
            "[`chat/protocol.rs`]: crate::chat::protocol\n",
            "[`config.rs`]: crate::config\n",
            "[`event_loop.rs`]: crate::event_loop\n",
            "[`limits.rs`]: crate::limits\n",
            "[`memory.rs`]: crate::memory\n",
            "[`metrics.rs`]: crate::metrics\n",
            "[`net/addresses.rs`]: crate::net::addresses\n",
            "[`net/connection.rs`]: crate::net::connection\n",
            "[`net/frames.rs`]: crate::net::frames\n",
            "[`net/http.rs`]: crate::net::http\n",
            "[`net/rate.rs`]: crate::net::rate\n",
            "[`server.rs`]: crate::server\n",
            "[`time.rs`]: crate::time\n",
            "[`token.rs`]: crate::token\n",
            "[sotto.service]: crate::guide::files#sottoservice\n",
            "[sotto.socket]: crate::guide::files#sottosocket\n",
            "[sotto.default]: crate::guide::files#sottodefault\n",
            "[Dockerfile]: crate::guide::files#dockerfile\n",
            "[compose.yaml]: crate::guide::files#composeyaml\n",
            "[Caddyfile]: crate::guide::files#caddyfile\n",
            "[nginx.conf]: crate::guide::files#nginxconf\n",
            "[apache.conf]: crate::guide::files#apacheconf\n",
            "[haproxy.cfg]: crate::guide::files#haproxycfg\n",
            "[traefik.yaml]: crate::guide::files#traefikyaml\n",
            "[cloudflared.yml]: crate::guide::files#cloudflaredyml\n",
            "[fail2ban-filter.conf]: crate::guide::files#fail2ban-filterconf\n",
            "[fail2ban-jail.conf]: crate::guide::files#fail2ban-jailconf\n",
            "[logrotate.conf]: crate::guide::files#logrotateconf\n",
            "[alerts.yaml]: crate::guide::files#alertsyaml\n",
            "[grafana.json]: crate::guide::files#grafanajson\n",
            "[bot.rs]: https://github.com/sotto-chat/sotto/blob/main/examples/bot.rs\n",
            "[conformance]: https://github.com/sotto-chat/sotto/blob/main/tests/conformance/README.md\n",
            "[echo.py]: https://github.com/sotto-chat/sotto/blob/main/examples/python/echo.py\n",
            "[sotto.py]: https://github.com/sotto-chat/sotto/blob/main/examples/python/sotto.py\n",
            "[step-1]: https://github.com/sotto-chat/sotto/blob/main/examples/steps/1-echo.mjs\n",
            "[step-2]: https://github.com/sotto-chat/sotto/blob/main/examples/steps/2-ids.mjs\n",
            "[step-3]: https://github.com/sotto-chat/sotto/blob/main/examples/steps/3-held.mjs\n",
            "[step-4]: https://github.com/sotto-chat/sotto/blob/main/examples/steps/4-acknowledged.mjs\n",
            "[step-5]: https://github.com/sotto-chat/sotto/blob/main/examples/steps/5-webrtc.mjs\n",
            "[developers]: crate::guide::developers\n",
            "[the protocol]: crate::guide::protocol\n",
            "[load]: https://raw.githubusercontent.com/sotto-chat/sotto/main/benches/load.svg\n",
            "\n",
            include_str!(concat!("guide/", stringify!($page), ".md"))
        )]
        pub mod $page {}
    )*

        /// The pages, each with its name.
        #[cfg(test)]
        const PAGES: &[(&str, &str)] = &[
            $((stringify!($page), include_str!(concat!("guide/", stringify!($page), ".md"))),)*
        ];
    };
}

pages!(
    architecture protocol developers api peerjs encryption options hosting operations security
    performance changes
);

/// Makes a page of the files for hosts, each as it lies in `src/host/`.
macro_rules! files {
    ($($name:literal $path:literal $language:literal)*) => {
        /// The files for hosts, as they lie in `src/host/`. A test uses each of them.
        $(
            #[doc = concat!("\n# ", $name, "\n\n```", $language)]
            #[doc = include_str!(concat!("host/", $path))]
            #[doc = "```"]
        )*
        pub mod files {}
    };
}

files! {
    "sotto.service" "debian/sotto.service" "ini"
    "sotto.socket" "debian/examples/sotto.socket" "ini"
    "sotto.default" "debian/sotto.default" "sh"
    "Dockerfile" "containers/Dockerfile" "dockerfile"
    "compose.yaml" "containers/compose.yaml" "yaml"
    "Caddyfile" "proxies/Caddyfile" "text"
    "nginx.conf" "proxies/nginx.conf" "nginx"
    "apache.conf" "proxies/apache.conf" "apache"
    "haproxy.cfg" "proxies/haproxy.cfg" "text"
    "traefik.yaml" "proxies/traefik.yaml" "yaml"
    "cloudflared.yml" "proxies/cloudflared.yml" "yaml"
    "fail2ban-filter.conf" "watch/fail2ban-filter.conf" "ini"
    "fail2ban-jail.conf" "watch/fail2ban-jail.conf" "ini"
    "logrotate.conf" "watch/logrotate.conf" "text"
    "alerts.yaml" "watch/alerts.yaml" "yaml"
    "grafana.json" "watch/grafana.json" "json"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Returns the links of a page, as `(name, target)`; those in its text have no name.
    fn links(text: &str) -> Vec<(&str, &str)> {
        let definitions = text.lines().filter(|line| line.starts_with('['));
        let definitions = definitions.filter_map(|line| line[1..].split_once("]: "));
        let inline = text.match_indices("](").filter_map(|(at, _)| {
            let target = text[at + 2..].split_once(')')?.0;
            Some(("", target))
        });
        definitions.chain(inline).collect()
    }

    /// Returns the anchor that GitHub and rustdoc give to a heading.
    fn anchor(heading: &str) -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    }

    fn anchors(text: &str) -> Vec<String> {
        let headings = text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    #[track_caller]
    fn check_links(folder: &Path, text: &str) {
        for (_, target) in links(text) {
            if target.contains("://") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = folder.join(path);
            assert!(path.exists(), "{target}");
            if !fragment.is_empty() {
                let text = if path.is_dir() {
                    text.to_owned()
                } else {
                    std::fs::read_to_string(&path).expect("a page")
                };
                assert!(anchors(&text).iter().any(|known| known == fragment), "{target}");
            }
        }
    }

    #[test]
    fn each_link_between_files_leads_to_a_file_and_its_heading() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        if !root.join(".github").exists() {
            return; // A package has neither this folder nor the pictures.
        }
        for (page, text) in PAGES {
            println!("{page}");
            check_links(&root.join("src/guide"), text);
        }
        for path in ["README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"] {
            println!("{path}");
            let path = root.join(path);
            let text = std::fs::read_to_string(&path).expect("a page");
            check_links(path.parent().expect("a folder"), &text);
        }
    }

    #[test]
    fn each_link_between_files_has_a_target_in_rustdoc() {
        for (page, text) in PAGES {
            for (name, target) in links(text) {
                let has_one = match name {
                    "" => target.starts_with('#') || target.contains("://"),
                    _ => {
                        target.contains("://")
                            || include_str!("guide.rs").contains(&format!("\"[{name}]: "))
                    }
                };
                assert!(has_one, "{page}: [{name}]: {target}");
            }
        }
    }

    #[test]
    fn each_code_block_names_its_language() {
        for (page, text) in PAGES {
            let fences = text.lines().filter(|line| line.trim_start().starts_with("```"));
            for fence in fences.step_by(2) {
                assert!(fence.trim().len() > 3, "{page}: rustdoc would compile a block as Rust");
            }
        }
    }
}

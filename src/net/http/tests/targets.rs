//! Targets, methods and content: the answer to a well-formed request for each path.

use super::*;

#[test]
fn files_and_health_are_served() {
    for asset in &FILES {
        let text = String::from_utf8_lossy(asset.content());
        let expected = format!("200 | Content-Type: {}\r\n | {text}", asset.media_type);
        check(&get(&format!("/{}", asset.name), ""), &expected);
    }
    let index = String::from_utf8_lossy(FILES[0].content());
    check(&get("/", ""), &format!("200 | Content-Type: text/html; charset=utf-8 | {index}"));
    check(&get("/?a=/b?c", ""), &format!("200 | {index}"));
    check(
        &get("/main.js?v=2", ""),
        "200 | Content-Type: text/javascript; charset=utf-8 | ETag: \"",
    );
    let health =
        check(&get("/healthz?", ""), "200 | text/plain | Content-Length: 3\r\n | \r\n\r\nok\n");
    assert!(!health.contains("ETag"));
    let head = check(&request("HEAD", "/healthz", ""), "200 | Content-Length: 3\r\n");
    assert!(head.ends_with("\r\n\r\n"));
}

#[test]
fn full_site_shows_a_sign_of_life_and_ends_each_connection() {
    let full = site().full();
    check_at(&full, &get("/healthz", ""), "200 | close | \r\n\r\nok\n");
    check_at(&full, &request("HEAD", "/healthz", ""), "200 | close");
    for target in ["/", "/readyz", "/ws", "/main.js", "/nothing", "*"] {
        check_at(&full, &get(target, ""), "503 | close | Retry-After: ");
    }
    check_at(&full, &handshake(""), "503 | close | Retry-After: ");
    check_at(&full, &request("POST", "/healthz", ""), "405 | close");
    let head = "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    check_at(&full, head, "421 | close");
    check(&get("/readyz", ""), "200 | \r\n\r\nok\n");
}

#[test]
fn head_gets_the_fields_of_get_without_a_body() {
    let whole = check(&get("/main.js", ""), "200");
    let head = check(&request("HEAD", "/main.js", ""), "200");
    assert_eq!(head, whole[..whole.find("\r\n\r\n").unwrap() + 4]);
}

#[test]
fn unknown_path_gets_404() {
    check(&get("/nothing", ""), "404 | Content-Type: text/plain; charset=utf-8");
    check(&get("//", ""), "404");
    check(&get("//main.js", ""), "404");
    check(&get("/../Cargo.toml", ""), "404");
    check(&get("/www/../main.js", ""), "404");
    check(&get("/%6dain.js", ""), "404");
    check(&get("/MAIN.JS", ""), "404");
    check(&get("/main.js/", ""), "404");
    check(&get("/healthz/", ""), "404");
    check(&get("/ws/", ""), "404");
    check(&get("/é", ""), "404");
    check(&request("OPTIONS", "*", ""), "404");
    check(&request("HEAD", "/nothing", ""), "404");
    check(&request("POST", "/nothing", ""), "404");
}

#[test]
fn method_other_than_get_and_head_gets_405() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "BREW"] {
        for target in ["/", "/healthz", "/ws", "/main.js"] {
            if (method, target) == ("OPTIONS", "/ws") {
                continue;
            }
            check(&request(method, target, ""), "405 | Allow: GET, HEAD\r\n");
        }
    }
    check(&request("POST", "/ws", &format!("{UPGRADE}{KEY}{VERSION}")), "405");
}

#[test]
fn target_is_a_path_or_an_http_address() {
    check(&get("http://localhost:8080/main.js?x", ""), "200 | text/javascript");
    check(&get("HTTPS://localhost", ""), "200 | text/html");
    check(&get("http://localhost?x=/nothing", ""), "200 | text/html");
    check(&get("http://[::1]:8080/healthz", ""), "200 | ok");
    check("GET http://localhost/ HTTP/1.0\r\n\r\n", "200 | close");
    // The authority of the target overrides `Host`, which must be there all the same.
    check(&get("http://evil.example/", ""), "421");
    check("GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", "200");
    check("GET http://localhost/ HTTP/1.1\r\n\r\n", "400 | close | no Host");
    check("GET http://localhost/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400 | close");
    check("GET http://evil.example/ HTTP/1.0\r\n\r\n", "421 | close");
    for target in ["main.js", "localhost:8080", "?x", "#", "ftp://localhost/", "http:/localhost/"] {
        check(&get(target, ""), "400 | close | target");
    }
    for target in
        ["http://", "http:///", "http://u@localhost/", "http://localhost:x/", "http://a#/"]
    {
        check(&get(target, ""), "400 | close | target");
    }
    check(&request("CONNECT", "localhost:80", ""), "400 | close | target");
}

#[test]
fn file_with_a_known_tag_gets_304() {
    let etag = Files::BuiltIn.find("main.js", Coding::Identity).unwrap().unwrap().etag;
    let known = format!("304 | ETag: {etag}\r\n");
    for tags in [
        etag.clone(),
        format!("W/{etag}"),
        "*".into(),
        format!("\"a\",{etag}"),
        format!("\"a\" , W/{etag}\t,, \"b\""),
        format!("\"a\"\r\nif-none-match: {etag}"),
    ] {
        let field = format!("If-None-Match: {tags}\r\n");
        check(&get("/main.js", &field), &known);
        check(&request("HEAD", "/main.js", &field), &known);
    }
    for tags in ["", "\"\"", "\"a\"", "**", etag.trim_matches('"'), &format!("w/{etag}")] {
        let expected = format!("200 | ETag: {etag}\r\n | Content-Length");
        check(&get("/main.js", &format!("If-None-Match: {tags}\r\n")), &expected);
    }
    check(&get("/healthz", "If-None-Match: *\r\n"), "200");
}

#[test]
fn file_is_compressed_for_clients_that_accept_gzip() {
    let plain = "200 | Vary: Accept-Encoding\r\n | ETag: \"";
    let gzip = format!("{plain} | Content-Encoding: gzip\r\n");
    for accepted in ["gzip", "GZIP", "br, gzip", "gzip;q=0.5", "gzip ; q=1", "*", "br;q=1,*;q=0.1"]
    {
        let field = format!("Accept-Encoding: {accepted}\r\n");
        check(&get("/main.js", &field), &gzip);
    }
    let refused =
        ["", "br", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *", "xgzip"];
    for accepted in refused {
        let field = format!("Accept-Encoding: {accepted}\r\n");
        assert!(!check(&get("/main.js", &field), plain).contains("Content-Encoding"));
    }
    // A picture is compressed already, and has one form.
    let picture = check(&get("/icon-192.png", "Accept-Encoding: gzip\r\n"), "200");
    assert!(!picture.contains("Vary") && !picture.contains("Content-Encoding"));
    // Each form has a tag of its own; a cache that knows one has no use for the other.
    let tag = Files::BuiltIn.find("main.js", Coding::Gzip).unwrap().unwrap().etag;
    let known = format!("If-None-Match: {tag}\r\n");
    check(&get("/main.js", &known), "200");
    let expected = format!("304 | Vary: Accept-Encoding\r\n | ETag: {tag}\r\n");
    check(&get("/main.js", &format!("{known}Accept-Encoding: gzip\r\n")), &expected);
}

#[test]
fn folder_replaces_the_built_in_files() {
    let folder = std::env::temp_dir().join(format!("sotto-http-{}", std::process::id()));
    // A folder in the place of view.js cannot be read; main.js is missing.
    std::fs::create_dir_all(folder.join("view.js")).unwrap();
    std::fs::write(folder.join("index.html"), "written just now").unwrap();
    let endpoint = Endpoint { path: Some("/ws"), subprotocol: None };
    let site =
        Site::new(Files::Folder(PathBuf::from(&folder)), Access::Pages(Vec::new()), endpoint);
    check_at(&site, &get("/", ""), "200 | text/html | written just now");
    check_at(&site, &get("/main.js", ""), "404");
    check_at(&site, &get("/view.js", ""), "500");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn metrics_site_serves_metrics_and_nothing_else() {
    let site = Site::metrics("sotto_clients 1\n".to_owned());
    let media_type = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
    let expected = &format!("200 | {media_type} | \r\n\r\nsotto_clients 1\n");
    check_at(&site, &get("/metrics", ""), expected);
    check_at(&site, &get("/metrics?x", "").replace("localhost:8080", "chat.example:9100"), "200");
    check_at(&site, &bare("Host: x\r\n"), "404");
    check_at(&site, "GET /metrics HTTP/1.1\r\n\r\n", "400 | close | no Host");
    check_at(&site, &request("POST", "/metrics", ""), "405");
    for target in ["/", "/ws", "/healthz", "/index.html", "/metrics/", "*"] {
        check_at(&site, &get(target, &format!("{UPGRADE}{KEY}{VERSION}")), "404");
    }
    check_at(&site, &get("/metrics", &format!("{UPGRADE}{KEY}{VERSION}")), "404");
    check(&get("/metrics", ""), "404");
}

#[test]
fn endpoint_without_a_path_is_at_every_path() {
    let endpoint = Endpoint { path: None, subprotocol: None };
    let site = Site::new(Files::BuiltIn, Access::Anyone, endpoint);
    for target in ["/", "/healthz", "/main.js", "/any/thing?x", "/ws"] {
        check_at(&site, &get(target, ""), "426");
        let head =
            get(target, &format!("{UPGRADE}{KEY}{VERSION}Sec-WebSocket-Protocol: sotto.v1\r\n"));
        assert!(!check_at(&site, &head, "101").contains("Protocol:"));
    }
}

#[test]
fn redirect_leads_to_the_same_path_over_https() {
    let origin = Origin::parse("https://chat.example").unwrap();
    let to = |port: u16, host: &str, target: &str, expected: &str| {
        let site = Site::redirect(port, Access::Pages(vec![origin.clone()]));
        let head = get(target, "").replace("localhost:8080", host);
        check_at(&site, &head, &format!("308 | \r\nLocation: {expected}\r\n"));
    };
    to(443, "chat.example", "/", "https://chat.example/");
    to(443, "Chat.Example.:80", "/a?b=c", "https://chat.example/a?b=c");
    to(8443, "localhost:8080", "/ws", "https://localhost:8443/ws");
    to(8443, "[::1]:80", "//evil.example/", "https://[::1]:8443//evil.example/");
    to(8443, "192.0.2.1", "*", "https://192.0.2.1:8443/");
    to(443, "localhost", "http://chat.example?a", "https://chat.example/?a");
    to(443, "localhost", "http://chat.example", "https://chat.example/");
    // An --origin names the port that visitors see, 443 here.
    to(8443, "chat.example", "/", "https://chat.example/");
    let site = Site::redirect(443, Access::Pages(vec![origin.clone()]));
    check_at(&site, &get("/", "").replace("localhost", "evil.example"), "421");
    check_at(&site, &get("http://evil.example/", ""), "421");
    check_at(&site, &bare(""), "400 | close");
    check_at(&site, "GET / HTTP/1.0\r\n\r\n", "400 | close");
    check_at(&site, &request("HEAD", "/", ""), "308");
    check_at(&site, &request("POST", "/", "Content-Length: 1\r\n"), "413 | close");
}

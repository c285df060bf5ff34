//! Tokens as a login could make them, and as none should: one line per case.

use hmac_sha256::HMAC;

use super::*;

const SECRET: &[u8] = b"a secret of this test, 32 bytes!";
const NOW: u64 = 1_795_392_000;
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn checker(audience: Option<&str>) -> Jwt {
    Jwt::new(Key::parse(SECRET).expect("a secret"), audience.map(str::to_owned))
}

fn encode(part: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(part.as_ref())
}

/// Signs parts that are in base64 already.
fn sign(message: &str) -> String {
    format!("{message}.{}", encode(HMAC::mac(message, SECRET)))
}

fn token(header: &str, claims: &str) -> String {
    sign(&format!("{}.{}", encode(header), encode(claims)))
}

/// Checks the verdict on a token for alice, now.
#[track_caller]
fn check(token: &str, expected: Result<(), Unvouched>) {
    assert_eq!(checker(None).verify(token, "alice", NOW * 1000), expected, "{token}");
}

/// Returns the verdict on claims, at some milliseconds before or after a time of theirs.
fn verdict(claims: &str, ms: i64) -> Result<(), Unvouched> {
    let at = (NOW * 1000).strict_add_signed(ms);
    checker(None).verify(&token(HEADER, claims), "alice", at)
}

fn good() -> String {
    token(HEADER, &format!(r#"{{"sub":"alice","exp":{}}}"#, NOW + 1))
}

#[test]
fn good_token_vouches_for_its_own_id_only() {
    check(&good(), Ok(()));
    for id in ["Alice", "bob", "alice ", ""] {
        let verdict = checker(None).verify(&good(), id, NOW * 1000);
        assert_eq!(verdict, Err(Unvouched::OtherId), "{id:?}");
    }
    let claims = format!(r#"{{"sub":"\u00e9","exp":{NOW},"more":[{{}}]}}"#);
    let verdict = checker(None).verify(&token(HEADER, &claims), "é", NOW * 1000);
    assert_eq!(verdict, Ok(()));
}

#[test]
fn algorithm_is_that_of_the_key_whatever_the_header_says() {
    let claims = format!(r#"{{"sub":"alice","exp":{NOW}}}"#);
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"EdDSA"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
    ] {
        check(&token(header, &claims), Err(Unvouched::Algorithm));
    }
    // Without a signature.
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims));
    check(&unsigned, Err(Unvouched::Algorithm));
    let unsigned = format!("{}.{}.", encode(HEADER), encode(&claims));
    check(&unsigned, Err(Unvouched::Signature));
}

#[test]
fn tampered_token_is_refused_wherever_it_was_changed() {
    let good = good();
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(bytes).expect("ASCII");
        let verdict = checker(None).verify(&tampered, "alice", NOW * 1000);
        assert!(verdict.is_err(), "{tampered}");
    }
    let parts: Vec<&str> = good.split('.').collect();
    let claims = encode(format!(r#"{{"sub":"bob","exp":{}}}"#, NOW + 1));
    let forged = [parts[0], &claims, parts[2]].join(".");
    assert_eq!(checker(None).verify(&forged, "bob", NOW * 1000), Err(Unvouched::Signature));
    let other = Jwt::new(Key::parse(&[7; 32]).expect("a secret"), None);
    assert_eq!(other.verify(&good, "alice", NOW * 1000), Err(Unvouched::Signature));
}

#[test]
fn malformed_token_is_refused() {
    let good = good();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for bad in [
        "".into(),
        ".".into(),
        "..".into(),
        "...".into(),
        header.into(),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}.x"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("Bearer {good}"),
        format!("{header}={}.{signature}", claims),
        format!("{header}.{claims}.{}+", &signature[1..]),
        format!("é.{claims}.{signature}"),
        sign(&format!("{}.{claims}", encode("null"))),
        sign(&format!("{}.{claims}", encode(r#"["alg","HS256"]"#))),
        sign(&format!("{}.{claims}", encode(r#"{"alg":"HS256""#))),
        sign(&format!("{}.{claims}", encode(b"\xff"))),
        sign(&format!("{}.{claims}", encode("{}".repeat(2)))),
        sign(&format!("{}.{claims}", encode("[".repeat(1000)))),
        sign(&format!("{header}.{}", encode("{"))),
        sign(&format!("{header}.{}", encode("\"alice\""))),
        sign(&format!("{header}.{}", encode(""))),
        sign(&format!("{header}.")),
        sign(&format!("{header}.!!")),
    ] {
        check(&bad, Err(Unvouched::Malformed));
    }
    check(&format!("{header}.{claims}.{}", &signature[..40]), Err(Unvouched::Signature));
    check(&format!("{header}.{claims}."), Err(Unvouched::Signature));
}

#[test]
fn token_has_at_most_4096_bytes() {
    let of_length = |length: usize| {
        // Three bytes become four, so not every length can be met.
        let claims =
            |more: usize| format!(r#"{{"sub":"alice","exp":{NOW},"more":"{}"}}"#, "x".repeat(more));
        let mut tokens = (0..length).map(|more| token(HEADER, &claims(more)));
        tokens.find(|token| token.len() >= length).expect("it grows")
    };
    let [longest, longer] = [4095, 4097].map(of_length);
    assert!((4095..=4096).contains(&longest.len()), "{}", longest.len());
    check(&longest, Ok(()));
    check(&longer, Err(Unvouched::Malformed));
}

#[test]
fn claim_that_is_missing_or_of_another_type_is_refused() {
    for claims in [
        r#"{"sub":"alice"}"#.into(),
        r#"{"sub":"alice","exp":null}"#.into(),
        format!(r#"{{"sub":"alice","exp":"{NOW}"}}"#),
        r#"{"sub":"alice","exp":true}"#.into(),
        format!(r#"{{"sub":"alice","exp":[{NOW}]}}"#),
        r#"{"sub":"alice","exp":1e999}"#.into(),
        format!(r#"{{"sub":"alice","exp":{NOW},"nbf":"0"}}"#),
        format!(r#"{{"sub":"alice","exp":{NOW},"nbf":null}}"#),
        format!(r#"{{"exp":{NOW}}}"#),
        format!(r#"{{"sub":["alice"],"exp":{NOW}}}"#),
        format!(r#"{{"sub":null,"exp":{NOW}}}"#),
        "{}".into(),
    ] {
        check(&token(HEADER, &claims), Err(Unvouched::Malformed));
    }
}

#[test]
fn token_expires_60_seconds_after_its_exp() {
    let claims = format!(r#"{{"sub":"alice","exp":{NOW}}}"#);
    for ms in [-1_000_000, 0, 59_999] {
        assert_eq!(verdict(&claims, ms), Ok(()), "{ms}");
    }
    for ms in [60_000, 60_001, 1_000_000_000] {
        assert_eq!(verdict(&claims, ms), Err(Unvouched::Expired), "{ms}");
    }
    let claims = format!(r#"{{"sub":"alice","exp":{NOW}.5}}"#);
    assert_eq!(verdict(&claims, 60_499), Ok(()));
    assert_eq!(verdict(&claims, 60_500), Err(Unvouched::Expired));
    for past in ["0", "-1", "-1e300", "1e-300"] {
        let claims = format!(r#"{{"sub":"alice","exp":{past}}}"#);
        assert_eq!(verdict(&claims, 0), Err(Unvouched::Expired), "{past}");
    }
    assert_eq!(verdict(r#"{"sub":"alice","exp":1e300}"#, 0), Ok(()));
}

#[test]
fn token_begins_60_seconds_before_its_nbf() {
    let claims = format!(r#"{{"sub":"alice","exp":{},"nbf":{NOW}}}"#, NOW + 100);
    for ms in [-60_000, 0, 100_000] {
        assert_eq!(verdict(&claims, ms), Ok(()), "{ms}");
    }
    for ms in [-60_001, -1_000_000] {
        assert_eq!(verdict(&claims, ms), Err(Unvouched::Early), "{ms}");
    }
}

#[test]
fn audience_is_one_of_the_token_if_either_names_one() {
    let check = |ours: Option<&str>, named: &str, expected| {
        let claims = format!(r#"{{"sub":"alice","exp":{NOW}{named}}}"#);
        let verdict = checker(ours).verify(&token(HEADER, &claims), "alice", NOW * 1000);
        assert_eq!(verdict, expected, "{ours:?} {named}");
    };
    let foreign = Err(Unvouched::Audience);
    check(None, "", Ok(()));
    check(None, r#","aud":"chat""#, foreign);
    check(None, r#","aud":[]"#, foreign);
    check(None, r#","aud":null"#, foreign);
    let ours = Some("chat");
    check(ours, r#","aud":"chat""#, Ok(()));
    check(ours, r#","aud":["mail","chat"]"#, Ok(()));
    for other in [
        "",
        r#","aud":"Chat""#,
        r#","aud":"mail""#,
        r#","aud":["mail"]"#,
        r#","aud":[]"#,
        r#","aud":[["chat"],null]"#,
        r#","aud":{"chat":"chat"}"#,
        r#","aud":null"#,
    ] {
        check(ours, other, foreign);
    }
}

/// The examples of RFC 7515 and RFC 8037. Their claims have no `sub`, so they are refused behind
/// the signature.
#[test]
fn signatures_of_the_standards_are_good() {
    let check = |key: Key, token: &str| {
        let jwt = Jwt::new(key, None);
        assert_eq!(jwt.verify(token, "joe", 0), Err(Unvouched::Malformed), "{token}");
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let broken = format!("{message}.A{}", &signature[1..]);
        assert_eq!(jwt.verify(&broken, "joe", 0), Err(Unvouched::Signature), "{broken}");
    };
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb\
        290Ijp0cnVlfQ";
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64");
    let secret = decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    );
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    check(Key::Secret(secret), &format!("{header}.{claims}.{signature}"));
    #[cfg(feature = "tls")]
    {
        let pem = |prefix: &[u8], key: &[u8]| {
            let der = data_encoding::BASE64.encode(&[prefix, key].concat());
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
            Key::parse(pem.as_bytes()).expect("a public key")
        };
        let p256 = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\
            \x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
        let x = decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        let y = decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTU\
            JqPP3-Kg6NU1Q";
        let key = pem(p256, &[x, y].concat());
        check(key, &format!("eyJhbGciOiJFUzI1NiJ9.{claims}.{signature}"));
        let ed25519 = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
        let key = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG\
            1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        check(pem(ed25519, &key), token);
    }
}

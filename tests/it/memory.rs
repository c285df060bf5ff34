//! The memory of a server with all its limits reached at once.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::raw::{self, CONTINUATION, FIN, PING, PONG, TEXT, frame};
use crate::support::{Server, Wire};

const OWNERS: usize = 100;
/// Longest message in bytes: so long that unfinished messages fill much memory.
const MESSAGE_BYTES: usize = 65_536;

/// A client that sends much and reads only on request.
struct Mouth(Wire);

impl Mouth {
    /// Joins under this id.
    fn new(server: &Server, id: &str, key: Option<&str>) -> Mouth {
        let mut mouth = Mouth(raw::connect(server));
        mouth.say(&[key.map_or(
            json!({"type": "join", "id": id}),
            |key| json!({"type": "join", "id": id, "key": key}),
        )]);
        mouth.answers();
        mouth
    }

    /// Sends these lines in one message.
    fn say(&mut self, lines: &[Value]) {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        self.0.write_all(&frame(TEXT | FIN, lines.join("\n").as_bytes())).expect("it reads");
    }

    /// Waits until the server has read all lines, and returns the answers.
    fn answers(&mut self) -> String {
        let mut answers = String::new();
        // A pong leaves before the lines of its turn, but a second pong leaves behind them.
        for _ in 0..2 {
            self.0.write_all(&frame(PING, b"well?")).expect("it reads");
            loop {
                let (first, payload) = self.hear_frame();
                if first == PONG {
                    break;
                }
                answers += str::from_utf8(&payload).expect("text");
            }
        }
        answers
    }

    /// Waits for a frame, and returns its first byte and its payload.
    fn hear_frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame");
        let more = match head[1] {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mut long = [0; 8];
        self.0.read_exact(&mut long[8 - more..]).expect("a frame");
        let len = if more == 0 { u64::from(head[1]) } else { u64::from_be_bytes(long) };
        let mut payload = vec![0; len as usize];
        self.0.read_exact(&mut payload).expect("a frame");
        (head[0], payload)
    }
}

/// Returns an id of the greatest length.
fn long(name: impl std::fmt::Display) -> String {
    format!("{name:->64}").replacen('-', "x", 1)
}

#[test]
fn memory_with_all_limits_reached_is_below_the_logged_figure() {
    let clients = OWNERS.to_string();
    let options =
        ["--max-clients", &clients, "--owned", &clients, "--held-total", "33554432", "--rate", "0"];
    // No client answers pings.
    let times = ["--ping", "1800", "--timeout", "3600"];
    let sizes = ["--outbox", "262144", "--outbox-total", "4194304", "--max-message", "65536"];
    let server = Server::start(&[&options[..], &times, &sizes].concat());
    let (base, figure) =
        (server.descriptors(), server.memory_bytes_max.expect("a line about memory"));

    // Ids owned, watched and blocked, of which one more is refused, and cards.
    let ids =
        |name: &str, n: usize| (0..256).map(|m| long(format!("{name}{n}.{m}"))).collect::<Vec<_>>();
    let mut mouths: Vec<Mouth> = Vec::new();
    for n in 0..OWNERS {
        let mut mouth = Mouth::new(&server, &long(n), Some("0123456789abcdef"));
        mouth.say(&[json!({"type": "watch", "ids": ids("w", n)})]);
        mouth.say(&[json!({"type": "block", "ids": ids("b", n)})]);
        mouth.say(&[json!({"type": "card", "card": {"x": "x".repeat(2040)}})]);
        mouth.say(&[
            json!({"type": "watch", "ids": ["one-more"]}),
            json!({"type": "block", "ids": ["one-more"]}),
        ]);
        assert_eq!(mouth.answers().matches(r#""code":"too_many""#).count(), 2);
        mouths.push(mouth);
    }
    let refused = server.exchange("GET / HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    // Remembered sends.
    for (n, mouth) in mouths.iter_mut().enumerate() {
        let to = long((n + 1) % OWNERS);
        let send = |m: usize| json!({"type": "send", "to": to, "body": "", "ref": m.to_string()});
        mouth.say(&(0..128).map(send).collect::<Vec<_>>());
        assert_eq!(mouth.answers().matches(r#""type":"sent""#).count(), 128);
    }
    mouths.iter_mut().for_each(|mouth| drop(mouth.answers()));
    // Unfinished messages: a fragment, and the beginning of a frame behind it. One client goes on
    // speaking.
    let (speaker, others) = mouths.split_last_mut().expect("they are here");
    for mouth in others.iter_mut() {
        let half = vec![b'x'; MESSAGE_BYTES / 2];
        let rest = frame(CONTINUATION | FIN, &half);
        mouth
            .0
            .write_all(&[&frame(TEXT, &half), &rest[..rest.len() - 1]].concat())
            .expect("it reads");
    }
    // Messages for clients that do not read: held, in their outboxes, and refused by the kernel,
    // until none of them may be held any more. Later messages are shorter, because as memory fills
    // only those fit.
    //
    // The highest of several measurements counts. On a busy machine the first clients are dropped
    // before the last message is held, because a message and a refused write may take 10 s at most.
    let mut memory = 0;
    for len in [50_000, 5000, 500] {
        loop {
            memory = memory.max(server.memory_bytes());
            let line = |to| json!({"type": "send", "to": long(to), "body": "x".repeat(len)});
            (0..OWNERS - 1).for_each(|to| speaker.say(&[line(to)]));
            if speaker.answers().matches(r#""code":"full""#).count() == OWNERS - 1 {
                break;
            }
        }
    }
    memory = memory.max(server.memory_bytes());
    println!("{} of {} MiB", memory >> 20, figure >> 20);
    assert!(memory < figure, "{memory} bytes, and not below {figure}");
    assert!(
        memory > figure / 4,
        "{memory} bytes are so far below {figure} that this shows nothing"
    );
    drop(mouths);
    server.wait_for_descriptors(base);
    server.assert_alive();
}

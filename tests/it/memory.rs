//! Everything at its limit at once.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::raw::{self, CONTINUATION, FIN, PING, PONG, TEXT, frame};
use crate::support::{Server, Wire};

const OWNERS: usize = 100;
/// How long a message is at most: long, so that those that are not whole fill much.
const MESSAGE_BYTES: usize = 65_536;

/// A client that says much and looks at nothing that comes.
struct Mouth(Wire);

impl Mouth {
    fn new(server: &Server, id: &str, key: Option<&str>) -> Mouth {
        let mut mouth = Mouth(raw::connect(server));
        mouth.say(&[key.map_or(
            json!({"type": "join", "id": id}),
            |key| json!({"type": "join", "id": id, "key": key}),
        )]);
        mouth.is_heard();
        mouth
    }

    fn say(&mut self, lines: &[Value]) {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        self.0.write_all(&frame(TEXT | FIN, lines.join("\n").as_bytes())).expect("it reads");
    }

    /// Waits until all that was said is heard, and gives what was answered.
    fn is_heard(&mut self) -> String {
        let mut answers = String::new();
        // A pong leaves in front of the lines of its turn, but a second one behind them.
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

/// An id as long as ids can be.
fn long(name: impl std::fmt::Display) -> String {
    format!("{name:->64}").replacen('-', "x", 1)
}

#[test]
fn with_everything_at_its_limit_at_once_memory_is_below_what_the_server_said_at_the_start() {
    let clients = OWNERS.to_string();
    let options =
        ["--max-clients", &clients, "--owned", &clients, "--held-total", "33554432", "--rate", "0"];
    let sizes = ["--outbox", "262144", "--outbox-total", "4194304", "--max-message", "65536"];
    let server = Server::start(&[&options[..], &sizes].concat());
    let (base, figure) =
        (server.descriptors(), server.memory_bytes_max.expect("a line about memory"));

    // Ids owned, watched and blocked: one more of each is refused.
    let ids =
        |name: &str, n: usize| (0..256).map(|m| long(format!("{name}{n}.{m}"))).collect::<Vec<_>>();
    let mut mouths: Vec<Mouth> = Vec::new();
    for n in 0..OWNERS {
        let mut mouth = Mouth::new(&server, &long(n), Some("0123456789abcdef"));
        mouth.say(&[json!({"type": "watch", "ids": ids("w", n)})]);
        mouth.say(&[json!({"type": "block", "ids": ids("b", n)})]);
        mouth.say(&[
            json!({"type": "watch", "ids": ["one-more"]}),
            json!({"type": "block", "ids": ["one-more"]}),
        ]);
        assert_eq!(mouth.is_heard().matches(r#""code":"too_many""#).count(), 2);
        mouths.push(mouth);
    }
    let refused = server.exchange("GET / HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    // Sends that are remembered.
    for (n, mouth) in mouths.iter_mut().enumerate() {
        let to = long((n + 1) % OWNERS);
        let send = |m: usize| json!({"type": "send", "to": to, "body": "", "ref": m.to_string()});
        mouth.say(&(0..128).map(send).collect::<Vec<_>>());
        assert_eq!(mouth.is_heard().matches(r#""type":"sent""#).count(), 128);
    }
    mouths.iter_mut().for_each(|mouth| drop(mouth.is_heard()));
    // Messages that are not whole: fragments, and behind them the beginning of a frame. One speaks
    // on.
    let (speaker, others) = mouths.split_last_mut().expect("they are here");
    for mouth in others.iter_mut() {
        let half = vec![b'x'; MESSAGE_BYTES / 2];
        let rest = frame(CONTINUATION | FIN, &half);
        mouth
            .0
            .write_all(&[&frame(TEXT, &half), &rest[..rest.len() - 1]].concat())
            .expect("it reads");
    }
    // Messages for those who do not read: held, in their outboxes, and refused by the kernel, until
    // there is no room for any of them. What is behind is shorter, for as memory fills only that
    // fits.
    for len in [50_000, 5000, 500] {
        loop {
            let line = |to| json!({"type": "send", "to": long(to), "body": "x".repeat(len)});
            (0..OWNERS - 1).for_each(|to| speaker.say(&[line(to)]));
            if speaker.is_heard().matches(r#""code":"full""#).count() == OWNERS - 1 {
                break;
            }
        }
    }
    let memory = server.memory_bytes();
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

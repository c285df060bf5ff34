//! Bytes that a server wrote, read as HTTP responses, frames and lines.

use serde_json::Value;

/// Returns the lines in all whole frames behind the upgrade. The last frame may be cut.
pub fn lines_written(bytes: &[u8]) -> Vec<Value> {
    let frames = frames_written(bytes);
    frames
        .iter()
        .filter(|(first, _)| *first == 0x81)
        .flat_map(|(_, payload)| lines_in(payload))
        .collect()
}

/// Returns the first byte and the payload of each whole frame behind the upgrade.
pub fn frames_written(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    while let Some((is_upgrade, len)) = response(bytes) {
        bytes = &bytes[len..];
        if is_upgrade {
            return split_frames(bytes);
        }
    }
    Vec::new()
}

/// Reads the first response: whether it is an upgrade, and its length in bytes. `None` if it is not
/// whole.
pub fn response(bytes: &[u8]) -> Option<(bool, usize)> {
    let begins = bytes.iter().zip(b"HTTP/1.1 ").all(|(a, b)| a == b);
    assert!(begins, "{:?}", String::from_utf8_lossy(bytes));
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = str::from_utf8(&bytes[..end]).expect("a head is text");
    let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let len = end + 4 + len.map_or(0, |len| len.parse::<usize>().expect("a number"));
    (len <= bytes.len()).then_some((head.starts_with("HTTP/1.1 101 "), len))
}

/// Returns the first byte and the payload of each whole frame. Checks that servers may send it.
pub fn split_frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [first, len, ..] = *bytes {
        let (at, len) = match (len, bytes) {
            (126, [_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [_, _, len @ ..]) if len.len() >= 8 => {
                (10, u64::from_be_bytes(len[..8].try_into().expect("eight bytes")) as usize)
            }
            (0..=125, _) => (2, usize::from(len)),
            _ => break,
        };
        let Some(payload) = bytes.get(at..at + len) else { break };
        assert!(matches!(first, 0x81 | 0x88..=0x8a), "a server sends no frame {first:#x}");
        assert!(first == 0x81 || len <= 125);
        frames.push((first, payload));
        bytes = &bytes[at + len..];
    }
    frames
}

/// Parses the lines in the text of one frame.
pub fn lines_in(text: &[u8]) -> Vec<Value> {
    let line = |line| serde_json::from_slice::<Value>(line).expect("a line is JSON");
    let lines: Vec<Value> = text.split(|byte| *byte == b'\n').map(line).collect();
    assert!(lines.iter().all(|line| line["type"].is_string()));
    lines
}

//! Empty buffers that have room already, for whoever needs one next: where much is said nothing is allocated for it, and
//! whoever has nothing in a buffer still owns none. What they are filled with is not known here.
//!
//! Invariant: `bytes` is the room of all of them, and is above `bytes_max` only if there is but one.

/// A buffer that can be emptied and keeps its room.
pub trait Room: Default {
    /// Bytes it can take without asking for memory.
    fn bytes(&self) -> usize;
    /// Empties it.
    fn clear(&mut self);
}

impl Room for Vec<u8> {
    fn bytes(&self) -> usize {
        self.capacity()
    }

    fn clear(&mut self) {
        self.clear();
    }
}

/// Some of them.
#[derive(Debug)]
pub struct Rooms<R> {
    rooms: Vec<R>,
    bytes: usize,
    bytes_max: usize,
}

impl<R: Room> Rooms<R> {
    /// None yet, and of at most so many bytes.
    pub fn new(bytes_max: usize) -> Rooms<R> {
        Rooms { rooms: Vec::new(), bytes: 0, bytes_max }
    }

    /// The room that was given back last; without one, a buffer that owns nothing.
    pub fn take(&mut self) -> R {
        let room = self.rooms.pop().unwrap_or_default();
        self.bytes -= room.bytes();
        room
    }

    /// Keeps the room of a buffer that is of no more use, if it is not too much: one in any case, however long.
    pub fn give_back(&mut self, mut room: R) {
        let bytes = room.bytes();
        if bytes > 0 && (self.rooms.is_empty() || self.bytes + bytes <= self.bytes_max) {
            room.clear();
            self.bytes += bytes;
            self.rooms.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_goes_round_and_few_are_kept() {
        let mut rooms = Rooms::new(10_000);
        let mut room: Vec<u8> = rooms.take();
        assert_eq!(room.capacity(), 0);
        room.extend([b'x'; 1000]);
        let place = room.as_ptr();
        rooms.give_back(room);
        let room = rooms.take();
        assert_eq!((room.as_ptr(), room.len(), rooms.bytes), (place, 0, 0));

        for _ in 0..100 {
            rooms.give_back(Vec::with_capacity(1000));
        }
        assert_eq!((rooms.bytes, rooms.rooms.len()), (10_000, 10));
        let mut rooms = Rooms::new(10_000);
        rooms.give_back(Vec::with_capacity(20_000));
        rooms.give_back(Vec::with_capacity(1));
        assert_eq!((rooms.bytes, rooms.rooms.len()), (20_000, 1), "one of any length");
    }
}

/**
 * A pretend server: as much of the protocol as two pages need, over connections that a test cuts.
 * Lines wait in both directions until the test lets them pass.
 *
 * With a store, lines that promise something wait for `commit`, and `crash` takes back all that was
 * not committed.
 */

export class PlayedServer {
  #owners = new Map();
  #mids = 0;
  /** Counts ownerships. No name of one is used twice. */
  #ownerships = 0;
  #stores;
  /** Lines that wait for the disk, each with the id that it is for. */
  #gate = [];
  /** What is on disk: the ids, and the mid of the last message. */
  #disk = { owners: new Map(), mids: 0 };

  constructor({ stores = false } = {}) {
    this.#stores = stores;
  }

  /** All changes are on disk, so the lines that waited for them leave. */
  commit() {
    if (!this.#stores) return;
    this.#disk = { owners: copies(this.#owners), mids: this.#mids };
    for (const [id, line] of this.#gate.splice(0)) this.#say(id, line);
  }

  /**
   * The server is killed, and started again. Without a store it knows nothing then. Its connections
   * have to be ended by the test.
   */
  crash() {
    this.#gate = [];
    this.#owners = copies(this.#disk.owners);
    // A mid is never used twice.
    this.#mids += 1000;
    this.#disk.mids = this.#mids;
  }

  #isStored(mid) {
    return !this.#stores || Number(mid.split("-")[1]) <= this.#disk.mids;
  }

  /** Says a line once all changes so far are on disk. */
  #promise(id, line) {
    if (this.#stores) this.#gate.push([id, line]);
    else this.#say(id, line);
  }

  /** Says a line on the connection of this id, if it has one. */
  #say(id, line) {
    this.#owners.get(id)?.connection?.down.push(line);
  }

  /** @returns a connection: `up` has lines to the server, `down` those to the page */
  connect() {
    return { up: [], down: [], id: "", watched: new Set() };
  }

  /** Hears the next line. */
  hear(connection) {
    const line = connection.up.shift();
    if (line) this[line.type]?.(connection, line);
  }

  join(connection, { id, card }) {
    const owner = this.#owners.get(id);
    const resumed = Boolean(owner);
    const next = owner ?? { ownership: `${++this.#ownerships}`, held: [], sends: new Map() };
    const { ownership } = next;
    next.connection = connection;
    next.card = card;
    this.#owners.set(id, next);
    connection.id = id;
    const joined = { type: "joined", id, resumed, ownership, max_message: 65536, hold: 86_400, card: 2048 };
    if (resumed) connection.down.push(joined);
    else this.#promise(id, joined);
    for (const { mid, to, fate } of next.sends.values()) if (fate) this.#tell(id, to, mid, fate);
    connection.down.push(...next.held.filter(({ mid }) => this.#isStored(mid)));
    if (!resumed || !owner.isOnline) this.#present(id, true);
  }

  card(connection, { card }) {
    this.#owners.get(connection.id).card = card;
  }

  lookup(connection, { id }) {
    const owner = this.#owners.get(id);
    const { card } = owner ?? {};
    connection.down.push({ type: "card", id, claimed: Boolean(owner), ...(card && { card }) });
  }

  send(connection, { to, body, ref }) {
    const { sends } = this.#owners.get(connection.id);
    const known = sends.get(ref);
    const owner = this.#owners.get(to);
    if (!known && !owner) {
      return void connection.down.push({ type: "error", code: "offline", ref, to, text: "" });
    }
    // Its answer waits for the disk already.
    if (known && !this.#isStored(known.mid)) return;
    const mid = known?.mid ?? `mid-${++this.#mids}`;
    if (!known) {
      sends.set(ref, { mid, to, fate: "" });
      const message = { type: "message", from: connection.id, body, mid, at: 1 };
      owner.held.push(message);
      this.#promise(to, message);
    }
    const answer = { type: "sent", ref, mid, at: 1 };
    if (known) connection.down.push(answer);
    else this.#promise(connection.id, answer);
    if (known?.fate) this.#tell(connection.id, to, mid, known.fate);
  }

  /** Dropped if its recipient is away: so pages ask again when a peer is back. */
  signal(connection, { to, body }) {
    this.#say(to, { type: "signal", from: connection.id, body });
  }

  ack(connection, { to, mids }) {
    const owner = this.#owners.get(connection.id);
    for (const mid of mids) {
      const held = owner.held.length;
      owner.held = owner.held.filter((message) => message.mid !== mid || message.from !== to);
      if (owner.held.length < held) this.#decide(to, mid, "delivered");
    }
  }

  watch(connection, { ids }) {
    for (const id of ids) {
      connection.watched.add(id);
      const online = Boolean(this.#owners.get(id)?.isOnline);
      connection.down.push({ type: "presence", id, online });
    }
  }

  /** A connection has ended. Its id stays owned. */
  end(connection) {
    const owner = this.#owners.get(connection.id);
    if (owner?.connection !== connection) return;
    owner.connection = null;
    this.#present(connection.id, false);
  }

  held(id) {
    return this.#owners.get(id)?.held ?? [];
  }

  /** The hold of an id is over, if it has no connection. */
  expire(id) {
    const owner = this.#owners.get(id);
    if (!owner || owner.connection) return;
    this.#owners.delete(id);
    for (const { from, mid } of owner.held) this.#decide(from, mid, "expired");
  }

  #present(id, online) {
    this.#owners.get(id).isOnline = online;
    for (const { connection } of this.#owners.values()) {
      if (connection?.watched.has(id)) connection.down.push({ type: "presence", id, online });
    }
  }

  #decide(sender, mid, fate) {
    for (const send of this.#owners.get(sender)?.sends.values() ?? []) {
      if (send.mid !== mid) continue;
      send.fate = fate;
      this.#tell(sender, send.to, mid, fate);
    }
  }

  #tell(sender, to, mid, fate) {
    const line = fate === "delivered"
      ? { type: "delivered", from: to, mids: [mid] }
      : { type: "expired", to, mids: [mid] };
    // It must not come before the answer that tells the mid.
    if (this.#gate.length) this.#promise(sender, line);
    else this.#say(sender, line);
  }
}

/** Returns ids as a disk has them: without their connections. */
function copies(owners) {
  return new Map([...owners].map(([id, { ownership, held, sends, card }]) => {
    const copied = [...sends].map(([ref, send]) => [ref, { ...send }]);
    const away = { connection: null, isOnline: false };
    return [id, { ownership, held: [...held], sends: new Map(copied), card, ...away }];
  }));
}

/**
 * A pretend server: as much of the protocol as two pages need, over connections that a test cuts.
 * Lines wait in both directions until the test lets them pass.
 */

export class PlayedServer {
  #owners = new Map();
  #mids = 0;

  /** @returns a connection: `up` has lines to the server, `down` those to the page */
  connect() {
    return { up: [], down: [], id: "", watched: new Set() };
  }

  /** Hears the next line. */
  hear(connection) {
    const line = connection.up.shift();
    if (line) this[line.type]?.(connection, line);
  }

  join(connection, { id }) {
    const owner = this.#owners.get(id);
    const resumed = Boolean(owner);
    const next = owner ?? { held: [], sends: new Map() };
    next.connection = connection;
    this.#owners.set(id, next);
    connection.id = id;
    connection.down.push({ type: "joined", id, resumed, max_message: 65536, hold: 1 });
    for (const { mid, to, fate } of next.sends.values()) if (fate) this.#tell(id, to, mid, fate);
    connection.down.push(...next.held);
    if (!resumed || !owner.isOnline) this.#present(id, true);
  }

  send(connection, { to, body, ref }) {
    const { sends } = this.#owners.get(connection.id);
    const known = sends.get(ref);
    const owner = this.#owners.get(to);
    if (!known && !owner) {
      return void connection.down.push({ type: "error", code: "offline", ref, to, text: "" });
    }
    const mid = known?.mid ?? `mid-${++this.#mids}`;
    if (!known) {
      sends.set(ref, { mid, to, fate: "" });
      const message = { type: "message", from: connection.id, body, mid, at: 1 };
      owner.held.push(message);
      owner.connection?.down.push(message);
    }
    connection.down.push({ type: "sent", ref, mid, at: 1 });
    if (known?.fate) this.#tell(connection.id, to, mid, known.fate);
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
    this.#owners.get(sender)?.connection?.down.push(line);
  }
}

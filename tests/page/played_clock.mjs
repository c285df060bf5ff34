/** A clock that goes only when the test says so. */

export class PlayedClock {
  now = 0;
  #timers = new Map();
  #last = 0;

  setTimer = (call, ms) => {
    this.#timers.set(++this.#last, { call, at: this.now + ms });
    return this.#last;
  };

  clearTimer = (timer) => void this.#timers.delete(timer);

  /** Lets time pass, and calls all that is due, each at its time, with what follows from it. */
  async pass(ms) {
    const end = this.now + ms;
    for (;;) {
      await settled();
      const due = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due || due[1].at > end) break;
      this.#timers.delete(due[0]);
      this.now = due[1].at;
      due[1].call();
    }
    this.now = end;
  }
}

/** Calls of WebCrypto that have not answered: those of other threads take as long as they like. */
let working = 0;
for (const name of ["importKey", "exportKey", "generateKey", "deriveBits", "sign", "verify", "digest",
  "encrypt", "decrypt"]) {
  const call = crypto.subtle[name].bind(crypto.subtle);
  crypto.subtle[name] = (...given) => {
    working += 1;
    const called = call(...given);
    const done = () => (working -= 1);
    called.then(done, done);
    return called;
  };
}

/** Resolves once all that needs no clock has happened: more turns than any chain of the tests. */
export async function settled() {
  for (let turn = 0; turn < 50; turn = working ? 0 : turn + 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

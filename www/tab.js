/**
 * Which tab of this browser has an id: by Web Locks (W3C). Where there are none (they need a secure context), each tab
 * believes that it has, and the server tells the earlier one that it has been replaced.
 *
 * Not known here: what having an id means.
 */

/** A page that is loaded again may meet the lock of its former self for a moment. */
const WAIT_MS = 300;

/**
 * @param {LockManager | undefined} locks
 * @param {() => void} lost another tab has taken the id
 * @param {{ setTimer: (call: () => void, ms: number) => any, clearTimer: (timer: any) => void }} clock
 */
export function createTab(locks, lost, clock) {
  /** Ends the lock that is held. */
  let release = () => {};

  /**
   * Whether this tab has the id now. @param {string} id
   * @param {boolean} take also from another tab @returns {Promise<boolean>}
   */
  function claim(id, take) {
    release();
    if (!locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiting = new AbortController();
      const timer = clock.setTimer(() => waiting.abort(), WAIT_MS);
      let held = false;
      const hold = () => {
        clock.clearTimer(timer);
        held = true;
        resolve(true);
        return new Promise((free) => {
          release = () => {
            held = false;
            free();
          };
        });
      };
      locks.request(`sotto ${id}`, take ? { steal: true } : { signal: waiting.signal }, hold).catch(() => {
        if (held) lost();
        // Refused for another reason than another tab, it is as if there were no locks.
        resolve(!waiting.signal.aborted);
      });
    });
  }

  return { claim, release: () => release() };
}

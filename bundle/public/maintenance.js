/**
 * Reports when the application enters and leaves maintenance.
 *
 * Subscribes to `oro/maintenance` with recovery, so a page that was offline receives the change later. The user who switched
 * maintenance on is not notified: that page has the switch to turn it off.
 */
import { callSafely } from './callbacks.js';

const TOPIC = 'oro/maintenance';

export class Maintenance {
  #unsubscribe;
  #userId;
  #onChange;
  #isOn = false;

  /**
   * @param {import('./client.js').OrosyncClient} client
   * @param {{ userId: number | string | null, onChange: (isOn: boolean) => void }} page `userId`: the user of this page; null:
   *   nobody is logged in. `onChange` is called only when the state for this page changes
   */
  constructor(client, { userId, onChange }) {
    this.#userId = userId;
    this.#onChange = onChange;
    this.#unsubscribe = client.subscribe(TOPIC, (payload) => this.#announced(payload), { recover: true });
  }

  close() {
    this.#unsubscribe();
  }

  /** @param {unknown} payload `{isOn, userId}`; `userId` null: switched from the console, which concerns everybody */
  #announced(payload) {
    /** @type {{ isOn?: unknown, userId?: unknown }} */
    const { isOn, userId } = typeof payload === 'object' && payload !== null ? payload : {};
    const isOnForUser = Boolean(isOn) && !isSameUser(userId, this.#userId);
    if (isOnForUser !== this.#isOn) {
      this.#isOn = isOnForUser;
      callSafely(this.#onChange, isOnForUser);
    }
  }
}

/**
 * Compares ids that may be numbers or strings. Two missing ids are not equal.
 *
 * @type {(one: unknown, other: unknown) => boolean}
 */
const isSameUser = (one, other) => isId(one) && isId(other) && String(one) === String(other);

/** @type {(value: unknown) => boolean} */
const isId = (value) => typeof value === 'number' || typeof value === 'string';

/**
 * Tells a page when the application goes into maintenance and when it comes back.
 *
 * Recovers `oro/maintenance`, so a page that was away when it was switched learns of that. The user who has switched it on is not
 * told so: that page is where it is switched off again.
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
   * @param {{ userId: number | string | null, onChange: (isOn: boolean) => void }} page `userId`: who looks at this page; null:
   *   nobody is logged in. `onChange` is called when what this page should show changes, not for every message
   */
  constructor(client, { userId, onChange }) {
    this.#userId = userId;
    this.#onChange = onChange;
    this.#unsubscribe = client.subscribe(TOPIC, (payload) => this.#announced(payload), { recover: true });
  }

  close() {
    this.#unsubscribe();
  }

  /** @param {unknown} payload `{isOn, userId}`; `userId` null: switched from the console, so everybody is told */
  #announced(payload) {
    /** @type {{ isOn?: unknown, userId?: unknown }} */
    const { isOn, userId } = typeof payload === 'object' && payload !== null ? payload : {};
    const tellOn = Boolean(isOn) && !isSameUser(userId, this.#userId);
    if (tellOn !== this.#isOn) {
      this.#isOn = tellOn;
      callSafely(this.#onChange, tellOn);
    }
  }
}

/**
 * Ids come as numbers, or as texts, of numbers too; nobody is not the same as nobody.
 *
 * @type {(one: unknown, other: unknown) => boolean}
 */
const isSameUser = (one, other) => isId(one) && isId(other) && String(one) === String(other);

/** @type {(value: unknown) => boolean} */
const isId = (value) => typeof value === 'number' || typeof value === 'string';

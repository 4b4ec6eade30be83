/** A gate that something comes to, waits at, and passes when a test opens it. */
export class Gate {
  #reached = pending();
  #opened = pending();

  /** Settled when something waits here. */
  get reached() {
    return this.#reached.promise;
  }

  /** Says that it waits here, and does so. */
  async pass() {
    this.#reached.settle();
    await this.#opened.promise;
  }

  open() {
    this.#opened.settle();
  }
}

function pending() {
  /** @type {() => void} */
  let settle = () => {};
  /** @type {Promise<void>} */
  const promise = new Promise((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/** A gate that blocks whoever calls it until a test opens it. */
export class Gate {
  #reached = pending();
  #opened = pending();

  /** Resolves when a caller waits at the gate. */
  get reached() {
    return this.#reached.promise;
  }

  /** Waits until the gate is open. */
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

/**
 * Runs before all other scripts of a page and records its sockets and errors, for browsers whose protocol does not report them.
 */
const witness = {
  /** @type {WebSocket[]} */
  sockets: [],
  /** @type {string[]} */
  errors: [],
};
/** @type {Window & { witness?: typeof witness }} */ (window).witness = witness;

window.WebSocket = class extends WebSocket {
  /** @param {string | URL} url @param {string | string[]} [protocols] */
  constructor(url, protocols) {
    super(url, protocols);
    witness.sockets.push(this);
  }
};

// The demo's CSP blocks the inline style of Turbo's progress bar; that violation is not recorded.
window.addEventListener('error', (event) => {
  if (!(event.target instanceof HTMLStyleElement)) {
    // A resource that could not be loaded has no message.
    witness.errors.push(event.message ?? `not loaded: ${event.target}`);
  }
}, true);
window.addEventListener('unhandledrejection', ({ reason }) => witness.errors.push(String(reason)));
document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
  if (!effectiveDirective.startsWith('style-src')) {
    witness.errors.push(`${effectiveDirective} forbids ${blockedURI}`);
  }
});
console.error = (...said) => witness.errors.push(said.join(' '));

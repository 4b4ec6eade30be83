/**
 * In a page before all other scripts: what happens in its document from now on. No browser's protocol is needed to ask for it.
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

// Turbo's progress bar is a style in the page, which the demo's policy does not allow: that alone is no error.
window.addEventListener('error', (event) => {
  if (!(event.target instanceof HTMLStyleElement)) {
    // What could not be loaded has no message.
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

/**
 * Shows a message at the edge of the page. Applications can restyle it (`flash.css`), translate it, or use a function of their
 * own instead.
 *
 * Owns the stack of messages in the page. Bound: `MAX_FLASHES`; a further message removes the oldest. Texts are set as text,
 * never as markup.
 */

const MAX_FLASHES = 4;

/**
 * Screen readers announce changes inside a live region that already exists; they often skip a region that is inserted with its
 * text. So the region is inserted empty, and the text follows after this delay.
 */
const ANNOUNCE_DELAY_MS = 100;

/** Time limit for fetching a fresh copy of the page before reloading. */
const REFETCH_TIMEOUT_MS = 5_000;

/** @typedef {'outdated' | 'maintenance'} FlashKind */

/**
 * @typedef {object} FlashTexts
 * @property {string} message
 * @property {string} [uncertain] shown instead of the message if the change is not certain
 * @property {string | null} reload caption of the reload button; null: no such button
 * @property {string} dismiss accessible name of the dismiss button
 */

/**
 * @typedef {object} FlashOptions
 * @property {FlashKind} kind
 * @property {boolean} [isCertain] false: shows the text `uncertain` (default: true)
 * @property {Partial<FlashTexts>} [texts] replace the English ones
 * @property {() => void} [onReload] called instead of reloading the page
 * @property {() => void} [onDismiss] called when the message was removed
 */

/** @type {{ [K in FlashKind]: { role: 'status' | 'alert', live: 'polite' | 'assertive', texts: FlashTexts } }} */
const KINDS = {
  outdated: {
    role: 'status',
    live: 'polite',
    texts: {
      message: 'Somebody else has changed this content.',
      uncertain: 'This page may be out of date.',
      reload: 'Reload the page',
      dismiss: 'Dismiss',
    },
  },
  maintenance: {
    role: 'alert',
    live: 'assertive',
    texts: {
      message: 'The site has gone into maintenance. What you save now may be lost.',
      // Reloading would only lead to the maintenance page and lose unsaved input.
      reload: null,
      dismiss: 'Dismiss',
    },
  },
};

/** Attribute that identifies a message: kind and text. */
const KEY = 'data-orosync-flash';

/** Attribute of an uncertain message: the key of the certain one. */
const CERTAIN_KEY = 'data-orosync-certain';

/** Event that removes a message. Every caller that showed the same message may send it. */
const DISMISS = 'orosync-dismiss';

/**
 * Shows a message. A message that is already visible is neither repeated nor announced again. A certain message replaces its
 * uncertain variant, and the uncertain variant is not shown while the certain one is visible; other messages are unaffected.
 *
 * @param {FlashOptions} options
 * @returns {() => void} removes it
 */
export function showFlash({ kind, isCertain = true, texts, onReload = reloadFresh, onDismiss = () => {} }) {
  if (!Object.hasOwn(KINDS, kind)) {
    throw new TypeError(`showFlash: there is no kind "${kind}"; there are: ${Object.keys(KINDS).join(', ')}`);
  }
  const allTexts = { ...KINDS[kind].texts, ...texts };
  const message = isCertain ? allTexts.message : (allTexts.uncertain ?? allTexts.message);
  const [key, certainKey] = [`${kind} ${message}`, `${kind} ${allTexts.message}`];
  const stack = stackIn(document.body);
  const all = () => [...stack.querySelectorAll(':scope > .orosync-flash')];
  const present = all().find((flash) => [key, certainKey].includes(flash.getAttribute(KEY) ?? ''));
  if (present !== undefined) {
    return () => dismiss(present);
  }
  if (isCertain) {
    all().filter((flash) => flash.getAttribute(CERTAIN_KEY) === key).forEach(dismiss);
  }
  const others = all();
  others.slice(0, Math.max(0, others.length - MAX_FLASHES + 1)).forEach(dismiss);
  const flash = createFlash(kind, { ...allTexts, message }, onReload);
  flash.setAttribute(KEY, key);
  if (!isCertain) {
    flash.setAttribute(CERTAIN_KEY, certainKey);
  }
  flash.addEventListener(DISMISS, onDismiss);
  stack.append(flash);
  return () => dismiss(flash);
}

/** @param {Element} flash */
function dismiss(flash) {
  flash.dispatchEvent(new Event(DISMISS));
}

/**
 * @param {FlashKind} kind
 * @param {FlashTexts} texts
 * @param {() => void} onReload
 */
function createFlash(kind, texts, onReload) {
  const flash = element('div', `orosync-flash orosync-flash--${kind}`);
  flash.setAttribute('role', KINDS[kind].role);
  flash.setAttribute('aria-live', KINDS[kind].live);
  const filling = setTimeout(() => flash.append(...contents(texts, () => dismiss(flash), onReload)), ANNOUNCE_DELAY_MS);

  /** The element that had the focus before this message. @type {HTMLElement | null} */
  let cameFrom = null;
  flash.addEventListener('focusin', ({ relatedTarget }) => {
    if (relatedTarget instanceof HTMLElement && !flash.contains(relatedTarget)) {
      cameFrom = relatedTarget;
    }
  });
  flash.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') {
      dismiss(flash);
    }
  });
  flash.addEventListener(DISMISS, () => {
    clearTimeout(filling);
    const hadFocus = flash.contains(document.activeElement);
    flash.remove();
    if (hadFocus) {
      cameFrom?.focus();
    }
  });
  return flash;
}

/**
 * @param {FlashTexts} texts
 * @param {() => void} onDismiss
 * @param {() => void} onReload
 */
function contents(texts, onDismiss, onReload) {
  const message = element('p', 'orosync-flash__message');
  message.textContent = texts.message;
  const dismissButton = button('orosync-flash__dismiss', onDismiss);
  dismissButton.setAttribute('aria-label', texts.dismiss);
  dismissButton.title = texts.dismiss;
  dismissButton.textContent = '×';
  if (texts.reload === null) {
    return [message, dismissButton];
  }
  const reloadButton = button('orosync-flash__reload', onReload);
  reloadButton.textContent = texts.reload;
  return [message, reloadButton, dismissButton];
}

/** @param {HTMLElement} body */
function stackIn(body) {
  const present = body.querySelector(':scope > .orosync-flashes');
  if (present !== null) {
    return present;
  }
  const stack = element('div', 'orosync-flashes');
  // Turbo leaves it out of its snapshots: the buttons of a copy would have no listeners.
  stack.setAttribute('data-turbo-temporary', '');
  body.append(stack);
  return stack;
}

/**
 * @param {string} className
 * @param {() => void} onClick
 */
function button(className, onClick) {
  const created = document.createElement('button');
  created.type = 'button';
  created.className = className;
  created.addEventListener('click', onClick);
  return created;
}

/**
 * @param {'div' | 'p'} name
 * @param {string} className
 */
function element(name, className) {
  const created = document.createElement(name);
  created.className = className;
  return created;
}

/**
 * Reloads the page with a navigation. `location.reload()` would let some browsers restore old form values, and asks before
 * sending a form again. The fragment is left out: a navigation to a fragment only scrolls. The browser may answer a navigation
 * from its cache with the outdated copy, so a fresh copy is fetched into the cache first.
 */
async function reloadFresh() {
  const address = location.pathname + location.search;
  try {
    const response = await fetch(address, {
      cache: 'reload',
      headers: { Accept: 'text/html' },
      signal: AbortSignal.timeout(REFETCH_TIMEOUT_MS),
    });
    await response.arrayBuffer();
  } catch {
    // Timed out, offline, or blocked by the page's policy: navigate anyway.
  }
  location.assign(address);
}

/**
 * Shows a message at the edge of the page: a default that an application can restyle (`flash.css`), translate, or leave out
 * in favour of its own function.
 *
 * Owns the stack of messages in the page. Bound: `MAX_FLASHES`; the oldest gives way. Text is set as text, never as markup.
 */

const MAX_FLASHES = 4;

/**
 * Screen readers announce what changes *inside* a live region that they know already; a region that arrives together with
 * its text is often passed over. So the region comes first, empty.
 */
const ANNOUNCE_DELAY_MS = 100;

/** How long a fresh copy of the page is waited for, before the page is loaded anew without. */
const FRESH_MS = 5_000;

/** @typedef {'outdated' | 'maintenance'} FlashKind */

/**
 * @typedef {object} FlashTexts
 * @property {string} message
 * @property {string} [uncertain] in place of the message where nobody can know
 * @property {string | null} reload caption of the button that loads the page anew; null: no such button
 * @property {string} dismiss name of the button that takes the message away
 */

/**
 * @typedef {object} FlashOptions
 * @property {FlashKind} kind
 * @property {boolean} [certain] false: shows the text `uncertain` (true)
 * @property {Partial<FlashTexts>} [texts] in place of the English ones
 * @property {() => void} [onReload] in place of loading the page anew
 * @property {() => void} [onDismiss] called when it was taken away
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
      // It would only lead to the maintenance page, and lose what was typed here.
      reload: null,
      dismiss: 'Dismiss',
    },
  },
};

/** What is the same for the same message. */
const KEY = 'data-orosync-flash';

/** Of one that is not certain: the key of the one that would be. */
const CERTAIN_KEY = 'data-orosync-certain';

/** Tells a flash to go; whoever shows the same message again can say so too. */
const DISMISS = 'orosync-dismiss';

/**
 * Shows a message; one that still stands stays as it is, and is not announced again. One that is certain takes the place of the
 * one that may say the same, which is not shown beside it either: not of what else an application has to say.
 *
 * @param {FlashOptions} options
 * @returns {() => void} takes it away
 */
export function showFlash({ kind, certain = true, texts, onReload = loadAnew, onDismiss = () => {} }) {
  if (!Object.hasOwn(KINDS, kind)) {
    throw new TypeError(`showFlash: there is no kind "${kind}"; there are: ${Object.keys(KINDS).join(', ')}`);
  }
  const words = { ...KINDS[kind].texts, ...texts };
  const message = certain ? words.message : (words.uncertain ?? words.message);
  const [key, certainKey] = [`${kind} ${message}`, `${kind} ${words.message}`];
  const stack = stackIn(document.body);
  const all = () => [...stack.querySelectorAll(':scope > .orosync-flash')];
  const present = all().find((flash) => [key, certainKey].includes(flash.getAttribute(KEY) ?? ''));
  if (present !== undefined) {
    return () => dismiss(present);
  }
  if (certain) {
    all().filter((flash) => flash.getAttribute(CERTAIN_KEY) === key).forEach(dismiss);
  }
  const others = all();
  others.slice(0, Math.max(0, others.length - MAX_FLASHES + 1)).forEach(dismiss);
  const flash = createFlash(kind, { ...words, message }, onReload);
  flash.setAttribute(KEY, key);
  if (!certain) {
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
 * @param {FlashTexts} words
 * @param {() => void} onReload
 */
function createFlash(kind, words, onReload) {
  const flash = element('div', `orosync-flash orosync-flash--${kind}`);
  flash.setAttribute('role', KINDS[kind].role);
  flash.setAttribute('aria-live', KINDS[kind].live);
  const filling = setTimeout(() => flash.append(...contents(words, () => dismiss(flash), onReload)), ANNOUNCE_DELAY_MS);

  /** Where the keyboard was before it came here. @type {HTMLElement | null} */
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
 * @param {FlashTexts} words
 * @param {() => void} onDismiss
 * @param {() => void} onReload
 */
function contents(words, onDismiss, onReload) {
  const message = element('p', 'orosync-flash__message');
  message.textContent = words.message;
  const dismissButton = button('orosync-flash__dismiss', onDismiss);
  dismissButton.setAttribute('aria-label', words.dismiss);
  dismissButton.title = words.dismiss;
  dismissButton.textContent = '×';
  if (words.reload === null) {
    return [message, dismissButton];
  }
  const reloadButton = button('orosync-flash__reload', onReload);
  reloadButton.textContent = words.reload;
  return [message, reloadButton, dismissButton];
}

/** @param {HTMLElement} body */
function stackIn(body) {
  const present = body.querySelector(':scope > .orosync-flashes');
  if (present !== null) {
    return present;
  }
  const stack = element('div', 'orosync-flashes');
  // Turbo keeps pages without it: in a copy nobody would listen to its buttons.
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
 * A navigation, not `location.reload()`: that one lets some browsers put the old values back into a form's fields, and asks
 * to send a form again. Without the fragment, as a navigation to a fragment only scrolls. But a navigation may be answered out of
 * the browser's cache, by the very copy that is outdated: so a fresh one takes its place there first.
 */
async function loadAnew() {
  const address = location.pathname + location.search;
  try {
    const response = await fetch(address, { cache: 'reload', headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(FRESH_MS) });
    await response.arrayBuffer();
  } catch {
    // Too late, offline, or forbidden by the page's policy: what the navigation gets is the best there is.
  }
  location.assign(address);
}

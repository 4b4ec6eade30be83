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

/** @typedef {'outdated' | 'maintenance'} FlashKind */

/**
 * @typedef {object} FlashTexts
 * @property {string} message
 * @property {string | null} reload caption of the button that loads the page anew; null: no such button
 * @property {string} dismiss name of the button that takes the message away
 */

/**
 * @typedef {object} FlashOptions
 * @property {FlashKind} kind
 * @property {Partial<FlashTexts>} [texts] in place of the English ones
 * @property {() => void} [onReload] in place of loading the page anew
 */

/** @type {{ [K in FlashKind]: { role: 'status' | 'alert', live: 'polite' | 'assertive', texts: FlashTexts } }} */
const KINDS = {
  outdated: {
    role: 'status',
    live: 'polite',
    texts: {
      message: 'Somebody else has changed what you see here.',
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

/**
 * Shows a message, once: if the same one is still there, it stays the only one.
 *
 * @param {FlashOptions} options
 * @returns {() => void} takes it away
 */
export function showFlash({ kind, texts, onReload = loadAnew }) {
  if (!Object.hasOwn(KINDS, kind)) {
    throw new TypeError(`showFlash: there is no kind "${kind}"; there are: ${Object.keys(KINDS).join(', ')}`);
  }
  const { role, live, texts: english } = KINDS[kind];
  const words = { ...english, ...texts };
  const stack = stackIn(document.body);
  const key = `${kind} ${words.message}`;

  [...stack.children].find((flash) => flash instanceof HTMLElement && flash.dataset.orosyncFlash === key)?.remove();
  while (stack.children.length >= MAX_FLASHES) {
    stack.firstElementChild?.remove();
  }

  const flash = element('div', `orosync-flash orosync-flash--${kind}`);
  flash.dataset.orosyncFlash = key;
  flash.setAttribute('role', role);
  flash.setAttribute('aria-live', live);
  stack.append(flash);

  const filling = setTimeout(() => flash.append(...contents(words, dismiss, onReload)), ANNOUNCE_DELAY_MS);
  /** Where the keyboard was before it came here. @type {HTMLElement | null} */
  let cameFrom = null;
  flash.addEventListener('focusin', ({ relatedTarget }) => {
    if (relatedTarget instanceof HTMLElement && !flash.contains(relatedTarget)) {
      cameFrom = relatedTarget;
    }
  });
  flash.addEventListener('keydown', ({ key: pressed }) => {
    if (pressed === 'Escape') {
      dismiss();
    }
  });

  function dismiss() {
    clearTimeout(filling);
    const hadFocus = flash.contains(document.activeElement);
    flash.remove();
    if (hadFocus) {
      cameFrom?.focus();
    }
  }
  return dismiss;
}

/**
 * @param {FlashTexts} words
 * @param {() => void} dismiss
 * @param {() => void} onReload
 */
function contents(words, dismiss, onReload) {
  const message = element('p', 'orosync-flash__message');
  message.textContent = words.message;
  const dismissButton = button('orosync-flash__dismiss', dismiss);
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
 * to send a form again. Without the fragment, as a navigation to a fragment only scrolls.
 */
const loadAnew = () => location.assign(location.pathname + location.search);

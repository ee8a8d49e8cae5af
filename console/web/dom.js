/** An element: `h('p', { className: 'hint' }, 'text', child)`. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** What has not changed is not touched: focus, selection and screen readers stay where they are. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Before `element` goes: whoever is in it is not thrown back to the top of the page, but to `place`. */
export function keepFocus(element, place) {
  if (!element.contains(document.activeElement)) return;
  place.tabIndex = -1;
  place.focus();
}

/** Keeps one child of `parent` per item, in the items' order. */
export function list(parent, items, { key, create, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, at) => {
    const name = String(key(item));
    let child = known.get(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    known.delete(name);
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
    update?.(child, item);
  });
  for (const child of known.values()) {
    keepFocus(child, parent);
    child.remove();
  }
}

export const number = (value) => Math.round(value).toLocaleString('en');

export const perSecond = (rate) => `${number(rate)}/s`;

export function milliseconds(value) {
  if (value === null || value === undefined) return '–';
  return value >= 10_000 ? `${number(value / 1000)} s` : `${value < 10 ? value.toFixed(1) : number(value)} ms`;
}

/**
 * Does something once, and says in `message` what came of it. The button keeps the focus, so it is
 * not disabled as such.
 */
export async function doing(button, message, work) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    text(message, await work());
  } catch (error) {
    text(message, `Not done: ${error.message}`);
  } finally {
    button.setAttribute('aria-disabled', 'false');
  }
}

/** What the server says went wrong, in its own words. */
export async function post(path, body) {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const errors = (json.errors ?? []).map((error) => `${error.field} ${error.detail}`);
    // Connect's errors have a message.
    throw new Error(json.detail ?? json.message ?? (errors.join('; ') || json.title || `HTTP ${answer.status}`));
  }
  return json;
}

import { doing, h, list, post, text } from './dom.js';

const section = document.getElementById('breaker');
const parts = document.getElementById('parts');
const message = document.getElementById('breaker-message');
const brokenRecord = document.getElementById('broken-record');

/** The states in which an action makes sense. */
const ACTIONS = [
  { action: 'kill', words: 'Kill', when: (state) => state !== 'away' },
  { action: 'start', words: 'Start', when: (state) => state === 'away' },
  { action: 'pause', words: 'Pause', when: (state, id) => id === 'sink' && state === 'ready' },
  { action: 'resume', words: 'Resume', when: (state, id) => id === 'sink' && state === 'paused' },
];
const DONE = { kill: 'is killed', start: 'is started', pause: 'is paused', resume: 'is resumed' };

function row({ id }) {
  const buttons = ACTIONS.map(({ action, words }) => {
    const button = h('button', { type: 'button', 'aria-label': `${words} ${id}` }, words);
    button.dataset.action = action;
    button.addEventListener('click', () => doing(button, message, async () => {
      await post(`api/parts/${id}`, { do: action });
      return `${id} ${DONE[action]}`;
    }));
    return button;
  });
  return h('li', {}, h('span', { className: 'name' }, id), ...buttons);
}

brokenRecord.addEventListener('click', () => doing(brokenRecord, message, async () => {
  await post('api/broken-records', {});
  return 'A record that no service understands is on catalog_deltas';
}));

export function breaker({ services, breakable }) {
  section.hidden = !breakable;
  list(parts, services, {
    key: ({ id }) => id,
    create: row,
    update: (element, { id, state }) => {
      const buttons = ACTIONS.map(({ action }) => element.querySelector(`[data-action="${action}"]`));
      const focused = buttons.includes(document.activeElement);
      buttons.forEach((button, at) => { button.hidden = !ACTIONS[at].when(state, id); });
      // Whoever has just pressed one should not be thrown back to the top of the page.
      if (focused && document.activeElement.hidden) buttons.find((button) => !button.hidden)?.focus();
    },
  });
}

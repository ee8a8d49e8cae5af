import { doing, h, list, post, text } from './dom.js';

const letterList = document.getElementById('letters');
const none = document.getElementById('no-letters');
const message = document.getElementById('letters-message');

function row(letter) {
  const { topic, partition, offset } = letter.original;
  const origin = `${topic}, partition ${partition}, offset ${offset}`;
  const payload = letter.payload === null ? 'no value' : letter.payload.text;
  const replay = h('button', { type: 'button', 'aria-label': `Replay the record of ${origin}` }, 'Replay');
  replay.addEventListener('click', () => doing(replay, message, async () => {
    const { status } = await post(`api/dead-letters/${letter.partition}/${letter.offset}/replay`, {});
    return `The record of ${origin} is ${status}`;
  }));
  return h('li', {}, h('p', { className: 'reason' }, letter.reason ?? 'no reason was given'),
    h('p', { className: 'origin' }, origin), h('pre', { tabIndex: 0, role: 'group', 'aria-label': `Payload of ${origin}` }, payload),
    h('p', { className: 'put-back' }), replay);
}

export function letters({ dead_letters: found }) {
  none.hidden = found.length > 0;
  list(letterList, found, {
    key: ({ partition, offset }) => `${partition}-${offset}`,
    create: row,
    update: (element, { replayed_at: at }) => {
      text(element.querySelector('.put-back'), at ? `put back ${new Date(at).toLocaleString('en-GB')}` : '');
      element.querySelector('button').hidden = Boolean(at);
    },
  });
}

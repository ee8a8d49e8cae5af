import { doing, h, list, number, post, text } from './dom.js';

const letterList = document.getElementById('letters');
const count = document.getElementById('letter-count');
const message = document.getElementById('letters-message');

function row(letter) {
  const { topic, partition, offset } = letter.original;
  const origin = `${topic}, partition ${partition}, offset ${offset}`;
  const path = `api/dead-letters/${letter.source}/${letter.partition}/${letter.offset}/replay`;
  const payload = letter.payload === null ? 'no value' : letter.payload.text;
  const replay = h('button', { type: 'button', 'aria-label': `Replay the record of ${origin}` }, 'Replay');
  replay.addEventListener('click', () => doing(replay, message, async () => {
    const { status } = await post(path, {});
    return `The record of ${origin} is ${status}`;
  }));
  return h('li', {}, h('p', { className: 'reason' }, letter.reason ?? 'no reason was given'),
    h('p', { className: 'origin' }, `${origin}; put aside by the ${letter.source}`), h('pre', { tabIndex: 0, role: 'group', 'aria-label': `Payload of ${origin}` }, payload),
    letter.unlisted ? h('p', { className: 'origin' }, 'Kafka Connect puts nothing back: send the record anew.') : replay);
}

export function letters({ dead_letters: { newest, count: all, has_more: more } }) {
  const none = more ? 'None of the oldest waits to be put back; there are more.' : 'None waits to be put back.';
  text(count, all ? `The newest ${number(newest.length)} of ${number(all)}${more ? ' or more' : ''} that wait to be put back.` : none);
  list(letterList, newest, { key: ({ source, partition, offset }) => `${source}-${partition}-${offset}`, create: row });
}

import { attribute, h, list, milliseconds, number, text } from './dom.js';

const proofs = document.getElementById('proof');
const inFlight = document.getElementById('in-flight');

function row({ text: words }) {
  return h('li', {}, h('span', { className: 'mark' }), h('span', {}, words), h('span', { className: 'count' }), h('ul', { className: 'offenders' }));
}

function fill(element, { checked, violated, first }) {
  const [state, mark] = violated ? ['bad', 'violated'] : checked ? ['good', 'holds'] : ['open', 'not checked yet'];
  attribute(element, 'data-state', state);
  text(element.querySelector('.mark'), mark);
  text(element.querySelector('.count'), violated ? `${number(violated)} of ${number(checked)} violate it` : `${number(checked)} checked`);
  list(element.querySelector('.offenders'), first, { key: (fault) => fault, create: (fault) => h('li', {}, fault) });
}

export function proof({ proof: { lines, undecided, unwritten, oldest, unfollowed, unread } }) {
  list(proofs, lines, { key: ({ number }) => number, create: row, update: fill });
  const open = undecided + unwritten;
  let words = 'Nothing is on its way.';
  if (open) words = `On their way: ${number(undecided)} undecided, ${number(unwritten)} decided and not yet settled; the oldest for ${milliseconds(oldest)}.`;
  if (unfollowed) words += ` ${number(unfollowed)} came before the topics were read, or while too many were on their way, and were not followed.`;
  if (unread.length) words += ` Not to be read for now, and not checked: ${unread.join('; ')}.`;
  text(inFlight, words);
}

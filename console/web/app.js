import { attribute, milliseconds, number, perSecond, text } from './dom.js';
import { breaker } from './breaker.js';
import { flow } from './flow.js';
import { letters } from './letters.js';
import { orders } from './orders.js';
import { proof } from './proof.js';
import { race } from './race.js';
import { shop } from './shop.js';

/** An order that waits longer is worth a word. */
const LATE = 3_000;
const AGAIN_AFTER = 3_000;

const verdict = document.getElementById('verdict');
const figures = document.getElementById('figures');

/** As far as it is known. */
function rightness({ unfollowed, unread }, checked, violated) {
  if (violated) return ['bad', 'Wrong: an invariant is violated'];
  if (unfollowed || unread.length) return ['late', 'Right, as far as it was followed'];
  return checked ? ['good', 'Right'] : ['open', 'Nothing checked yet'];
}

/** Numbers change all the time: they are not in the sentence that screen readers announce. */
function judge(state) {
  const violated = state.proof.lines.reduce((sum, line) => sum + line.violated, 0);
  const checked = state.proof.lines.reduce((sum, line) => sum + line.checked, 0);
  const [right, said] = rightness(state.proof, checked, violated);
  const broken = [
    ...state.services.filter((service) => !['ready', 'degraded'].includes(service.state)).map(({ id }) => id),
    ...state.databases.filter((database) => !database.up).map(({ name }) => `the ${name} database`),
    ...(state.broker ? ['the broker'] : []),
  ];
  const late = state.proof.oldest > LATE;
  let words = said;
  if (broken.length > 0) words += `, but ${broken.join(', ')} ${broken.length > 1 ? 'are' : 'is'} not running`;
  else if (late) words += ', but behind';
  else if (right === 'good') words += ' and fast';
  attribute(verdict, 'data-state', right !== 'bad' && (broken.length || late) ? 'late' : right);
  text(verdict, words);
  const services = state.services.filter(({ kind }) => kind === 'order-service');
  const rate = services.reduce((sum, service) => sum + service.rate, 0);
  const p99 = Math.max(...services.map((service) => service.p99 ?? -1));
  const speed = p99 < 0 ? '' : `, 99 of 100 answered within ${milliseconds(p99)}`;
  text(figures, `${number(checked)} checks, ${violated === 1 ? '1 violation' : `${number(violated)} violations`}; ${perSecond(rate)} orders${speed}`);
}

const views = [judge, flow, shop, orders, proof, breaker, race, letters];

function connect() {
  const stream = new EventSource('api/stream');
  stream.addEventListener('state', ({ data }) => {
    const state = JSON.parse(data);
    for (const view of views) view(state);
  });
  stream.addEventListener('error', () => {
    attribute(verdict, 'data-state', 'bad');
    text(verdict, 'The console does not answer as it should; trying again …');
    // After any status but 200 the browser does not try again.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_AFTER);
  });
}

connect();

import { attribute, h, list, milliseconds, number, perSecond, text } from './dom.js';

/** Rates kept for a sparkline: a minute. */
const HISTORY = 120;
/** A reader this many seconds behind is lagging. */
const BEHIND = 2;
const SVG = 'http://www.w3.org/2000/svg';

const WORDS = { ready: 'running', up: 'up', degraded: 'degraded', unready: 'not ready', paused: 'paused', away: 'not running', lagging: 'lagging' };

const picture = document.getElementById('flow');
const edges = document.getElementById('edges');
const columns = ['orders', 'topics', 'readers', 'databases'].map((name) => document.getElementById(`flow-${name}`));
const histories = new Map();

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function box({ id, name }) {
  const line = svg('polyline', { fill: 'none', 'vector-effect': 'non-scaling-stroke' });
  const spark = svg('svg', { class: 'spark', viewBox: `0 0 ${HISTORY - 1} 20`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  spark.append(line);
  return h('li', { className: 'box', id: `box-${id}` },
    h('h3', {}, name), h('p', { className: 'state' }), h('p', { className: 'numbers' }), h('p', { className: 'note' }), spark);
}

function fill(element, { id, state, numbers, note, rate }) {
  attribute(element, 'data-state', state);
  text(element.querySelector('.state'), WORDS[state]);
  text(element.querySelector('.numbers'), numbers);
  text(element.querySelector('.note'), note);
  const history = histories.get(id) ?? histories.set(id, []).get(id);
  history.push(rate);
  if (history.length > HISTORY) history.shift();
  const top = Math.max(1, ...history);
  const points = history.map((value, at) => `${HISTORY - history.length + at},${19 - (18 * value) / top}`);
  element.querySelector('polyline').setAttribute('points', points.join(' '));
}

/** What has no metrics, as Kafka Connect, has neither rate nor latency. */
function speed({ rate, p50, p99 }) {
  if (rate === null) return [];
  return p50 === null ? [perSecond(rate)] : [perSecond(rate), `p50 ${milliseconds(p50)}`, `p99 ${milliseconds(p99)}`];
}

function service(service) {
  return { ...service, name: service.id, rate: service.rate ?? 0, numbers: speed(service).join(' · ') };
}

function reader(found, topics, together) {
  const lags = topics.flatMap((topic) => topic.readers).filter(({ reader }) => reader === found.kind);
  const lag = lags.reduce((sum, { lag }) => sum + lag, 0);
  const shown = service(found);
  const arriving = topics.filter(({ readers }) => readers.some(({ reader }) => reader === found.kind));
  const pace = together ?? arriving.reduce((sum, { rate }) => sum + rate, 0);
  const lagging = shown.state === 'ready' && lag > 100 && lag > BEHIND * pace;
  return { ...shown, state: lagging ? 'lagging' : shown.state, numbers: [`lag ${number(lag)}`, ...speed(found)].join(' · ') };
}

function topic(topic, broker) {
  return { id: topic.name, name: topic.name, state: broker ? 'away' : 'up', note: broker ?? '', rate: topic.rate,
    numbers: `${perSecond(topic.rate)} · ${number(topic.size)} records` };
}

function database({ name, up, note, latency }, rate) {
  const numbers = [...(rate === null ? [] : [perSecond(rate)]), milliseconds(latency)].join(' · ');
  return { id: `${name}-database`, name: `${name} database`, state: up ? 'up' : 'away', note, rate: rate ?? 0, numbers };
}

export function flow({ services, topics, databases, broker }) {
  const of = (wanted) => services.filter(({ kind }) => kind === wanted);
  /** Of all instances together; null if none tells. */
  const rate = (kind) => {
    const told = of(kind).map((each) => each.rate).filter((each) => each !== null);
    return told.length ? told.reduce((sum, each) => sum + each) : null;
  };
  const readers = [...of('catalog-service'), ...of('sink')];
  const boxes = [
    of('order-service').map(service),
    topics.map((each) => topic(each, broker)),
    readers.map((each) => reader(each, topics, rate(each.kind))),
    databases.map((each) => database(each, rate(each.name === 'catalog' ? 'catalog-service' : 'sink'))),
  ];
  columns.forEach((column, at) => list(column, boxes[at], { key: ({ id }) => id, create: box, update: fill }));
  connect(boxes.flat());
}

/** From, to, and whose rate goes along. */
function connections(boxes) {
  const of = (wanted) => boxes.filter(({ kind }) => kind === wanted).map(({ id }) => id);
  return [
    ...of('order-service').flatMap((id) => [[id, 'orders', id], [id, 'catalog_deltas', id]]),
    ...of('catalog-service').flatMap((id) => [
      ['catalog_deltas', id, id], [id, 'order_outcomes', 'order_outcomes'], [id, 'catalog-database', id],
    ]),
    ...of('sink').flatMap((id) => [['orders', id, id], ['order_outcomes', id, id], [id, 'orders-database', id]]),
  ];
}

function connect(boxes) {
  const rates = new Map(boxes.map(({ id, rate }) => [id, rate]));
  const frame = picture.getBoundingClientRect();
  const place = (id) => document.getElementById(`box-${id}`)?.getBoundingClientRect();
  const drawn = connections(boxes).flatMap(([from, to, by]) => {
    const [start, end] = [place(from), place(to)];
    if (!start || !end) return [];
    const forward = start.left < end.left;
    // What the catalog-service writes goes back to the topics, below what comes from there.
    const x1 = (forward ? start.right : start.left) - frame.left;
    const x2 = (forward ? end.left : end.right) - frame.left;
    const y1 = start.top + start.height * (forward ? 0.5 : 0.75) - frame.top;
    const y2 = end.top + end.height / 2 - frame.top;
    const middle = (x1 + x2) / 2;
    return [{ id: `${from}-${to}`, moving: rates.get(by) > 0, d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}` }];
  });
  list(edges, drawn, {
    key: ({ id }) => id,
    create: () => svg('path', {}),
    update: (path, { d, moving }) => {
      attribute(path, 'd', d);
      attribute(path, 'class', moving ? 'moving' : '');
    },
  });
}

import { attribute, doing, h, list, number, post, text } from './dom.js';

const section = document.getElementById('race');
const button = document.getElementById('begin-race');
const message = document.getElementById('race-message');
const table = document.getElementById('score');
const LINES = { acknowledged: 'Orders acknowledged', lost: 'Lost', doubled: 'Doubled', oversold: 'Units oversold', stock_wrong: 'Stock wrong by' };

button.addEventListener('click', () => doing(button, message, async () => {
  await post('api/races', {});
  return 'Running';
}));

function cell(element, line, value) {
  text(element, value === null ? '–' : number(value));
  attribute(element, 'data-state', line === 'acknowledged' || value === null ? 'open' : value === 0 ? 'good' : 'bad');
}

export function race({ breakable, race: score }) {
  section.hidden = !breakable;
  table.hidden = !score;
  if (!score) return;
  attribute(button, 'aria-disabled', String(score.running));
  text(message, score.step && (score.running ? `Running: ${score.step}` : score.step));
  text(table.caption, `${number(score.stock)} units were in stock.`);
  list(table.tBodies[0], Object.keys(LINES), {
    key: (line) => line,
    create: (line) => h('tr', {}, h('th', { scope: 'row' }, LINES[line]), h('td'), h('td')),
    update: (row, line) => {
      cell(row.cells[1], line, score.pair[line]);
      cell(row.cells[2], line, score.naive[line]);
    },
  });
}

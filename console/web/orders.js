import { attribute, doing, h, keepFocus, list, milliseconds, number, post, text } from './dom.js';

const latest = document.getElementById('orders');
const none = document.getElementById('no-orders');
const message = document.getElementById('shop-message');
const STEPS = ['committed', 'applied', 'visible'];
/** Longer journeys fill the bar. */
const SCALE = 1_000;

function row(order) {
  const cancel = h('button', { type: 'button', 'aria-label': `Cancel order ${order.id}` }, 'Cancel');
  cancel.addEventListener('click', () => doing(cancel, message, async () => {
    await post(`api/orders/${order.id}/cancel`, {});
    return `The cancellation of order ${order.id} is committed`;
  }));
  const steps = STEPS.map((step) => h('li', { className: step }, h('span', { className: 'bar', 'aria-hidden': 'true' }), h('span', { className: 'step' })));
  return h('li', {}, h('span', { className: 'what' }), h('span', { className: 'status' }), h('ol', { className: 'journey' }, ...steps), cancel);
}

function fill(element, order, names) {
  const accepted = new Date(order.accepted_at).toLocaleTimeString('en-GB');
  text(element.querySelector('.what'), `${accepted} · ${number(order.qty)} × ${names.get(order.product_id) ?? `product ${order.product_id}`}`);
  const status = element.querySelector('.status');
  text(status, order.reason ? `${order.status} (${order.reason})` : order.status);
  attribute(status, 'data-status', order.status);
  STEPS.forEach((step, at) => {
    const item = element.querySelector(`.${step}`);
    text(item.querySelector('.step'), `${step} ${milliseconds(order[step])}`);
    const begun = at === 0 ? 0 : order[STEPS[at - 1]] ?? 0;
    const share = order[step] === null ? 0 : Math.min(1, Math.max(0, order[step] - begun) / SCALE);
    item.querySelector('.bar').style.width = `${Math.max(share * 100, order[step] === null ? 0 : 2)}%`;
  });
  const cancel = element.querySelector('button');
  const over = ['REJECTED', 'CANCELLED'].includes(order.status);
  if (over) keepFocus(cancel, element);
  if (cancel.hidden !== over) cancel.hidden = over;
}

export function orders(state) {
  const names = new Map(state.products.map((product) => [product.product_id, product.name]));
  none.hidden = state.orders.length > 0;
  list(latest, state.orders, { key: ({ id }) => id, create: row, update: (element, order) => fill(element, order, names) });
}

import { attribute, doing, h, list, milliseconds, number, perSecond, post, text } from './dom.js';

const products = document.getElementById('products');
const none = document.getElementById('no-products');
const message = document.getElementById('shop-message');
const progress = document.getElementById('burst-progress');
const result = document.getElementById('burst-result');
const bursts = [...document.querySelectorAll('[data-burst]')];
const RESTOCK = 100;
const USER = 1;

const price = (minor) => (minor / 100).toFixed(2);

function row(product) {
  const quantity = h('input', { type: 'number', name: 'qty', min: 1, max: 10000, value: 1, required: true, 'aria-label': `Quantity of ${product.name}` });
  const order = h('button', { className: 'primary', 'aria-label': `Order ${product.name}` }, 'Order');
  const form = h('form', {}, quantity, order);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(order, message, async () => {
      const placed = await post('api/orders', { user_id: USER, product_id: product.product_id, qty: quantity.valueAsNumber, unit_price: product.unit_price });
      const reason = placed.reason ? ` (${placed.reason})` : '';
      return `Order of ${placed.qty} × ${product.name}: ${placed.status}${reason}`;
    });
  });
  const restock = h('button', { type: 'button', 'aria-label': `Restock ${RESTOCK} of ${product.name}` }, `+${RESTOCK}`);
  restock.addEventListener('click', () => doing(restock, message, async () => {
    await post(`api/products/${product.product_id}/restock`, { delta: RESTOCK });
    return `${RESTOCK} of ${product.name} came in`;
  }));
  return h('li', {}, h('span', { className: 'name' }, product.name), h('span', { className: 'price' }, price(product.unit_price)),
    h('span', { className: 'stock' }), form, restock);
}

for (const button of bursts) {
  button.addEventListener('click', () => doing(button, message, async () => {
    await post('api/bursts', { count: Number(button.dataset.burst) });
    return '';
  }));
}

function showBurst({ running, asked, acknowledged, repeated, refused, unknown, rate, p50, p99 }) {
  progress.value = asked ? (acknowledged + refused + unknown) / asked : 0;
  for (const button of bursts) attribute(button, 'aria-disabled', String(running));
  if (!asked) return;
  const parts = [`${number(acknowledged)} of ${number(asked)} acknowledged`, perSecond(rate), `${number(repeated)} sent again`];
  if (refused) parts.push(`${number(refused)} refused`);
  if (unknown) parts.push(`${number(unknown)} without an answer`);
  if (!running) parts.push(`p50 ${milliseconds(p50)}`, `p99 ${milliseconds(p99)}`);
  text(result, parts.join(' · '));
}

export function shop(state) {
  none.hidden = state.products.length > 0;
  list(products, state.products, {
    key: (product) => product.product_id,
    create: row,
    update: (element, product) => {
      const stock = element.querySelector('.stock');
      text(stock, product.qty > 0 ? `${number(product.qty)} in stock` : 'sold out');
      attribute(element, 'data-state', product.qty > 0 ? 'in' : 'out');
    },
  });
  showBurst(state.burst);
}

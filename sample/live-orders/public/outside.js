import { byId } from './dom.js';

const STATEMENTS = {
  insert: () => "INSERT INTO orders (customer, item, quantity, amount) VALUES ('You', 'Teapot', 2, 64);",
  update: (id) => `UPDATE orders SET status = 'on hold', quantity = quantity + 1 WHERE id = ${id};`,
  delete: (id) => `DELETE FROM orders WHERE id = ${id};`,
};

let exampleId = 1;

/** The examples name a row that is there. */
export function setExampleRow(id) {
  exampleId = id ?? exampleId;
  showStatement();
}

function showStatement() {
  const chosen = document.querySelector('input[name="statement"]:checked').value;
  byId('statement').textContent = STATEMENTS[chosen](exampleId);
}

export async function offerCopies() {
  for (const button of document.querySelectorAll('[data-copies]')) {
    button.addEventListener('click', () => copy(byId(button.dataset.copies), button));
  }
  document.querySelector('.tabs').addEventListener('change', showStatement);
  showStatement();
  const { psql } = await (await fetch('database')).json();
  byId('psql').textContent = psql;
}

async function copy(source, button) {
  // So that there is something to copy by hand where the browser refuses.
  getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Selected';
  }
  setTimeout(() => (button.textContent = 'Copy'), 1_600);
}

/**
 * Run one by one at every start. The second one fails where a table `orders` of another shape exists, before the third
 * one touches it.
 */
export const CREATE_TABLE = [
  `CREATE TABLE IF NOT EXISTS orders (
     id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     customer text NOT NULL,
     item text NOT NULL,
     quantity int NOT NULL DEFAULT 1,
     amount numeric(10, 2) NOT NULL,
     status text NOT NULL DEFAULT 'new',
     updated_at timestamptz NOT NULL DEFAULT now()
   )`,
  'SELECT id, customer, item, quantity, amount, status, updated_at FROM orders LIMIT 0',
  // Updates and deletes then carry the whole row as it was. The default carries its key, no more.
  'ALTER TABLE orders REPLICA IDENTITY FULL',
];

export const FIRST_ORDERS = `
  INSERT INTO orders (customer, item, quantity, amount, status) VALUES
    ('Grace Hopper', 'Desk lamp', 1, 64.00, 'delivered'),
    ('Alan Turing', 'Chess set', 1, 48.50, 'shipped'),
    ('Ada Lovelace', 'Notebook', 4, 31.60, 'packed'),
    ('Edsger Dijkstra', 'Fountain pen', 2, 118.00, 'paid'),
    ('Barbara Liskov', 'Espresso cups', 6, 54.00, 'new')`;

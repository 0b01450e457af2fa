/**
 * What the backlogs are made of. `fill` are statements, each a transaction unless it is a procedure that commits by itself;
 * `changes` of them come, `handled` of these belong to tables with a handler.
 */
const NARROW = 'id int PRIMARY KEY, customer int NOT NULL, amount numeric(10,2) NOT NULL, status text NOT NULL';
const NARROW_ROW = (id) => `${id}, ${id} % 1000, (${id} % 100000) / 100.0, 'placed'`;

/** Rows in transactions of `size`: a procedure, so that each transaction is not a round trip. */
const inTransactions = (row, size) => (changes) => [
  `DO $$ BEGIN
     FOR batch IN 0 .. ${Math.ceil(changes / size)} - 1 LOOP
       INSERT INTO orders SELECT ${row('n')} FROM generate_series(batch * ${size} + 1, least((batch + 1) * ${size}, ${changes})) n;
       COMMIT;
     END LOOP;
   END $$`,
];

const only = (columns) => [`CREATE TABLE orders (${columns})`];
const everyOne = (changes) => ({ changes, handled: changes, sum: (changes * (changes + 1)) / 2 });

const MIXED_TABLES = ['orders', 'customers', 'products', 'stock', 'visits'];
/** Ids in a transaction of the mixed shape: each is inserted, updated, and every second one deleted, in all five tables. */
const MIXED_IDS = 40;
const MIXED_CHANGES_PER_ID = 2.5;

export const SHAPES = {
  narrow: {
    title: 'narrow rows, 1,000 in a transaction',
    tables: only(NARROW),
    fill: inTransactions(NARROW_ROW, 1_000),
    count: everyOne,
  },
  single: {
    title: 'narrow rows, one in a transaction',
    tables: only(NARROW),
    fill: inTransactions(NARROW_ROW, 1),
    count: everyOne,
  },
  wide: {
    title: 'rows of 2 KB, 100 in a transaction',
    tables: [
      ...only('id int PRIMARY KEY, customer int NOT NULL, amount numeric(10,2) NOT NULL, status text NOT NULL'),
      // Kept as it is, in the row: nothing is compressed or read from elsewhere.
      'ALTER TABLE orders ALTER status SET STORAGE plain',
    ],
    fill: inTransactions(
      (id) => `${id}, ${id} % 1000, (${id} % 100000) / 100.0, rpad(${id}::text, 2000, 'wide row ')`,
      100,
    ),
    count: everyOne,
  },
  large: {
    title: 'narrow rows, all in one transaction',
    tables: only(NARROW),
    fill: (changes) => [`INSERT INTO orders SELECT ${NARROW_ROW('n')} FROM generate_series(1, ${changes}) n`],
    count: everyOne,
  },
  mixed: {
    title: 'inserts, updates and deletes over five tables, of which one is handled',
    tables: MIXED_TABLES.map((name) => `CREATE TABLE ${name} (${NARROW})`),
    fill: (changes) => [
      `DO $$ BEGIN
         FOR batch IN 0 .. ${mixedBatches(changes)} - 1 LOOP
           ${MIXED_TABLES.map(
             (name) => `
           INSERT INTO ${name} SELECT ${NARROW_ROW('n')} FROM generate_series(batch * ${MIXED_IDS} + 1, (batch + 1) * ${MIXED_IDS}) n;
           UPDATE ${name} SET status = 'paid' WHERE id > batch * ${MIXED_IDS};
           DELETE FROM ${name} WHERE id > batch * ${MIXED_IDS} AND id % 2 = 0;`,
           ).join('')}
           COMMIT;
         END LOOP;
       END $$`,
    ],
    count: (changes) => {
      const ids = mixedBatches(changes) * MIXED_IDS;
      const handled = ids * MIXED_CHANGES_PER_ID;
      const even = ids / 2;
      return { changes: handled * MIXED_TABLES.length, handled, sum: ids * (ids + 1) + even * (even + 1) };
    },
  },
};

function mixedBatches(changes) {
  return Math.max(1, Math.round(changes / (MIXED_IDS * MIXED_CHANGES_PER_ID * MIXED_TABLES.length)));
}

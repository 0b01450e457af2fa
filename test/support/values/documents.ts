import fc from 'fast-check';
import { text } from './texts.js';
import { values, type Values } from './values.js';

/** JSON, now and then with white space that jsonb does not keep. */
const json = fc
  .tuple(fc.json({ stringUnit: 'grapheme', maxDepth: 4 }), fc.constantFrom(0, 0, 2, '\t'))
  .map(([each, indent]) => (indent === 0 ? each : JSON.stringify(JSON.parse(each), null, indent)));
/** What can be stored: jsonb keeps text as text, which has no zero character. */
const jsonb = json.map((each) => each.replaceAll('\\u0000', '?'));

const JSONS = [
  'null',
  'true',
  '""',
  '"text"',
  '0',
  '-0',
  '-0.0',
  '1e400',
  '1e-400',
  '1.10',
  '123456789012345678901234567890.01',
  '{}',
  '[]',
  ' [1 , 2 ] ',
  '{"b" :  1, "a":2, "b": 3}',
  '{"":{"":[]}}',
  '{"__proto__":{"x":1},"constructor":null}',
  '{"10":1,"9":2,"b":3,"a":4}',
  '"\\u00e9\\ud83d\\ude00\\n\\"\\\\\\/"',
  '"ü🐘\u2028\u007f"',
  '[null,[null,{"a":null}]]',
  `${'['.repeat(500)}1${']'.repeat(500)}`,
  `{"long":"${'ö'.repeat(5_000)}"}`,
];

const member = fc.oneof(
  fc.constantFrom('[*]', '.*', '.**', '[0]', '[last]', '[1 to last]', '.size()', '.type()', '.a_b', '."b c"', '.größe'),
  fc.nat(1_000).map((each) => `[${each}]`),
  fc.string({ unit: 'grapheme', maxLength: 5 }).map((each) => `.${JSON.stringify(each).replaceAll('\\u0000', '?')}`),
  fc.nat(1_000).map((each) => ` ? (@.x > ${each} && exists (@.y) || @.z like_regex "^a\\\\d" flag "i")`),
);
const jsonpath = fc
  .tuple(fc.constantFrom('', 'strict '), fc.array(member, { maxLength: 5 }))
  .map(([mode, members]) => `${mode}$${members.join('')}`);

const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
const xmlText = text.map((each) =>
  each.replaceAll(NOT_XML, '').replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`),
);
const xml = fc
  .tuple(xmlText, fc.array(xmlText, { maxLength: 4 }), xmlText)
  .map(
    ([attribute, items, rest]) => `<r a="${attribute}">${items.map((each) => `<i>${each}</i>`).join(' ')}</r>${rest}`,
  );

const quoted = (word: string): string => `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
const word = text.map((each) => quoted(each === '' ? 'w' : each));
const position = fc
  .tuple(fc.integer({ min: 1, max: 16_383 }), fc.constantFrom('', 'A', 'B', 'C'))
  .map((each) => each.join(''));
const lexeme = fc
  .tuple(word, fc.array(position, { maxLength: 3 }))
  .map(([word, positions]) => (positions.length === 0 ? word : `${word}:${positions.join(',')}`));
const term = fc
  .tuple(fc.constantFrom('', '!'), word, fc.constantFrom('', ':*', ':AB', ':*C'))
  .map((each) => each.join(''));
const tsquery = fc
  .tuple(term, fc.array(fc.tuple(fc.constantFrom(' & ', ' | ', ' <-> ', ' <3> '), term), { maxLength: 4 }))
  .map(([first, rest]) => rest.reduce((query, [operator, next]) => `(${query})${operator}${next}`, first));

export const DOCUMENTS: Readonly<Record<string, Values>> = {
  json: values([...JSONS, '"\\u0000"', '"\\ud800"'], json),
  jsonb: values(JSONS, jsonb),
  jsonpath: values(['$', 'strict $.a[*] ? (@.price > 10.50)', '$."größer 🐘"[0 to last].size()', '-$.a + 1'], jsonpath),
  xml: values(
    [
      '',
      'only text',
      '<a/>',
      '<a b="c&amp;d">ü<!-- c --><![CDATA[x<y]]></a>',
      '<a/>\r\n<b>\t</b>',
      '<?xml version="1.0" encoding="UTF-8"?><r>é</r>',
      '<?xml version="1.0" standalone="yes"?><r/>',
    ],
    xml,
  ),
  tsvector: values(
    ['', "'a':1A 'fat':2B,4C 'cat':5D", "'it''s' 'back\\\\slash' ' '", "'größe':16383"],
    fc.array(lexeme, { maxLength: 5 }).map((each) => each.join(' ')),
  ),
  tsquery: values(['', "'fat' & ('rat' | 'cat') & !'dog'", "'super':*A <2> 'star'", "'it''s' & 'ö🐘'"], tsquery),
};

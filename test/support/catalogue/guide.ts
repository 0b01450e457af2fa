import type { FailureEntry, FailureFamily } from './entry.js';
import type { Reading } from './failure-site.js';

const INTRODUCTION = `# Troubleshooting

What can go wrong between an application and its PostgreSQL, with the text that you read then. Each of these is made to
happen on a real server by the tests, and this page is written from what came of it: \`npm run docs:troubleshooting\`.

An error of a boot is thrown by \`NestFactory.create()\` or \`app.init()\`. All are instances of \`PgListenerError\` and have a
stable \`code\`, a \`hint\` with the mend, and the error underneath as \`cause\`. Once the application runs, errors go to the
log, \`listener.status\` and \`listener.health()\`; what time can mend is tried again with growing delays, what only a person
can mend halts the app, and \`listener.start()\` starts it again. In both cases nothing is confirmed that was not handled.
`;

/** What differs from run to run or from machine to machine, as a reader's own would look. */
export function settled({ kind, text }: Reading): Reading {
  return {
    kind,
    text: text
      .replace(/127\.0\.0\.1:\d{4,5}/g, '127.0.0.1:5432')
      // A machine without a resolver says that it cannot tell now, one with a resolver that there is none.
      .replace('EAI_AGAIN', 'ENOTFOUND')
      .replace(/\bpid \d+/g, 'pid 4711')
      .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*\+\d\d/g, '2026-03-04 05:06:07+00')
      .replace(/\b[0-9A-F]+\/[0-9A-F]{5,8}\b/g, '0/1A2B3C8')
      .replace(/system identifier is \d+/g, 'system identifier is 7300000000000000000')
      .replace(/in \d+ ms/g, 'in 200 ms')
      .replace(/within \d+ ms/g, 'within 400 ms'),
  };
}

/** The page, of the readings by the titles of their entries. */
export function renderGuide(families: readonly FailureFamily[], readings: ReadonlyMap<string, Reading>): string {
  const parts = families.flatMap(({ title, entries }) => [
    `## ${title}\n`,
    ...entries.map((entry) => renderEntry(entry, readings.get(entry.title))),
  ]);
  return [INTRODUCTION, ...parts].join('\n');
}

function renderEntry({ title, about }: FailureEntry, reading: Reading | undefined): string {
  const { kind, text } = reading ?? { kind: 'never seen', text: '' };
  const end = about === '' ? '' : `\n${wrapped(about)}\n`;
  return `### ${title}\n\n${capitalised(kind)}:\n\n\`\`\`text\n${text}\n\`\`\`\n${end}`;
}

/** What a page says of each title, to hold against a new reading or to keep where there is none. */
export function parseGuide(page: string): Map<string, Reading> {
  const readings = new Map<string, Reading>();
  for (const [, title, kind, text] of page.matchAll(/^### (.+)\n\n(.+):\n\n```text\n([^]*?)\n```$/gm)) {
    readings.set(title!, { kind: kind!, text: text! });
  }
  return readings;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wrapped(text: string): string {
  const lines = [''];
  // Code stays together.
  for (const word of text.match(/(?:`[^`]*`|[^ `])+/g) ?? []) {
    const last = lines.at(-1)!;
    if (last.length + word.length >= 120) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join('\n');
}

/**
 * The TypeScript blocks of the README that are whole files, by the class of the module that each one ends with.
 *
 * @returns for example `{ AppModule: "import …", FeedModule: "import …" }`
 */
export function modulesOf(markdown) {
  const blocks = [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  const named = blocks.map((code) => [/export class (\w+Module) /.exec(code)?.[1], code]);
  return Object.fromEntries(named.filter(([name]) => name !== undefined));
}

/** Metrics as somebody who scrapes them reads them: the text format, version 0.0.4. */
export class Scrape {
  private readonly values = new Map<string, number>();
  /** By the name of the family. */
  readonly types = new Map<string, string>();

  /** @throws Error where it is not the text format, or a series stands twice */
  constructor(readonly text: string) {
    const helped = new Set<string>();
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
      if (comment !== null) {
        if (comment[1] === 'HELP') helped.add(comment[2]!);
        else this.types.set(comment[2]!, comment[3]!);
        continue;
      }
      const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (sample === null) throw new Error(`no sample: ${line}`);
      const [, name, labels = '', value] = sample as unknown as [string, string, string | undefined, string];
      const family = this.types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '');
      if (!this.types.has(family) || !helped.has(family)) throw new Error(`without HELP and TYPE: ${line}`);
      const key = keyOf(name, labelsOf(labels));
      if (this.values.has(key)) throw new Error(`twice: ${line}`);
      const parsed = value === '+Inf' ? Infinity : Number(value);
      if (Number.isNaN(parsed)) throw new Error(`no number: ${line}`);
      this.values.set(key, parsed);
    }
  }

  /** @returns undefined where there is no such series */
  value(name: string, labels: Record<string, string> = {}): number | undefined {
    return this.values.get(keyOf(name, { app: 'default', ...labels }));
  }

  /** All series whose name begins so, with their values. */
  series(prefix: string): [string, number][] {
    return [...this.values].filter(([key]) => key.startsWith(prefix));
  }
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  const rest = text.replaceAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g, (_, name: string, value: string) => {
    labels[name] = value;
    return '';
  });
  if (rest !== '') throw new Error(`no labels: ${text}`);
  return labels;
}

function keyOf(name: string, labels: Record<string, string>): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${sorted.map(([label, value]) => `${label}=${value}`).join(',')}}`;
}

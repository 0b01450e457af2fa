/** Rows in columns of one width, two blanks apart. What is styled is so after it was measured. */
export function textTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  style: (row: number, column: number, text: string) => string = (_row, _column, text) => text,
): string[] {
  const widths = head.map((title, column) => Math.max(...[title, ...rows.map((row) => row[column]!)].map(textWidth)));
  const line = (cells: readonly string[], row: number): string =>
    cells
      .map((cell, column) => style(row, column, cell) + ' '.repeat(widths[column]! - textWidth(cell)))
      .join('  ')
      .trimEnd();
  return [line(head, -1), ...rows.map(line)];
}

/** In characters; that some are wide on a terminal is let go. */
export function textWidth(text: string): number {
  let width = 0;
  for (const _ of text) width++;
  return width;
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** As `pg_size_pretty` has it. */
export function sizeText(bytes: number): string {
  let unit = 0;
  let size = bytes;
  while (size >= 10_240 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${Math.round(size)} ${UNITS[unit]}`;
}

/** `3 s`, `12 min`, `5 h`, `9 d`. */
export function durationText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

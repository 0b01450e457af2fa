/**
 * What one types to reach a database from outside. Without the password: psql asks for it, or reads ~/.pgpass.
 *
 * @param variable that holds the URL
 */
export function psqlLine(url: string, variable: string): string {
  if (!URL.canParse(url)) return `psql "$${variable}"`;
  const shown = new URL(url);
  shown.password = '';
  shown.searchParams.delete('password');
  return `psql ${quoted(shown.href)}`;
}

/** A shell reads `?` and `&` as its own. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

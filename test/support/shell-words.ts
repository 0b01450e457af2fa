/**
 * The commands of a block of shell, in its order: comments, `&&`, quotes and backslashes at the end of a line are understood, and no
 * more, so that a guide stays with what anybody's shell does.
 *
 * @returns for example `[['npm', 'ci'], ['npm', 'start']]`
 */
export function commandsOf(code: string): string[][] {
  return code
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap(commandsOfLine)
    .filter((words) => words.length > 0);
}

function commandsOfLine(line: string): string[][] {
  const commands: string[][] = [[]];
  for (const [token, double, single, plain] of line.matchAll(/"([^"]*)"|'([^']*)'|(#.*$|[^\s"']+)/g)) {
    if (plain?.startsWith('#')) break;
    if (token === '&&') commands.push([]);
    else commands.at(-1)!.push(double ?? single ?? plain!);
  }
  return commands;
}

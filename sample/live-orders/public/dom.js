export function byId(id) {
  return document.getElementById(id);
}

export function fromTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/** A value of a row as text. Everything reaches the page as text: a row may hold markup. */
export function shown(column, value) {
  if (value === null) return 'null';
  if (column === 'updated_at') return timeOf(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Fills an element with a value, the value before beside it where there is one: `undefined` means there is none. */
export function setValue(element, column, value, before) {
  const now = shown(column, value);
  // What is cut off on a small screen can be read there.
  element.title = before === undefined ? now : `${shown(column, before)} → ${now}`;
  if (before === undefined) return element.replaceChildren(now);
  const old = document.createElement('del');
  const fresh = document.createElement('ins');
  old.textContent = shown(column, before);
  fresh.textContent = now;
  element.replaceChildren(old, ' ', fresh);
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
});

export function timeOf(timestamp) {
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? String(timestamp) : CLOCK.format(date);
}

import { byId } from './dom.js';

const TOAST_MS = 5_000;
let timer;

/** Asks the server to run SQL. Nothing is drawn from the answer, unless it is a refusal. */
export async function send(method, path) {
  try {
    const response = await fetch(path, { method });
    if (!response.ok) toast((await response.json()).message ?? `HTTP ${response.status}`);
  } catch {
    toast('The application does not answer.');
  }
}

function toast(text) {
  byId('toast').textContent = text;
  byId('toast').hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (byId('toast').hidden = true), TOAST_MS);
}

const QUICK = { duration: 280, easing: 'cubic-bezier(0.2, 0, 0, 1)' };
const reduced = matchMedia('(prefers-reduced-motion: reduce)');

/** Runs a change of the list; children that it moved glide from where they were, as far as they can be seen. */
export function keepingPlaces(list, change) {
  if (reduced.matches || document.hidden) return change();
  const before = new Map();
  for (const each of list.children) {
    const { top, bottom } = each.getBoundingClientRect();
    if (top > innerHeight) break;
    if (bottom > 0) before.set(each, top);
  }
  change();
  const shifts = [...before]
    .filter(([each]) => each.isConnected)
    .map(([each, top]) => [each, top - each.getBoundingClientRect().top]);
  for (const [each, shift] of shifts) {
    if (Math.abs(shift) > 1) each.animate({ transform: [`translateY(${shift}px)`, 'none'] }, QUICK);
  }
}

export function arrive(element) {
  if (!reduced.matches) element.animate({ opacity: [0, 1], transform: ['translateY(-8px)', 'none'] }, QUICK);
}

export async function leave(element, list) {
  if (!reduced.matches && !document.hidden)
    await element.animate({ opacity: [1, 0] }, { ...QUICK, fill: 'forwards' }).finished;
  keepingPlaces(list, () => element.remove());
}

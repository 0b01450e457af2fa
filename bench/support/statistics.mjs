/** Middle value; the mean of the two middle ones where their number is even. NaN of nothing. */
export function median(values) {
  return quantile(values, 0.5);
}

/** Linear between neighbours. @param share 0 to 1 */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** Nobody always comes first, or behind the same one. */
export function rotated(list, by) {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/**
 * Median of what two consumers reached in the same rounds, each pair divided: what slows a whole round down touches both
 * sides of its quotient.
 */
export function pairedRatio(ours, theirs) {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} rounds cannot be paired with ${theirs.length}`);
  return median(ours.map((value, round) => value / theirs[round]));
}

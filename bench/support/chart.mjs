const [WIDTH, LABELS, BAR, GAP, TOP] = [760, 250, 22, 8, 46];
/** Room behind the longest bar for its figure. */
const FIGURES = 90;

/** Horizontal bars, in light and dark. @param rows label and value, in order */
export function barChart(title, rows) {
  const most = Math.max(...rows.map(([, value]) => value));
  const height = TOP + rows.length * (BAR + GAP) + GAP;
  const bars = rows.map(([label, value], index) => {
    const y = TOP + index * (BAR + GAP);
    const length = ((WIDTH - LABELS - FIGURES) * value) / most;
    const kind = label.startsWith('ours') ? 'ours' : label === 'wire limit' ? 'limit' : 'other';
    return [
      `<text x="${LABELS - 10}" y="${y + 16}" text-anchor="end">${escape(label)}</text>`,
      `<rect class="${kind}" x="${LABELS}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" rx="3"/>`,
      `<text x="${(LABELS + length + 8).toFixed(1)}" y="${y + 16}">${Math.round(value).toLocaleString('en-US')}</text>`,
    ].join('');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.ours { fill: #0969da } .limit { fill: #8c959f } .other { fill: #bf8700 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #4493f8 } .limit { fill: #6e7681 } .other { fill: #d29922 } }
</style>
<text class="title" x="12" y="24">${escape(title)}</text>
${bars.join('\n')}
</svg>
`;
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

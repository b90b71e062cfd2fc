// Checks the contrast of every pair of colours that carries text (WCAG 2.2 §1.4.3: 4.5 to 1).

import { readFileSync } from 'node:fs';

const css = readFileSync(new URL('../src/styles/tokens.css', import.meta.url), 'utf8');
const pairs = [
  ...['text', 'muted', 'accent', 'danger'].flatMap((text) => ['bg', 'surface'].map((on) => [text, on])),
  ['text', 'sunken'],
  ['muted', 'sunken'],
  ['on-accent', 'accent'],
  ['on-accent', 'accent-hover'],
  ['on-danger', 'danger'],
  ['on-danger', 'danger-hover'],
  ...['text', 'muted'].map((text) => [text, 'accent-soft']),
  ...['danger', 'warn', 'good'].flatMap((kind) => [
    [kind, `${kind}-soft`],
    ['text', `${kind}-soft`],
  ]),
];

const luminance = (hex) => {
  const [red, green, blue] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

const themes = [...css.matchAll(/:root([^{]*)\{([^}]*)\}/g)].map(([, name, body]) => ({
  name: name.includes('dark') ? 'dark' : 'light',
  colours: Object.fromEntries([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map(([, key, hex]) => [key, hex])),
}));

let failed = 0;
for (const { name, colours } of themes) {
  for (const [text, on] of pairs) {
    const [a, b] = [luminance(colours[text]), luminance(colours[on])].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) {
      failed += 1;
      console.error(`${name}: ${text} on ${on} has ${ratio.toFixed(2)} to 1`);
    }
  }
}
console.log(`contrast: ${themes.length} themes, ${pairs.length} pairs each, ${failed} below 4.5 to 1`);
process.exit(failed === 0 && themes.length === 2 ? 0 : 1);

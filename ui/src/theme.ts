// Light or dark by one attribute.

import type { Theme } from './ipc/port';

const dark = matchMedia('(prefers-color-scheme: dark)');
let chosen: Theme = 'system';

function paint() {
  document.documentElement.dataset.theme = chosen === 'system' ? (dark.matches ? 'dark' : 'light') : chosen;
}

dark.addEventListener('change', paint);
paint();

/** Follows the user's choice, or the desktop's. */
export function follow(theme: Theme) {
  chosen = theme;
  paint();
}

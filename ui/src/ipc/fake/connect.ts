// The port of pictures: a state picked by the address, `?state=apps&theme=dark`.

import type { Snapshot } from '../port';
import { fake } from './port';
import { states } from './states';

const query = new URLSearchParams(location.search);
const named = query.get('state') as keyof typeof states | null;
const snapshot: Snapshot = (named && states[named]) ?? states.empty;
const theme = query.get('theme') === 'dark' ? 'dark' : 'light';

export const port = fake({ ...snapshot, settings: { ...snapshot.settings, theme } });

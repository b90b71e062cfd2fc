import { cleanup, fireEvent, render } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { fake } from '../ipc/fake/port';
import { states } from '../ipc/fake/states';
import { WalletState } from '../state/wallet.svelte';
import Spaces from './Spaces.svelte';

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

describe('a space that is opened', () => {
  it('is said to be on screen until it is left, and not while the window is hidden', async () => {
    const port = fake(states.apps);
    const looks = () => port.calls.filter(([called]) => called === 'lookAtSpace').map(([, id]) => id);
    const screen = render(Spaces, { wallet: new WalletState(port), snapshot: states.apps });
    const [space] = await screen.findAllByTestId('space');
    expect(looks()).toEqual([]);
    await fireEvent.click(space as HTMLElement);
    const id = looks()[0];
    expect(id).toMatch(/^B/);
    expect(looks()).toEqual([id]);

    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
    await fireEvent(document, new Event('visibilitychange'));
    hidden.mockReturnValue(false);
    await fireEvent(document, new Event('visibilitychange'));
    expect(looks()).toEqual([id, null, id]);

    await fireEvent.click(screen.getByTestId('space-back'));
    expect(looks()).toEqual([id, null, id, null]);
    await fireEvent(document, new Event('visibilitychange'));
    expect(looks()).toHaveLength(4);
  });

  it('is on screen in the end, however long the wallet takes to hear of the one before', async () => {
    const port = fake(states.apps);
    const said: (string | null)[] = [];
    const heard: (() => void)[] = [];
    port.lookAtSpace = (space) => (said.push(space), new Promise((resolve) => heard.push(resolve)));
    const wallet = new WalletState(port);
    const leave = wallet.looksAt('A');
    leave();
    const leaveAgain = wallet.looksAt('B');
    expect(said, 'nothing that could overtake it').toEqual(['A']);
    heard.shift()?.();
    await vi.waitFor(() => expect(said).toEqual(['A', 'B']));
    leaveAgain();
    heard.shift()?.();
    await vi.waitFor(() => expect(said).toEqual(['A', 'B', null]));
  });

  it('is said to be on screen also after the wallet would not hear of another', async () => {
    const port = fake(states.apps);
    const said: (string | null)[] = [];
    port.lookAtSpace = (space) => (said.push(space), Promise.reject(new Error('locked')));
    const wallet = new WalletState(port);
    wallet.looksAt('A')();
    wallet.looksAt('B');
    await vi.waitFor(() => expect(said).toEqual(['A', 'B']));
  });
});

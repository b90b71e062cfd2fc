import { cleanup, fireEvent, render } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { fake } from '../ipc/fake/port';
import { states } from '../ipc/fake/states';
import type { Snapshot } from '../ipc/port';
import { WalletState } from '../state/wallet.svelte';
import Prompt from './Prompt.svelte';

function show(snapshot: Snapshot) {
  vi.useFakeTimers();
  const port = fake(snapshot);
  const [request] = snapshot.requests;
  if (!request) throw new Error('this state has no request');
  const screen = render(Prompt, { wallet: new WalletState(port), request, waiting: 0 });
  return { port, screen, said: (name: string) => port.calls.filter(([called]) => called === name) };
}

const button = (screen: { getByTestId(id: string): HTMLElement }, id: string) => screen.getByTestId(id) as HTMLButtonElement;

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe('the prompt', () => {
  it('is named by who asks, and has the focus on its heading', async () => {
    const { screen } = show(states['prompt-compare']);
    await vi.advanceTimersByTimeAsync(0);
    const dialog = screen.getByRole('alertdialog');
    const heading = screen.getByTestId('approval-heading');
    expect(dialog.getAttribute('aria-labelledby')).toBe(heading.id);
    expect(heading.textContent).toContain('fieldnotes.example');
    expect(document.activeElement).toBe(heading);
  });

  it('cannot be answered in its first half second, nor in the half second after a move', async () => {
    const { screen } = show(states['prompt-compare']);
    await vi.advanceTimersByTimeAsync(499);
    expect(button(screen, 'approve-allow').disabled).toBe(true);
    await fireEvent(window, new Event('resize'));
    await vi.advanceTimersByTimeAsync(499);
    expect(button(screen, 'approve-allow').disabled).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(button(screen, 'approve-allow').disabled).toBe(false);
  });

  it('is denied by Escape, and Enter does nothing', async () => {
    const { said } = show(states['prompt-compare']);
    await vi.advanceTimersByTimeAsync(600);
    await fireEvent.keyDown(window, { key: 'Enter' });
    expect(said('approve')).toEqual([]);
    await fireEvent.keyDown(window, { key: 'Escape' });
    expect(said('deny')).toEqual([['deny', 'request-1']]);
  });

  it('waits for the words, and takes none of them for a no', async () => {
    const { screen, said } = show(states['prompt-words']);
    await vi.advanceTimersByTimeAsync(600);
    expect(button(screen, 'approve-allow').disabled).toBe(true);
    await fireEvent.click(screen.getByTestId('word-none'));
    await fireEvent.click(button(screen, 'approve-allow'));
    expect(said('approve')).toEqual([]);
    expect(said('deny')).toHaveLength(1);
  });

  it('sends the words picked, the fields left ticked, and an alias unless told otherwise', async () => {
    const { screen, said } = show(states['prompt-words']);
    await vi.advanceTimersByTimeAsync(600);
    const [first] = screen.getAllByTestId('word-choice');
    if (first) await fireEvent.click(first);
    await fireEvent.click(screen.getByTestId('approval-field-picture'));
    await fireEvent.click(button(screen, 'approve-allow'));
    const approval = { words: ['amber', 'canoe', 'violin'], scopes: null, fields: ['name'], identity: false, spaces: [] };
    expect(said('approve')).toEqual([['approve', 'request-1', approval]]);
  });

  it('shares no space of the user unless it is ticked', async () => {
    const { screen, said } = show(states['prompt-spaces']);
    await vi.advanceTimersByTimeAsync(600);
    const [garden, household] = screen.getAllByTestId('approval-space') as HTMLInputElement[];
    expect([garden?.checked, household?.checked]).toEqual([false, false]);
    if (household) await fireEvent.click(household);
    await fireEvent.click(button(screen, 'approve-allow'));
    expect(said('approve')[0]?.[2]).toMatchObject({ spaces: ['BHOUSEHOLDHOUSEHOLDHOUSEHOLDHOU22'] });
  });

  it('shows only the difference to an app that is known', () => {
    const { screen } = show(states['prompt-identity']);
    expect(screen.getByTestId('approval-heading').textContent).toContain('asks for more');
    expect(screen.queryByText('know you again when you come back')).toBeNull();
  });
});

import { cleanup, fireEvent, render } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { fake } from '../ipc/fake/port';
import { PHONE, states } from '../ipc/fake/states';
import type { Snapshot } from '../ipc/port';
import AddAsking from '../screens/AddAsking.svelte';
import AddDevice from '../screens/AddDevice.svelte';
import Devices from '../screens/Devices.svelte';
import Join from '../screens/Join.svelte';
import Main from '../screens/Main.svelte';
import { WalletState } from '../state/wallet.svelte';

const onback = vi.fn();

function port(snapshot: Snapshot) {
  const made = fake(snapshot);
  return { made, wallet: new WalletState(made), said: (name: string) => made.calls.filter(([called]) => called === name) };
}

const button = (screen: { getByTestId(id: string): HTMLElement }, id: string) => screen.getByTestId(id) as HTMLButtonElement;

async function type(field: HTMLElement, value: string) {
  await fireEvent.input(field, { target: { value } });
}

afterEach(() => {
  cleanup();
  onback.mockClear();
});

describe('adding a device', () => {
  it('shows a code, and never digits', async () => {
    const { wallet, said } = port(states['invite-code']);
    const screen = render(AddDevice, { wallet, snapshot: states['invite-code'], onback });
    await vi.waitFor(() => expect(said('drawCode')).toHaveLength(1));
    expect(screen.getByTestId('code').textContent).toContain(states['invite-code'].invitations[0]?.url);
    expect(screen.queryByTestId('digits')).toBeNull();
    expect(screen.queryByTestId('digits-field')).toBeNull();
  });

  it('makes a code only where none can be used', async () => {
    const open = port(states['invite-code']);
    render(AddDevice, { wallet: open.wallet, snapshot: states['invite-code'], onback });
    const over = port(states['invite-burnt']);
    render(AddDevice, { wallet: over.wallet, snapshot: states['invite-burnt'], onback });
    await vi.waitFor(() => expect(over.said('inviteDevice')).toHaveLength(1));
    expect(open.said('inviteDevice')).toEqual([]);
  });

  // threat: 24
  it('asks for the digits of the device that is there, and sends exactly six', async () => {
    const { wallet, said } = port(states['invite-digits']);
    const screen = render(AddDevice, { wallet, snapshot: states['invite-digits'], onback });
    const field = await screen.findByTestId('digits-field');
    expect(screen.queryByTestId('code')).toBeNull();
    expect(screen.getByTestId('invitation-said').textContent).toContain('“Kitchen” (Linux)');
    await type(field, '493 02');
    expect(button(screen, 'digits-submit').disabled).toBe(true);
    await type(field, '493-021 9');
    await fireEvent.click(button(screen, 'digits-submit'));
    expect(said('enterDigits')).toEqual([['enterDigits', 'invitation-1', '493021']]);
  });

  it('says what wrong digits mean, and offers a new code', async () => {
    const { wallet } = port(states['invite-burnt']);
    const screen = render(Devices, { wallet, snapshot: states['invite-burnt'] });
    await fireEvent.click(screen.getByTestId('devices-add'));
    expect((await screen.findByTestId('invitation')).textContent).toContain('Nobody was let in');
    expect(screen.getByTestId('invitation-again')).toBeTruthy();
  });
});

describe('a device that shows its own code', () => {
  // threat: 25
  it('is added only past a warning, with the passphrase', async () => {
    const snapshot = { ...states['invite-code'], passphrase: true };
    const { wallet, said } = port(snapshot);
    const screen = render(AddAsking, { wallet, snapshot, onback });
    expect(screen.queryByTestId('reader-link')).toBeNull();
    expect(button(screen, 'asking-go-on').disabled).toBe(true);
    await fireEvent.click(screen.getByTestId('asking-understood'));
    await fireEvent.click(button(screen, 'asking-go-on'));
    await type(screen.getByTestId('reader-link'), 'halo-newcomer:AQID');
    await fireEvent.click(button(screen, 'reader-submit'));
    expect(button(screen, 'asking-begin').disabled).toBe(true);
    await type(screen.getByTestId('asking-passphrase'), 'four random words here');
    await fireEvent.click(button(screen, 'asking-begin'));
    expect(said('addAskingDevice')).toEqual([['addAskingDevice', 'halo-newcomer:AQID', 'four random words here']]);
  });
});

describe('joining', () => {
  it('takes a link, a name and a protection', async () => {
    const { wallet, said } = port(states.empty);
    const screen = render(Join, { wallet, snapshot: states.empty, onback });
    await type(screen.getByTestId('reader-link'), ' halo://join/AQID ');
    await fireEvent.click(button(screen, 'reader-submit'));
    await vi.waitFor(() => expect((screen.getByTestId('join-label') as HTMLInputElement).value).toBe('ada-laptop'));
    await fireEvent.click(button(screen, 'join-submit'));
    expect(said('joinDevice')).toEqual([['joinDevice', { label: 'ada-laptop', keychain: 'os', url: 'halo://join/AQID' }]]);
  });

  it('reads a picture that was chosen, and says so when there is no code in it', async () => {
    const { wallet, made } = port(states.empty);
    const screen = render(Join, { wallet, snapshot: states.empty, onback });
    made.readCode = () => Promise.resolve(null);
    const file = new File([new Uint8Array([1, 2, 3])], 'code.png', { type: 'image/png' });
    await fireEvent.change(screen.getByTestId('reader-file'), { target: { files: [file] } });
    await screen.findByText('There is no code in this picture.');
    made.readCode = () => Promise.resolve('halo://join/AQID');
    await fireEvent.change(screen.getByTestId('reader-file'), { target: { files: [file] } });
    await screen.findByTestId('join-label');
  });

  // threat: 30
  it('does nothing with a link until the user says so', async () => {
    const { wallet, made, said } = port(states.empty);
    let navigate: ((to: { to: string; code?: string }) => void) | undefined;
    made.onNavigate = (hear) => ((navigate = hear), Promise.resolve());
    const screen = render(Main, { wallet });
    await screen.findByTestId('welcome-create');
    navigate?.({ to: 'join', code: 'halo://join/AQID' });
    await screen.findByTestId('join-submit');
    expect(said('joinDevice')).toEqual([]);
  });

  // threat: 25
  it('is not for a computer that has an identity', async () => {
    const { wallet, made, said } = port(states.identity);
    let navigate: ((to: { to: string; code?: string }) => void) | undefined;
    made.onNavigate = (hear) => ((navigate = hear), Promise.resolve());
    const screen = render(Main, { wallet });
    await screen.findByTestId('nav-identity');
    navigate?.({ to: 'join', code: 'halo://join/AQID' });
    await screen.findByTestId('foreign-back');
    expect([...said('joinDevice'), ...said('addAskingDevice')]).toEqual([]);
  });

  it('shows the digits large, and lets them be read out one by one', () => {
    const { wallet } = port(states['join-digits']);
    const screen = render(Join, { wallet, snapshot: states['join-digits'], onback });
    expect(screen.getByTestId('digits').textContent).toContain('4, 9, 3, 0, 2, 1');
  });

  it('goes on by itself while the user does', () => {
    const { wallet } = port(states['join-progress']);
    const screen = render(Join, { wallet, snapshot: states['join-progress'], onback });
    expect(screen.getByRole('progressbar').getAttribute('value')).toBe('61200');
    expect(screen.getByTestId('join-done').textContent).toContain('Go on meanwhile');
  });
});

describe('devices', () => {
  // threat: 25, 29
  it('that are new are shown on every screen, and undone by one press', async () => {
    const { wallet, said } = port(states['devices-new']);
    const screen = render(Main, { wallet });
    await screen.findByTestId('identity-name');
    await fireEvent.click(await screen.findByTestId('new-device-undo'));
    expect(said('undoDevice')).toHaveLength(1);
  });

  it('are removed after a warning, and what a stolen one knew is shown then', async () => {
    const { wallet, said } = port(states.devices);
    const screen = render(Devices, { wallet, snapshot: states.devices });
    const [, desk] = screen.getAllByTestId('device-remove');
    if (desk) await fireEvent.click(desk);
    await fireEvent.click(await screen.findByTestId('device-remove-confirm'));
    expect(said('revokeDevice')).toHaveLength(1);
    await fireEvent.click(await screen.findByTestId('alias-move'));
    expect(said('freshAlias')).toEqual([['freshAlias', 'https://notes.example']]);
    expect(screen.queryByTestId('alias-move')).toBeNull();
  });

  it('warn when the last one would go', async () => {
    const { wallet } = port(states['devices-one']);
    const screen = render(Devices, { wallet, snapshot: states['devices-one'] });
    await fireEvent.click(screen.getByTestId('device-remove'));
    await screen.findByText('This is your last device');
  });
});

describe('a device that a new one added', () => {
  const inList = (screen: { getByTestId(id: string): HTMLElement }, id: string) => screen.getByTestId(id).textContent.replace(/\s+/g, ' ');

  // threat: 29
  it('is named with who added it, and let in only after a warning, with the passphrase', async () => {
    const snapshot = states['devices-refused'];
    const { wallet, said } = port(snapshot);
    const screen = render(Devices, { wallet, snapshot });
    expect(inList(screen, 'refused')).toContain('“Ada’s old laptop”, which was added 2 hours ago, added “Laptop X” (Linux) an hour ago. You have not agreed');
    expect(screen.queryByTestId('refused-removes')).toBeNull();
    await fireEvent.click(screen.getByTestId('refused-agree'));
    expect(said('agreeDevice')).toEqual([]);
    await type(await screen.findByTestId('refused-passphrase'), 'four random words here');
    await fireEvent.click(screen.getByTestId('refused-agree-confirm'));
    expect(said('agreeDevice')).toEqual([['agreeDevice', snapshot.refused[0], 'four random words here']]);
  });

  // threat: 29
  it('comes with whom it brings and puts out, and the answer is to what was shown', async () => {
    const [before, after] = [states['devices-refused-two'], states['devices-refused']];
    const { wallet, said, made } = port(before);
    const screen = render(Devices, { wallet, snapshot: before });
    await fireEvent.click(screen.getByTestId('refused-agree'));
    await screen.findByTestId('refused-brings');
    expect(inList(screen, 'refused-brings')).toBe('“Watch” (Android) becomes yours as well.');
    expect(inList(screen, 'refused-puts-out')).toBe('“Desk at work” is put out of everything.');
    // Something comes to light while the user reads.
    await screen.rerender({ wallet, snapshot: after });
    expect(inList(screen, 'refused-brings')).toContain('“Watch”');
    made.agreeDevice = (shown) => (made.calls.push(['agreeDevice', shown]), Promise.reject({ code: 'wallet.changed', message: 'agreeing would do something else' }));
    await fireEvent.click(screen.getByTestId('refused-agree-confirm'));
    expect(said('agreeDevice')).toEqual([['agreeDevice', before.refused[0]]]);
    expect((await screen.findByRole('alert')).textContent).toContain('Nothing was done');
    await fireEvent.click(screen.getByText('Cancel'));
    await fireEvent.click(screen.getByTestId('refused-agree'));
    expect(screen.queryByTestId('refused-brings')).toBeNull();
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('goes with the one that added it', async () => {
    const snapshot = states['devices-refused'];
    const { wallet, said } = port(snapshot);
    const screen = render(Devices, { wallet, snapshot });
    await fireEvent.click(screen.getByTestId('refused-remove'));
    await fireEvent.click(await screen.findByTestId('device-remove-confirm'));
    expect(said('revokeDevice').map(([, key]) => key)).toEqual([PHONE]);
    expect(said('agreeDevice')).toEqual([]);
  });

  it('keeps its question open where agreeing failed, and says why', async () => {
    const snapshot = states['devices-refused'];
    const { wallet, made } = port(snapshot);
    made.agreeDevice = () => Promise.reject({ code: 'keystore.wrong_passphrase', message: 'the passphrase is wrong' });
    const screen = render(Devices, { wallet, snapshot });
    await fireEvent.click(screen.getByTestId('refused-agree'));
    await fireEvent.click(await screen.findByTestId('refused-agree-confirm'));
    const alert = await screen.findByRole('alert');
    expect(alert.closest('[role=alertdialog]')).not.toBeNull();
    expect(alert.textContent).toContain('passphrase');
  });

  it('is agreed with elsewhere where this computer cannot', () => {
    const snapshot = states['devices-refused-new'];
    const { wallet } = port(snapshot);
    const screen = render(Devices, { wallet, snapshot });
    expect(screen.queryByTestId('refused-agree')).toBeNull();
    expect(inList(screen, 'refused')).toContain('agree on another device: this computer is new itself');
    expect(screen.getByTestId('refused-remove')).toBeTruthy();
  });

  // threat: 29
  it('pauses whom it removed, and both say what to do', async () => {
    const snapshot = states['devices-paused'];
    const { wallet } = port(snapshot);
    const screen = render(Devices, { wallet, snapshot });
    expect(inList(screen, 'device-paused')).toContain('“Laptop X”, which you have not agreed to, says that this one was removed');
    expect(inList(screen, 'refused-removes')).toContain('“Laptop X” says that “Desk at work” was removed. Until you decide, this computer does not speak with “Desk at work”.');
    expect(screen.queryByTestId('refused-everywhere')).toBeNull();
    await fireEvent.click(screen.getByTestId('refused-agree'));
    await screen.findByText('“Desk at work” is put out of everything.');
  });

  // threat: 29
  it('that pauses all names the one thing to do, on each of them', () => {
    const snapshot = states['devices-all-paused'];
    const { wallet } = port(snapshot);
    const screen = render(Devices, { wallet, snapshot });
    expect(inList(screen, 'refused-removes')).toContain('“Desk at work” and this computer were removed');
    expect(inList(screen, 'refused-everywhere')).toContain('remove “Ada’s old laptop” here and on each of your other devices');
    expect(screen.queryByTestId('refused-agree')).toBeNull();
    expect(screen.getByTestId('refused-remove').textContent).toContain('Remove “Ada’s old laptop”');
  });

  it('is spoken of on every screen while the one that added it is new', async () => {
    const { wallet } = port(states['devices-refused']);
    const screen = render(Main, { wallet });
    expect((await screen.findByTestId('new-device')).textContent).toContain('It added “Laptop X”, which is not let in');
  });
});

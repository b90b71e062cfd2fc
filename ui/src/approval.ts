import './styles/base.css';

import { mount } from 'svelte';

import { port } from './ipc/connect';

import Approval from './approval/Window.svelte';
import { WalletState } from './state/wallet.svelte';

const target = document.getElementById('app');
if (target) mount(Approval, { target, props: { wallet: new WalletState(port) } });

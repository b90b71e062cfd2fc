import './styles/base.css';

import { mount } from 'svelte';

import { port } from './ipc/connect';

import Main from './screens/Main.svelte';
import { WalletState } from './state/wallet.svelte';

const target = document.getElementById('app');
if (target) mount(Main, { target, props: { wallet: new WalletState(port) } });

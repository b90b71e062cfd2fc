// Which port the window uses. Pictures are taken over another one; see vite.config.ts.

export { tauri as port } from './tauri';

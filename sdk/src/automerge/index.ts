/**
 * Automerge Repo, with a HALO space as its peer: documents are kept by the wallet, and follow the user.
 *
 * @example
 * const repo = new Repo({ network: [new HaloNetworkAdapter(session, space)] });
 * const handle = repo.create({ title: "Hello" });
 */

import { NetworkAdapter, type DocumentId, type Message, type PeerId, type PeerMetadata } from "@automerge/automerge-repo/slim";

import type { Watching } from "../core/data.js";
import type { Session } from "../core/session.js";
import type { Space } from "../core/spaces.js";

/** Speaks for the wallet in a stock `Repo`. */
export class HaloNetworkAdapter extends NetworkAdapter {
  readonly #session: Session;
  readonly #space: string;
  readonly #wallet: PeerId;
  readonly #documents = new Map<DocumentId, Watching>();
  #forget: (() => void) | undefined;
  #alive: Watching | undefined;
  #ready = false;
  #whenReady: Promise<void>;
  #setReady: () => void = () => undefined;

  /** The session needs the scopes `halo:spaces` and, to write, `halo:spaces:write`. */
  constructor(session: Session, space: Pick<Space, "id">) {
    super();
    this.#session = session;
    this.#space = space.id;
    this.#wallet = `halo-${space.id}` as PeerId;
    this.#whenReady = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  isReady(): boolean {
    return this.#ready;
  }

  whenReady(): Promise<void> {
    return this.#whenReady;
  }

  connect(peerId: PeerId, peerMetadata?: PeerMetadata): void {
    this.peerId = peerId;
    if (peerMetadata) this.peerMetadata = peerMetadata;
    const line = this.#session._data;
    this.#forget = line.onLine((open) => {
      if (open) this.#meet();
      else this.#part();
    });
    // Watched for nothing but that the line is opened, and again whenever it breaks.
    this.#alive = line.watch("spaces.watch", {}, () => { this.#meet(); }, () => { this.#part(); });
  }

  send(message: Message): void {
    // Presence and the like have nobody to go to: other devices get the document, by the wallet.
    if (message.type !== "sync" && message.type !== "request") return;
    const { documentId, data } = message;
    if (documentId === undefined || data === undefined) return;
    const watching = this.#documents.get(documentId) ?? this.#follow(documentId);
    this.#session._data
      .call("documents.message", () => ({ watch: watching.id, message: toBase64(data) }))
      .then((answer) => {
        const known = (answer as { known?: unknown }).known === true;
        if (!known && message.type === "request") this.#tell({ type: "doc-unavailable", documentId });
      })
      // When the line breaks the repo is told so, and begins anew when it is back.
      .catch(() => undefined);
  }

  disconnect(): void {
    this.#forget?.();
    this.#alive?.stop();
    this.#part();
  }

  #meet(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#setReady();
    this.emit("peer-candidate", { peerId: this.#wallet, peerMetadata: { isEphemeral: false } });
  }

  #part(): void {
    for (const watching of this.#documents.values()) watching.stop();
    this.#documents.clear();
    if (!this.#ready) return;
    this.#ready = false;
    this.emit("peer-disconnected", { peerId: this.#wallet });
  }

  #follow(documentId: DocumentId): Watching {
    const watching = this.#session._data.watch(
      "documents.sync",
      { space: this.#space, document: documentId },
      (event) => {
        const { message } = event as { message: string };
        this.#tell({ type: "sync", documentId, data: fromBase64(message) });
      },
      () => { this.#tell({ type: "doc-unavailable", documentId }); },
    );
    this.#documents.set(documentId, watching);
    return watching;
  }

  #tell(message: { type: string; documentId: DocumentId; data?: Uint8Array }): void {
    if (!this.peerId) return;
    this.emit("message", { ...message, senderId: this.#wallet, targetId: this.peerId });
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

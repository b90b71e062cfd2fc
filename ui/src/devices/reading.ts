// Where a code can come from besides typing: a camera, a picture, the clipboard.

/** Larger pictures are refused before they are sent anywhere; the wallet has limits of its own. */
export const MOST_BYTES = 16 * 1024 * 1024;

/** A frame is not sent larger than this: a code that fills a third of it is still read. */
const WIDEST = 960;

export type Read = (picture: Uint8Array) => Promise<string | null>;

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;

/** The browser's own reader, where it has one. */
function detector(): Detector | undefined {
  const Class = (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
  return Class && new Class({ formats: ['qr_code'] });
}

export const hasCamera = (): boolean => typeof navigator.mediaDevices?.getUserMedia === 'function';

/** Looks through the camera until it sees a code; `stopped` ends it. */
export async function watch(video: HTMLVideoElement, read: Read, stopped: AbortSignal): Promise<string | undefined> {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: 'environment', width: { ideal: 1280 } },
  });
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  try {
    if (stopped.aborted) return undefined;
    stopped.addEventListener('abort', stop, { once: true });
    video.srcObject = stream;
    await video.play();
    const own = detector();
    const canvas = document.createElement('canvas');
    while (!stopped.aborted) {
      const [seen] = own ? await own.detect(video) : [];
      const found = seen?.rawValue ?? (own ? null : await readFrame(video, canvas, read));
      if (found) return found;
      // One look a frame, so that a slow machine is not kept busy with old ones.
      await new Promise((next) => requestAnimationFrame(next));
    }
    return undefined;
  } finally {
    stopped.removeEventListener('abort', stop);
    stop();
    video.srcObject = null;
  }
}

async function readFrame(video: HTMLVideoElement, canvas: HTMLCanvasElement, read: Read): Promise<string | null> {
  const scale = Math.min(1, WIDEST / (video.videoWidth || WIDEST));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  if (canvas.width === 0 || canvas.height === 0) return null;
  canvas.getContext('2d')?.drawImage(video, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/jpeg', 0.9));
  return blob && read(new Uint8Array(await blob.arrayBuffer()));
}

export type Given = { text: string } | { picture: Blob } | undefined;

/** What was dropped or pasted: a picture, or a link. */
export function given(transfer: DataTransfer | null): Given {
  if (!transfer) return undefined;
  const picture = [...transfer.files].find((file) => file.type.startsWith('image/'));
  if (picture) return { picture };
  const text = transfer.getData('text/plain').trim();
  return text === '' ? undefined : { text };
}

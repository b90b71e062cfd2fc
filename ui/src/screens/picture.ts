// Makes a chosen picture small enough to travel with an identity: square, at most 8 KiB.

const SIDE = 128;
const MOST = 8 * 1024;

export async function shrink(file: File): Promise<number[]> {
  const picture = await createImageBitmap(file).catch(() => undefined);
  if (!picture) throw { code: 'ui.picture', message: 'this file is not a picture HALO can read' };
  const side = Math.min(picture.width, picture.height);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = SIDE;
  canvas
    .getContext('2d')
    ?.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  for (const quality of [0.9, 0.75, 0.6, 0.4, 0.2]) {
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/jpeg', quality));
    if (blob && blob.size <= MOST) return [...new Uint8Array(await blob.arrayBuffer())];
  }
  throw { code: 'ui.picture', message: 'this picture does not become small enough' };
}

/**
 * Three words that two screens can compare: the first three bytes of a hash, each one word of 256.
 *
 * The list is that of `halo_protocol`; a test compares the two.
 */

import type { Bytes } from "./encoding.js";

export type Words = readonly [string, string, string];

export const LIST: readonly string[] = `
  acorn album amber angel apple apron arrow atlas attic autumn bacon badge bagel bamboo banana banjo barn basil basket
  beach beacon beaver bench berry bicycle biscuit blanket blossom bonnet bottle branch brick bridge broom bucket
  butter button cabin cactus camera candle canoe canvas carpet carrot castle cedar cello chalk cherry chimney circus
  citrus clover coconut comet compass copper coral cotton crayon crown crystal cupboard curtain daisy dancer denim
  desert diamond dolphin domino dragon drawer drum eagle easel echo elephant ember engine fabric falcon feather fennel
  ferry fiddle finger flute forest fountain fox galaxy garden garlic gazelle ginger giraffe glacier goblet granite
  grape guitar hammock harbor harvest hazel hedge helmet heron honey horizon hotel iceberg igloo island ivory jacket
  jasmine jelly jewel jigsaw jungle kayak kettle kitten ladder lagoon lantern lemon leopard lettuce library lilac lion
  lobster locket lotus lunch magnet mango maple marble meadow melon mirror mitten monkey moon mosaic muffin museum
  mushroom napkin nectar needle nest nutmeg oasis ocean olive onion orange orchard orchid otter oven owl oyster paddle
  palace panda paper parade parrot peach peanut pebble pelican pencil pepper piano picnic pillow pilot pirate planet
  plum pocket pony poppy potato prairie pumpkin puzzle quartz quilt rabbit radio rainbow raisin raven ribbon river
  robin rocket saddle sailor salmon sandal scarf seagull shadow shell silver sketch spider spoon squirrel stable
  statue sugar summer sunset swan syrup table tailor teapot temple thimble thunder tiger timber tomato tornado tractor
  trumpet tulip tunnel turtle umbrella vanilla velvet violin volcano waffle walnut walrus whale willow window winter
  yogurt zebra zipper
`
  .trim()
  .split(/\s+/);

export function wordsOf(hash: Bytes): Words {
  const word = (index: number) => LIST[hash[index] ?? 0] ?? "";
  return [word(0), word(1), word(2)];
}

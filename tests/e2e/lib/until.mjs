// Waiting for something to become true. There is no other way of waiting in these tests.

const EVERY = 25;

/**
 * Asks `look` again and again until it answers something truthy, and returns that.
 *
 * Errors count as "not yet"; the last one is told if the deadline passes.
 */
export async function until(what, look, { within = 60_000, every = EVERY } = {}) {
  const deadline = Date.now() + within;
  let last;
  for (;;) {
    try {
      const answer = await look();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const why = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`waited ${within} ms for ${what}; last seen: ${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

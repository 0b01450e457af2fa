/** Lets everything that is due happen: promises, turns of the event loop. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export async function until(isTrue: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Whether a promise settles within a moment. */
export async function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  void promise.then(() => (isSettled = true));
  const deadline = Date.now() + 200;
  // Turns besides time, for a machine that is busy with other things.
  for (let turn = 0; !isSettled && (turn < 20 || Date.now() < deadline); turn++) await turns(1);
  return isSettled;
}
